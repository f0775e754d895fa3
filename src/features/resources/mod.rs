//! **Lives here:** every resource and every template of resources, one declaration each, in the order
//! in which lists show them.
//!
//! **Begin with** `user.rs`, the smallest; `tags.rs` has one of everything.

pub(super) mod entries;
pub(super) mod exports;
pub(super) mod tags;
mod user;

use super::resource::{DeclaredResource, DeclaredTemplate};

/// Every resource that has a URI of its own.
#[must_use]
pub fn all() -> Vec<DeclaredResource> {
    vec![
        DeclaredResource::of::<user::CurrentUser>(),
        DeclaredResource::of::<tags::Tags>(),
    ]
}

/// Every template.
#[must_use]
pub fn templates() -> Vec<DeclaredTemplate> {
    vec![
        DeclaredTemplate::of::<tags::Tag>(),
        DeclaredTemplate::of::<entries::Entry>(),
        exports::template(),
    ]
}
