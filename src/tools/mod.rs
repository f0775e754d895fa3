//! *Purpose:* every tool, one declaration each, in the order of `tools/list`.
//!
//! *Used by:* `app`.
//!
//! *Invariants:* a tool reaches the database only through the `JournalHandle`; its scopes, arguments and
//! result are declared on it and nowhere else.
//!
//! *Start reading at* `user.rs`, the smallest; `entries.rs` is typical.

mod activity;
mod entries;
mod entry_tags;
mod export_journal;
mod export_writer;
mod import_items;
mod import_journal;
mod lists;
mod tag_suggestions;
mod tags;
mod user;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    domain::journal::{IdempotencyKey, JournalOwner},
    journal::JournalHandle,
};
use mcp_protocol::{
    answer::{Content, ResourceLink},
    logging::Level,
};
use mcp_server::features::{context::Context, conversation::Confirmation, tool::DeclaredTool};
use resource_server::principal::Principal;

/// Every tool. The first tolerates empty arguments, for hosts that try the first tool they see.
#[must_use]
pub fn all(journal: &JournalHandle) -> Vec<DeclaredTool> {
    let journal = || journal.clone();
    vec![
        DeclaredTool::new(user::WhoAmI { journal: journal() }),
        DeclaredTool::new(entries::CreateEntry { journal: journal() }),
        DeclaredTool::new(entries::GetEntry { journal: journal() }),
        DeclaredTool::new(lists::ListEntries { journal: journal() }),
        DeclaredTool::new(lists::SearchEntries { journal: journal() }),
        DeclaredTool::new(entries::UpdateEntry { journal: journal() }),
        DeclaredTool::new(entries::DeleteEntry { journal: journal() }),
        DeclaredTool::new(tags::CreateTag { journal: journal() }),
        DeclaredTool::new(tags::GetTag { journal: journal() }),
        DeclaredTool::new(tags::ListTags { journal: journal() }),
        DeclaredTool::new(tags::UpdateTag { journal: journal() }),
        DeclaredTool::new(tags::DeleteTag { journal: journal() }),
        DeclaredTool::new(entry_tags::AddTagToEntry { journal: journal() }),
        DeclaredTool::new(entry_tags::RemoveTagFromEntry { journal: journal() }),
        DeclaredTool::new(export_journal::ExportJournal { journal: journal() }),
        DeclaredTool::new(import_journal::ImportJournal { journal: journal() }),
        DeclaredTool::new(activity::ListConnectedClients { journal: journal() }),
        DeclaredTool::new(activity::ListActivity { journal: journal() }),
    ]
}

/// The owner of what is written.
pub(super) fn journal_owner(principal: &Principal) -> JournalOwner {
    JournalOwner {
        user: principal.user,
        issuer: principal.issuer.clone(),
        subject: principal.subject.clone(),
    }
}

/// Links to what a result is about, where they are sent.
fn links<L: IntoIterator<Item = ResourceLink>>(
    context: &Context,
    links: impl FnOnce() -> L,
) -> Vec<Content> {
    if context.sends_links() {
        links().into_iter().map(Content::from).collect()
    } else {
        Vec::new()
    }
}

/// What a call to delete something came to.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Deleted,
    Declined,
    NotFound,
    CannotAsk,
}

impl Outcome {
    /// Of a call that the user has not confirmed.
    fn unconfirmed(confirmation: Confirmation) -> Self {
        match confirmation {
            Confirmation::NotAsked | Confirmation::CannotAsk => Self::CannotAsk,
            Confirmation::Declined | Confirmation::Confirmed => Self::Declined,
        }
    }
}

/// Logs, to the client and for the operator, that something was deleted without a confirmation. The tool's
/// result does not say whether there was one.
fn log_unconfirmed(context: &Context, deleted: &ResourceLink) {
    let data = json!({
        "message": "Deleted without asking the user, because the client cannot ask",
        "uri": &deleted.uri,
    });
    context.conversation().log(Level::Notice, "journal", &data);
    context.conversation().skip_confirmation();
}

/// A client's idempotency key with a digest of the call's arguments. The digest is of the parsed arguments, so
/// that their order and explicit defaults make no difference.
fn idempotency_key(key: entries::Key, meaning: &impl Serialize) -> IdempotencyKey {
    IdempotencyKey {
        key: key.into(),
        arguments: Sha256::digest(
            serde_json::to_vec(meaning).expect("texts, numbers and lists serialise"),
        )
        .into(),
    }
}
