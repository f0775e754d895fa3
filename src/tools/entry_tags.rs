//! Tools that add a tag to an entry and remove it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::journal::{EntryId, TagId},
    journal::{self, JournalHandle},
    scopes,
    views::{entry_link, tag_link},
};
use mcp_server::features::{
    arguments::Id,
    context::Context,
    tool::{Effect, Tool, ToolResult},
    tool_error::ToolError,
};
use resource_server::clock::Timestamp;

/// Both tools return the tag's name, so both need the scope to read tags.
const SCOPES: &[&str] = &[
    scopes::ENTRIES_WRITE,
    scopes::ENTRIES_READ,
    scopes::TAGS_READ,
];

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EntryTagArguments {
    /// The entry's id.
    entry_id: Id,
    /// The tag's id.
    tag_id: Id,
}

/// `add_tag_to_entry`
pub(super) struct AddTagToEntry {
    pub(super) journal: JournalHandle,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AddTagToEntryOutput {
    success: bool,
    entry_tag: EntryTagView,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EntryTagView {
    entry_id: i64,
    tag_id: i64,
    created_at: Timestamp,
}

impl Tool for AddTagToEntry {
    const NAME: &'static str = "add_tag_to_entry";
    const TITLE: &'static str = "Add Tag to Entry";
    const DESCRIPTION: &'static str =
        "Put a tag on a journal entry. If it is there already, it stays.";
    const SCOPES: &'static [&'static str] = SCOPES;
    const EFFECT: Effect = Effect::Idempotent;

    type Arguments = EntryTagArguments;
    type Output = AddTagToEntryOutput;

    async fn call(
        &self,
        context: Context,
        arguments: EntryTagArguments,
    ) -> Result<ToolResult<AddTagToEntryOutput>, ToolError> {
        let (entry_id, tag_id) = name_both(&context, arguments);
        let entry_tag = self
            .journal
            .ask(journal::AddTagToEntry {
                user: context.principal().user,
                entry_id,
                tag_id,
            })
            .await?;
        let tag = &entry_tag.tag;
        Ok(ToolResult {
            text: format!(
                "Entry {} has the tag {}: {}.",
                entry_tag.entry_id, tag.id, tag.name
            ),
            content: super::links(&context, || {
                [
                    tag_link(tag.id, &tag.name),
                    entry_link(entry_tag.entry_id, entry_tag.entry_title.as_str()),
                ]
            }),
            structured: AddTagToEntryOutput {
                success: true,
                entry_tag: EntryTagView {
                    entry_id: entry_tag.entry_id.0,
                    tag_id: tag.id.0,
                    created_at: entry_tag.created_at,
                },
            },
        })
    }
}

/// `remove_tag_from_entry`
pub(super) struct RemoveTagFromEntry {
    pub(super) journal: JournalHandle,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct RemoveTagFromEntryOutput {
    /// Whether the tag was on the entry, and this call took it off.
    success: bool,
    /// The same in a sentence, for the user.
    summary: String,
}

impl Tool for RemoveTagFromEntry {
    const NAME: &'static str = "remove_tag_from_entry";
    const TITLE: &'static str = "Remove Tag from Entry";
    const DESCRIPTION: &'static str =
        "Take a tag off a journal entry. The tag itself and the entry stay.";
    const SCOPES: &'static [&'static str] = SCOPES;
    const EFFECT: Effect = Effect::Idempotent;

    type Arguments = EntryTagArguments;
    type Output = RemoveTagFromEntryOutput;

    async fn call(
        &self,
        context: Context,
        arguments: EntryTagArguments,
    ) -> Result<ToolResult<RemoveTagFromEntryOutput>, ToolError> {
        let (entry_id, tag_id) = name_both(&context, arguments);
        let was_there = self
            .journal
            .ask(journal::RemoveTagFromEntry {
                user: context.principal().user,
                entry_id,
                tag_id,
            })
            .await?;
        let summary = if was_there {
            format!("Took tag {tag_id} off entry {entry_id}.")
        } else {
            format!("Entry {entry_id} does not have tag {tag_id}, so nothing was taken off.")
        };
        let structured = RemoveTagFromEntryOutput {
            success: was_there,
            summary: summary.clone(),
        };
        Ok(ToolResult::new(structured).text(summary))
    }
}

/// The ids of the arguments, which the audit log is told.
fn name_both(context: &Context, arguments: EntryTagArguments) -> (EntryId, TagId) {
    let (entry_id, tag_id) = (arguments.entry_id.into(), arguments.tag_id.into());
    context.is_about("entry", entry_id);
    context.is_about("tag", tag_id);
    (entry_id, tag_id)
}
