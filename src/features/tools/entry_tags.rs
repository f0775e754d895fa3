//! Tags on entries: put one on, take one off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        clock::Timestamp,
        journal::EntryId,
        scope::{Scope, ScopeSet},
    },
    features::{
        arguments::Id,
        tool::{Context, Done, Effect, Tool, ToolError},
        views::{entry_link, tag_link},
    },
    journal,
};

/// Both tools show the tag's name, so both need to be allowed to read tags.
const SCOPES: ScopeSet = ScopeSet::of(&[Scope::EntriesWrite, Scope::EntriesRead, Scope::TagsRead]);

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EntryTagArguments {
    /// The entry's id.
    entry_id: Id,
    /// The tag's id.
    tag_id: Id,
}

/// `add_tag_to_entry`
pub(super) struct AddTagToEntry;

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
    const SCOPES: ScopeSet = SCOPES;
    const EFFECT: Effect = Effect::Sets;

    type Arguments = EntryTagArguments;
    type Output = AddTagToEntryOutput;

    async fn call(
        context: Context,
        arguments: EntryTagArguments,
    ) -> Result<Done<AddTagToEntryOutput>, ToolError> {
        let entry_tag = context
            .journal
            .ask(journal::AddTagToEntry {
                user: context.principal.user,
                entry_id: arguments.entry_id.into(),
                tag_id: arguments.tag_id.into(),
            })
            .await?;
        let tag = &entry_tag.tag;
        Ok(Done {
            summary: format!(
                "Entry {} has the tag {}: {}.",
                entry_tag.entry_id, tag.id, tag.name
            ),
            about: vec![
                tag_link(tag.id, &tag.name).into(),
                entry_link(entry_tag.entry_id, entry_tag.entry_title.as_str()).into(),
            ],
            output: AddTagToEntryOutput {
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
pub(super) struct RemoveTagFromEntry;

#[derive(Serialize, JsonSchema)]
pub(super) struct RemoveTagFromEntryOutput {
    /// Whether the tag was on the entry, and this call took it off.
    success: bool,
}

impl Tool for RemoveTagFromEntry {
    const NAME: &'static str = "remove_tag_from_entry";
    const TITLE: &'static str = "Remove Tag from Entry";
    const DESCRIPTION: &'static str =
        "Take a tag off a journal entry. The tag itself and the entry stay.";
    const SCOPES: ScopeSet = SCOPES;
    const EFFECT: Effect = Effect::Sets;

    type Arguments = EntryTagArguments;
    type Output = RemoveTagFromEntryOutput;

    async fn call(
        context: Context,
        arguments: EntryTagArguments,
    ) -> Result<Done<RemoveTagFromEntryOutput>, ToolError> {
        let entry_id: EntryId = arguments.entry_id.into();
        let tag_id = arguments.tag_id.into();
        let was_there = context
            .journal
            .ask(journal::RemoveTagFromEntry {
                user: context.principal.user,
                entry_id,
                tag_id,
            })
            .await?;
        Ok(Done {
            summary: if was_there {
                format!("Took tag {tag_id} off entry {entry_id}.")
            } else {
                format!("Entry {entry_id} does not have tag {tag_id}, so nothing was taken off.")
            },
            about: Vec::new(),
            output: RemoveTagFromEntryOutput { success: was_there },
        })
    }
}
