#![doc = include_str!("../README.md")]
//!
//! *Purpose:* load on an MCP server of either era, every answer checked, and a report.
//!
//! *Used by:* the programs `mcp-load` and, for one release, `epicme-load`.
//!
//! *Invariants:* it shares no code with a server, so that it checks one by the protocol's text. It sends no request to an address that
//! was not named on the command line, and prints no token. A latency counts from when the request was due. Nothing grows without a
//! bound except the list of what was written, which is needed to look for it at the end.
//!
//! *Start reading at:* `run.rs` (the phases of a test), then `worker.rs` (one thread), `session.rs` and `operations.rs` (one client),
//! `ledger.rs` (what the server owes a user). `mix.rs`, `schedule.rs`, `scan.rs`, `events.rs`, `measure.rs` and `report.rs` do no I/O.

mod answer;
mod connection;
mod duration;
mod error;
mod events;
mod failure;
mod ledger;
mod measure;
mod mix;
mod operations;
mod options;
mod page;
mod plan;
mod plot;
mod process;
mod progress;
mod report;
mod run;
mod scan;
mod schedule;
mod session;
mod shared;
mod stream;
mod table;
mod target;
mod tokens;
mod verify;
mod watch;
mod wire;
mod worker;

pub use error::LoadError;
pub use options::Options;
pub use run::main;
