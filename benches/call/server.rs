//! A server with everything that it needs, and a client that costs next to nothing.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_rt::System;
use epicme::{
    app::{self, App},
    config::{Config, Options},
    storage,
};
use mock_auth::{IntrospectionClient, MockAuth, Settings, TokenGrant};
use private_postgres::{Cluster, ClusterOptions};
use resource_server::clock::Clock;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::oneshot;

const CLIENT: &str = "epicme";
const SECRET: &str = "a secret of this benchmark alone";

/// How many entries the one user has.
const ENTRIES: usize = 50;

/// The server, the mock authorization server and a PostgreSQL of their own, until [`Server::stop`].
pub(crate) struct Server {
    address: SocketAddr,
    mock_auth: MockAuth,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    cluster: Cluster,
}

impl Server {
    pub(crate) fn start() -> Self {
        let directory = format!("epicme-bench-{}", std::process::id());
        let cluster = Cluster::start(ClusterOptions {
            directory: std::env::temp_dir().join(directory),
            durable: false,
            name: "epicme",
        })
        .unwrap();
        cluster.create_database("bench").unwrap();
        let database_url = cluster.url("bench");
        storage::migrate(&database_url).unwrap();
        let mock_auth = System::new()
            .block_on(MockAuth::start_with(Settings {
                bind: (Ipv4Addr::LOCALHOST, 0).into(),
                introspection_clients: vec![IntrospectionClient {
                    id: CLIENT.to_owned(),
                    secret: SECRET.into(),
                }],
                ..Settings::default()
            }))
            .unwrap();
        let listener = app::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let options =
            Options::for_one_machine(address, mock_auth.issuer(), &SECRET.into(), &database_url);
        let config = Config::read(&options).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (started, has_started) = mpsc::channel();
        let thread = thread::spawn(move || {
            System::new().block_on(async move {
                let app = App::start(config, listener, Clock::system()).unwrap();
                started.send(()).unwrap();
                let _ = stopped.await;
                app.stop().await.unwrap();
            });
        });
        has_started.recv().unwrap();
        let server = Self {
            address,
            mock_auth,
            stop,
            thread,
            cluster,
        };
        server.fill();
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A token of the one user, good for an hour.
    pub(crate) fn token(&self) -> String {
        let grant = TokenGrant {
            subject: "1".to_owned(),
            client_id: "bench".to_owned(),
            scopes: "user:read entries:read entries:write tags:read tags:write".to_owned(),
            audience: vec![self.resource()],
            lifetime: Duration::from_secs(3_600),
            ..TokenGrant::default()
        };
        self.mock_auth.issue_token(grant).expose_secret().to_owned()
    }

    pub(crate) fn stop(self) {
        let _ = self.stop.send(());
        self.thread.join().unwrap();
        System::new().block_on(self.mock_auth.stop());
        self.cluster.stop().unwrap();
    }

    fn resource(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    fn fill(&self) {
        let mut wire = Wire::connect(self.address);
        let token = self.token();
        for number in 0..ENTRIES {
            let arguments = json!({
                "title": format!("Entry {number}"),
                "content": "Today I went for a walk and wrote some code. ".repeat(9),
            });
            let body = call("create_entry", &arguments);
            let request = wire.request(&token, "tools/call", Some("create_entry"), &body);
            assert!(wire.answer(&request).contains("Created entry"));
        }
    }
}

/// The body of a modern `tools/list`.
pub(crate) fn tools_list() -> String {
    let params = json!({ "_meta": meta() });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params }).to_string()
}

/// The body of a modern call of `list_entries`.
pub(crate) fn list_entries() -> String {
    call("list_entries", &json!({ "limit": 20 }))
}

fn call(tool: &str, arguments: &Value) -> String {
    let params = json!({ "_meta": meta(), "name": tool, "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}

fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1.0.0" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// One connection, on which one request is answered after the other.
pub(crate) struct Wire {
    connection: BufReader<TcpStream>,
    host: SocketAddr,
    body: Vec<u8>,
}

impl Wire {
    pub(crate) fn connect(host: SocketAddr) -> Self {
        let connection = TcpStream::connect(host).unwrap();
        connection.set_nodelay(true).unwrap();
        Self {
            connection: BufReader::new(connection),
            host,
            body: Vec::new(),
        }
    }

    /// A modern request as it is sent.
    pub(crate) fn request(
        &self,
        token: &str,
        method: &str,
        name: Option<&str>,
        body: &str,
    ) -> Vec<u8> {
        let name = name.map_or_else(String::new, |name| format!("Mcp-Name: {name}\r\n"));
        format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: {method}\r\n{name}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len(),
        )
        .into_bytes()
    }

    /// Sends a request, and reads the body of the answer.
    pub(crate) fn answer(&mut self, request: &[u8]) -> &str {
        self.connection.get_mut().write_all(request).unwrap();
        let mut line = String::new();
        let mut length = 0;
        loop {
            line.clear();
            self.connection.read_line(&mut line).unwrap();
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
        }
        self.body.resize(length, 0);
        self.connection.read_exact(&mut self.body).unwrap();
        str::from_utf8(&self.body).unwrap()
    }
}
