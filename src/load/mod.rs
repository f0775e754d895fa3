//! **Lives here:** `epicme-load`, a load tester for any OAuth-protected MCP server: sessions of both eras, a mix of operations at a
//! constant rate or as fast as answers come, every answer checked, and a report.
//!
//! **May enter:** nobody; this room imports no other room, not even the words of the house, so that it checks the server by the
//! protocol's text and not by the server's own reading of it.
//!
//! **Never here:** a request to an address that was not given; a token in a message; a latency that begins later than it was due;
//! anything that grows without a bound but for the list of what was written, which is needed to look for it at the end.
//!
//! **Begin with** `run.rs` (the phases of a test), then `worker.rs` (one thread of it), `session.rs` and
//! `operations.rs` (one client), `ledger.rs` (what the
//! server owes a user). `mix.rs`, `schedule.rs`, `scan.rs`, `events.rs`, `measure.rs` and `report.rs` are pure. `docs/LOAD.md` is the user's page.

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
