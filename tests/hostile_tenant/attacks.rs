//! What the hostile user does, all at once, from a machine of its own.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::{
    issuer::{good, odd},
    server::{Server, User, machine, request},
};

/// The machine of the hostile user, and of those who help it.
const MACHINE: u8 = 66;

/// Tokens that upset the authorization server, a second.
const ODD_TOKENS: u64 = 100;

/// Sessions that are opened, a second: what the limit of a user's requests lets through.
const SESSIONS: u64 = 100;

/// Searches at once over entries of the longest length.
const SEARCHES: usize = 12;

const LONG_ENTRIES: usize = 40;

/// Connections on which nothing is sent.
const SILENT: usize = 300;

/// Connections that send a byte of a body now and then, and such that read no byte of an answer.
const SLOW: usize = 20;

#[derive(Clone)]
pub(crate) struct Attacks {
    address: SocketAddr,
    url: String,
}

/// How often each attack took place.
#[derive(Debug, Default)]
pub(crate) struct Done {
    odd_tokens: AtomicUsize,
    searches: AtomicUsize,
    exports: AtomicUsize,
    sessions: AtomicUsize,
    silent: AtomicUsize,
    slow: AtomicUsize,
}

impl Done {
    pub(crate) fn is_complete(&self) -> bool {
        [
            &self.odd_tokens,
            &self.searches,
            &self.exports,
            &self.sessions,
            &self.silent,
            &self.slow,
        ]
        .iter()
        .all(|count| count.load(Ordering::Relaxed) > 0)
    }
}

/// Attacks that are under way.
pub(crate) struct Running {
    stop: Arc<AtomicBool>,
    end: Sender<()>,
    done: Arc<Done>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Ends them, and returns how often each took place.
    pub(crate) fn end(self) -> Arc<Done> {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.end);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.done
    }
}

impl Attacks {
    /// Writes the long entries that are searched later.
    pub(crate) async fn prepare(server: &Server) -> Self {
        let mallory = User::new(server, "mallory", MACHINE);
        let words = (0..).map(|number| format!("word{} ", number % 5_000));
        let content: String = words.take(20_000).collect::<String>()[..99_000].to_owned();
        for number in 0..LONG_ENTRIES {
            let arguments = json!({ "title": format!("{number}"), "content": content });
            mallory.call("create_entry", &arguments).await.unwrap();
        }
        Self {
            address: server.address,
            url: format!("http://{}/mcp", server.address),
        }
    }

    pub(crate) fn begin(&self) -> Running {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::<Done>::default());
        let (end, ended) = mpsc::channel();
        let requests = {
            let (attacks, stop, done) = (self.clone(), Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || {
                actix_rt::System::new().block_on(attacks.requests(&stop, &done));
            })
        };
        let connections = {
            let (attacks, done) = (self.clone(), Arc::clone(&done));
            thread::spawn(move || attacks.connections(&ended, &done))
        };
        Running {
            stop,
            end,
            done,
            threads: vec![requests, connections],
        }
    }

    /// Everything that is a whole request.
    async fn requests(&self, stop: &AtomicBool, done: &Done) {
        let http = reqwest::Client::builder()
            .no_proxy()
            .local_address(machine(MACHINE))
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        let call = |token: String, tool: &'static str, arguments: Value| {
            let request = request(&http, &self.url, &token, tool, &arguments);
            async move {
                // What becomes of it is of no interest; an attacker has no right to anything.
                if let Ok(response) = request.send().await {
                    let _ = response.bytes().await;
                }
            }
        };
        let goes_on = || !stop.load(Ordering::Relaxed);
        let mine = || good("mallory", 0);
        let odd_tokens = async {
            let mut timer = actix_rt::time::interval(Duration::from_millis(1_000 / ODD_TOKENS));
            let mut number = 0;
            while goes_on() {
                timer.tick().await;
                number += 1;
                let request = call(odd(number), "whoami", json!({}));
                actix_rt::spawn(request);
                done.odd_tokens.fetch_add(1, Ordering::Relaxed);
            }
        };
        let searches = (0..SEARCHES).map(|number| async move {
            while goes_on() {
                let query = [
                    "word1",
                    "\"word17 word18\"",
                    "word3 or word4",
                    "word9 -absent",
                ];
                let query = query[number % query.len()];
                call(
                    mine(),
                    "search_entries",
                    json!({ "query": query, "limit": 50 }),
                )
                .await;
                done.searches.fetch_add(1, Ordering::Relaxed);
            }
        });
        let exports = async {
            while goes_on() {
                call(mine(), "export_journal", json!({ "format": "json" })).await;
                done.exports.fetch_add(1, Ordering::Relaxed);
            }
        };
        let sessions = async {
            let mut timer = actix_rt::time::interval(Duration::from_millis(1_000 / SESSIONS));
            while goes_on() {
                timer.tick().await;
                let initialize = json!({
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "initialize",
                    "params": {
                        "protocolVersion": "2025-11-25",
                        "capabilities": {},
                        "clientInfo": { "name": "test", "version": "1" },
                    },
                });
                let request = http
                    .post(&self.url)
                    .bearer_auth(mine())
                    .header("host", "127.0.0.1:8787")
                    .header("accept", "application/json, text/event-stream")
                    .json(&initialize);
                let _ = request.send().await;
                done.sessions.fetch_add(1, Ordering::Relaxed);
            }
        };
        let searches = futures_util::future::join_all(searches);
        futures_util::join!(odd_tokens, searches, exports, sessions);
    }

    /// Everything that is less than a request, or is not read.
    fn connections(&self, stop: &Receiver<()>, done: &Done) {
        let mut open: Vec<TcpStream> = Vec::new();
        for _ in 0..SILENT {
            if let Some(connection) = self.connect() {
                done.silent.fetch_add(1, Ordering::Relaxed);
                open.push(connection);
            }
        }
        let mut slow: Vec<TcpStream> = (0..SLOW).filter_map(|_| self.connect()).collect();
        let head = self.head("content-length: 2000000");
        for connection in &mut slow {
            let _ = connection.write_all(head.as_bytes());
        }
        let body = json!({
            "jsonrpc": "2.0",
            "id": 1,
            "method": "resources/list",
        });
        let unread = format!(
            "{}{body}",
            self.head(&format!("content-length: {}", body.to_string().len()))
        );
        for mut connection in (0..SLOW).filter_map(|_| self.connect()) {
            let _ = connection.write_all(unread.as_bytes());
            open.push(connection);
        }
        let pause = Duration::from_millis(100);
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(pause) {
            for connection in &mut slow {
                if connection.write_all(b" ").is_ok() {
                    done.slow.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn head(&self, length: &str) -> String {
        let token = good("mallory", 0);
        format!(
            "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:8787\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             {length}\r\n\r\n"
        )
    }

    fn connect(&self) -> Option<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::new(machine(MACHINE), 0).into())
            .unwrap();
        let limit = Duration::from_secs(1);
        socket.connect_timeout(&self.address.into(), limit).ok()?;
        let stream = TcpStream::from(socket);
        stream.set_write_timeout(Some(limit)).unwrap();
        Some(stream)
    }
}
