//! The whole way from "401" to a written entry, by rmcp's own client and a browser without a screen;
//! and the program itself, started and stopped as a person does.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod browser;
mod client;
mod consent_denied;
mod dev_servers;
mod eras;
mod isolation;
mod oldest_client;
mod program;
mod refresh;
mod restart;
mod step_up;
