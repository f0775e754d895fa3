//! JSON-RPC 2.0 as MCP uses it: parsing of messages, and responses.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    envelope::Params,
    json::object::{LenientObject, as_str, present},
    rpc_error::{RpcError, code},
};

/// The longest request id, in bytes of JSON.
pub(crate) const LONGEST_ID: usize = 256;

/// The longest method name, in bytes.
const LONGEST_METHOD: usize = 128;

/// The body of a POST, borrowed.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "batches are rare, and a box would be allocated for every other message"
)]
pub enum Body<'a> {
    /// One message.
    Single(Incoming<'a>),
    /// A batch, whose messages are not parsed yet: only MCP 2025-03-26 has batches.
    Batch(Vec<&'a RawValue>),
}

/// A message of a client.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// A request, which needs a response.
    Request(Request<'a>),
    /// A notification, which gets no response.
    Notification(Notification<'a>),
    /// A response to a request of the server.
    Response(Response<'a>),
}

/// A request.
#[derive(Debug)]
pub struct Request<'a> {
    /// The id, echoed byte for byte.
    pub id: Id,
    /// The method.
    pub method: Cow<'a, str>,
    params: ParsedParams<'a>,
}

/// A notification.
#[derive(Debug)]
pub struct Notification<'a> {
    /// The method.
    pub method: Cow<'a, str>,
    params: ParsedParams<'a>,
}

/// Parsed with their message, and not validated yet.
type ParsedParams<'a> = Option<LenientObject<Params<'a>>>;

impl<'a> Incoming<'a> {
    /// The parameters; none for a response.
    ///
    /// # Errors
    /// See [`Params::read`].
    pub fn params(&self) -> Result<Params<'a>, RpcError> {
        match self {
            Self::Request(request) => request.params(),
            Self::Notification(notification) => Params::from_parsed(notification.params),
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
        Params::from_parsed(self.params)
    }
}

/// A response to a request of the server.
#[derive(Debug)]
pub struct Response<'a> {
    /// The id of the request.
    pub id: Id,
    /// The result; absent for an error.
    pub result: Option<&'a RawValue>,
}

/// A request id: a string or an integer (MCP, Messages), kept as JSON, so that `7` and `"7"` differ and no
/// digit is lost.
#[derive(Clone, Debug, Serialize)]
pub struct Id(Box<RawValue>);

/// A body that is not a message.
#[derive(Debug)]
pub struct ParseError {
    /// The id of the message, if it could be read.
    pub id: Option<Id>,
    /// The error of the response.
    pub error: RpcError,
}

/// Parses the body of a POST.
///
/// ```
/// use mcp_protocol::jsonrpc::{self, Body, Incoming};
///
/// let body = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
/// let Ok(Body::Single(Incoming::Request(request))) = jsonrpc::read(body) else {
///     panic!("a request");
/// };
/// assert_eq!(request.method, "ping");
/// ```
///
/// # Errors
/// [`code::PARSE_ERROR`] if the body is not JSON in UTF-8, [`code::INVALID_REQUEST`] if it is neither a
/// JSON-RPC 2.0 message nor an array.
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
    message(raw).map(Body::Single)
}

/// Parses one message of a batch.
///
/// # Errors
/// [`code::INVALID_REQUEST`] if it is not a JSON-RPC 2.0 message.
pub fn read_member(member: &RawValue) -> Result<Incoming<'_>, ParseError> {
    // serde would deserialise an array as a struct.
    if !member.get().starts_with('{') {
        return Err(no_message());
    }
    let raw = serde_json::from_str(member.get()).map_err(|_| no_message())?;
    message(raw)
}

fn nameless(error: RpcError) -> ParseError {
    ParseError { id: None, error }
}

fn no_message() -> ParseError {
    nameless(RpcError::invalid_request(
        "Invalid request: the body must be one JSON-RPC 2.0 object whose members appear once each",
    ))
}

fn message(raw: RawMessage<'_>) -> Result<Incoming<'_>, ParseError> {
    let params = raw.params;
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
        Ok(Some(id)) => Ok(Incoming::Request(Request { id, method, params })),
        Ok(None) => Ok(Incoming::Notification(Notification { method, params })),
        Err(InvalidId) => Err(nameless(RpcError::invalid_request(
            "Invalid request: id must be a string or an integer of at most 256 bytes, never null",
        ))),
    }
}

/// A successful response. `result` is JSON.
#[must_use]
pub fn success(id: &Id, result: &str) -> String {
    let (before, after) = around_result(id);
    let mut text = before;
    text.reserve(result.len() + after.len());
    text.push_str(result);
    text.push_str(after);
    text
}

/// The text before and after the result of a successful response.
#[must_use]
pub fn around_result(id: &Id) -> (String, &'static str) {
    let before = ["{\"jsonrpc\":\"2.0\",\"id\":", id.as_json(), ",\"result\":"];
    (before.concat(), "}")
}

/// An error response. The id is omitted if it is unknown: the revisions disagree whether it may be null.
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
    params: ParsedParams<'a>,
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

    /// The text of the id, if it is a string.
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        serde_json::from_str(self.0.get()).ok()
    }

    /// Parses an id; `None` if it is neither a string nor an integer, or too long.
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
