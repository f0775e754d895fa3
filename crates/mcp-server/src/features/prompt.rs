//! Prompts: declaration and messages (MCP, Prompts).

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use rmcp::model::{self, PromptArgument};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IntoDeserializer},
};
use serde_json::value::RawValue;

use super::{
    arguments,
    completion::Completer,
    context::{Context, ReadContext},
    declaration::{DeclarationError, FeatureScopes},
    tool::Call,
    tool_error::ToolError,
};
use mcp_protocol::answer::{Content, PromptOutput};
use resource_server::scope::{ScopeSet, Scopes};

/// A prompt that users choose (MCP, Prompts).
///
/// ```
/// use mcp_protocol::answer::Content;
/// use mcp_server::features::{
///     context::ReadContext,
///     prompt::{Argument, Prompt},
///     tool_error::ToolError,
/// };
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Review {
///     file: String,
/// }
///
/// struct ReviewFile;
///
/// impl Prompt for ReviewFile {
///     const NAME: &'static str = "review_file";
///     const DESCRIPTION: &'static str = "Reviews a file.";
///     const SCOPES: &'static [&'static str] = &["files:read"];
///     const ARGUMENTS: &'static [Argument] = &[Argument {
///         name: "file",
///         title: "File",
///         description: "The name of the file.",
///         required: true,
///     }];
///
///     type Arguments = Review;
///
///     async fn get(&self, _: ReadContext, review: Review) -> Result<Vec<Content>, ToolError> {
///         Ok(vec![Content::text(format!("Please review {}.", review.file))])
///     }
/// }
///
/// let server = mcp_server::server::Server::new("files", "https://files.example")
///     .scope("files:read", "Read your files")
///     .prompt(ReviewFile);
/// ```
pub trait Prompt: Send + Sync + 'static {
    /// The name by which clients get it.
    const NAME: &'static str;
    /// The display name; none if empty.
    const TITLE: &'static str = "";
    /// What users read to decide whether to use it.
    const DESCRIPTION: &'static str;
    /// The scopes that getting it needs. `prompts/list` shows it to tokens that have them.
    const SCOPES: &'static [&'static str];
    /// The arguments in the order in which users are asked for them. They must be the fields of
    /// [`Prompt::Arguments`].
    const ARGUMENTS: &'static [Argument] = &[];

    /// The arguments; each is sent as a string (MCP, Prompts).
    type Arguments: DeserializeOwned;

    /// The messages of the prompt, for the user of the context. The scopes have been checked.
    ///
    /// # Errors
    /// See [`ToolError`].
    fn get(
        &self,
        context: ReadContext,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Vec<Content>, ToolError>>;

    /// Suggestions for arguments, by name.
    fn completers(&self) -> Vec<(&'static str, Completer)> {
        Vec::new()
    }
}

/// An argument of a prompt (MCP, `PromptArgument`).
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// The name by which clients send it.
    pub name: &'static str,
    /// The display name.
    pub title: &'static str,
    /// What it means.
    pub description: &'static str,
    /// Whether it must be present.
    pub required: bool,
}

/// A type-erased prompt.
pub struct DeclaredPrompt {
    /// Its entry in `prompts/list`, with the members of all revisions.
    pub descriptor: model::Prompt,
    scopes: FeatureScopes,
    completers: Vec<(&'static str, Completer)>,
    get: Box<Call<GetFuture>>,
}

/// The messages of a prompt, being put together.
pub type GetFuture = Pin<Box<dyn Future<Output = Result<PromptOutput, ToolError>>>>;

impl DeclaredPrompt {
    /// Erases the type of a prompt.
    #[must_use]
    pub fn new<P: Prompt>(prompt: P) -> Self {
        let arguments = P::ARGUMENTS
            .iter()
            .map(|argument| {
                PromptArgument::new(argument.name)
                    .with_title(argument.title)
                    .with_description(argument.description)
                    .with_required(argument.required)
            })
            .collect();
        let mut descriptor = model::Prompt::new(P::NAME, Some(P::DESCRIPTION), Some(arguments));
        if !P::TITLE.is_empty() {
            descriptor = descriptor.with_title(P::TITLE);
        }
        let prompt = Arc::new(prompt);
        Self {
            descriptor,
            scopes: FeatureScopes::of(P::SCOPES),
            completers: prompt.completers(),
            get: Box::new(move |context, raw| get(Arc::clone(&prompt), &context, raw)),
        }
    }

    /// A prompt without a Rust type for its arguments: the closure must validate them.
    #[must_use]
    pub fn raw<F>(
        descriptor: model::Prompt,
        scopes: &'static [&'static str],
        get: impl Fn(Context, BTreeMap<String, String>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<PromptOutput, ToolError>> + 'static,
    {
        let get = move |context, raw: Option<&RawValue>| -> GetFuture {
            match arguments::read_for::<BTreeMap<String, String>>("prompt", raw) {
                Ok(arguments) => Box::pin(get(context, arguments)),
                Err(reason) => Box::pin(async { Err(ToolError::Refused(reason)) }),
            }
        };
        Self {
            descriptor,
            scopes: FeatureScopes::of(scopes),
            completers: Vec::new(),
            get: Box::new(get),
        }
    }

    pub(crate) fn resolve(&mut self, scopes: &Scopes) -> Result<(), DeclarationError> {
        let name = &self.descriptor.name;
        self.scopes.resolve(scopes, "prompt", name)?;
        let completers = self.completers.iter_mut();
        completers
            .into_iter()
            .try_for_each(|(_, completer)| completer.resolve(scopes, "prompt", name))
    }

    /// The name by which clients get it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.descriptor.name
    }

    /// The scopes that getting it needs.
    #[must_use]
    pub fn scopes(&self) -> ScopeSet {
        self.scopes.set()
    }

    /// Whether it has an argument of this name.
    #[must_use]
    pub(crate) fn has_argument(&self, name: &str) -> bool {
        let mut arguments = self.descriptor.arguments.iter().flatten();
        arguments.any(|argument| argument.name == name)
    }

    /// Suggests values for an argument, if the prompt can.
    #[must_use]
    pub(crate) fn completer(&self, argument: &str) -> Option<&Completer> {
        let mut completers = self.completers.iter();
        completers
            .find(|(name, _)| *name == argument)
            .map(|(_, completer)| completer)
    }

    /// Whether it suggests values for any argument.
    #[must_use]
    pub(crate) fn has_completers(&self) -> bool {
        !self.completers.is_empty()
    }

    /// Validates the arguments at once; the returned future does the rest.
    #[must_use]
    pub fn get(&self, context: Context, arguments: Option<&RawValue>) -> GetFuture {
        (self.get)(context, arguments)
    }
}

fn get<P: Prompt>(prompt: Arc<P>, context: &Context, raw: Option<&RawValue>) -> GetFuture {
    let context = context.reads().clone();
    let arguments = arguments::read_for::<P::Arguments>("prompt", raw);
    Box::pin(async move {
        let arguments = arguments.map_err(ToolError::Refused)?;
        Ok(PromptOutput {
            description: P::DESCRIPTION.into(),
            messages: prompt.get(context, arguments).await?,
        })
    })
}

/// Deserialises an optional argument; blank is absent, because hosts send an empty string for a field that
/// was left empty.
///
/// # Errors
/// Errors of the type of the argument.
pub fn unless_blank<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    T::deserialize(text.into_deserializer()).map(Some)
}
