//! A small server of 2026-07-28 with a journal in memory, that lies as it is told.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    web::{self, Bytes},
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing.
    None,
    /// A list has an entry of another user in it.
    AnothersEntry,
    /// An entry is answered for, and is not there.
    LostEntry,
    /// An entry is there twice.
    DoubledEntry,
    /// A subscriber is not told of a change.
    LostNotification,
    /// A subscriber is told twice.
    DoubledNotification,
    /// An answer is that to another request.
    WrongId,
    /// An entry that was asked for is another one.
    WrongEntry,
    /// Two users are one.
    SameUser,
    /// The server is too busy, and says when to come again.
    Busy,
    /// The first try of a write is cut off, after it was written.
    CutOff,
    /// A stream ends by itself.
    EndedStream,
    /// Text that is no JSON within a result.
    Nonsense,
}

/// Every so manieth time it lies.
const EVERY: usize = 7;

#[derive(Default)]
struct Journal {
    entries: Vec<(i64, String)>,
    keys: HashMap<String, i64>,
    subscribers: Vec<(Value, UnboundedSender<String>)>,
}

struct State {
    lie: Lie,
    journals: HashMap<String, Journal>,
    last_id: i64,
    turns: usize,
}

type Shared = web::Data<Mutex<State>>;

pub(crate) struct Liar {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
}

impl Liar {
    pub(crate) fn start(lie: Lie) -> Self {
        let state: Shared = web::Data::from(Arc::new(Mutex::new(State {
            lie,
            journals: HashMap::new(),
            last_id: 0,
            turns: 0,
        })));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .route("/dev/token", web::post().to(token))
                .route("/mcp", web::post().to(answer))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Self { address, handle }
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

/// A token is its user's name.
async fn token(body: web::Json<Value>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "access_token": body["subject"] }))
}

async fn answer(request: HttpRequest, body: web::Json<Value>, state: Shared) -> HttpResponse {
    let authorization = request
        .headers()
        .get("authorization")
        .unwrap()
        .to_str()
        .unwrap();
    let user = authorization.strip_prefix("Bearer ").unwrap().to_owned();
    for (header, expected) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", body["method"].as_str().unwrap()),
    ] {
        assert_eq!(request.headers().get(header).unwrap(), expected);
    }
    let mut state = state.lock().unwrap();
    let mut id = body["id"].clone();
    let params = &body["params"];
    let result = match body["method"].as_str().unwrap() {
        "server/discover" => {
            json!({ "supportedVersions": ["2026-07-28"], "capabilities": {}, "ttlMs": 0, "cacheScope": "private" })
        }
        "subscriptions/listen" => return state.listen(&user, id, &params["notifications"]),
        "tools/call" => {
            state.turns += 1;
            let lies = state.turns.is_multiple_of(EVERY);
            if lies && state.lie == Lie::Busy {
                return HttpResponse::ServiceUnavailable()
                    .insert_header(("retry-after", "0"))
                    .json(json!({ "busy": true }));
            }
            let name = params["name"].as_str().unwrap();
            let data = state.call(&user, name, &params["arguments"], lies);
            if lies && state.lie == Lie::CutOff && name == "create_entry" {
                let cut = stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("cut"))]);
                return HttpResponse::Ok()
                    .content_type("application/json")
                    .streaming(cut);
            }
            if lies && state.lie == Lie::WrongId {
                id = 1.into();
            }
            if lies && state.lie == Lie::Nonsense {
                let text = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","structuredContent":{data},"content":[nonsense]}}}}"#
                );
                return HttpResponse::Ok()
                    .content_type("application/json")
                    .body(text);
            }
            json!({ "content": [], "structuredContent": data })
        }
        method => panic!("{method}"),
    };
    let mut result = result;
    result["resultType"] = "complete".into();
    HttpResponse::Ok().json(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

impl State {
    fn call(&mut self, user: &str, name: &str, arguments: &Value, lies: bool) -> Value {
        let lie = if lies { self.lie } else { Lie::None };
        match name {
            "create_entry" => self.create(user, arguments, lie),
            "list_entries" => self.list(user, arguments, lie),
            "get_entry" => {
                let journal = &self.journals[user];
                let mut found = journal
                    .entries
                    .iter()
                    .position(|(id, _)| arguments["id"] == *id)
                    .unwrap();
                if lie == Lie::WrongEntry {
                    found = (found + 1) % journal.entries.len();
                }
                let (id, title) = &journal.entries[found];
                json!({ "entry": { "id": id, "title": title } })
            }
            "update_entry" => {
                let journal = self.journals.get_mut(user).unwrap();
                let id = &arguments["id"];
                let (_, title) = journal
                    .entries
                    .iter()
                    .find(|(known, _)| id == known)
                    .unwrap();
                let answer = json!({ "entry": { "id": id, "title": title } });
                let times = match lie {
                    Lie::LostNotification => 0,
                    Lie::DoubledNotification => 2,
                    _ => 1,
                };
                for _ in 0..times {
                    journal.tell(&format!("entry://{id}"));
                }
                if lie == Lie::EndedStream {
                    journal.subscribers.clear();
                }
                answer
            }
            "whoami" => {
                let user = if self.lie == Lie::SameUser {
                    "one"
                } else {
                    user
                };
                json!({ "user": { "id": user } })
            }
            _ => panic!("{name}"),
        }
    }

    fn create(&mut self, user: &str, arguments: &Value, lie: Lie) -> Value {
        let title = arguments["title"].as_str().unwrap().to_owned();
        let key = arguments["idempotencyKey"].as_str().unwrap().to_owned();
        let journal = self.journals.entry(user.to_owned()).or_default();
        if let Some(id) = journal.keys.get(&key) {
            return json!({ "entry": { "id": id, "title": title } });
        }
        let times = match lie {
            Lie::LostEntry => 0,
            Lie::DoubledEntry => 2,
            _ => 1,
        };
        self.last_id += 1;
        let id = self.last_id;
        for _ in 0..times {
            journal.entries.push((self.last_id, title.clone()));
            self.last_id += 1;
        }
        journal.keys.insert(key, id);
        json!({ "entry": { "id": id, "title": title } })
    }

    /// Newest first; the cursor is how many have been seen.
    fn list(&self, user: &str, arguments: &Value, lie: Lie) -> Value {
        let limit = usize::try_from(arguments["limit"].as_u64().unwrap()).unwrap();
        let seen: usize = arguments["cursor"]
            .as_str()
            .map_or(0, |cursor| cursor.parse().unwrap());
        let none = Journal::default();
        let all = &self.journals.get(user).unwrap_or(&none).entries;
        let page = all.iter().rev().skip(seen).take(limit);
        let mut entries: Vec<_> = page
            .map(|(id, title)| json!({ "id": id, "title": title }))
            .collect();
        if lie == Lie::AnothersEntry {
            let others = self.journals.iter().filter(|(name, _)| *name != user);
            let other = others.flat_map(|(_, journal)| &journal.entries).next();
            if let (Some((id, title)), Some(last)) = (other, entries.last_mut()) {
                *last = json!({ "id": id, "title": title });
            }
        }
        let next = seen + entries.len();
        if next < all.len() {
            json!({ "entries": entries, "nextCursor": next.to_string() })
        } else {
            json!({ "entries": entries })
        }
    }

    fn listen(&mut self, user: &str, id: Value, filter: &Value) -> HttpResponse {
        let (sender, receiver) = unbounded_channel();
        let acknowledged = json!({
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": { "_meta": { "io.modelcontextprotocol/subscriptionId": id }, "notifications": filter },
        });
        sender.send(acknowledged.to_string()).unwrap();
        let journal = self.journals.entry(user.to_owned()).or_default();
        journal.subscribers.push((id, sender));
        let frames = stream::unfold(receiver, |mut receiver: UnboundedReceiver<String>| async {
            let message = receiver.recv().await?;
            let frame = Bytes::from(format!("data: {message}\n\n"));
            Some((Ok::<_, actix_web::Error>(frame), receiver))
        });
        HttpResponse::Ok()
            .content_type("text/event-stream")
            .streaming(frames)
    }
}

impl Journal {
    fn tell(&self, uri: &str) {
        for (id, subscriber) in &self.subscribers {
            let message = json!({
                "jsonrpc": "2.0",
                "method": "notifications/resources/updated",
                "params": { "_meta": { "io.modelcontextprotocol/subscriptionId": id }, "uri": uri },
            });
            // One that has gone is not told.
            let _ = subscriber.send(message.to_string());
        }
    }
}
