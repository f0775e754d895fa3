//! The Model Context Protocol as it stands on the wire, for servers: JSON-RPC, the revisions of both eras
//! (2026-07-28, and 2025-11-25, 2025-06-18 and 2025-03-26), the agreement of headers and body, event
//! streams, and the one place that gives canonical answers the shape of a revision.
//!
//! *Used by:* `mcp-server`.
//!
//! *Invariants:* no I/O and no HTTP types: headers come as bytes, statuses leave as numbers. Nothing about
//! a tool, a session or a scope is decided here.
//!
//! *Start reading at* [`era`], which has the order of the checks, [`version`], which has every difference
//! between revisions, and [`wire_format`].

pub mod answer;
pub mod completion;
pub mod envelope;
pub mod era;
pub mod headers;
pub mod json;
pub mod jsonrpc;
mod list_results;
pub mod logging;
pub mod method;
pub mod outgoing;
pub mod request_state;
mod result_meta;
pub mod server_info;
pub mod sse;
pub mod status;
pub mod subscription;
mod tool_result;
pub mod version;
pub mod wire_format;
