//! JSON-RPC 2.0 as MCP uses it.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    envelope::Params,
    json::object::{Object, as_str, present},
};

/// The longest request id that is echoed, in bytes of JSON.
const LONGEST_ID: usize = 256;

/// The longest method name that is looked at, in bytes.
const LONGEST_METHOD: usize = 128;

/// What a client posted, borrowed from the body.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "batches are rare, and a box would be allocated for every other message"
)]
pub enum Body<'a> {
    /// One message.
    One(Incoming<'a>),
    /// A batch, whose members have not been looked at: only 2025-03-26 has batches (L-13, L-14).
    Batch(Vec<&'a RawValue>),
}

/// A message that a client posted.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// Wants an answer.
    Request(Request<'a>),
    /// Wants none and must get none.
    Notification(Notification<'a>),
    /// Answers something that the server asked.
    Response(Response<'a>),
}

/// A request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its id, echoed to the byte.
    pub id: Id,
    /// The method's name.
    pub method: Cow<'a, str>,
    given: Given<'a>,
}

/// A notification.
#[derive(Debug)]
pub struct Notification<'a> {
    /// The method's name.
    pub method: Cow<'a, str>,
    given: Given<'a>,
}

/// The parameters of a message.
#[derive(Clone, Copy, Debug)]
struct Given<'a> {
    params: Option<Object<Params<'a>>>,
    /// The whole message.
    message: &'a str,
}

impl<'a> Given<'a> {
    fn params(self) -> Result<Params<'a>, RpcError> {
        Params::given(self.params)
    }

    /// Found in a pass of its own: only what goes on to another reader is needed as it was sent.
    fn raw_params(self) -> Option<&'a RawValue> {
        #[derive(Deserialize)]
        struct Members<'a> {
            #[serde(borrow, default, deserialize_with = "present")]
            params: Option<&'a RawValue>,
        }
        let members: Members<'_> = serde_json::from_str(self.message).ok()?;
        members.params
    }
}

impl<'a> Incoming<'a> {
    /// The parameters; those of a response are empty.
    ///
    /// # Errors
    /// Those of [`Params::read`].
    pub fn params(&self) -> Result<Params<'a>, RpcError> {
        match self {
            Self::Request(request) => request.params(),
            Self::Notification(notification) => notification.given.params(),
            Self::Response(_) => Ok(Params::default()),
        }
    }
}

impl<'a> Request<'a> {
    /// The parameters.
    ///
    /// # Errors
    /// Those of [`Params::read`].
    pub fn params(&self) -> Result<Params<'a>, RpcError> {
        self.given.params()
    }
}

impl<'a> Notification<'a> {
    /// The parameters as they were sent.
    #[must_use]
    pub fn raw_params(&self) -> Option<&'a RawValue> {
        self.given.raw_params()
    }
}

/// A response.
#[derive(Debug)]
pub struct Response<'a> {
    /// The id of what it answers.
    pub id: Id,
    /// What was asked for; absent if the client answered with an error.
    pub result: Option<&'a RawValue>,
}

/// A request's id: a string or an integer (MCP, Messages), kept as it came, so that `7` and `"7"`
/// stay different and no digit is lost.
#[derive(Clone, Debug, Serialize)]
pub struct Id(Box<RawValue>);

/// A JSON-RPC error object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RpcError {
    /// One of the [`code`]s.
    pub code: i32,
    /// A sentence for people.
    pub message: String,
    /// What a program can act on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// The error codes in use.
pub mod code {
    /// The body is not JSON.
    pub const PARSE_ERROR: i32 = -32700;
    /// The body is not a JSON-RPC message, or not one that is taken here.
    pub const INVALID_REQUEST: i32 = -32600;
    /// There is no such method.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// The parameters break a rule.
    pub const INVALID_PARAMS: i32 = -32602;
    /// There is no such resource (the legacy revisions' code for it).
    pub const RESOURCE_NOT_FOUND: i32 = -32002;
    /// Our fault.
    pub const INTERNAL_ERROR: i32 = -32603;
    /// Header and body disagree (MCP 2026-07-28).
    pub const HEADER_MISMATCH: i32 = -32020;
    /// The client cannot do what the request needs (MCP 2026-07-28).
    pub const MISSING_CLIENT_CAPABILITY: i32 = -32021;
    /// The protocol version is not served (MCP 2026-07-28).
    pub const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;
}

/// A body that is no message, and the id to answer under if it could be read.
#[derive(Debug)]
pub struct ParseError {
    /// The id, if there was a usable one.
    pub id: Option<Id>,
    /// What is wrong.
    pub error: RpcError,
}

impl RpcError {
    /// An error with a code of this module and a sentence.
    #[must_use]
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The same error with data.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// `-32021`, with what the client would have to declare (B-07).
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

/// Reads what was posted.
///
/// # Errors
/// [`code::PARSE_ERROR`] if the body is not JSON in UTF-8, [`code::INVALID_REQUEST`] if it is JSON
/// but neither a JSON-RPC 2.0 message nor an array.
pub fn read(body: &[u8]) -> Result<Body<'_>, ParseError> {
    let parse_error = |message| ParseError {
        id: None,
        error: RpcError::new(code::PARSE_ERROR, message),
    };
    let text =
        str::from_utf8(body).map_err(|_| parse_error("Parse error: the body is not UTF-8"))?;
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text)
            .map(Body::Batch)
            .map_err(|_| parse_error("Parse error: the body is not JSON"));
    }
    let raw = serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            no_message()
        } else {
            parse_error("Parse error: the body is not JSON")
        }
    })?;
    message(raw, text).map(Body::One)
}

/// Reads one member of a batch.
///
/// # Errors
/// [`code::INVALID_REQUEST`] if it is no JSON-RPC 2.0 message.
pub fn read_member(member: &RawValue) -> Result<Incoming<'_>, ParseError> {
    // serde would take an array for an object whose names were left out.
    if !member.get().starts_with('{') {
        return Err(no_message());
    }
    let raw = serde_json::from_str(member.get()).map_err(|_| no_message())?;
    message(raw, member.get())
}

fn nameless(error: RpcError) -> ParseError {
    ParseError { id: None, error }
}

fn no_message() -> ParseError {
    nameless(RpcError::invalid_request(
        "Invalid request: the body must be one JSON-RPC 2.0 object whose members appear once each",
    ))
}

fn message<'a>(raw: RawMessage<'a>, text: &'a str) -> Result<Incoming<'a>, ParseError> {
    let given = Given {
        params: raw.params,
        message: text,
    };
    let id = raw.id.map(Id::read).transpose();
    let invalid = |id: &Result<Option<Id>, _>, message: &str| ParseError {
        id: id.as_ref().ok().cloned().flatten(),
        error: RpcError::invalid_request(message),
    };
    if raw.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
        return Err(invalid(&id, "Invalid request: jsonrpc must be \"2.0\""));
    }
    let Some(method) = raw.method else {
        return match (id, raw.result.is_some() || raw.error.is_some()) {
            (Ok(Some(id)), true) => Ok(Incoming::Response(Response {
                id,
                result: raw.result.filter(|_| raw.error.is_none()),
            })),
            (id, _) => Err(invalid(&id, "Invalid request: method is missing")),
        };
    };
    let method = match as_str(method) {
        Some(method) if method.len() <= LONGEST_METHOD => method,
        Some(_) | None => {
            return Err(invalid(
                &id,
                "Invalid request: method must be a string of at most 128 bytes",
            ));
        }
    };
    match id {
        Ok(Some(id)) => Ok(Incoming::Request(Request { id, method, given })),
        Ok(None) => Ok(Incoming::Notification(Notification { method, given })),
        Err(InvalidId) => Err(nameless(RpcError::invalid_request(
            "Invalid request: id must be a string or an integer of at most 256 bytes, never null",
        ))),
    }
}

/// The text of a successful response. `result` is JSON already.
#[must_use]
pub fn success(id: &Id, result: &str) -> String {
    let (before, after) = around_result(id);
    let mut text = before;
    text.reserve(result.len() + after.len());
    text.push_str(result);
    text.push_str(after);
    text
}

/// What stands before and after the result in a successful response.
#[must_use]
pub fn around_result(id: &Id) -> (String, &'static str) {
    let before = ["{\"jsonrpc\":\"2.0\",\"id\":", id.as_json(), ",\"result\":"];
    (before.concat(), "}")
}

/// The text of an error response. The id is left out where it could not be read: the revisions
/// disagree whether it may be null, and none of them has a client wait for it.
#[must_use]
pub fn failure(id: Option<&Id>, error: &RpcError) -> String {
    #[derive(Serialize)]
    struct Failure<'a> {
        jsonrpc: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
        error: &'a RpcError,
    }
    serde_json::to_string(&Failure {
        jsonrpc: "2.0",
        id,
        error,
    })
    .expect("strings and JSON values serialise")
}

#[derive(Deserialize)]
struct RawMessage<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<Object<Params<'a>>>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

struct InvalidId;

impl Id {
    /// The id as JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// The id as the text that it is, if it is a text.
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        serde_json::from_str(self.0.get()).ok()
    }

    /// Reads an id; `None` if it is neither a string nor an integer.
    #[must_use]
    pub fn parse(raw: &RawValue) -> Option<Self> {
        Self::read(raw).ok()
    }

    fn read(raw: &RawValue) -> Result<Self, InvalidId> {
        let text = raw.get();
        let integer = text
            .strip_prefix('-')
            .unwrap_or(text)
            .bytes()
            .all(|byte| byte.is_ascii_digit());
        if text.len() <= LONGEST_ID && (integer || text.starts_with('"')) {
            Ok(Self(raw.to_owned()))
        } else {
            Err(InvalidId)
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get())
    }
}

#[cfg(test)]
#[path = "jsonrpc_tests.rs"]
mod tests;
