//! The server from outside: over real HTTP, with a port, a database and an authorization server of its
//! own for each test.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod journal;
mod legacy;
mod mcp;
mod ops;
mod processes;
mod support;
