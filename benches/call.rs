//! What the parts of a call cost, one by one, and a whole call over loopback. For finding out which part
//! a change has made slower; how the server stands next to others is told by `docs/PERFORMANCE.md`.
//!
//! The whole call needs PostgreSQL's binaries, as `epicme dev` does.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has failed"
)]

#[path = "call/server.rs"]
mod server;

use std::{hint::black_box, rc::Rc, sync::Arc};

use actix_rt::System;
use chrono::{DateTime, Utc};
use criterion::{Criterion, criterion_group, criterion_main};
use epicme::{
    auth::{AuthError, AuthHandle},
    domain::{
        clock::Clock,
        journal::EntryId,
        principal::{Credential, Principal},
        request_id::RequestId,
        trace_context::Trace,
    },
    features::{
        catalogue::Catalogue,
        conversation::{AnswerFuture, Client, NoAnswer},
        dispatch::{Begun, Call, Dispatcher},
        views::entry_link,
    },
    journal::{JournalHandle, JournalSettings},
    mcp::{
        answer::{Answer, Content, ToolAnswer, ToolOutput},
        data::Data,
        envelope::Params,
        era::{self, Admitted},
        headers::{Field, Headers},
        jsonrpc::{self, Id, Incoming, Posted, Request},
        logging::Level,
        outgoing::Question,
        request_state::Sealer,
        shape, sse,
        version::ProtocolVersion,
    },
    oauth::{
        bearer::{BearerToken, Presentation},
        judge::{Expectation, judge, read_reply},
        policy::ScopePolicy,
    },
};
use serde_json::{json, value::to_raw_value};

use server::{Server, Wire, list_entries, tools_list};

const ISSUER: &str = "https://issuer.example";
const RESOURCE: &str = "https://journal.example/mcp";

fn trace() -> Trace {
    Trace {
        request_id: RequestId::random(),
        parent: None,
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

/// What is read of a body, and checked against its headers, before a feature is looked up.
fn envelope(criterion: &mut Criterion) {
    let body = list_entries();
    criterion.bench_function("envelope: list_entries", |bencher| {
        bencher.iter(|| {
            let (request, params) = read(black_box(body.as_bytes()));
            let admitted = admit(&request, params, b"list_entries");
            black_box(admitted.method)
        });
    });
}

fn read(body: &[u8]) -> (Request<'_>, Params<'_>) {
    let Posted::One(Incoming::Request(request)) = jsonrpc::read(body).unwrap() else {
        panic!("a request");
    };
    let params = request.params().unwrap();
    assert!(params.claims_envelope());
    (request, params)
}

fn admit<'a>(request: &Request<'a>, params: Params<'a>, name: &[u8]) -> Admitted<'a> {
    let headers = Headers {
        protocol_version: Field::One(b"2026-07-28"),
        method: Field::One(request.method.as_bytes()),
        name: Field::One(name),
        session_id: Field::Absent,
    };
    era::admit(request, params, &headers).unwrap()
}

/// The verdict on an introspection reply, which is read from JSON first.
fn verdict(criterion: &mut Criterion) {
    let expected = Expectation {
        issuer: ISSUER.parse().unwrap(),
        resource: RESOURCE.parse().unwrap(),
        audience_may_be_absent: false,
    };
    let reply = claims().to_string();
    criterion.bench_function("judge: introspection reply", |bencher| {
        bencher.iter(|| {
            let reply = read_reply(black_box(reply.as_bytes())).unwrap();
            judge(reply, &expected, Credential([7; 32]), now()).unwrap()
        });
    });
}

fn claims() -> serde_json::Value {
    json!({
        "active": true,
        "sub": "00000000-0000-4000-8000-000000000001",
        "username": "ada@example.org",
        "scope": "user:read entries:read entries:write tags:read tags:write",
        "client_id": "https://client.example/metadata.json",
        "token_type": "Bearer",
        "iss": ISSUER,
        "aud": RESOURCE,
        "exp": now().timestamp() + 3_600,
    })
}

fn principal() -> Principal {
    let expected = Expectation {
        issuer: ISSUER.parse().unwrap(),
        resource: RESOURCE.parse().unwrap(),
        audience_may_be_absent: false,
    };
    let reply = read_reply(claims().to_string().as_bytes()).unwrap();
    judge(reply, &expected, Credential([7; 32]), now())
        .unwrap()
        .principal
}

/// A client that hears nothing.
struct Deaf;

impl Client for Deaf {
    fn notify(&self, _: String) {}

    fn admits(&self, _: Level) -> bool {
        false
    }

    fn ask(&self, _: &Question) -> AnswerFuture {
        Box::pin(std::future::ready(Err(NoAnswer::Unanswered)))
    }
}

/// From a method and its parameters to an answer, or to the work that is left: the lookup, the scopes,
/// the arguments. The work itself is not done.
fn dispatch(criterion: &mut Criterion) {
    let system = System::new();
    let dispatcher = system.block_on(async {
        // Nobody asks it anything.
        let nowhere = "postgresql://nobody@%2Fnowhere/none".to_owned();
        Arc::new(Dispatcher::new(
            Arc::new(Catalogue::new(ScopePolicy::default())),
            JournalHandle::start(&JournalSettings::new(nowhere.into())),
            Sealer::random(),
            Clock::system(),
        ))
    });
    let principal = Arc::new(principal());
    let client: Rc<dyn Client> = Rc::new(Deaf);
    for (title, body, name) in [
        ("dispatch: tools/list", tools_list(), &b""[..]),
        ("dispatch: list_entries", list_entries(), b"list_entries"),
    ] {
        criterion.bench_function(title, |bencher| {
            let (request, params) = read(body.as_bytes());
            let mut admitted = admit(&request, params, name);
            admitted.log_level = None;
            bencher.iter(|| {
                let begun = dispatcher.begin(&Call {
                    method: admitted.method,
                    version: admitted.version,
                    params: &admitted.params,
                    progress_token: None,
                    trace: trace(),
                    principal: Arc::clone(&principal),
                    abilities: admitted.abilities,
                    client: Rc::clone(&client),
                });
                matches!(begun, Ok(Begun::Answered(_) | Begun::UnderWay(_)))
            });
        });
    }
}

/// The answer to `list_entries` of twenty entries, from what the tool says to the text that is sent.
fn shaping(criterion: &mut Criterion) {
    let entries: Vec<_> = (1..=20)
        .map(|id| {
            json!({
                "id": id, "title": format!("Entry {id}"), "tagCount": 2, "isFavorite": false,
                "createdAt": "2026-01-31T08:15:30Z",
            })
        })
        .collect();
    let links = (1..=20).map(|id| Content::from(entry_link(EntryId(id), format!("Entry {id}"))));
    let answer = Answer::Tool(ToolAnswer::Done(ToolOutput {
        content: [Content::text("Found 20 entries.")]
            .into_iter()
            .chain(links)
            .collect(),
        structured: Some(Data::of(&json!({ "entries": entries })).unwrap()),
    }));
    let id = Id::parse(&to_raw_value(&1).unwrap()).unwrap();
    for version in [ProtocolVersion::V2026_07_28, ProtocolVersion::V2025_11_25] {
        criterion.bench_function(&format!("shape: list_entries, {version}"), |bencher| {
            bencher.iter(|| shape::response(&id, black_box(&answer), version).unwrap());
        });
    }
    let text = shape::response(&id, &answer, ProtocolVersion::V2025_11_25).unwrap();
    let text = String::from_utf8(text).unwrap();
    criterion.bench_function("sse: list_entries as an event", |bencher| {
        let event = sse::EventId {
            stream: 3,
            event: 7,
        };
        bencher.iter(|| sse::message(Some(event), black_box(&text)));
    });
}

/// A token that was seen within the minute: what every request but the first of a minute has.
fn authentication(criterion: &mut Criterion, server: &Server) {
    let token = server.token();
    let header = format!("Bearer {token}");
    let system = System::new();
    let auth = system.block_on(async { server.auth() });
    system.block_on(introspect(&auth, &present(&header)));
    criterion.bench_function("authenticate: a token that is known", |bencher| {
        bencher.iter(|| {
            let token = present(black_box(&header));
            system.block_on(introspect(&auth, &token))
        });
    });
}

fn present(header: &str) -> BearerToken {
    Presentation::from_authorization([header.as_bytes()].into_iter())
        .unwrap()
        .token
}

async fn introspect(auth: &AuthHandle, token: &BearerToken) -> Arc<Principal> {
    let admit = || Ok::<(), AuthError>(());
    auth.introspect(token, trace().into(), admit).await.unwrap()
}

/// Whole calls on one connection: HTTP, authentication, protocol, journal and PostgreSQL.
fn whole(criterion: &mut Criterion) {
    let server = Server::start();
    authentication(criterion, &server);
    for (title, method, name, body) in [
        ("whole call: tools/list", "tools/list", None, tools_list()),
        (
            "whole call: list_entries",
            "tools/call",
            Some("list_entries"),
            list_entries(),
        ),
    ] {
        let mut wire = Wire::connect(server.address());
        let request = wire.request(&server.token(), method, name, &body);
        assert!(wire.answer(&request).contains("\"result\""));
        criterion.bench_function(title, |bencher| {
            bencher.iter(|| wire.answer(&request).len())
        });
    }
    server.stop();
}

criterion_group!(parts, envelope, verdict, dispatch, shaping, whole);
criterion_main!(parts);
