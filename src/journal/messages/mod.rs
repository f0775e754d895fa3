//! *Purpose:* the messages to the JournalActors, one struct per operation, each with what it does and returns.
//! *Used by:* tools, resources, prompts, health checks and background tasks, by `JournalHandle::ask`.
//! *Invariants:* a message names the user whose journal it is about, except those in `upkeep.rs` and
//! `revocations.rs`, and the batch of counts in `activity.rs`, where each row has its user.
//! *Start reading at:* `entries.rs`.

mod activity;
mod entries;
mod exports;
mod imports;
mod lists;
mod request_states;
mod revocations;
mod sessions;
mod tags;
mod upkeep;

pub(super) use activity::AddActivity;
pub use activity::{ListActivity, ListClients};
pub use entries::{
    AddTagToEntry, CreateEntry, DeleteEntry, GetEntry, GetUsage, HasEntries, RemoveTagFromEntry,
    UpdateEntry,
};
pub use exports::{
    AppendToExport, BeginExport, FinishExport, GetExport, NextEntries, NextTags, ReadExportPart,
};
pub use imports::{ImportEntries, ImportTags};
pub use lists::{DigestEntries, ListEntries, SearchEntries, SuggestEntries, SuggestTags};
pub use request_states::UseRequestState;
pub use revocations::{AddRevocation, ListRevocations, ReadRevocationChanges, RemoveRevocation};
pub use sessions::{ChangeSession, KeepAnswer, LoadSession, TakeAnswer};
pub(super) use tags::TakeTagOffSome;
pub use tags::{CreateTag, DeleteTag, GetTag, ListTags, UpdateTag};
pub use upkeep::{CutWords, DeleteExpired, FindOlderTagNames, MergeTags, NextUncut, Ping};
