//! EpicMe: a personal journal over MCP, and a reference OAuth resource server for MCP.
//!
//! The protocol, the sessions and everything about tokens are in the crates `mcp-server`, `mcp-protocol`
//! and `resource-server`; here is the journal. Start reading at `docs/ARCHITECTURE.md`.

pub mod app;
pub mod arguments;
mod completers;
pub mod config;
#[cfg(feature = "dev")]
pub mod dev;
pub mod domain;
pub mod healthcheck;
pub mod journal;
pub mod prompts;
pub mod resources;
pub mod revoke;
pub mod scopes;
pub mod storage;
mod tool_errors;
pub mod tools;
pub mod views;
