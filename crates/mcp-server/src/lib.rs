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

pub use {mcp_protocol, resource_server};
