//! `mcp-load` as a program: against EpicMe it finds nothing wrong, and against a server that answers wrong it finds the fault.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod against_epicme;
mod command_line;
mod faulty_server;
mod load_program;
mod server_faults;
#[path = "../../../../tests/support/silence.rs"]
mod silence;
