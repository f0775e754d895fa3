//! JSON-RPC error objects and the error codes of MCP.

use serde::Serialize;
use serde_json::Value;

/// A JSON-RPC error object (JSON-RPC 2.0 §5.1).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RpcError {
    /// One of the [`code`]s.
    pub code: i32,
    /// A sentence for people.
    pub message: String,
    /// Data for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// The error codes.
pub mod code {
    /// The body is not JSON.
    pub const PARSE_ERROR: i32 = -32700;
    /// The body is not a JSON-RPC message, or the message is not accepted.
    pub const INVALID_REQUEST: i32 = -32600;
    /// The method is unknown.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// The parameters are invalid.
    pub const INVALID_PARAMS: i32 = -32602;
    /// The resource does not exist (legacy revisions).
    pub const RESOURCE_NOT_FOUND: i32 = -32002;
    /// An error of the server.
    pub const INTERNAL_ERROR: i32 = -32603;
    /// Headers and body differ (MCP 2026-07-28).
    pub const HEADER_MISMATCH: i32 = -32020;
    /// The client lacks a capability (MCP 2026-07-28).
    pub const MISSING_CLIENT_CAPABILITY: i32 = -32021;
    /// The protocol version is not supported (MCP 2026-07-28).
    pub const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;
}

impl RpcError {
    /// An error with a code and a message.
    #[must_use]
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// Adds data.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// `-32021`, with the capabilities that the client would have to declare.
    #[must_use]
    pub fn missing_capabilities(required: &Value) -> Self {
        Self::new(
            code::MISSING_CLIENT_CAPABILITY,
            "The client lacks a capability that this needs",
        )
        .with_data(serde_json::json!({ "requiredCapabilities": required }))
    }

    /// `-32600`.
    #[must_use]
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_REQUEST, message)
    }

    /// `-32602`.
    #[must_use]
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, message)
    }

    /// `-32601`.
    #[must_use]
    pub fn method_not_found() -> Self {
        Self::new(code::METHOD_NOT_FOUND, "Method not found")
    }
}
