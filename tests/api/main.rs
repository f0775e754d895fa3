//! The server from outside: over real HTTP, against a port, a database and an authorization server of
//! its own. The files are named by what is promised.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod activity;
mod attacks;
mod audit;
mod batches;
mod believing;
mod bounds;
mod challenge;
mod client_authentication;
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
mod issuers;
mod issuers_file;
mod jwt;
mod ladder;
mod legacy;
mod lifecycle;
mod limits;
mod logging;
mod metadata_elsewhere;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod outage;
mod progress;
mod prompts;
mod questions;
mod recovery;
mod request_states;
mod resources;
mod revocation;
mod sampling;
mod signed_replies;
mod streams;
mod subscriptions;
mod support;
mod surface;
mod threads;
mod timeouts;
mod tls;
mod tools;
mod tracing;
