//! How each feature is called: at least one row for every tool, resource, resource template and prompt.
//!
//! Some checks hold for every feature: isolation between users, no text of a journal in the log, scopes,
//! activity, schemas. They run over what the server lists and take the calls from this table. A feature
//! without a row makes them fail by its name; a row is all that a new feature needs to be checked.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};

use super::{ALL, Client, Feature, Journal, Kind, MODERN, TestApp};

/// What a user has before a sample is called. Whatever a sample refers to by an id is taken from here, so
/// that the checks can put another user's id, or an unknown one, in its place.
#[derive(Clone)]
pub(crate) struct Rows {
    /// An entry that has the tag below and is a favorite.
    pub(crate) entry: i64,
    pub(crate) tag: i64,
    pub(crate) export: i64,
    /// What the user writes: every text of the rows, and the text for arguments that take some. It occurs
    /// once in a run, is at most 60 characters long, and begins with the mark that the test has chosen.
    pub(crate) text: String,
}

/// A call that succeeds for the user who has the rows, under a token with exactly the feature's scopes.
pub(crate) struct Sample {
    pub(crate) feature: Feature,
    /// The tool's or prompt's arguments, or the values of the template's variables.
    pub(crate) arguments: fn(&Rows) -> Value,
}

/// The table.
fn table() -> Vec<Sample> {
    vec![
        tool("whoami", |_| json!({})),
        tool("create_entry", |rows| {
            json!({
                "title": rows.text, "content": rows.text, "mood": rows.text, "location": rows.text,
                "weather": rows.text, "idempotencyKey": "key",
            })
        }),
        tool(
            "create_entry",
            |rows| json!({ "title": rows.text, "content": rows.text, "tags": [rows.tag] }),
        ),
        tool("get_entry", |rows| json!({ "id": rows.entry })),
        tool("list_entries", |_| json!({})),
        tool(
            "list_entries",
            |rows| json!({ "tagIds": [rows.tag], "isFavorite": true }),
        ),
        tool("search_entries", |rows| json!({ "query": rows.text })),
        tool("search_entries", |_| json!({ "query": "thought" })),
        tool(
            "update_entry",
            |rows| json!({ "id": rows.entry, "title": rows.text, "mood": rows.text }),
        ),
        tool("delete_entry", |rows| json!({ "id": rows.entry })),
        tool(
            "create_tag",
            |rows| json!({ "name": format!("{}!", rows.text), "description": rows.text }),
        ),
        tool("get_tag", |rows| json!({ "id": rows.tag })),
        tool("list_tags", |_| json!({})),
        tool(
            "update_tag",
            |rows| json!({ "id": rows.tag, "name": format!("{}?", rows.text), "description": rows.text }),
        ),
        tool("delete_tag", |rows| json!({ "id": rows.tag })),
        tool(
            "add_tag_to_entry",
            |rows| json!({ "entryId": rows.entry, "tagId": rows.tag }),
        ),
        tool(
            "remove_tag_from_entry",
            |rows| json!({ "entryId": rows.entry, "tagId": rows.tag }),
        ),
        tool("export_journal", |_| json!({})),
        tool("import_journal", |rows| {
            let time = "2026-07-28T09:30:00Z";
            let entry = json!({
                "title": rows.text, "content": rows.text, "mood": rows.text, "createdAt": time,
                "tags": [{ "name": rows.text }],
            });
            let document = json!({ "format": "epicme-journal", "version": 1, "entries": [entry] });
            json!({ "document": document.to_string() })
        }),
        tool("list_connected_clients", |_| json!({})),
        tool("list_activity", |_| json!({})),
        resource("epicme://users/current"),
        resource("epicme://tags"),
        template("epicme://tags/{id}", |rows| json!({ "id": rows.tag })),
        template("epicme://entries/{id}", |rows| json!({ "id": rows.entry })),
        template("epicme://exports/{id}", |rows| json!({ "id": rows.export })),
        prompt(
            "suggest_tags",
            |rows| json!({ "entryId": rows.entry.to_string() }),
        ),
        prompt("summarize_entries", |_| json!({})),
        prompt(
            "summarize_entries",
            |rows| json!({ "tags": rows.tag.to_string(), "timeZone": "Europe/Berlin" }),
        ),
    ]
}

fn tool(name: &str, arguments: fn(&Rows) -> Value) -> Sample {
    sample(Kind::Tool, name, arguments)
}

fn resource(uri: &str) -> Sample {
    sample(Kind::Resource, uri, |_| json!({}))
}

fn template(uri: &str, variables: fn(&Rows) -> Value) -> Sample {
    sample(Kind::Template, uri, variables)
}

fn prompt(name: &str, arguments: fn(&Rows) -> Value) -> Sample {
    sample(Kind::Prompt, name, arguments)
}

fn sample(kind: Kind, name: &str, arguments: fn(&Rows) -> Value) -> Sample {
    let feature = Feature {
        kind,
        name: name.to_owned(),
    };
    Sample { feature, arguments }
}

/// The samples of everything that the server lists for a token with every scope.
///
/// # Panics
///
/// If something is listed without a sample, or a sample is of something that is not listed.
pub(crate) async fn samples(app: &TestApp) -> Vec<Sample> {
    let client = app.client(MODERN, &app.token("a new user", ALL)).await;
    let listed: BTreeSet<_> = client.features().await.into_iter().collect();
    let samples = table();
    let sampled: BTreeSet<_> = samples.iter().map(|one| one.feature.clone()).collect();
    let missing: Vec<_> = listed
        .difference(&sampled)
        .map(Feature::to_string)
        .collect();
    assert!(
        missing.is_empty(),
        "no sample call of {}: add a row to `table` in {}",
        missing.join(", "),
        file!()
    );
    let unknown: Vec<_> = sampled
        .difference(&listed)
        .map(Feature::to_string)
        .collect();
    assert!(
        unknown.is_empty(),
        "the server does not list {}: remove the row from `table` in {}",
        unknown.join(", "),
        file!()
    );
    samples
}

impl Sample {
    /// The parameters of a call with these arguments.
    pub(crate) fn params(&self, arguments: &Value) -> Value {
        self.feature.params(arguments)
    }

    /// Which rows' ids the arguments have in them: each with a copy of the rows in which that id is another.
    pub(crate) fn with_other_ids(&self, own: &Rows, other: &Rows) -> Vec<(Rows, i64)> {
        let usual = (self.arguments)(own);
        let entry = Rows {
            entry: other.entry,
            ..own.clone()
        };
        let tag = Rows {
            tag: other.tag,
            ..own.clone()
        };
        let export = Rows {
            export: other.export,
            ..own.clone()
        };
        [
            (entry, other.entry),
            (tag, other.tag),
            (export, other.export),
        ]
        .into_iter()
        .filter(|(rows, _)| (self.arguments)(rows) != usual)
        .collect()
    }
}

impl Journal<'_> {
    /// Writes the rows that samples need, with texts that begin with this mark.
    pub(crate) async fn rows(&self, mark: &str) -> Rows {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let text = format!("{mark} thought {}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.rows_of(text).await
    }

    /// The same with exactly this text.
    pub(crate) async fn rows_of(&self, text: String) -> Rows {
        let tag = json!({ "name": text, "description": text });
        let tag = self.done("create_tag", tag).await["tag"]["id"].clone();
        let entry = json!({
            "title": text, "content": text, "mood": text, "location": text, "weather": text,
            "isFavorite": true, "tags": [tag],
        });
        let entry = self.done("create_entry", entry).await["entry"]["id"].clone();
        let export = self.done("export_journal", json!({})).await["uri"].clone();
        let export = export.as_str().and_then(|uri| uri.rsplit('/').next());
        Rows {
            entry: entry.as_i64().unwrap(),
            tag: tag.as_i64().unwrap(),
            export: export.unwrap().parse().unwrap(),
            text,
        }
    }
}

impl Client<'_> {
    /// Calls the sample, which has to succeed; what comes back.
    pub(crate) async fn succeed(&self, sample: &Sample, rows: &Rows) -> Value {
        let params = sample.params(&(sample.arguments)(rows));
        let method = sample.feature.method();
        let result = self.ask(method, params.clone()).send().await.result();
        let is_error = result.get("isError") == Some(&true.into());
        assert!(!is_error, "{} {params}: {result}", sample.feature);
        result
    }
}
