//! The server from outside: over real HTTP, against a port, a database and an authorization server of
//! its own. The files are named by what is promised.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
mod batches;
mod believing;
mod bounds;
mod challenge;
mod completions;
mod config;
mod discovery;
mod dpop;
mod eras;
mod exports;
mod features;
mod hygiene;
mod independence;
mod introspection;
mod isolation;
mod ladder;
mod legacy;
mod logging;
mod outage;
mod progress;
mod prompts;
mod questions;
mod request_states;
mod resources;
mod sampling;
mod streams;
mod subscriptions;
mod support;
mod surface;
mod timeouts;
mod tools;
