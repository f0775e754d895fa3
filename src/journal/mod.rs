//! **Lives here:** the JournalActor: typed messages that read and write the journal, the handle that
//! callers hold, and the threads that run them over `storage`.
//!
//! **May enter:** `http`, `features`, `app` and `dev`, by [`JournalHandle::ask`] alone.
//!
//! **Never here:** SQL; a message that does not say whose journal, but in `housekeeping.rs`; a write
//! that ends because its caller left; a query on an actor's thread (Diesel blocks).
//!
//! **Begin with** `messages.rs`: each message stands beside its answer and what it does. Then
//! `handle.rs` (admission), `workers.rs` and `threads.rs` (where an admitted message is run),
//! `batches.rs` (new entries are written together) and `actor.rs`, which does the work and tells of what
//! became different. `activity.rs` counts calls apart from all that, and hands the counts in as a
//! message like any other.

mod activity;
mod actor;
mod batches;
mod exports;
mod handle;
mod housekeeping;
mod messages;
mod metrics;
mod published;
mod request_states;
mod schema;
mod threads;
mod workers;

pub use activity::{ListActivity, ListClients};
pub use exports::{
    AppendToExport, BeginExport, FinishExport, GetExport, NextEntries, NextTags, ReadExportPart,
};
pub use handle::{JournalHandle, JournalSettings};
pub use housekeeping::DeleteExpired;
pub use messages::{
    AddTagToEntry, CreateEntry, CreateTag, DeleteEntry, DeleteTag, DigestEntries, GetEntry, GetTag,
    HasEntries, JournalMessage, Kind, ListEntries, ListTags, Ping, RemoveTagFromEntry,
    SearchEntries, SuggestEntries, SuggestTags, UpdateEntry, UpdateTag,
};
pub use metrics::{JournalOutcome, Operation};
pub use request_states::UseRequestState;
pub use schema::SchemaCheck;
