//! **Lives here:** everything that is said to PostgreSQL: queries, private row types, the pool, the
//! migrations.
//!
//! **May enter:** `actors::journal` for the queries; `app` and `dev` for the migrations.
//!
//! **Never here:** a query function without the user's id as its first parameter after the
//! connection, or without it in every `WHERE`, but in `housekeeping.rs`, which shows nobody anything, and
//! where activity of many users is added at once, under a key each, or entries of many are written at once,
//! each beside its owner; a row type in a public signature; a
//! value, a title or SQL text in an error's `Display`.
//!
//! **Begin with** `entries.rs`, then `statement.rs`: statements are written by hand where one round
//! trip does the work of several, and go through Diesel's statement cache like any other.

pub mod activity;
pub mod entries;
pub mod entry_batches;
pub mod entry_lists;
pub mod entry_tags;
mod error;
mod establish;
pub mod exports;
pub mod housekeeping;
mod idempotency;
mod migrations;
mod pool;
pub mod request_states;
mod schema;
mod statement;
pub mod suggestions;
pub mod tags;
mod time;

pub use error::{Constraint, Missing, StorageError};
pub use migrations::{migrate, pending_migrations, revert_all_migrations};
pub use pool::{Lease, Pool, PoolSettings, ping};

/// A connection to PostgreSQL, as every query function borrows it.
pub type Connection = diesel::PgConnection;
