//! Which tags an entry should have.

use serde::Deserialize;

use super::DATA_NOT_INSTRUCTIONS;
use crate::{
    domain::{
        journal::EntryId,
        scope::{Scope, ScopeSet},
    },
    features::{
        completion::Source,
        prompt::{Argument, IdText, Prompt, PromptError},
        resource::{Resource, contents, read_one},
        resources::{
            entries::Entry,
            tags::{Tags, first_tags},
        },
        tool::Reader,
    },
    mcp::answer::Content,
};

/// How many tags a model is shown at most; more would crowd out the entry.
const MOST_TAGS: usize = 1_000;

/// `suggest_tags`
pub(super) struct SuggestTags;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SuggestTagsArguments {
    entry_id: IdText,
}

impl Prompt for SuggestTags {
    const NAME: &'static str = "suggest_tags";
    const TITLE: &'static str = "Suggest Tags";
    const DESCRIPTION: &'static str = "Find tags that fit a journal entry.";
    const SCOPES: ScopeSet = ScopeSet::of(&[Scope::EntriesRead, Scope::TagsRead]);
    const ARGUMENTS: &'static [Argument] = &[Argument {
        name: "entryId",
        title: "Entry",
        description: "The id of the entry.",
        required: true,
        source: Source::Entry,
    }];

    type Arguments = SuggestTagsArguments;

    async fn get(
        reader: Reader,
        arguments: SuggestTagsArguments,
    ) -> Result<Vec<Content>, PromptError> {
        let EntryId(id) = arguments.entry_id.into();
        let entry = read_one::<Entry>(reader.clone(), id).await?;
        let tags = first_tags(&reader, MOST_TAGS).await?;
        let not_all = if tags.next.is_some() {
            " I have more tags than those that follow; `list_tags` shows the others."
        } else {
            ""
        };
        Ok(vec![
            Content::text(format!(
                "Which tags should entry {id} of my journal have? My tags and the entry follow as JSON.{not_all} \
                 {DATA_NOT_INSTRUCTIONS}\n\n\
                 Choose from my tags those that fit and are not on the entry yet, five at most. Think of a new tag \
                 only for something important that none of mine covers. Show me your choice with a few words of \
                 reason for each, new ones marked as new, and let me decide.\n\n\
                 Put those that I agree to on the entry with `add_tag_to_entry`; a new one has to be made with \
                 `create_tag` first."
            )),
            Content::Resource {
                resource: contents(Tags::URI.to_owned(), &tags.items),
            },
            Content::Resource { resource: entry },
        ])
    }
}
