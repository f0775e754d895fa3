//! `epicme-load` as a program: it finds nothing wrong with EpicMe, and it finds every fault of a faulty server.

#![cfg(all(feature = "dev", feature = "load"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod against_epicme;
mod command_line;
mod faulty_server;
mod load_program;
mod server_faults;
#[path = "../support/silence.rs"]
mod silence;
