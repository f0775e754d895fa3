//! *Purpose:* the journal's actors. A [`JournalMessage`] is admitted, executed on PostgreSQL by one of the
//! JournalActors, and answered. What it changed is published to sessions and streams.
//!
//! *Used by:* `tools`, `resources`, `prompts`, `completers`, `app` and `dev`, only by [`JournalHandle::ask`].
//!
//! *Invariants:* no SQL here; a message names whose journal it is about (`messages/mod.rs` lists the
//! exceptions); a write that was admitted is executed even if its caller leaves; no more messages are under
//! way than [`JournalSettings`] allows; only a JournalActor blocks, in an arbiter of its own.
//!
//! *Start reading at:* `messages/entries.rs`, then `actor_pool.rs` (admission), `scheduler.rs` (which actor),
//! `actor.rs` (execution) and `group_commit.rs` (entries written together).

mod activity;
mod activity_counts;
mod actor;
mod actor_pool;
mod admission;
mod batch;
mod bus;
mod cancellation;
mod cleanup;
mod cut_words;
mod group_commit;
mod handle;
mod message;
mod messages;
mod metrics;
mod outages;
mod pacing;
mod published;
mod queue;
mod scheduler;
mod schema;
mod settings;
mod shares;
mod watch;

pub use bus::DatabaseBus;
pub use handle::JournalHandle;
pub use message::{JournalMessage, Kind};
pub use messages::{
    AddRevocation, AddTagToEntry, AppendToExport, BeginExport, ChangeSession, CreateEntry,
    CreateTag, CutWords, DeleteEntry, DeleteExpired, DeleteTag, DigestEntries, FindOlderTagNames,
    FinishExport, GetEntry, GetExport, GetTag, GetUsage, HasEntries, ImportEntries, ImportTags,
    KeepAnswer, ListActivity, ListClients, ListEntries, ListRevocations, ListTags, LoadSession,
    MergeTags, NextEntries, NextTags, NextUncut, Ping, ReadExportPart, ReadRevocationChanges,
    RemoveRevocation, RemoveTagFromEntry, SearchEntries, SuggestEntries, SuggestTags, TakeAnswer,
    UpdateEntry, UpdateTag, UseRequestState,
};
pub use metrics::{JournalOutcome, Operation};
pub use schema::{SchemaCheck, SchemaFailure, SchemaState};
pub use settings::JournalSettings;
