//! What the server lists, and what each of it needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Value, json};

use super::{ALL, Client, MODERN, TestApp};

/// The page that `epicme scopes` prints; `tests/scopes.rs` holds that it does.
const SCOPES: &str = include_str!("../../../docs/SCOPES.md");

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Tool,
    Resource,
    Template,
    Prompt,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Tool, Self::Resource, Self::Template, Self::Prompt];

    /// The method that lists them, the member of the result that has the list, and the member of an item
    /// that names it.
    pub(crate) fn list(self) -> [&'static str; 3] {
        match self {
            Self::Tool => ["tools/list", "tools", "name"],
            Self::Resource => ["resources/list", "resources", "uri"],
            Self::Template => [
                "resources/templates/list",
                "resourceTemplates",
                "uriTemplate",
            ],
            Self::Prompt => ["prompts/list", "prompts", "name"],
        }
    }

    /// How docs/SCOPES.md names it.
    fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Resource => "resource",
            Self::Template => "resource template",
            Self::Prompt => "prompt",
        }
    }

    /// How a user's activity names it.
    pub(crate) fn in_activity(self) -> &'static str {
        match self {
            Self::Template => "resource",
            other => other.word(),
        }
    }
}

/// One item of a list, by its name, its URI, or its URI template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Feature {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} `{}`", self.kind.word(), self.name)
    }
}

impl Feature {
    /// The method that uses it.
    pub(crate) fn method(&self) -> &'static str {
        match self.kind {
            Kind::Tool => "tools/call",
            Kind::Resource | Kind::Template => "resources/read",
            Kind::Prompt => "prompts/get",
        }
    }

    /// The parameters of that method.
    pub(crate) fn params(&self, arguments: &Value) -> Value {
        match self.kind {
            Kind::Tool | Kind::Prompt => json!({ "name": self.name, "arguments": arguments }),
            Kind::Resource => json!({ "uri": self.name }),
            Kind::Template => {
                let mut uri = self.name.clone();
                for (name, value) in arguments.as_object().unwrap() {
                    let value = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    uri = uri.replace(&format!("{{{name}}}"), &value);
                }
                json!({ "uri": uri })
            }
        }
    }

    /// The scopes that docs/SCOPES.md says a call with these arguments needs.
    pub(crate) fn scopes(&self, arguments: &Value) -> Vec<&'static str> {
        let rows: Vec<_> = scope_table()
            .into_iter()
            .filter(|row| row.kind == self.kind.word() && row.name == self.name)
            .collect();
        let with = rows.iter().find(|row| {
            let argument = row.with.and_then(|name| arguments.get(name));
            argument.is_some_and(|argument| !argument.is_null())
        });
        let row = with.or_else(|| rows.iter().find(|row| row.with.is_none()));
        row.unwrap_or_else(|| {
            panic!("docs/SCOPES.md lacks {self}: run `cargo run -- scopes > docs/SCOPES.md`")
        })
        .scopes
        .clone()
    }
}

/// A row of docs/SCOPES.md.
pub(crate) struct ScopeRow {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    /// Of a tool: the argument that makes it need more. Of a completion: the argument that is completed.
    pub(crate) with: Option<&'static str>,
    pub(crate) scopes: Vec<&'static str>,
}

/// The rows of docs/SCOPES.md, in their order, which is that of the lists.
pub(crate) fn scope_table() -> Vec<ScopeRow> {
    let rows = SCOPES.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.split(" | ").collect();
        let [kind, feature, scopes] = cells[..] else {
            return None;
        };
        let mut words = feature.split('`').skip(1).step_by(2);
        Some(ScopeRow {
            kind,
            name: words.next()?,
            with: words.next(),
            scopes: scopes.split('`').nth(1)?.split_whitespace().collect(),
        })
    });
    rows.collect()
}

/// The tools that a token with these scopes is shown, in the order of the list.
pub(crate) fn tools_for(granted: &str) -> Vec<&'static str> {
    names_for(Kind::Tool, granted)
}

/// What of a kind a token with these scopes is shown, in the order of the list.
pub(crate) fn names_for(kind: Kind, granted: &str) -> Vec<&'static str> {
    let granted: BTreeSet<_> = granted.split(' ').collect();
    scope_table()
        .into_iter()
        .filter(|row| row.kind == kind.word() && row.with.is_none())
        .filter(|row| row.scopes.iter().all(|scope| granted.contains(scope)))
        .map(|row| row.name)
        .collect()
}

impl TestApp {
    /// Every tool by its name, as modern clients are shown it.
    pub(crate) async fn tools(&self) -> BTreeMap<String, Value> {
        let client = self.client(MODERN, &self.token("ann", ALL)).await;
        let tools = client.items(Kind::Tool).await.into_iter();
        tools
            .map(|tool| (tool["name"].as_str().unwrap().to_owned(), tool))
            .collect()
    }
}

impl Client<'_> {
    /// The names of a list, whole.
    pub(crate) async fn names(&self, kind: Kind) -> Vec<String> {
        let [.., name] = kind.list();
        let items = self.items(kind).await;
        let names = items
            .iter()
            .map(|item| item[name].as_str().unwrap().to_owned());
        names.collect()
    }

    /// The items of a list, from all its pages.
    pub(crate) async fn items(&self, kind: Kind) -> Vec<Value> {
        let [method, items, _] = kind.list();
        let (mut found, mut params) = (Vec::new(), json!({}));
        loop {
            let page = self.result(method, params.clone()).await;
            found.extend(page[items].as_array().unwrap().iter().cloned());
            match page.get("nextCursor") {
                Some(cursor) => params["cursor"] = cursor.clone(),
                None => return found,
            }
        }
    }

    /// Everything that is listed.
    pub(crate) async fn features(&self) -> Vec<Feature> {
        let mut features = Vec::new();
        for kind in Kind::ALL {
            let names = self.names(kind).await.into_iter();
            features.extend(names.map(|name| Feature { kind, name }));
        }
        features
    }

    /// Every completion that can be asked for: the reference and the argument's name, for the arguments of
    /// the prompts and the variables of the templates that are listed.
    pub(crate) async fn completions(&self) -> Vec<(Value, String)> {
        let mut found = Vec::new();
        for prompt in self.items(Kind::Prompt).await {
            for argument in prompt["arguments"].as_array().into_iter().flatten() {
                let reference = json!({ "type": "ref/prompt", "name": prompt["name"] });
                found.push((reference, argument["name"].as_str().unwrap().to_owned()));
            }
        }
        for template in self.names(Kind::Template).await {
            let variables = template.split('{').skip(1);
            for variable in variables.filter_map(|rest| rest.split('}').next()) {
                let reference = json!({ "type": "ref/resource", "uri": template });
                found.push((reference, variable.to_owned()));
            }
        }
        found
    }
}
