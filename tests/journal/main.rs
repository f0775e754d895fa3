//! The journal on a real PostgreSQL: what is promised of its messages, named by promise.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod activity;
mod cleanup;
mod constraints;
mod cut_words;
mod digest;
mod entries;
#[path = "../support/frozen.rs"]
mod frozen;
mod group_commit;
mod hangs;
mod idempotency;
mod isolation;
mod large;
mod lists;
mod partitions;
mod quota;
mod recovery;
#[path = "../support/relay.rs"]
mod relay;
mod revocations;
mod row_security;
mod search;
mod sessions;
mod shares;
mod support;
mod tag_counts;
mod tag_names;
mod tags;
