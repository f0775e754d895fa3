//! The mock authorization server, from outside: over real HTTP, against a port of its own.

#![cfg(feature = "dev")]
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

mod clients;
mod discovery;
mod dpop;
mod faults;
mod introspection;
mod operator;
mod pages;
mod program;
mod refusals;
mod signing;
mod support;
mod tokens;
