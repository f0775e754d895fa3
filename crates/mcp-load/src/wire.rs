//! Requests as they go over the wire, in either era.

use std::{fmt::Write, io::Write as _};

use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Uri,
    body::Bytes,
    header::{self, HeaderName, HeaderValue},
};

use crate::{
    mix::{JournalTool, Operation},
    target::Target,
};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What every modern request says of itself (MCP 2026-07-28, `_meta`).
const ENVELOPE: &str = concat!(
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":"#,
    r#"{"name":"mcp-load","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""},"io.modelcontextprotocol/clientCapabilities":{}}"#
);

/// How a client speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// 2026-07-28: every request stands for itself.
    Stateless,
    /// An earlier revision, within a session.
    Sessions(String),
}

impl Dialect {
    pub(crate) fn is_stateless(&self) -> bool {
        *self == Self::Stateless
    }
}

/// A method, and what headers say of it.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) method: String,
    method_header: HeaderValue,
    name_header: Option<HeaderValue>,
}

impl Named {
    /// `name` is what `Mcp-Name` says: a tool's or prompt's name, or a resource's URI.
    pub(crate) fn new(method: &str, name: Option<&str>) -> Self {
        Self {
            method: method.to_owned(),
            method_header: header_value(method),
            name_header: name.map(header_value),
        }
    }

    pub(crate) fn tool(name: &str) -> Self {
        Self::new("tools/call", Some(name))
    }
}

/// An operation whose parameters are the same every time, or begin so.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) named: Named,
    /// Members of `params`. Of a journal's tool its arguments are yet to come.
    pub(crate) params: String,
}

impl Prepared {
    /// `given` are the arguments or parameters from the command line, a JSON object.
    ///
    /// # Errors
    /// If they cannot be sent.
    pub(crate) fn new(operation: &Operation, given: Option<&str>) -> Result<Self, String> {
        match operation {
            Operation::Journal(tool) => Ok(Self {
                named: Named::tool(tool.name()),
                params: String::new(),
            }),
            Operation::Tool(name) => Ok(Self {
                named: Named::tool(name),
                params: tool_params(name, given.unwrap_or("{}")),
            }),
            Operation::Method(method) => {
                let given = given.unwrap_or("{}");
                let object: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(given).map_err(|error| error.to_string())?;
                if object.contains_key("_meta") {
                    return Err(format!(
                        "the parameters of {method} have a _meta of their own"
                    ));
                }
                let named_by = match method.as_str() {
                    "tools/call" | "prompts/get" => object.get("name"),
                    "resources/read" => object.get("uri"),
                    _ => None,
                };
                Ok(Self {
                    named: Named::new(method, named_by.and_then(|name| name.as_str())),
                    params: given[1..given.len() - 1].to_owned(),
                })
            }
        }
    }
}

/// The parameters of a call.
pub(crate) fn tool_params(name: &str, arguments: &str) -> String {
    format!(r#""name":"{name}","arguments":{arguments}"#)
}

/// The arguments of a journal's tools. None of these texts has anything to escape.
pub(crate) struct Arguments<'a> {
    pub(crate) out: &'a mut String,
}

impl Arguments<'_> {
    pub(crate) fn tool(&mut self, tool: JournalTool, arguments: std::fmt::Arguments<'_>) {
        self.out.clear();
        let name = tool.name();
        write!(self.out, r#""name":"{name}","arguments":{{{arguments}}}"#)
            .expect("a String takes everything");
    }

    pub(crate) fn create_entry(&mut self, word: &str, number: usize) {
        self.tool(
            JournalTool::CreateEntry,
            format_args!(
                r#""title":"{word} {number}","content":"Written by mcp-load to see whether it is there at the end: {word}, number {number}.","mood":"busy","idempotencyKey":"{word}-{number}""#
            ),
        );
    }
}

/// Builds requests of one client.
pub(crate) struct Writer {
    dialect: Dialect,
    path: Uri,
    /// Those of every request.
    headers: HeaderMap,
    is_open: bool,
}

impl Writer {
    pub(crate) fn new(dialect: Dialect, target: &Target, token: &HeaderValue) -> Self {
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(header::HOST, target.host.clone());
        headers.insert(header::AUTHORIZATION, token.clone());
        let agent = concat!("mcp-load/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        Self {
            dialect,
            path: target.path.clone(),
            headers,
            is_open: false,
        }
    }

    pub(crate) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Whether requests can be sent that need a session.
    pub(crate) fn has_session(&self) -> bool {
        self.dialect.is_stateless() || self.is_open
    }

    /// The server opened a session, which it may name.
    pub(crate) fn open(&mut self, session: Option<HeaderValue>) {
        if let Dialect::Sessions(version) = &self.dialect {
            self.headers.insert(VERSION, header_value(version));
        }
        if let Some(session) = session {
            self.headers.insert(SESSION, session);
        }
        self.is_open = true;
    }

    /// It is over.
    pub(crate) fn close(&mut self) {
        self.headers.remove(SESSION);
        self.headers.remove(VERSION);
        self.is_open = false;
    }

    /// A request under an id; `params` are the members of its parameters.
    pub(crate) fn request(&self, id: u64, named: &Named, params: &str) -> Request<Full<Bytes>> {
        let method = &named.method;
        let mut body = Vec::with_capacity(512 + params.len());
        let begin = format_args!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"#);
        if self.dialect.is_stateless() {
            let comma = if params.is_empty() { "" } else { "," };
            write!(body, "{begin}{ENVELOPE}{comma}{params}}}}}")
        } else {
            write!(body, "{begin}{params}}}}}")
        }
        .expect("a Vec takes everything");
        let mut request = self.post(body);
        if self.dialect.is_stateless() {
            let headers = request.headers_mut();
            headers.insert(VERSION, HeaderValue::from_static("2026-07-28"));
            headers.insert(METHOD, named.method_header.clone());
            if let Some(name) = &named.name_header {
                headers.insert(NAME, name.clone());
            }
        }
        request
    }

    /// `initialize`, which has no session yet.
    pub(crate) fn initialize(&self, id: u64, version: &str) -> Request<Full<Bytes>> {
        let agent = env!("CARGO_PKG_VERSION");
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"mcp-load","version":"{agent}"}}}}}}"#
        );
        self.post(body.into_bytes())
    }

    pub(crate) fn initialized(&self) -> Request<Full<Bytes>> {
        self.post(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_vec())
    }

    /// The general stream of a session.
    pub(crate) fn stream(&self) -> Request<Full<Bytes>> {
        let mut request = self.bare(Method::GET, Bytes::new());
        let accept = HeaderValue::from_static("text/event-stream");
        request.headers_mut().insert(header::ACCEPT, accept);
        request
    }

    /// The end of a session.
    pub(crate) fn delete(&self) -> Request<Full<Bytes>> {
        self.bare(Method::DELETE, Bytes::new())
    }

    fn post(&self, body: Vec<u8>) -> Request<Full<Bytes>> {
        let mut request = self.bare(Method::POST, body.into());
        let headers = request.headers_mut();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        let both = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(header::ACCEPT, both);
        request
    }

    fn bare(&self, method: Method, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// A value as a header can have it (MCP 2026-07-28, Streamable HTTP: the sentinel `=?base64?…?=`).
fn header_value(text: &str) -> HeaderValue {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim() == text
        && !text.starts_with("=?base64?");
    let encoded = || format!("=?base64?{}?=", STANDARD.encode(text));
    let value = if is_plain { text.to_owned() } else { encoded() };
    HeaderValue::try_from(value).expect("visible ASCII is a header's value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_header_can_have_is_encoded() {
        assert_eq!(header_value("epicme://tags"), "epicme://tags");
        assert_eq!(header_value("é"), "=?base64?w6k=?=");
        assert_eq!(header_value(" a"), "=?base64?IGE=?=");
        assert_eq!(header_value("=?base64?x?="), "=?base64?PT9iYXNlNjQ/eD89?=");
    }

    #[test]
    fn what_is_prepared_is_json() {
        for (operation, given) in [
            (Operation::Tool("a".to_owned()), None),
            (Operation::Tool("a".to_owned()), Some(r#"{"b":[1]}"#)),
            (Operation::Method("tools/list".to_owned()), None),
            (
                Operation::Method("resources/read".to_owned()),
                Some(r#"{"uri":"x://y"}"#),
            ),
        ] {
            let prepared = Prepared::new(&operation, given).unwrap();
            let text = format!("{{{}}}", prepared.params);
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
        let mut text = String::new();
        Arguments { out: &mut text }.create_entry("loadab12u1", 7);
        let text = format!("{{{text}}}");
        let params: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(params["arguments"]["title"], "loadab12u1 7");
        let envelope = format!("{{{ENVELOPE}}}");
        serde_json::from_str::<serde_json::Value>(&envelope).unwrap();
    }

    #[test]
    fn the_envelope_is_not_overwritten() {
        let method = Operation::Method("tools/list".to_owned());
        assert!(Prepared::new(&method, Some(r#"{"_meta":{}}"#)).is_err());
    }
}
