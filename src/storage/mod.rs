//! *Purpose:* everything that talks to PostgreSQL: queries, private row types, the pool, the migrations.
//!
//! *Used by:* `journal` for queries; `app` and `dev` for migrations; `config` for the form of the database's URL; `doctor`.
//!
//! *Invariants:* every query function takes the user's id and has it in every `WHERE`, so that tables can be
//! divided by user. There are four exceptions: `housekeeping.rs` deletes expired rows of all users and returns none;
//! activity and batches of entries are written for several users at once, each row with its owner, unless
//! `EPICME_GROUP_COMMIT` is off; `revocations.rs` has rows of the server's own. Who links or unlinks tags counts them
//! in the same statement. No row type is in a public
//! signature. No value, title or SQL text is in the `Display` of an error.
//!
//! *Start reading at* `entries.rs`, then `statement.rs`: statements are written by hand where one round trip
//! does the work of several, and use Diesel's statement cache.

pub mod activity;
mod address;
mod attended;
mod cancel;
pub mod cut_words;
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
pub mod imports;
mod inspection;
mod libpq;
mod migration_session;
mod migration_watch;
mod migrations;
mod notifications;
mod one_plan;
mod parameters;
mod pool;
mod pooling;
mod probe;
mod protection;
pub mod quota;
mod reason;
pub mod request_states;
pub mod revocations;
mod row_security;
mod row_security_inspection;
mod schema;
pub mod search;
mod search_texts;
mod service_file;
pub mod sessions;
mod statement;
pub mod suggestions;
pub mod tag_names;
pub mod tags;
mod text_query;
mod time;
mod unreachable;
mod within;
mod words;

pub use address::{DatabaseAddress, Encryption};
pub use attended::attended;
pub use cancel::{Backend, Canceller};
pub use error::{Constraint, Missing, StorageError, TimeLimit};
pub use inspection::{Inspection, Pooling, Server, inspect};
pub use migrations::{migrate, migrate_through, pending_migrations, revert_all_migrations};
pub use notifications::{LONGEST as NOTIFICATION_LONGEST, Notifications};
pub use pool::{Lease, Pool, PoolSettings, ping};
pub use probe::Probe;
pub use protection::{PlainDatabaseHosts, protected};
pub use reason::{Unusable, unusable};
pub use row_security::{RowsOf, turn_on_row_level_security};
pub use row_security_inspection::RowSecurity;

/// A connection to PostgreSQL, as every query function borrows it.
pub type Connection = diesel::PgConnection;
