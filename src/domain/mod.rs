//! **Lives here:** the words of the house: ids, the principal and its scopes, entries and tags, pages
//! and cursors, activity, ranges of addresses, the clock, and what can go wrong with a journal.
//!
//! **May enter:** nobody; this room imports no other room.
//!
//! **Never here:** I/O, a framework's type, a wire format of MCP, a status code. Time is read in
//! `clock.rs` alone; everything else is told the time.
//!
//! **Begin with** `principal.rs`, then `journal.rs`.

pub mod activity;
pub mod export;
pub mod journal;
pub mod page;
pub mod uris;
