//! **Lives here:** every tool, one declaration each, in the order in which lists show them.
//!
//! **Begin with** `user.rs`, the smallest; `entries.rs` is the rule.

mod activity;
mod entries;
mod entry_tags;
mod export_journal;
mod lists;
mod tags;
mod user;

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::tool::{Context, DeclaredTool};
use crate::{
    domain::{
        journal::{IdempotencyKey, JournalOwner},
        principal::Principal,
    },
    mcp::{answer::ResourceLink, logging::Level},
};

/// Every tool. The first tolerates empty arguments, for hosts that try the first tool they see.
#[must_use]
pub fn all() -> Vec<DeclaredTool> {
    vec![
        DeclaredTool::of::<user::WhoAmI>(),
        DeclaredTool::of::<entries::CreateEntry>(),
        DeclaredTool::of::<entries::GetEntry>(),
        DeclaredTool::of::<lists::ListEntries>(),
        DeclaredTool::of::<lists::SearchEntries>(),
        DeclaredTool::of::<entries::UpdateEntry>(),
        DeclaredTool::of::<entries::DeleteEntry>(),
        DeclaredTool::of::<tags::CreateTag>(),
        DeclaredTool::of::<tags::GetTag>(),
        DeclaredTool::of::<tags::ListTags>(),
        DeclaredTool::of::<tags::UpdateTag>(),
        DeclaredTool::of::<tags::DeleteTag>(),
        DeclaredTool::of::<entry_tags::AddTagToEntry>(),
        DeclaredTool::of::<entry_tags::RemoveTagFromEntry>(),
        DeclaredTool::of::<export_journal::ExportJournal>(),
        DeclaredTool::of::<activity::ListConnectedClients>(),
        DeclaredTool::of::<activity::ListActivity>(),
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
    context.conversation.log(Level::Notice, "journal", &data);
    context.conversation.skip_confirmation();
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
