//! *Purpose:* the MCP endpoint for both eras: POST, GET and DELETE, batches, event streams.
//!
//! *Used by:* the routes of `http`.
//!
//! *Invariants:* the status of a response is decided before its first byte; a stream is sent nothing after
//! its token was revoked.
//!
//! *Start reading at* `endpoint.rs`, then `modern.rs` and `legacy.rs`.

pub(crate) mod batch;
pub(crate) mod call_stream;
pub(crate) mod endpoint;
pub(crate) mod json_response;
pub(crate) mod legacy;
pub(crate) mod modern;
pub(crate) mod open_stream;
pub(crate) mod reply;
pub(crate) mod stream_authorization;
pub(crate) mod streamed_resource;
