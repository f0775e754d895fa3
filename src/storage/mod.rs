//! *Purpose:* everything that talks to PostgreSQL: queries, private row types, the pool, the migrations.
//!
//! *Used by:* `journal` for queries; `app` and `dev` for migrations; `config` for the form of the database's URL; `doctor`.
//!
//! *Invariants:* every query function takes the user's id and has it in every `WHERE`. There are four
//! exceptions: `housekeeping.rs` deletes expired rows of all users and returns none; activity and batches of
//! entries are written for several users at once, each row with its owner; `revocations.rs` has rows of the
//! server's own. No row type is in a public
//! signature. No value, title or SQL text is in the `Display` of an error.
//!
//! *Start reading at* `entries.rs`, then `statement.rs`: statements are written by hand where one round trip
//! does the work of several, and use Diesel's statement cache.

pub mod activity;
mod address;
mod cancel;
pub mod entries;
pub mod entry_batches;
pub mod entry_creation;
pub mod entry_lists;
pub mod entry_tags;
pub mod entry_updates;
mod error;
mod establish;
pub mod exports;
pub mod housekeeping;
mod idempotency;
mod inspection;
mod migration_session;
mod migration_watch;
mod migrations;
mod notifications;
mod one_plan;
mod pool;
mod probe;
pub mod quota;
mod reason;
pub mod request_states;
pub mod revocations;
mod schema;
pub mod search;
pub mod sessions;
mod statement;
pub mod suggestions;
pub mod tags;
mod text_query;
mod time;

pub use address::DatabaseAddress;
pub use cancel::{Backend, Canceller};
pub use error::{Constraint, Missing, StorageError};
pub use inspection::{Inspection, Pooling, Server, inspect};
pub use migrations::{migrate, migrate_through, pending_migrations, revert_all_migrations};
pub use notifications::{LONGEST as NOTIFICATION_LONGEST, Notifications};
pub use pool::{Lease, Pool, PoolSettings, ping};
pub use probe::Probe;
pub use reason::{Unusable, unusable};

/// A connection to PostgreSQL, as every query function borrows it.
pub type Connection = diesel::PgConnection;
