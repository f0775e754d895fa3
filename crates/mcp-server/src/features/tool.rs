//! Tools: how one is declared, what it is called with, and what it answers.

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
    context::Context,
    declaration::{DeclarationError, FeatureScopes},
    tool_error::ToolError,
};
use mcp_protocol::{
    answer::{Content, ToolOutput},
    json::data::Data,
};
use resource_server::scope::{ScopeSet, Scopes};

/// A tool that models call (MCP, Tools).
///
/// A tool is a value: what it needs, such as a database, it has in its own fields.
pub trait Tool: Send + Sync + 'static {
    /// The name that clients call it by.
    const NAME: &'static str;
    /// The name for people.
    const TITLE: &'static str = "";
    /// What a model reads to decide whether to call it.
    const DESCRIPTION: &'static str;
    /// The scopes that every call needs. Lists show the tool to tokens that have them.
    const SCOPES: &'static [&'static str];
    /// Arguments that make a call need more scopes, and which ones.
    const SCOPES_OF_ARGUMENTS: &'static [(&'static str, &'static [&'static str])] = &[];
    /// What the host may assume of a call.
    const EFFECT: Effect = Effect::Destructive;
    /// Whether a call reaches beyond this server's own data (MCP, `openWorldHint`).
    const OPEN_WORLD: bool = false;

    /// The arguments. What deserialises is within the rules; the same type writes the JSON Schema.
    type Arguments: DeserializeOwned + JsonSchema;
    /// The structured result.
    type Output: Serialize + JsonSchema;

    /// Does what the tool is for, on behalf of the user of the context.
    ///
    /// # Errors
    /// See [`ToolError`].
    fn call(
        &self,
        context: Context,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<ToolResult<Self::Output>, ToolError>>;
}

/// What a call does to the data behind a tool (MCP, `ToolAnnotations`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing (`readOnlyHint`).
    ReadOnly,
    /// It adds something, and adds another when it is repeated.
    Additive,
    /// It sets something to a value; a repetition changes nothing more (`idempotentHint`).
    Idempotent,
    /// It takes something away or overwrites it; a repetition changes nothing more
    /// (`destructiveHint`, `idempotentHint`).
    Destructive,
}

/// The result of a call that went well.
#[derive(Debug)]
pub struct ToolResult<T> {
    /// A sentence for people and for models that read no structured content.
    pub text: String,
    /// Further content: links to resources, embedded resources, images.
    pub content: Vec<Content>,
    /// The result as data.
    pub structured: T,
}

impl<T> ToolResult<T> {
    /// A result of data alone.
    #[must_use]
    pub fn new(structured: T) -> Self {
        Self {
            text: String::new(),
            content: Vec::new(),
            structured,
        }
    }

    /// This result, with a sentence.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// This result, with more content.
    #[must_use]
    pub fn content(mut self, content: impl IntoIterator<Item = Content>) -> Self {
        self.content.extend(content);
        self
    }
}

/// A tool in the catalogue, whose types are erased.
pub struct DeclaredTool {
    /// Its wire form, with everything that any revision shows.
    pub descriptor: model::Tool,
    scopes: FeatureScopes,
    scopes_of_arguments: Vec<(&'static str, FeatureScopes)>,
    call: Box<Call<CallFuture>>,
}

/// Reads the arguments at once; the future does the rest when it is polled.
pub(crate) type Call<F> = dyn Fn(Context, Option<&RawValue>) -> F + Send + Sync;

/// A call under way, which owns all that it needs.
pub type CallFuture = Pin<Box<dyn Future<Output = Result<ToolOutput, ToolError>>>>;

impl DeclaredTool {
    /// The declaration of a tool.
    #[must_use]
    pub fn new<T: Tool>(tool: T) -> Self {
        let mut descriptor = model::Tool::new(
            T::NAME,
            T::DESCRIPTION,
            Arc::new(schema_of::<T::Arguments>(SchemaSettings::draft2020_12())),
        )
        .with_raw_output_schema(Arc::new(schema_of::<T::Output>(
            SchemaSettings::draft2020_12().for_serialize(),
        )))
        .with_annotations(annotations(T::TITLE, T::EFFECT, T::OPEN_WORLD));
        if !T::TITLE.is_empty() {
            descriptor = descriptor.with_title(T::TITLE);
        }
        let scopes_of_arguments = T::SCOPES_OF_ARGUMENTS.iter();
        let tool = Arc::new(tool);
        Self {
            descriptor,
            scopes: FeatureScopes::of(T::SCOPES),
            scopes_of_arguments: scopes_of_arguments
                .map(|(argument, scopes)| (*argument, FeatureScopes::of(scopes)))
                .collect(),
            call: Box::new(move |context, raw| call(Arc::clone(&tool), context, raw)),
        }
    }

    /// A tool that is known by its wire form alone and takes any arguments: the closure checks them
    /// against the schema.
    #[must_use]
    pub fn raw<F>(
        descriptor: model::Tool,
        scopes: &'static [&'static str],
        call: impl Fn(Context, Map<String, Value>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<ToolOutput, ToolError>> + 'static,
    {
        let call = move |context, raw: Option<&RawValue>| -> CallFuture {
            match arguments::read::<Map<String, Value>>(raw) {
                Ok(arguments) => Box::pin(call(context, arguments)),
                Err(reason) => Box::pin(async { Err(ToolError::Refused(reason)) }),
            }
        };
        Self {
            descriptor,
            scopes: FeatureScopes::of(scopes),
            scopes_of_arguments: Vec::new(),
            call: Box::new(call),
        }
    }

    pub(crate) fn resolve(&mut self, scopes: &Scopes) -> Result<(), DeclarationError> {
        let name = &self.descriptor.name;
        let arguments = self.scopes_of_arguments.iter_mut();
        let arguments = arguments.map(|(_, of_argument)| of_argument);
        for declared in std::iter::once(&mut self.scopes).chain(arguments) {
            declared.resolve(scopes, "tool", name)?;
        }
        Ok(())
    }

    /// The name that clients call it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.descriptor.name
    }

    /// Whether a call may change something. A tool that is known by its wire form alone does, unless its
    /// annotations say otherwise (MCP, `readOnlyHint`).
    #[must_use]
    pub fn writes(&self) -> bool {
        let annotations = self.descriptor.annotations.as_ref();
        annotations.and_then(|annotations| annotations.read_only_hint) != Some(true)
    }

    /// The scopes that every call needs.
    #[must_use]
    pub fn scopes(&self) -> ScopeSet {
        self.scopes.set()
    }

    /// The arguments that make a call need more scopes, and which ones.
    pub fn scopes_of_arguments(&self) -> impl Iterator<Item = (&'static str, ScopeSet)> {
        let arguments = self.scopes_of_arguments.iter();
        arguments.map(|(argument, scopes)| (*argument, scopes.set()))
    }

    /// The scopes that this call needs. The arguments have not been validated yet: a caller without the
    /// scopes must not learn whether they would have been valid.
    #[must_use]
    pub fn scopes_of_call(&self, arguments: Option<&RawValue>) -> ScopeSet {
        self.scopes_of_arguments()
            .filter(|(name, _)| arguments.is_some_and(|raw| has_member(raw.get(), name)))
            .fold(self.scopes(), |all, (_, scopes)| all.union(scopes))
    }

    /// Validates the arguments at once, and does the call when it is polled.
    #[must_use]
    pub fn call(&self, context: Context, arguments: Option<&RawValue>) -> CallFuture {
        (self.call)(context, arguments)
    }
}

/// Whether a JSON object has a member of this name that is not null; of several, the last counts. Nothing
/// else is read of it, and of other JSON nothing at all.
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

fn call<T: Tool>(tool: Arc<T>, context: Context, raw: Option<&RawValue>) -> CallFuture {
    let arguments = arguments::read::<T::Arguments>(raw);
    Box::pin(async move {
        let arguments = arguments.map_err(ToolError::Refused)?;
        let result = tool.call(context, arguments).await?;
        let mut content = Vec::with_capacity(1 + result.content.len());
        if !result.text.is_empty() {
            content.push(Content::text(result.text));
        }
        content.extend(result.content);
        let structured = Data::of(&result.structured).map_err(ToolError::internal)?;
        Ok(ToolOutput {
            content,
            structured: Some(structured),
        })
    })
}

fn annotations(title: &str, effect: Effect, open_world: bool) -> ToolAnnotations {
    let annotations = if title.is_empty() {
        ToolAnnotations::new()
    } else {
        ToolAnnotations::with_title(title)
    };
    let annotations = annotations.open_world(open_world);
    match effect {
        Effect::ReadOnly => annotations.read_only(true),
        Effect::Additive => annotations
            .read_only(false)
            .destructive(false)
            .idempotent(false),
        Effect::Idempotent => annotations
            .read_only(false)
            .destructive(false)
            .idempotent(true),
        Effect::Destructive => annotations
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
/// schemars names Rust's integers are not JSON Schema's, and clients warn of them at every call.
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
