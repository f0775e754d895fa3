//! The MCP endpoint.

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
