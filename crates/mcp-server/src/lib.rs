//! Protected MCP servers on actix-web. A server is declared by a builder, [`server::Server`]: its issuers and
//! scopes, its tools, resources and prompts. It speaks both eras of the protocol, checks a token for every
//! request, and shows and allows each token what its scopes reach.
//!
//! *Used by:* programs.
//!
//! *Invariants:* a declaration decides the lists, the refusals, the challenges and the documentation of a
//! feature alike; a session id, a cursor or a request state is a name, never a credential.
//!
//! *Start reading at* [`features::tool`], which is what a declaration looks like, then [`dispatch`],
//! [`session`] and [`http`].

pub mod audit;
pub mod dispatch;
pub mod features;
pub mod http;
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(test)]
mod samples;
pub mod server;
pub mod session;
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
