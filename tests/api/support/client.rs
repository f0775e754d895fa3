//! A client with control over every header, which checks of every response what holds of all.

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

use super::{ISSUER_SECRET, PUBLIC_HOST, TestApp, parse_challenge, patiently};

/// Every header that a response may have.
const KNOWN_HEADERS: [&str; 24] = [
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "dpop-nonce",
    "etag",
    "mcp-session-id",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "transfer-encoding",
    "vary",
    "www-authenticate",
    "x-accel-buffering",
    "x-content-type-options",
    "x-request-id",
];

/// Every code that an error may have: those of JSON-RPC 2.0, those that 2026-07-28 defines, and that
/// of the legacy revisions for a resource that is not there. What modern clients must not see of them
/// is held where resources are read.
const ERROR_CODES: [i64; 9] = [
    -32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022, -32002,
];

/// The envelope of a modern request.
pub(crate) fn envelope() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// A request that is being put together.
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    app: &'a TestApp,
    method: Method,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// A legacy session.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) token: String,
}

impl TestApp {
    /// A request with `Host` and nothing else.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask<'_> {
        Ask {
            app: self,
            method: method.parse().unwrap(),
            path: path.to_owned(),
            headers: vec![("host".to_owned(), PUBLIC_HOST.into())],
            body: Vec::new(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path).send().await
    }

    /// A POST to `/mcp` in either era, but for what makes it the one or the other.
    pub(crate) fn post(&self, token: &str, body: &Value) -> Ask<'_> {
        self.ask("POST", "/mcp")
            .header("authorization", &format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(body.to_string())
    }

    /// A modern request with all its headers, under the id 1.
    pub(crate) fn modern(&self, token: &str, method: &str, params: Value) -> Ask<'_> {
        let mut params = params;
        params["_meta"] = envelope();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let ask = self
            .post(token, &body)
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method);
        match params["name"].as_str() {
            Some(name) => ask.header("mcp-name", name),
            None => ask,
        }
    }

    /// A modern call of a tool.
    pub(crate) fn tool(&self, token: &str, name: &str, arguments: &Value) -> Ask<'_> {
        self.modern(
            token,
            "tools/call",
            json!({ "name": name, "arguments": arguments }),
        )
    }

    pub(crate) fn initialize(&self, token: &str, version: &str) -> Ask<'_> {
        self.post(
            token,
            &json!({
                "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                    "protocolVersion": version,
                    "capabilities": {},
                    "clientInfo": { "name": "test", "version": "1" },
                },
            }),
        )
    }

    pub(crate) async fn open(&self, token: &str, version: &str) -> Session {
        self.open_with(token, version, json!({})).await
    }

    /// A session of a client that can do this.
    pub(crate) async fn open_with(
        &self,
        token: &str,
        version: &str,
        capabilities: Value,
    ) -> Session {
        let ask = self
            .initialize(token, version)
            .edit(|body| body["params"]["capabilities"] = capabilities);
        let reply = ask.send().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Session {
            id: reply.header("mcp-session-id").unwrap().to_owned(),
            version: version.to_owned(),
            token: token.to_owned(),
        }
    }

    /// A request within a session, under the id 1.
    pub(crate) fn within(&self, session: &Session, method: &str, params: Value) -> Ask<'_> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let ask = self
            .post(&session.token, &body)
            .header("mcp-session-id", &session.id);
        if session.version == "2025-03-26" {
            ask
        } else {
            ask.header("mcp-protocol-version", &session.version)
        }
    }

    /// The GET that opens the standalone stream of a session.
    pub(crate) fn session_stream(&self, session: &Session) -> Ask<'_> {
        self.within(session, "", json!({}))
            .body("")
            .method("GET")
            .without("content-type")
            .header("accept", "text/event-stream")
    }
}

impl TestApp {
    /// A notification or a response within a session, which is taken whatever it says.
    pub(crate) async fn tell(&self, session: &Session, message: Value) {
        let ask = self.within(session, "", json!({}));
        let reply = ask.body(message.to_string()).send().await;
        assert_eq!((reply.status, reply.body.len()), (202, 0), "{message}");
    }
}

impl Ask<'_> {
    pub(crate) fn method(mut self, method: &str) -> Self {
        self.method = method.parse().unwrap();
        self
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    /// Appends to the body.
    pub(crate) fn and_then(mut self, text: &str) -> Self {
        self.body.extend_from_slice(text.as_bytes());
        self
    }

    /// Sets a header, in place of what it was.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.without(name).also(name, value.as_bytes())
    }

    /// Adds a header, besides what there is.
    pub(crate) fn also(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), value.to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The body.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Changes the JSON body.
    pub(crate) fn edit(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        let mut body = serde_json::from_slice(&self.body).unwrap();
        edit(&mut body);
        self.body = body.to_string().into();
        self
    }

    /// Changes the body as text.
    pub(crate) fn edit_text(mut self, edit: impl FnOnce(&mut String)) -> Self {
        let mut body = String::from_utf8(self.body).unwrap();
        let before = body.clone();
        edit(&mut body);
        assert_ne!(body, before, "there is something to change");
        self.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let (method, path) = (self.method.clone(), self.path.clone());
        let token = self.token().map(<[u8]>::to_vec);
        let (mut reply, response) = self.begin().await;
        reply.body = patiently(response.bytes()).await.unwrap().to_vec();
        reply.check(&method, &path, token.as_deref());
        reply
    }

    /// Status and headers of the response, and the response, whose body has not been read.
    pub(crate) async fn begin(self) -> (Reply, reqwest::Response) {
        let url = format!("http://{}{}", self.app.address, self.path);
        let mut request = self
            .app
            .http
            .request(self.method.clone(), url)
            .header("connection", "close")
            .body(self.body);
        for (name, value) in &self.headers {
            request = request.header(name.as_str(), value.as_slice());
        }
        let response = request.send().await.unwrap();
        let head = Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: Vec::new(),
        };
        head.check_headers();
        (head, response)
    }

    /// The token that it is sent with.
    fn token(&self) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|(name, _)| name == "authorization")
            .and_then(|(_, value)| value.rsplit(|byte| *byte == b' ').next())
            .filter(|token| token.len() > 8)
    }
}

/// A response, whole.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().unwrap();
        assert!(values.next().is_none(), "{name} stands twice");
        Some(value)
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// The JSON body, with the request id taken out.
    pub(crate) fn json(&self) -> Value {
        let mut body: Value =
            serde_json::from_str(self.text()).unwrap_or_else(|_| panic!("{self:?}"));
        for path in ["/error/data/request_id", "/request_id"] {
            if let Some(id) = body.pointer_mut(path) {
                *id = "[request id]".into();
            }
        }
        body
    }

    /// The status and the JSON-RPC error code.
    pub(crate) fn error(&self) -> (u16, i64) {
        (
            self.status,
            self.json()["error"]["code"].as_i64().unwrap_or_default(),
        )
    }

    /// The `result` of a JSON-RPC response that went well.
    pub(crate) fn result(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        let body = self.json();
        assert!(body.get("error").is_none(), "{body}");
        body["result"].clone()
    }

    /// The whole response as a person reads it, for a snapshot: what differs from run to run is
    /// taken out.
    pub(crate) fn shown(&self) -> String {
        let mut lines = vec![format!("HTTP {}", self.status)];
        for (name, value) in &self.headers {
            let value = match name.as_str() {
                "connection" | "content-length" | "date" => continue,
                "x-request-id" => "[request id]",
                "mcp-session-id" => "[session id]",
                _ => value.to_str().unwrap(),
            };
            lines.push(format!("{name}: {value}"));
        }
        lines[1..].sort();
        if !self.body.is_empty() {
            lines.push(String::new());
            lines.push(if self.header("content-type") == Some("application/json") {
                serde_json::to_string_pretty(&self.json()).unwrap()
            } else {
                self.text().to_owned()
            });
        }
        lines.join("\n")
    }

    /// What holds of the headers of every response.
    fn check_headers(&self) {
        for name in self.headers.keys() {
            assert!(
                KNOWN_HEADERS.contains(&name.as_str()),
                "an unexpected header: {name}"
            );
        }
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        let request_id = self.header("x-request-id").expect("a request id");
        assert!(request_id.len() == 32 && request_id.bytes().all(|b| b.is_ascii_hexdigit()));
    }

    /// What holds of every response that is read whole.
    fn check(&self, method: &Method, path: &str, token: Option<&[u8]>) {
        let request_id = self.header("x-request-id").expect("a request id");
        let contains = |needle: &[u8]| self.body.windows(needle.len()).any(|part| part == needle);
        assert!(!contains(ISSUER_SECRET.as_bytes()), "the issuer's secret");
        assert!(!token.is_some_and(contains), "the token in the body");
        if let Some(field) = self.header("www-authenticate") {
            parse_challenge(field).unwrap();
        }
        if self.status >= 400 {
            assert_eq!(self.header("cache-control"), Some("no-store"));
            if method != Method::HEAD {
                assert_eq!(self.header("content-type"), Some("application/json"));
                self.check_error_body(path, request_id);
            }
        }
    }

    fn check_error_body(&self, path: &str, request_id: &str) {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        let data = if matches!(path.split('?').next(), Some("/mcp" | "/mcp/")) || path.contains('%')
        {
            assert_eq!(body["jsonrpc"], "2.0", "{body}");
            let code = body["error"]["code"].as_i64().expect("a code");
            assert!(ERROR_CODES.contains(&code), "an undefined code: {body}");
            assert!(body["error"]["message"].is_string(), "{body}");
            &body["error"]["data"]
        } else {
            assert!(body["error"].is_string(), "{body}");
            assert!(body["error_description"].is_string(), "{body}");
            &body
        };
        if let Some(named) = data.get("request_id") {
            assert_eq!(named, request_id);
        }
    }
}
