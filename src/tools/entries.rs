//! Tools for single entries: create, read, update, delete.

use std::iter;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Outcome, tag_suggestions};
use crate::{
    arguments::texts::{self, Visible},
    domain::journal::{Entry, EntryChanges, EntryId, JournalError, NewEntry, TagId},
    journal::{self, JournalHandle},
    scopes,
    views::{EntryView, entry_link, tag_link},
};
use mcp_protocol::outgoing::ClientCapability;
use mcp_server::features::{
    arguments::{Clearable, Id, Text, UpTo, clearable, not_null},
    context::Context,
    tool::{Effect, Tool, ToolResult},
    tool_error::ToolError,
};

type Title = Visible<200>;
type Content = Text<1, 100_000>;
type Note = texts::Note<100>;
pub(super) type Key = Text<1, 200>;

/// `create_entry`
pub(super) struct CreateEntry {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateEntryArguments {
    /// A short title.
    title: Title,
    /// The text of the entry.
    content: Content,
    /// How the user felt, such as "calm".
    mood: Option<Note>,
    /// Where it was.
    location: Option<Note>,
    /// What the weather was like.
    weather: Option<Note>,
    /// A label of the user's; every entry is seen by its owner alone. True unless said otherwise.
    is_private: Option<bool>,
    /// Whether it is a favorite. False unless said otherwise.
    is_favorite: Option<bool>,
    /// Ids of the user's tags to put on it; `list_tags` shows them. Needs the scope tags:read too.
    tags: Option<UpTo<Id, 50>>,
    /// Any text of your choice that names this one write. Sending the same call with the same key
    /// again within 24 hours gives the first result and writes nothing.
    idempotency_key: Option<Key>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EntryOutput {
    entry: EntryView,
}

impl Tool for CreateEntry {
    const NAME: &'static str = "create_entry";
    const TITLE: &'static str = "Create Entry";
    const DESCRIPTION: &'static str = "Create a new journal entry";
    const SCOPES: &'static [&'static str] = &[scopes::ENTRIES_WRITE];
    const SCOPES_OF_ARGUMENTS: &'static [(&'static str, &'static [&'static str])] =
        &[("tags", &[scopes::TAGS_READ])];
    const EFFECT: Effect = Effect::Additive;

    type Arguments = CreateEntryArguments;
    type Output = EntryOutput;

    async fn call(
        &self,
        context: Context,
        arguments: CreateEntryArguments,
    ) -> Result<ToolResult<EntryOutput>, ToolError> {
        let entry = NewEntry {
            title: arguments.title.into(),
            content: arguments.content.into(),
            mood: note(arguments.mood),
            location: note(arguments.location),
            weather: note(arguments.weather),
            is_private: arguments.is_private.unwrap_or(true),
            is_favorite: arguments.is_favorite.unwrap_or(false),
            tags: arguments
                .tags
                .map(|tags| tags.0.into_iter().map(TagId::from).collect())
                .unwrap_or_default(),
        };
        let idempotency_key = arguments
            .idempotency_key
            .map(|key| super::idempotency_key(key, &entry));
        let entry = self
            .journal
            .ask(journal::CreateEntry {
                owner: super::journal_owner(context.principal()),
                entry,
                idempotency_key,
            })
            .await?;
        context.is_about("entry", entry.id);
        tag_suggestions::suggest_after(&self.journal, &context, entry.id);
        let content = super::links(&context, || {
            let tags = entry.tags.iter();
            let tags = tags.map(|tag| tag_link(tag.id, &tag.name));
            let itself = entry_link(entry.id, entry.title.as_str());
            iter::once(itself).chain(tags).collect::<Vec<_>>()
        });
        Ok(ToolResult {
            text: describe("Created entry", &entry),
            content,
            structured: EntryOutput {
                entry: entry.into(),
            },
        })
    }
}

/// `get_entry`
pub(super) struct GetEntry {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryArguments {
    /// The entry's id.
    id: Id,
}

impl Tool for GetEntry {
    const NAME: &'static str = "get_entry";
    const TITLE: &'static str = "Get Entry";
    const DESCRIPTION: &'static str = "Read one journal entry with its tags.";
    const SCOPES: &'static [&'static str] = &[scopes::ENTRIES_READ];
    const EFFECT: Effect = Effect::ReadOnly;

    type Arguments = EntryArguments;
    type Output = EntryOutput;

    async fn call(
        &self,
        context: Context,
        EntryArguments { id }: EntryArguments,
    ) -> Result<ToolResult<EntryOutput>, ToolError> {
        let entry = self
            .journal
            .ask(journal::GetEntry {
                user: context.principal().user,
                id: id.into(),
            })
            .await?;
        Ok(ToolResult {
            text: describe("Entry", &entry),
            content: super::links(&context, || [entry_link(entry.id, entry.title.as_str())]),
            structured: EntryOutput {
                entry: entry.into(),
            },
        })
    }
}

/// `update_entry`
pub(super) struct UpdateEntry {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpdateEntryArguments {
    /// The entry's id.
    id: Id,
    /// A new title; leave it out to keep the old one.
    #[serde(
        default,
        deserialize_with = "not_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Title")]
    title: Option<Title>,
    /// A new text; leave it out to keep the old one.
    #[serde(
        default,
        deserialize_with = "not_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Content")]
    content: Option<Content>,
    /// A new mood; null clears it, leave it out to keep the old one.
    #[serde(
        default,
        deserialize_with = "clearable",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Clearable<Note>")]
    mood: Option<Option<Note>>,
    /// A new location; null clears it, leave it out to keep the old one.
    #[serde(
        default,
        deserialize_with = "clearable",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Clearable<Note>")]
    location: Option<Option<Note>>,
    /// A new weather; null clears it, leave it out to keep the old one.
    #[serde(
        default,
        deserialize_with = "clearable",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Clearable<Note>")]
    weather: Option<Option<Note>>,
    /// A label of the user's; leave it out to keep the old one.
    #[serde(
        default,
        deserialize_with = "not_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "bool")]
    is_private: Option<bool>,
    /// Whether it is a favorite; leave it out to keep the old answer.
    #[serde(
        default,
        deserialize_with = "not_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "bool")]
    is_favorite: Option<bool>,
}

impl Tool for UpdateEntry {
    const NAME: &'static str = "update_entry";
    const TITLE: &'static str = "Update Entry";
    const DESCRIPTION: &'static str =
        "Change a journal entry. What is left out stays; null clears mood, location or weather.";
    const SCOPES: &'static [&'static str] = &[scopes::ENTRIES_WRITE, scopes::ENTRIES_READ];
    const EFFECT: Effect = Effect::Idempotent;

    type Arguments = UpdateEntryArguments;
    type Output = EntryOutput;

    async fn call(
        &self,
        context: Context,
        arguments: UpdateEntryArguments,
    ) -> Result<ToolResult<EntryOutput>, ToolError> {
        let id = EntryId::from(arguments.id);
        context.is_about("entry", id);
        let (entry, _) = self
            .journal
            .ask(journal::UpdateEntry {
                user: context.principal().user,
                id,
                changes: EntryChanges {
                    title: arguments.title.map(String::from),
                    content: arguments.content.map(String::from),
                    mood: arguments.mood.map(note),
                    location: arguments.location.map(note),
                    weather: arguments.weather.map(note),
                    is_private: arguments.is_private,
                    is_favorite: arguments.is_favorite,
                },
            })
            .await?;
        Ok(ToolResult {
            text: describe("Updated entry", &entry),
            content: super::links(&context, || [entry_link(entry.id, entry.title.as_str())]),
            structured: EntryOutput {
                entry: entry.into(),
            },
        })
    }
}

/// `delete_entry`
pub(super) struct DeleteEntry {
    pub(super) journal: JournalHandle,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DeleteEntryOutput {
    /// Whether an entry was deleted by this call.
    success: bool,
    /// What the call came to: deleted; declined by the user; not_found; or cannot_ask, because the user could not be asked.
    outcome: Outcome,
    /// The same in a sentence, for the user.
    summary: String,
    /// The entry as it was, or null if there was none.
    entry: Option<EntryView>,
}

impl Tool for DeleteEntry {
    const NAME: &'static str = "delete_entry";
    const TITLE: &'static str = "Delete Entry";
    const DESCRIPTION: &'static str = "Delete a journal entry for good. The user is asked to confirm it where the host can ask; otherwise ask first.";
    const SCOPES: &'static [&'static str] = &[scopes::ENTRIES_WRITE, scopes::ENTRIES_READ];
    const EFFECT: Effect = Effect::Destructive;

    type Arguments = EntryArguments;
    type Output = DeleteEntryOutput;

    async fn call(
        &self,
        context: Context,
        EntryArguments { id }: EntryArguments,
    ) -> Result<ToolResult<DeleteEntryOutput>, ToolError> {
        let (user, id) = (context.principal().user, EntryId::from(id));
        context.is_about("entry", id);
        let can_ask = context.conversation().can(ClientCapability::ElicitForm);
        if can_ask {
            let found = self.journal.ask(journal::GetEntry { user, id }).await;
            let entry = match found {
                Ok(entry) => entry,
                Err(JournalError::NoSuchEntry(_)) => return Ok(gone(id)),
                Err(error) => return Err(error.into()),
            };
            let question = format!(
                "Are you sure you want to delete entry {id}, “{}”? This cannot be undone.",
                entry.title
            );
            let answer = context
                .conversation()
                .confirm(&question, "Delete it")
                .await?;
            if let Some(why) = answer.forbids() {
                let summary = format!("Entry {id} was not deleted: {why}.");
                return Ok(ToolResult {
                    text: summary.clone(),
                    content: super::links(&context, || [entry_link(id, entry.title.as_str())]),
                    structured: DeleteEntryOutput {
                        success: false,
                        outcome: Outcome::unconfirmed(answer),
                        summary,
                        entry: Some(entry.into()),
                    },
                });
            }
        }
        let entry = self.journal.ask(journal::DeleteEntry { user, id }).await?;
        let Some(entry) = entry else {
            return Ok(gone(id));
        };
        if !can_ask {
            super::log_unconfirmed(&context, &entry_link(id, entry.title.as_str()));
        }
        let summary = describe("Deleted entry", &entry);
        Ok(ToolResult {
            text: summary.clone(),
            content: Vec::new(),
            structured: DeleteEntryOutput {
                success: true,
                outcome: Outcome::Deleted,
                summary,
                entry: Some(entry.into()),
            },
        })
    }
}

fn gone(id: EntryId) -> ToolResult<DeleteEntryOutput> {
    let summary = format!("There is no entry {id}, so nothing was deleted.");
    ToolResult {
        text: summary.clone(),
        content: Vec::new(),
        structured: DeleteEntryOutput {
            success: false,
            outcome: Outcome::NotFound,
            summary,
            entry: None,
        },
    }
}

/// The text of a result: what was done to which entry.
fn describe(what: &str, entry: &Entry) -> String {
    let mut id = itoa::Buffer::new();
    [what, " ", id.format(entry.id.0), ": ", &entry.title, "."].concat()
}

fn note(note: Option<Note>) -> Option<String> {
    note.and_then(Note::text)
}
