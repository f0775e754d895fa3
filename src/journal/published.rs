//! The resource changes, by URI, that a change of the journal causes.

use crate::domain::{journal::Change, uris};
use mcp_server::features::{changes, uri::expand};

/// The changes to publish.
pub(super) fn published(change: Change) -> Vec<changes::Change> {
    match change {
        Change::Entry(id) => vec![changes::Change::updated(expand(uris::ENTRY, &id))],
        Change::Tag(id) => vec![changes::Change::updated(expand(uris::TAG, &id))],
        Change::TagList => vec![
            changes::Change::updated(uris::TAGS),
            changes::Change::ListChanged,
        ],
    }
}
