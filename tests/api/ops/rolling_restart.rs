//! Two processes behind what distributes requests to those that are ready, restarted one after the other under load.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use actix_rt::task::spawn_blocking;
use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{ALL, Answer, Issuer, MODERN, Program, TestDatabase, envelope, patiently};

/// Who send requests at once.
const CLIENTS: usize = 8;

/// How often the processes are asked whether they are ready.
const PROBES: Duration = Duration::from_millis(50);

/// Distributes requests to the processes that were ready when they were asked last. It keeps its connections, and sends
/// nothing again, as a proxy that must not repeat what may have been done.
struct Balancer {
    http: reqwest::Client,
    processes: RefCell<[Option<SocketAddr>; 2]>,
    ready: RefCell<[bool; 2]>,
    turn: Cell<usize>,
    is_over: Cell<bool>,
}

impl Balancer {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            processes: RefCell::default(),
            ready: RefCell::default(),
            turn: Cell::new(0),
            is_over: Cell::new(false),
        })
    }

    async fn probe(self: Rc<Self>) {
        while !self.is_over.get() {
            for number in 0..2 {
                let Some(address) = self.processes.borrow()[number] else {
                    continue;
                };
                let url = format!("http://{address}/readyz");
                let is_ready = match self.http.get(url).send().await {
                    Ok(answer) => answer.status() == 200,
                    Err(_) => false,
                };
                self.ready.borrow_mut()[number] = is_ready;
            }
            actix_rt::time::sleep(PROBES).await;
        }
    }

    async fn until_ready(&self) {
        patiently(async {
            while *self.ready.borrow() != [true; 2] {
                actix_rt::time::sleep(PROBES).await;
            }
        })
        .await;
    }

    fn next(&self) -> SocketAddr {
        loop {
            let turn = self.turn.get();
            self.turn.set(turn + 1);
            let number = turn % 2;
            if self.ready.borrow()[number]
                && let Some(address) = self.processes.borrow()[number]
            {
                return address;
            }
            assert!(self.ready.borrow().contains(&true), "nobody is ready");
        }
    }

    /// Calls until it is over, and returns how often, and what went wrong.
    async fn calls(self: Rc<Self>, token: String) -> (usize, Vec<String>) {
        let (mut done, mut faults) = (0, Vec::new());
        while !self.is_over.get() {
            let (name, arguments) = match done % 2 {
                0 => ("create_entry", json!({ "title": "t", "content": "c" })),
                _ => ("list_entries", json!({})),
            };
            let params = json!({ "name": name, "arguments": arguments, "_meta": envelope() });
            let body =
                json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
            let answer = self
                .http
                .post(format!("http://{}/mcp", self.next()))
                .header("host", "127.0.0.1:8787")
                .bearer_auth(&token)
                .header("accept", "application/json, text/event-stream")
                .header("mcp-protocol-version", MODERN)
                .header("mcp-method", "tools/call")
                .header("mcp-name", name)
                .json(&body)
                .send();
            match patiently(answer).await {
                Ok(answer) if answer.status() == 200 => {
                    let answer: Value = answer.json().await.unwrap();
                    assert!(answer["result"]["isError"].is_null(), "{answer}");
                    done += 1;
                }
                Ok(answer) => faults.push(answer.status().to_string()),
                Err(error) => faults.push(format!("{error:?}")),
            }
        }
        (done, faults)
    }
}

fn token(issuer: &Issuer, number: usize) -> String {
    let token = format!("rolling-token-{number}");
    let claims = json!({
        "active": true, "sub": format!("user-{number}"), "client_id": "notebook", "scope": ALL,
        "aud": "http://127.0.0.1:8787/mcp", "iss": issuer.url(), "token_type": "Bearer",
        "exp": (Utc::now() + TimeDelta::hours(1)).timestamp(),
    });
    issuer.answer(&token, Answer::json(claims));
    token
}

#[actix_rt::test]
async fn a_rolling_restart_under_load_shows_no_client_an_error() {
    let (issuer, server) = Issuer::bystander();
    let database = TestDatabase::new();
    let start = || {
        let (url, issuer) = (database.url.clone(), issuer.url().to_owned());
        spawn_blocking(move || {
            Program::serve(&[
                ("DATABASE_URL", url.expose_secret()),
                ("EPICME_ISSUER", &issuer),
                ("EPICME_DRAIN_DELAY", "2s"),
                ("EPICME_DRAIN_TIMEOUT", "20s"),
            ])
        })
    };
    let balancer = Balancer::new();
    let mut programs = Vec::new();
    for number in 0..2 {
        let program = start().await.unwrap();
        balancer.processes.borrow_mut()[number] = Some(program.address);
        programs.push(program);
    }
    let probes = actix_rt::spawn(Rc::clone(&balancer).probe());
    balancer.until_ready().await;
    let clients = (0..CLIENTS).map(|number| {
        let calls = Rc::clone(&balancer).calls(token(&issuer, number));
        actix_rt::spawn(calls)
    });
    let clients: Vec<_> = clients.collect();
    for number in [0, 1] {
        let stopping = programs.remove(0);
        stopping.signal("TERM");
        let (code, said) = spawn_blocking(move || stopping.ends()).await.unwrap();
        assert_eq!(code, 0, "{said}");
        let program = start().await.unwrap();
        balancer.processes.borrow_mut()[number] = Some(program.address);
        programs.push(program);
        balancer.until_ready().await;
    }
    balancer.is_over.set(true);
    let (mut done, mut faults) = (0, Vec::new());
    for client in join_all(clients).await {
        let (calls, of_client) = client.unwrap();
        done += calls;
        faults.extend(of_client);
    }
    probes.await.unwrap();
    assert_eq!(faults, [""; 0]);
    assert!(done > 50, "{done} calls");
    server.stop(false).await;
}
