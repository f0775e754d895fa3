//! EpicMe: a personal journal over MCP, and a reference OAuth resource server for MCP.
//!
//! This crate is the journal. The protocol, sessions and everything about tokens are in the crates
//! `mcp-protocol`, `mcp-server` and `resource-server`. Start reading at `docs/ARCHITECTURE.md`.

#[cfg(not(any(feature = "bundled-libpq", feature = "system-libpq")))]
compile_error!(
    "choose a libpq: --features system-libpq links that of the system, as production builds do (Debian: libpq-dev and \
     pkg-config), --features bundled-libpq builds one without TLS"
);
#[cfg(all(feature = "bundled-libpq", feature = "system-libpq"))]
compile_error!(
    "choose one libpq: bundled-libpq is a default feature, so system-libpq is built with --no-default-features"
);

pub mod app;
pub mod arguments;
pub mod audit;
mod completers;
pub mod config;
pub mod console;
pub mod core_dumps;
#[cfg(feature = "dev")]
pub mod dev;
pub mod doctor;
pub mod domain;
pub mod healthcheck;
pub mod journal;
pub mod log_filter;
pub mod prompts;
pub mod resources;
pub mod revoke;
pub mod scopes;
pub mod storage;
mod tool_errors;
pub mod tools;
pub mod views;
