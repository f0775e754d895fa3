//! The journal on a real PostgreSQL: what is promised of its messages, named by promise.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod activity;
mod cleanup;
mod constraints;
mod digest;
mod entries;
mod group_commit;
mod idempotency;
mod isolation;
mod large;
mod lists;
mod quota;
mod recovery;
mod revocations;
mod search;
mod sessions;
mod shares;
mod support;
mod tags;
