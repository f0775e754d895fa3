//! **Lives here:** every resource and every template of resources, one declaration each, in the order
//! in which lists show them.
//!
//! **Begin with** `user.rs`, the smallest; `tags.rs` has one of everything.

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
