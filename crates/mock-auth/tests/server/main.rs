//! The mock authorization server, from outside: over real HTTP, against a port of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

mod auto_consent;
mod clients;
mod device;
mod discovery;
mod dpop;
mod everybody;
mod faults;
mod introspection;
mod jws;
mod library;
mod operator;
mod pages;
mod program;
mod readme;
mod refusals;
mod restart;
mod signing;
mod support;
mod tokens;
