//! EpicMe: a personal journal over MCP, and a reference OAuth resource server for MCP.
//!
//! Begin with `docs/ARCHITECTURE.md`; each room's `mod.rs` says what lives there and what never does.

pub mod app;
pub mod audit;
pub mod auth;
pub mod cause;
pub mod config;
pub mod cut_off;
#[cfg(feature = "dev")]
pub mod dev;
pub mod domain;
pub mod features;
pub mod gate;
pub mod healthcheck;
pub mod http;
pub mod journal;
pub mod mcp;
pub mod metrics;
pub mod oauth;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod scopes;
pub mod secret_file;
pub mod server;
pub mod session;
pub mod storage;
pub mod telemetry;
pub mod tls;
