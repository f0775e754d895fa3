//! **Lives here:** every tool, one declaration each, in the order in which lists show them.
//!
//! **Begin with** `user.rs`, the smallest; `entries.rs` is the rule.

mod activity;
mod entries;
mod entry_tags;
mod export_journal;
mod export_writer;
mod lists;
mod tag_suggestions;
mod tags;
mod user;

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    domain::journal::{IdempotencyKey, JournalOwner},
    journal::JournalHandle,
};
use mcp_protocol::{answer::ResourceLink, logging::Level};
use mcp_server::features::{context::Context, tool::DeclaredTool};
use resource_server::principal::Principal;

/// Every tool. The first tolerates empty arguments, for hosts that try the first tool they see.
#[must_use]
pub fn all(journal: &JournalHandle) -> Vec<DeclaredTool> {
    let journal = || journal.clone();
    vec![
        DeclaredTool::new(user::WhoAmI),
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
        DeclaredTool::new(activity::ListConnectedClients { journal: journal() }),
        DeclaredTool::new(activity::ListActivity { journal: journal() }),
    ]
}

/// For whom the journal writes.
pub(super) fn journal_owner(principal: &Principal) -> JournalOwner {
    JournalOwner {
        user: principal.user,
        issuer: principal.issuer.clone(),
        subject: principal.subject.clone(),
    }
}

/// Tells client and operator that something is gone although nobody was asked: the tool's own answer
/// does not say whether somebody was.
fn tell_unconfirmed(context: &Context, deleted: &ResourceLink) {
    let data = json!({
        "message": "Deleted without asking the user, because the client cannot ask",
        "uri": &deleted.uri,
    });
    context.conversation().log(Level::Notice, "journal", &data);
    context.conversation().skip_confirmation();
}

/// A client's key with a digest of what it asked for under that key. The digest is over what the
/// arguments mean, so that their order and spelled-out defaults make no difference.
fn idempotency_key(key: entries::Key, meaning: &impl Serialize) -> IdempotencyKey {
    IdempotencyKey {
        key: key.into(),
        arguments: Sha256::digest(
            serde_json::to_vec(meaning).expect("texts, numbers and lists serialise"),
        )
        .into(),
    }
}
