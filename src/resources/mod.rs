//! *Purpose:* every resource and resource template, one declaration each, in the order of the lists.
//!
//! *Used by:* `app`; the URIs also by `views` and `tools`.
//!
//! *Invariants:* a resource reaches the database only through the `JournalHandle`.
//!
//! *Start reading at* `user.rs`, the smallest; `tags.rs` is typical.

pub(super) mod entries;
pub(super) mod exports;
pub(super) mod tags;
mod user;

use crate::journal::JournalHandle;
use mcp_server::features::resource::{DeclaredResource, DeclaredTemplate};

/// Every resource that has a URI of its own.
#[must_use]
pub fn all(journal: &JournalHandle) -> Vec<DeclaredResource> {
    vec![
        DeclaredResource::new(user::CurrentUser),
        DeclaredResource::new(tags::Tags {
            journal: journal.clone(),
        }),
    ]
}

/// Every template.
#[must_use]
pub fn templates(journal: &JournalHandle) -> Vec<DeclaredTemplate> {
    let journal = || journal.clone();
    vec![
        DeclaredTemplate::new(tags::Tag { journal: journal() }),
        DeclaredTemplate::new(entries::Entry { journal: journal() }),
        DeclaredTemplate::new(exports::ExportedJournal { journal: journal() }),
    ]
}
