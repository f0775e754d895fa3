//! *Purpose:* the types of the journal: entries and tags, searches, pages and cursors, exports, activity, URIs, and
//! the errors of a journal.
//!
//! *Used by:* every other module of this crate.
//!
//! *Invariants:* no I/O, no type of a framework, no wire format, no HTTP status; the time is a parameter.
//!
//! *Start reading at* `journal.rs`.

pub mod activity;
pub mod export;
pub mod import;
pub mod journal;
pub mod markdown;
pub mod names;
pub mod outage;
pub mod page;
pub mod search;
pub mod uris;
