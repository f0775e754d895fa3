//! The Model Context Protocol on the wire, for servers: JSON-RPC, the revisions of both eras (2026-07-28, and
//! 2025-11-25, 2025-06-18 and 2025-03-26), the comparison of headers and body, event streams, and the
//! serialisation of answers for a revision.
//!
//! *Used by:* `mcp-server`.
//!
//! *Invariants:* no I/O and no HTTP types: headers are bytes, statuses are numbers. Nothing about a tool, a
//! session or a scope is decided here.
//!
//! *Start reading at* [`era`] (the order of the checks), [`version`] (the differences between revisions), and
//! [`wire_format`].

pub mod answer;
pub mod completion;
pub mod envelope;
pub mod era;
pub mod headers;
pub mod id_scanner;
pub mod json;
pub mod jsonrpc;
mod list_results;
pub mod logging;
pub mod method;
pub mod outgoing;
pub mod random;
pub mod request_state;
mod result_meta;
pub mod rpc_error;
pub mod server_info;
pub mod session_id;
pub mod sse;
pub mod status;
pub mod subscription;
mod tool_result;
pub mod version;
pub mod wire_format;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
