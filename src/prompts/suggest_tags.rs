//! Suggests tags for an entry.

use serde::Deserialize;

use super::DATA_NOT_INSTRUCTIONS;
use crate::{
    arguments::ids::IdText,
    completers,
    domain::{journal::EntryId, uris},
    journal::{GetEntry, JournalHandle},
    resources::tags::first_tags,
    scopes,
    views::EntryView,
};
use mcp_protocol::answer::Content;
use mcp_server::features::{
    completion::Completer,
    context::ReadContext,
    prompt::{Argument, Prompt},
    resource::embedded,
    tool_error::ToolError,
    uri::expand,
};

/// At most this many tags are shown to the model, so that the entry stays prominent.
const MOST_TAGS: usize = 1_000;

/// `suggest_tags`
pub(super) struct SuggestTags {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SuggestTagsArguments {
    entry_id: IdText,
}

impl Prompt for SuggestTags {
    const NAME: &'static str = "suggest_tags";
    const TITLE: &'static str = "Suggest Tags";
    const DESCRIPTION: &'static str = "Find tags that fit a journal entry.";
    const SCOPES: &'static [&'static str] = &[scopes::ENTRIES_READ, scopes::TAGS_READ];
    const ARGUMENTS: &'static [Argument] = &[Argument {
        name: "entryId",
        title: "Entry",
        description: "The id of the entry.",
        required: true,
    }];

    type Arguments = SuggestTagsArguments;

    async fn get(
        &self,
        context: ReadContext,
        arguments: SuggestTagsArguments,
    ) -> Result<Vec<Content>, ToolError> {
        let (user, id) = (context.principal().user, EntryId::from(arguments.entry_id));
        let entry = self.journal.ask(GetEntry { user, id }).await?;
        let entry = embedded(expand(uris::ENTRY, &id), &EntryView::from(entry))?;
        let tags = first_tags(&self.journal, user, MOST_TAGS).await?;
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
                resource: embedded(uris::TAGS, &tags.items)?,
            },
            Content::Resource { resource: entry },
        ])
    }

    fn completers(&self) -> Vec<(&'static str, Completer)> {
        vec![("entryId", completers::entry(&self.journal))]
    }
}
