//! Tools: declaration, arguments and results (MCP, Tools).

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use rmcp::model::{self, ToolAnnotations};
use schemars::JsonSchema;
use serde::{
    Deserializer, Serialize,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

use super::{
    arguments,
    context::Context,
    declaration::{DeclarationError, FeatureScopes},
    schema::{Of, schema_of},
    tool_error::ToolError,
};
use mcp_protocol::{
    answer::{Content, ToolOutput},
    json::dual::DualJson,
};
use resource_server::scope::{ScopeSet, Scopes};

/// A tool that models call (MCP, Tools).
///
/// A tool is a value: what it needs, such as a database handle, is in its fields. The doc comments of the
/// types of arguments and results become descriptions in the JSON Schemas.
///
/// ```
/// use mcp_server::features::{
///     context::Context,
///     tool::{Effect, Tool, ToolResult},
///     tool_error::ToolError,
/// };
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Sum {
///     /// The numbers to add.
///     numbers: Vec<i32>,
/// }
///
/// #[derive(Serialize, JsonSchema)]
/// struct Total {
///     total: i64,
/// }
///
/// struct Add;
///
/// impl Tool for Add {
///     const NAME: &'static str = "add";
///     const DESCRIPTION: &'static str = "Adds numbers.";
///     const SCOPES: &'static [&'static str] = &["sums:read"];
///     const EFFECT: Effect = Effect::ReadOnly;
///
///     type Arguments = Sum;
///     type Output = Total;
///
///     async fn call(&self, _: Context, sum: Sum) -> Result<ToolResult<Total>, ToolError> {
///         if sum.numbers.is_empty() {
///             return Err(ToolError::refused("There must be at least one number."));
///         }
///         let total = sum.numbers.into_iter().map(i64::from).sum();
///         Ok(ToolResult::new(Total { total }).text(format!("The total is {total}.")))
///     }
/// }
///
/// let server = mcp_server::server::Server::new("sums", "https://sums.example")
///     .scope("sums:read", "Add numbers")
///     .tool(Add);
/// ```
pub trait Tool: Send + Sync + 'static {
    /// The name by which clients call it.
    const NAME: &'static str;
    /// The display name; none if empty.
    const TITLE: &'static str = "";
    /// What a model reads to decide whether to call it.
    const DESCRIPTION: &'static str;
    /// The scopes that every call needs. `tools/list` shows the tool to tokens that have them.
    const SCOPES: &'static [&'static str];
    /// Arguments that need further scopes when they are present and not null, with these scopes.
    const SCOPES_OF_ARGUMENTS: &'static [(&'static str, &'static [&'static str])] = &[];
    /// How a call changes data; see [`Effect`]. The default makes hosts ask their users.
    const EFFECT: Effect = Effect::Destructive;
    /// Whether a call reaches beyond this server's own data (MCP, `openWorldHint`).
    const OPEN_WORLD: bool = false;

    /// The arguments. The type validates them while it deserialises, and it describes the rules in
    /// `inputSchema`. It must be a struct.
    type Arguments: DeserializeOwned + JsonSchema;
    /// The structured result, described by `outputSchema`. It must be a struct.
    type Output: Serialize + JsonSchema;

    /// Calls the tool on behalf of the user of the context. The scopes have been checked.
    ///
    /// # Errors
    /// See [`ToolError`].
    fn call(
        &self,
        context: Context,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<ToolResult<Self::Output>, ToolError>>;
}

/// How a call changes the data behind a tool (MCP, `ToolAnnotations`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing (`readOnlyHint`).
    ReadOnly,
    /// Adds something; a repetition adds another.
    Additive,
    /// Sets something to a value; a repetition has no further effect (`idempotentHint`).
    Idempotent,
    /// Deletes or overwrites something; a repetition has no further effect (`destructiveHint`,
    /// `idempotentHint`).
    Destructive,
}

/// The result of a successful call.
#[derive(Debug)]
pub struct ToolResult<T> {
    /// A sentence for users, and for models that do not read structured content; omitted if empty.
    pub text: String,
    /// Further content blocks: links to resources, embedded resources, images.
    pub content: Vec<Content>,
    /// The structured result.
    pub structured: T,
}

impl<T> ToolResult<T> {
    /// A result that consists of structured content only.
    #[must_use]
    pub fn new(structured: T) -> Self {
        Self {
            text: String::new(),
            content: Vec::new(),
            structured,
        }
    }

    /// Sets the sentence.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Adds content blocks.
    #[must_use]
    pub fn content(mut self, content: impl IntoIterator<Item = Content>) -> Self {
        self.content.extend(content);
        self
    }
}

/// A type-erased tool.
pub struct DeclaredTool {
    /// Its entry in `tools/list`, with the members of all revisions.
    pub descriptor: model::Tool,
    scopes: FeatureScopes,
    scopes_of_arguments: Vec<(&'static str, FeatureScopes)>,
    call: Box<Call<CallFuture>>,
}

/// Validates the arguments at once; the returned future does the rest.
pub(crate) type Call<F> = dyn Fn(Context, Option<&RawValue>) -> F + Send + Sync;

/// A call in progress.
pub type CallFuture = Pin<Box<dyn Future<Output = Result<ToolOutput, ToolError>>>>;

impl DeclaredTool {
    /// Erases the type of a tool.
    #[must_use]
    pub fn new<T: Tool>(tool: T) -> Self {
        let mut descriptor = model::Tool::new(
            T::NAME,
            T::DESCRIPTION,
            Arc::new(schema_of::<T::Arguments>(Of::Arguments)),
        )
        .with_raw_output_schema(Arc::new(schema_of::<T::Output>(Of::Output)))
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

    /// A tool without a Rust type for its arguments: the closure must validate them against the schema of the
    /// descriptor.
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

    /// The name by which clients call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.descriptor.name
    }

    /// Whether a call may change something: unless its annotations say `readOnlyHint: true`.
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

    /// The arguments that need further scopes, with these scopes.
    pub(crate) fn scopes_of_arguments(&self) -> impl Iterator<Item = (&'static str, ScopeSet)> {
        let arguments = self.scopes_of_arguments.iter();
        arguments.map(|(argument, scopes)| (*argument, scopes.set()))
    }

    /// The scopes that a call with these arguments needs. The arguments have not been validated: a caller
    /// without the scopes must not learn whether they are valid.
    #[must_use]
    pub(crate) fn scopes_of_call(&self, arguments: Option<&RawValue>) -> ScopeSet {
        self.scopes_of_arguments()
            .filter(|(name, _)| arguments.is_some_and(|raw| has_member(raw.get(), name)))
            .fold(self.scopes(), |all, (_, scopes)| all.union(scopes))
    }

    /// Validates the arguments at once; the returned future calls the tool.
    #[must_use]
    pub fn call(&self, context: Context, arguments: Option<&RawValue>) -> CallFuture {
        (self.call)(context, arguments)
    }
}

/// Whether a JSON object has a member of this name that is not null; of several, the last one counts. False
/// for any other JSON.
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

    /// Compares a key with a name.
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

    // The only other way to write an ASCII letter in JSON is `\u` (RFC 8259 §7).
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
        let structured = DualJson::of(&result.structured).map_err(ToolError::internal)?;
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
