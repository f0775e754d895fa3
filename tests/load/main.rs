//! `epicme-load` as a program: against EpicMe it finds nothing wrong, and against a server that lies it finds the lie.

#![cfg(all(feature = "dev", feature = "load"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod command_line;
mod honest;
mod liar;
mod lies;
#[path = "../support/silence.rs"]
mod silence;
mod tester;
