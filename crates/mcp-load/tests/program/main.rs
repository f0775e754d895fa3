//! `mcp-load` as a program: against EpicMe it finds nothing wrong, and against a server that answers wrong it finds the fault.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod command_line;
mod honest;
mod liar;
mod lies;
#[path = "../../../../tests/support/silence.rs"]
mod silence;
mod tester;
