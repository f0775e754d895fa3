//! **Lives here:** the protocol, both eras of it: JSON-RPC, protocol versions, the envelope of a
//! modern request, the agreement of headers and body, and the one table that gives a canonical
//! answer the shape of each revision.
//!
//! **May enter:** `features`, `actors::session`, `http`. This room imports `domain` alone.
//!
//! **Never here:** HTTP types (headers come as plain fields, statuses leave as numbers, from one
//! table), a scope, a tool, a session.
//!
//! **Begin with** `era.rs`, which holds the order of the checks; clause numbers such as T-08 and D-05
//! are explained in `docs/PROTOCOL.md`.

pub mod answer;
pub mod completion;
pub mod data;
pub mod envelope;
pub mod era;
pub mod headers;
pub mod jsonrpc;
mod list_results;
pub mod logging;
pub mod method;
pub mod object;
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
