//! `epicme serve` as a process, and a user of it with a well-behaved client.

use std::{
    cell::Cell,
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    time::Duration,
};

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    database::TestDatabase,
    issuer::{Issuer, good},
};

const RESOURCE: &str = "http://127.0.0.1:8787/mcp";

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    process: Child,
    _database: TestDatabase,
}

impl Server {
    pub(crate) fn start() -> Self {
        let database = TestDatabase::new();
        let issuer = Issuer::start(RESOURCE.to_owned());
        let program = std::env::var_os("EPICME");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_epicme").into());
        let mut process = Command::new(program)
            .arg("serve")
            .env_clear()
            .env("DATABASE_URL", database.url.expose_secret())
            .env("EPICME_BIND", "127.0.0.1:0")
            .env("EPICME_METRICS_BIND", "off")
            .env("EPICME_WORKERS", "2")
            .env("EPICME_ISSUER", &issuer.url)
            .env("EPICME_INTROSPECTION_CLIENT_ID", "epicme")
            .env("EPICME_INTROSPECTION_CLIENT_SECRET", "secret")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, address) = line.split_once("serving http")?.1.split_once(" on ")?;
            address.split(';').next()?.parse().ok()
        });
        // Read to the end, so that the server never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            address: address.expect("the server says where it serves"),
            process,
            _database: database,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address of a client's machine.
pub(crate) fn machine(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

/// A client of MCP 2026-07-28 on a machine of its own.
pub(crate) struct User {
    name: &'static str,
    token: Cell<usize>,
    http: reqwest::Client,
    url: String,
}

impl User {
    pub(crate) fn new(server: &Server, name: &'static str, on: u8) -> Self {
        Self {
            name,
            token: Cell::new(0),
            http: reqwest::Client::builder()
                .no_proxy()
                .local_address(machine(on))
                .timeout(PATIENCE)
                .build()
                .unwrap(),
            url: format!("http://{}/mcp", server.address),
        }
    }

    pub(crate) fn take_another_token(&self) {
        self.token.set(self.token.get() + 1);
    }

    /// Writes a few entries, so that there is something to find.
    pub(crate) async fn prepare(&self) {
        for number in 0..50 {
            let arguments =
                json!({ "title": format!("Day {number}"), "content": "A walk in the garden." });
            self.call("create_entry", &arguments).await.unwrap();
        }
    }

    /// The result of a tool.
    pub(crate) async fn call(&self, tool: &str, arguments: &Value) -> Result<Value, String> {
        let token = good(self.name, self.token.get());
        let request = request(&self.http, &self.url, &token, tool, arguments);
        let response = request.send().await.map_err(|error| format!("{error:?}"))?;
        let status = response.status();
        let body = response
            .text()
            .await
            .map_err(|error| format!("{error:?}"))?;
        let body: Value = serde_json::from_str(&body).map_err(|_| format!("{status}: {body}"))?;
        match body.get("result") {
            Some(result) if status.is_success() => Ok(result.clone()),
            _ => Err(format!("{status}: {body}")),
        }
    }
}

/// A call of a tool in MCP 2026-07-28.
pub(crate) fn request(
    http: &reqwest::Client,
    url: &str,
    token: &str,
    tool: &str,
    arguments: &Value,
) -> reqwest::RequestBuilder {
    http.post(url)
        .bearer_auth(token)
        .header("host", "127.0.0.1:8787")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
        .json(&json!({
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {
                "name": tool,
                "arguments": arguments,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
                    "io.modelcontextprotocol/clientCapabilities": {},
                },
            },
        }))
}
