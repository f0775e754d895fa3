//! EpicMe: a personal journal over MCP, and a reference OAuth resource server for MCP.
//!
//! Begin with `docs/ARCHITECTURE.md`; each room's `mod.rs` says what lives there and what never does.

pub mod actors;
pub mod domain;
#[cfg(feature = "dev")]
pub mod mock_auth;
