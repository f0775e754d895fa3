//! Protected MCP servers on actix-web.
//!
//! A server is declared with a builder, [`server::Server`]: its issuers and scopes, its tools, resources and
//! prompts. It supports both eras of the protocol, authenticates every request, and shows and permits to each
//! token what its scopes allow.
//!
//! *Used by:* programs.
//!
//! *Invariants:* the same declaration decides lists, refusals, challenges and documentation of a feature; a
//! session id, a cursor or a request state is a name, never a credential.
//!
//! *Start reading at* [`features::tool`] (how a feature is declared), then `dispatch`, `session` and
//! `http`.

mod audit;
mod dispatch;
pub mod features;
mod http;
pub mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(test)]
mod samples;
pub mod server;
mod session;
pub mod telemetry;
pub mod tls;

pub use {mcp_protocol, resource_server};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
