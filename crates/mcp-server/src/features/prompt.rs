//! Prompts: how one is declared, and what it says once it is filled in.

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

/// A prompt that people choose (MCP, Prompts).
pub trait Prompt: Send + Sync + 'static {
    /// The name that clients get it by.
    const NAME: &'static str;
    /// The name for people.
    const TITLE: &'static str = "";
    /// What people read to decide whether to use it.
    const DESCRIPTION: &'static str;
    /// The scopes that getting it needs. Lists show it to tokens that have them.
    const SCOPES: &'static [&'static str];
    /// What people are asked for, in that order: the fields of [`Prompt::Arguments`].
    const ARGUMENTS: &'static [Argument] = &[];

    /// The arguments, each a string (MCP, Prompts).
    type Arguments: DeserializeOwned;

    /// Fills it in, for the user of the context.
    ///
    /// # Errors
    /// See [`ToolError`].
    fn get(
        &self,
        context: ReadContext,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Vec<Content>, ToolError>>;

    /// Suggests values for arguments, by their names.
    fn completers(&self) -> Vec<(&'static str, Completer)> {
        Vec::new()
    }
}

/// What people are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// The name that clients send it by.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// What it is.
    pub description: &'static str,
    /// Whether there is no prompt without it.
    pub required: bool,
}

/// A prompt in the catalogue, whose types are erased.
pub struct DeclaredPrompt {
    /// Its wire form, with everything that any revision shows.
    pub descriptor: model::Prompt,
    scopes: FeatureScopes,
    completers: Vec<(&'static str, Completer)>,
    get: Box<Call<GetFuture>>,
}

/// A prompt being filled in, which owns all that it needs.
pub type GetFuture = Pin<Box<dyn Future<Output = Result<PromptOutput, ToolError>>>>;

impl DeclaredPrompt {
    /// The declaration of a prompt.
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

    /// A prompt that is known by its wire form alone and takes any arguments.
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

    /// The name that clients get it by.
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
    pub fn has_argument(&self, name: &str) -> bool {
        let mut arguments = self.descriptor.arguments.iter().flatten();
        arguments.any(|argument| argument.name == name)
    }

    /// What suggests values for an argument, if anything does.
    #[must_use]
    pub fn completer(&self, argument: &str) -> Option<&Completer> {
        let mut completers = self.completers.iter();
        completers
            .find(|(name, _)| *name == argument)
            .map(|(_, completer)| completer)
    }

    /// Whether anything suggests values for any of its arguments.
    #[must_use]
    pub fn has_completers(&self) -> bool {
        !self.completers.is_empty()
    }

    /// Validates the arguments at once, and fills it in when it is polled.
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

/// Reads an optional argument. Hosts send a field that was left empty as an empty string.
///
/// # Errors
/// Those of the argument.
pub fn unless_blank<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    T::deserialize(text.into_deserializer()).map(Some)
}
