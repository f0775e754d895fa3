//! EpicMe: a personal journal over MCP, and a reference OAuth resource server for MCP.
//!
//! Begin with `docs/ARCHITECTURE.md`; each room's `mod.rs` says what lives there and what never does.

pub mod actors;
pub mod app;
pub mod audit;
pub mod config;
pub mod cut_off;
#[cfg(feature = "dev")]
pub mod dev;
pub mod domain;
pub mod features;
pub mod healthcheck;
pub mod http;
pub mod mcp;
pub mod metrics;
pub mod oauth;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod secret_file;
pub mod storage;
pub mod telemetry;
pub mod tls;
