//! What a declaration of a prompt looks like, and what the catalogue makes of it.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use rmcp::model::{self, PromptArgument};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IntoDeserializer},
};
use serde_json::value::RawValue;

use super::{
    arguments::{self, ruled_string},
    completion::Source,
    conversation::Unheard,
    tool::{Begin, Context, Reader},
    uri::parse_id,
};
use crate::{
    domain::{
        journal::{EntryId, JournalError, TagId},
        scope::ScopeSet,
    },
    mcp::answer::{Content, PromptOutput},
};

/// A prompt, declared once.
pub trait Prompt {
    /// The name that clients get it by.
    const NAME: &'static str;
    /// The name that people read.
    const TITLE: &'static str;
    /// What people read to decide whether to use it.
    const DESCRIPTION: &'static str;
    /// What getting it needs.
    const SCOPES: ScopeSet;
    /// What people are asked for, in that order. A test compares it with [`Prompt::Arguments`].
    const ARGUMENTS: &'static [Argument];

    /// Its arguments, each a string (MCP, Prompts).
    type Arguments: DeserializeOwned;

    /// Fills it in, for the user of the reader.
    fn get(
        reader: Reader,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Vec<Content>, PromptError>>;
}

/// What people are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// The name that clients send it by.
    pub name: &'static str,
    /// The name that people read.
    pub title: &'static str,
    /// What it is.
    pub description: &'static str,
    /// Whether there is no prompt without it.
    pub required: bool,
    /// What may be suggested for it.
    pub source: Source,
}

/// Why there is no prompt.
#[derive(Debug)]
pub enum PromptError {
    /// The arguments break a rule; a sentence that says which.
    BadArguments(String),
    /// The client is needed first.
    Unheard(Unheard),
    /// The journal could not.
    Journal(JournalError),
}

impl From<Unheard> for PromptError {
    fn from(error: Unheard) -> Self {
        Self::Unheard(error)
    }
}

impl From<JournalError> for PromptError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// A prompt in the catalogue, its types forgotten.
pub struct DeclaredPrompt {
    /// Its wire form, with everything that any revision shows.
    pub descriptor: model::Prompt,
    scopes: ScopeSet,
    sources: Vec<(String, Source)>,
    get: Box<Begin<GetFuture>>,
}

/// A prompt being filled in, which has all that it needs.
pub type GetFuture = Pin<Box<dyn Future<Output = Result<PromptOutput, PromptError>>>>;

impl DeclaredPrompt {
    /// Enters a declaration into the catalogue.
    #[must_use]
    pub fn of<P: Prompt + 'static>() -> Self {
        let arguments = P::ARGUMENTS
            .iter()
            .map(|argument| {
                PromptArgument::new(argument.name)
                    .with_title(argument.title)
                    .with_description(argument.description)
                    .with_required(argument.required)
            })
            .collect();
        Self {
            descriptor: model::Prompt::new(P::NAME, Some(P::DESCRIPTION), Some(arguments))
                .with_title(P::TITLE),
            scopes: P::SCOPES,
            sources: P::ARGUMENTS
                .iter()
                .map(|argument| (argument.name.to_owned(), argument.source))
                .collect(),
            get: Box::new(get::<P>),
        }
    }

    /// Enters a prompt that is known by its wire form only, and takes any arguments. Nothing is
    /// suggested for them.
    #[must_use]
    pub fn raw<F>(
        descriptor: model::Prompt,
        scopes: ScopeSet,
        get: impl Fn(Context, BTreeMap<String, String>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<PromptOutput, PromptError>> + 'static,
    {
        let get = move |context, raw: Option<&RawValue>| -> GetFuture {
            match arguments::read_for::<BTreeMap<String, String>>("prompt", raw) {
                Ok(arguments) => Box::pin(get(context, arguments)),
                Err(reason) => Box::pin(async { Err(PromptError::BadArguments(reason)) }),
            }
        };
        let names = descriptor.arguments.iter().flatten();
        Self {
            sources: names
                .map(|argument| (argument.name.clone(), Source::Nothing))
                .collect(),
            descriptor,
            scopes,
            get: Box::new(get),
        }
    }

    /// The name that clients get it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.descriptor.name
    }

    /// What getting it needs; lists show it to whoever may.
    #[must_use]
    pub fn scopes(&self) -> ScopeSet {
        self.scopes
    }

    /// What may be suggested for an argument; `None` if the prompt has no such argument.
    #[must_use]
    pub fn source(&self, argument: &str) -> Option<Source> {
        self.sources
            .iter()
            .find(|(name, _)| name == argument)
            .map(|(_, source)| *source)
    }

    /// Validates the arguments at once, and fills it in when it is polled.
    #[must_use]
    pub fn get(&self, context: Context, arguments: Option<&RawValue>) -> GetFuture {
        (self.get)(context, arguments)
    }
}

fn get<P: Prompt + 'static>(context: Context, raw: Option<&RawValue>) -> GetFuture {
    let reader = Reader {
        principal: context.principal,
        journal: context.journal,
    };
    let arguments = arguments::read_for::<P::Arguments>("prompt", raw);
    Box::pin(async move {
        let arguments = arguments.map_err(PromptError::BadArguments)?;
        Ok(PromptOutput {
            description: P::DESCRIPTION.into(),
            messages: P::get(reader, arguments).await?,
        })
    })
}

/// An id, written as a string: arguments of prompts have no other type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdText(i64);

impl From<IdText> for EntryId {
    fn from(id: IdText) -> Self {
        Self(id.0)
    }
}

impl<'de> Deserialize<'de> for IdText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ruled_string(deserializer, "an id, such as \"7\"", |text| {
            parse_id(text.trim()).map(Self)
        })
    }
}

/// Ids of tags with commas between them, `MAX` at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdList<const MAX: usize>(Vec<i64>);

impl<const MAX: usize> From<IdList<MAX>> for Vec<TagId> {
    fn from(ids: IdList<MAX>) -> Self {
        ids.0.into_iter().map(TagId).collect()
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for IdList<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ruled_string(
            deserializer,
            format_args!("a list of at most {MAX} ids, such as \"3,7\""),
            |text| {
                if text.split(',').nth(MAX).is_some() {
                    return None;
                }
                text.split(',')
                    .map(|id| parse_id(id.trim()))
                    .collect::<Option<_>>()
                    .map(Self)
            },
        )
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, from_value, json};

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Sample {
        #[serde(default, deserialize_with = "unless_blank")]
        ids: Option<IdList<3>>,
    }

    fn ids(value: &Value) -> Option<Option<Vec<i64>>> {
        let sample: Sample = from_value(json!({ "ids": value })).ok()?;
        Some(sample.ids.map(|ids| ids.0))
    }

    #[test]
    fn a_list_of_ids_is_read_to_the_letter_and_a_blank_is_none() {
        assert_eq!(ids(&json!("3")), Some(Some(vec![3])));
        assert_eq!(ids(&json!("3, 7,9")), Some(Some(vec![3, 7, 9])));
        assert_eq!(ids(&json!("")), Some(None));
        assert_eq!(ids(&json!("  ")), Some(None));
        for refused in [
            json!(","),
            json!("3,"),
            json!("03"),
            json!("-3"),
            json!("3;7"),
            json!("1,2,3,4"),
            json!("three"),
            json!(3),
            json!([3]),
            json!(null),
        ] {
            assert_eq!(ids(&refused), None, "{refused}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = ids(&json!(text));
        }
    }
}
