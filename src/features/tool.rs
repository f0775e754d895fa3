//! What a declaration of a tool looks like, and what the catalogue makes of it.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use rmcp::model::{self, ToolAnnotations};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{
    Deserializer, Serialize,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use super::{
    arguments,
    conversation::{Conversation, Unheard},
};
use crate::{
    domain::{journal::JournalError, principal::Principal, scope::ScopeSet},
    journal::JournalHandle,
    mcp::{
        answer::{Content, ToolOutput},
        data::Data,
    },
};

/// A tool, declared once.
pub trait Tool {
    /// The name that clients call it by.
    const NAME: &'static str;
    /// The name that people read.
    const TITLE: &'static str;
    /// What a model reads to decide whether to call it.
    const DESCRIPTION: &'static str;
    /// What a call needs, whatever its arguments.
    const SCOPES: ScopeSet;
    /// What a call needs besides if it has a certain argument.
    const WITH_ARGUMENT: Option<(&'static str, ScopeSet)> = None;
    /// What the host may assume of it.
    const EFFECT: Effect;

    /// Its arguments.
    type Arguments: DeserializeOwned + JsonSchema;
    /// Its structured result.
    type Output: Serialize + JsonSchema;

    /// Does it, for the user of the context.
    fn call(
        context: Context,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Done<Self::Output>, ToolError>>;
}

/// What a tool does to the journal (MCP, Tools, Annotations). Every tool stays within the journal,
/// so `openWorldHint` is always false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// Adds, and would add again.
    Adds,
    /// Sets something to a value; again makes no difference.
    Sets,
    /// Takes away; again makes no difference.
    Removes,
}

/// For whom, and with what at hand.
#[derive(Clone, Debug)]
pub struct Context {
    /// The user, from the token of this very request.
    pub principal: Arc<Principal>,
    /// The journal.
    pub journal: JournalHandle,
    /// The client's end of this call.
    pub conversation: Conversation,
}

/// For whom something is read, where nothing is said on the way.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The user, from the token of this very request.
    pub principal: Arc<Principal>,
    /// The journal.
    pub journal: JournalHandle,
}

/// What a tool did.
#[derive(Debug)]
pub struct Done<T> {
    /// A sentence for people.
    pub summary: String,
    /// What it is about: links, or the thing itself.
    pub about: Vec<Content>,
    /// The result.
    pub output: T,
}

/// Why a tool could not.
#[derive(Debug)]
pub enum ToolError {
    /// The arguments break a rule; a sentence that says which.
    BadArguments(String),
    /// What was asked for cannot be done; a sentence that says why.
    Failed(String),
    /// The client is needed first.
    Unheard(Unheard),
    /// The journal could not.
    Journal(JournalError),
}

impl From<Unheard> for ToolError {
    fn from(error: Unheard) -> Self {
        Self::Unheard(error)
    }
}

impl From<JournalError> for ToolError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// A tool in the catalogue, its types forgotten.
pub struct DeclaredTool {
    /// Its wire form, with everything that any revision shows.
    pub descriptor: model::Tool,
    scopes: ScopeSet,
    with_argument: Option<(&'static str, ScopeSet)>,
    call: Box<Begin<CallFuture>>,
}

/// Reads arguments at once; what it gives does the rest when it is polled.
pub(super) type Begin<F> = dyn Fn(Context, Option<&RawValue>) -> F + Send + Sync;

/// A call under way, which has all that it needs.
pub type CallFuture = Pin<Box<dyn Future<Output = Result<ToolOutput, ToolError>>>>;

impl DeclaredTool {
    /// Enters a declaration into the catalogue.
    #[must_use]
    pub fn of<T: Tool + 'static>() -> Self {
        let descriptor = model::Tool::new(
            T::NAME,
            T::DESCRIPTION,
            Arc::new(schema_of::<T::Arguments>(SchemaSettings::draft2020_12())),
        )
        .with_title(T::TITLE)
        .with_raw_output_schema(Arc::new(schema_of::<T::Output>(
            SchemaSettings::draft2020_12().for_serialize(),
        )))
        .with_annotations(annotations(T::TITLE, T::EFFECT));
        Self {
            descriptor,
            scopes: T::SCOPES,
            with_argument: T::WITH_ARGUMENT,
            call: Box::new(call::<T>),
        }
    }

    /// Enters a tool that is known by its wire form only, and takes any arguments: whoever made the
    /// schema answers for what does not fit it.
    #[must_use]
    pub fn raw<F>(
        descriptor: model::Tool,
        scopes: ScopeSet,
        call: impl Fn(Context, Map<String, Value>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<ToolOutput, ToolError>> + 'static,
    {
        let call = move |context, raw: Option<&RawValue>| -> CallFuture {
            match arguments::read::<Map<String, Value>>(raw) {
                Ok(arguments) => Box::pin(call(context, arguments)),
                Err(reason) => Box::pin(async { Err(ToolError::BadArguments(reason)) }),
            }
        };
        Self {
            descriptor,
            scopes,
            with_argument: None,
            call: Box::new(call),
        }
    }

    /// The name that clients call it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.descriptor.name
    }

    /// Whether a call may change something, which a tool that is known by its wire form only does
    /// unless that says otherwise (MCP, `readOnlyHint`).
    #[must_use]
    pub fn writes(&self) -> bool {
        let annotations = self.descriptor.annotations.as_ref();
        annotations.and_then(|annotations| annotations.read_only_hint) != Some(true)
    }

    /// What a token needs for the tool to be of any use to it; lists show it if so.
    #[must_use]
    pub fn scopes(&self) -> ScopeSet {
        self.scopes
    }

    /// The argument that makes a call need more, and what it then needs besides.
    #[must_use]
    pub fn with_argument(&self) -> Option<(&'static str, ScopeSet)> {
        self.with_argument
    }

    /// What this very call needs. The arguments have not been validated yet, and a caller without
    /// the scopes must not learn whether they would have been valid.
    #[must_use]
    pub fn scopes_of_call(&self, arguments: Option<&RawValue>) -> ScopeSet {
        let Some((name, scopes)) = self.with_argument else {
            return self.scopes;
        };
        let has_argument = arguments.is_some_and(|raw| has_member(raw.get(), name));
        if has_argument {
            self.scopes.union(scopes)
        } else {
            self.scopes
        }
    }

    /// Validates the arguments at once, and does it when it is polled.
    #[must_use]
    pub fn call(&self, context: Context, arguments: Option<&RawValue>) -> CallFuture {
        (self.call)(context, arguments)
    }
}

/// Whether a JSON object has a member of this name that is not null; of several, the last counts. Nothing
/// else is read of it, and of what is no object, nothing at all.
fn has_member(object: &str, name: &str) -> bool {
    struct Members<'a>(&'a str);

    impl<'de> Visitor<'de> for Members<'_> {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
            let mut has = false;
            while let Some(is_it) = members.next_key_seed(Named(self.0))? {
                if is_it {
                    has = members.next_value::<&RawValue>()?.get() != "null";
                } else {
                    members.next_value::<IgnoredAny>()?;
                }
            }
            Ok(has)
        }
    }

    /// Whether a key is this one.
    struct Named<'a>(&'a str);

    impl<'de> DeserializeSeed<'de> for Named<'_> {
        type Value = bool;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
            deserializer.deserialize_str(self)
        }
    }

    impl Visitor<'_> for Named<'_> {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name")
        }

        fn visit_str<E>(self, key: &str) -> Result<bool, E> {
            Ok(key == self.0)
        }
    }

    // A letter of its name can be written in one other way only (RFC 8259 §7).
    if !object.contains(name) && !object.contains("\\u") {
        return false;
    }
    let mut json = serde_json::Deserializer::from_str(object);
    json.deserialize_map(Members(name))
        .and_then(|has| json.end().map(|()| has))
        .unwrap_or(false)
}

fn call<T: Tool + 'static>(context: Context, raw: Option<&RawValue>) -> CallFuture {
    let arguments = arguments::read::<T::Arguments>(raw);
    Box::pin(async move {
        let done = T::call(context, arguments.map_err(ToolError::BadArguments)?).await?;
        let mut content = vec![Content::text(done.summary)];
        content.extend(done.about);
        let structured = Data::of(&done.output)
            .expect("outputs are made of strings, numbers, lists and structs");
        Ok(ToolOutput {
            content,
            structured: Some(structured),
        })
    })
}

fn annotations(title: &str, effect: Effect) -> ToolAnnotations {
    let annotations = ToolAnnotations::with_title(title).open_world(false);
    match effect {
        Effect::Reads => annotations.read_only(true),
        Effect::Adds => annotations
            .read_only(false)
            .destructive(false)
            .idempotent(false),
        Effect::Sets => annotations
            .read_only(false)
            .destructive(false)
            .idempotent(true),
        Effect::Removes => annotations
            .read_only(false)
            .destructive(true)
            .idempotent(true),
    }
}

/// The schema without references, `$schema` and the type's Rust name: MCP takes 2020-12 for granted,
/// and clients differ in what they resolve.
fn schema_of<T: JsonSchema>(settings: SchemaSettings) -> Map<String, Value> {
    let generator = settings
        .with(|settings| {
            settings.meta_schema = None;
            settings.inline_subschemas = true;
        })
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    let schema = schema
        .as_object_mut()
        .expect("arguments and outputs are structs, whose schemas are objects");
    schema.remove("title");
    schema.remove("description");
    // A tool without arguments has a struct without fields.
    schema
        .entry("properties")
        .or_insert_with(|| Map::new().into());
    let mut schema = std::mem::take(schema);
    schema.values_mut().for_each(tidy);
    schema
}

/// A doc comment's line breaks are the source file's, not the reader's; and the formats by which
/// schemars names Rust's integers are none of JSON Schema's, of which clients warn at every call.
fn tidy(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\n') => *text = text.replace('\n', " "),
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(members) => {
            let names_an_integer = members
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|format| format.starts_with("int") || format.starts_with("uint"));
            if names_an_integer {
                members.remove("format");
            }
            members.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_there_if_it_has_a_value() {
        for (object, has) in [
            (r#"{"tags":[1]}"#, true),
            (r#"{"a":{"tags":1},"t\u0061gs":0}"#, true),
            (r#"{"t\u0061\u0067s":0}"#, true),
            (r#"{"tags":null}"#, false),
            (r#"{"tags":1,"tags":null}"#, false),
            (r#"{"tags":null,"tags":[]}"#, true),
            (r#"{"a":{"tags":1}}"#, false),
            (r#"["tags"]"#, false),
            (r#"{"tags":1"#, false),
            (r#"{"tags":1} x"#, false),
            ("{}", false),
        ] {
            assert_eq!(has_member(object, "tags"), has, "{object}");
        }
    }
}
