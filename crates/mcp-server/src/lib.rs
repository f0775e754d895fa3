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

pub mod audit;
mod budgets;
pub mod bus;
mod connections;
mod dispatch;
pub mod features;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
pub mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod request_context;
#[cfg(test)]
mod samples;
pub mod server;
mod session;
pub mod telemetry;
pub mod tls;

// What a server is declared with, under short paths.
pub use features::{
    changes::{Change, Changes},
    context::{Context, ReadContext},
    prompt::{Argument, Prompt},
    resource::{Contents, Listed, Resource, ResourceTemplate},
    tool::{Effect, Tool, ToolResult},
    tool_error::ToolError,
};
pub use mcp_protocol::answer::Content;
pub use resource_server::{Issuer, Principal, UserId};
pub use server::Server;
pub use {mcp_protocol, resource_server};

/// The code of the page that stands alone is compiled by `cargo test --doc`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/BUILD_YOUR_OWN.md")]
struct BuildYourOwn;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
