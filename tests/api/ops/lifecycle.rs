//! How the program begins and ends: before its database, with a hundred streams open, in time or not.

use std::time::{Duration, Instant};

use actix_rt::task::spawn_blocking;
use chrono::{TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{
    ALL, Answer, Issuer, MortalCluster, Program, Silence, TestDatabase, envelope, patiently,
};

const RESOURCE: &str = "http://127.0.0.1:8787/mcp";

/// A token of this user at this authorization server.
fn token(issuer: &Issuer, subject: &str) -> String {
    let token = format!("lifecycle-token-of-{subject}");
    let claims = json!({
        "active": true, "sub": subject, "client_id": "notebook", "scope": ALL, "aud": RESOURCE,
        "iss": issuer.url(), "token_type": "Bearer",
        "exp": (Utc::now() + TimeDelta::hours(1)).timestamp(),
    });
    issuer.answer(&token, Answer::json(claims));
    token
}

/// A POST to the program's `/mcp`, as its clients send it.
fn post(program: &Program, token: &str, body: &Value) -> reqwest::RequestBuilder {
    program
        .http
        .post(format!("http://{}/mcp", program.address))
        .header("host", "127.0.0.1:8787")
        .bearer_auth(token)
        .header("accept", "application/json, text/event-stream")
        .json(body)
}

fn modern(program: &Program, token: &str, method: &str, params: Value) -> reqwest::RequestBuilder {
    let mut params = params;
    params["_meta"] = envelope();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let request = post(program, token, &body)
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", method);
    match params["name"].as_str() {
        Some(name) => request.header("mcp-name", name),
        None => request,
    }
}

fn create_entry(program: &Program, token: &str, title: &str) -> reqwest::RequestBuilder {
    let arguments = json!({ "title": title, "content": "c" });
    let params = json!({ "name": "create_entry", "arguments": arguments });
    modern(program, token, "tools/call", params)
}

/// Opens the general stream of a new legacy session.
async fn legacy_stream(program: &Program, token: &str) -> reqwest::Response {
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
    } });
    let opened = post(program, token, &initialize).send().await.unwrap();
    let session = opened.headers()["mcp-session-id"].clone();
    let stream = program
        .http
        .get(format!("http://{}/mcp", program.address))
        .header("host", "127.0.0.1:8787")
        .bearer_auth(token)
        .header("accept", "text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .header("mcp-session-id", session);
    let stream = stream.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    stream
}

/// Waits until somebody in this database waits for a lock.
async fn until_somebody_waits(database: &TestDatabase) {
    let waits = "DO $$ BEGIN \
        WHILE NOT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database \
        WHERE NOT granted AND datname = current_database()) \
        LOOP PERFORM pg_sleep(0.01); END LOOP; END $$";
    let mut connection = database.connect();
    // Not on this thread: it is the one that sends what has to wait.
    spawn_blocking(move || {
        connection
            .batch_execute("SET statement_timeout = '20s'")
            .unwrap();
        connection.batch_execute(waits).unwrap();
    })
    .await
    .unwrap();
}

/// Holds the table of entries, so that nobody can write until it is dropped.
fn hold_entries(database: &TestDatabase) -> diesel::PgConnection {
    let mut holder = database.connect();
    holder
        .batch_execute("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    holder
}

/// Asks until the answer is this one; a finding may be half a second old.
async fn until_ready(program: &Program) -> Value {
    let began = Instant::now();
    loop {
        let (status, body) = program.get("/readyz").await;
        if status == 200 {
            return serde_json::from_str(&body).unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{body}");
    }
}

#[actix_rt::test]
async fn it_starts_before_its_database_and_is_ready_when_that_is_there() {
    let (issuer, server) = Issuer::bystander();
    issuer.serves().await;
    let mut cluster = MortalCluster::new("before", true);
    cluster.die();
    let url = cluster.url.clone();
    let mut program = Program::serve(&[
        ("DATABASE_URL", url.expose_secret()),
        ("EPICME_ISSUER", issuer.url()),
    ]);
    let told = program.says("waiting for the database: connection to server");
    assert!(
        told.contains("no PostgreSQL has its socket there"),
        "{told}"
    );
    program.says("the authorization server answers");
    let (status, body) = program.get("/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({
            "status": "not_ready",
            "error": "temporarily_unavailable",
            "error_description": "A part that every request needs does not answer",
            "journal": "unavailable",
            "introspection": "ok",
            "revocations": "unavailable",
            "issuers": [{ "issuer": issuer.url(), "circuit": "closed", "asked": "ok" }],
        })
    );
    assert_eq!(program.get("/livez").await, (200, "OK".to_owned()));
    let unhealthy = program.healthcheck(&[]);
    assert_eq!(unhealthy.status.code(), Some(1));
    let said = String::from_utf8(unhealthy.stderr).unwrap();
    assert!(said.contains("the server answers 503"), "{said}");
    let token = token(&issuer, "ann");
    let refused = create_entry(&program, &token, "early")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "5");

    cluster.come_back();
    program.says("the database is there, and its schema is up to date");
    let report = until_ready(&program).await;
    assert_eq!(
        (&report["status"], &report["journal"]),
        (&json!("ready"), &json!("ok"))
    );
    let healthy = program.healthcheck(&[]);
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
    let written = create_entry(&program, &token, "late").send().await.unwrap();
    assert_eq!(written.status(), 200);
    program.signal("TERM");
    let (code, said) = program.ends();
    assert_eq!(code, 0, "{said}");
    server.stop(false).await;
}

#[actix_rt::test]
async fn a_database_that_comes_without_its_migrations_stops_it() {
    let mut cluster = MortalCluster::new("behind", false);
    cluster.die();
    let url = cluster.url.clone();
    let mut program = Program::serve(&[("DATABASE_URL", url.expose_secret())]);
    program.says("waiting for the database");
    cluster.come_back();
    let (code, said) = program.ends();
    assert_eq!(code, 69, "{said}");
    assert!(
        said.contains("run `epicme migrate`, or set EPICME_MIGRATE=on"),
        "{said}"
    );
}

#[actix_rt::test]
async fn or_has_them_run_if_it_may() {
    let (issuer, server) = Issuer::bystander();
    let mut cluster = MortalCluster::new("migrating", false);
    cluster.die();
    let url = cluster.url.clone();
    let mut program = Program::serve(&[
        ("DATABASE_URL", url.expose_secret()),
        ("EPICME_ISSUER", issuer.url()),
        ("EPICME_MIGRATE", "on"),
    ]);
    program.says("waiting for the database");
    cluster.come_back();
    program.says("the database is there, and its schema is up to date");
    until_ready(&program).await;
    server.stop(false).await;
}

#[actix_rt::test]
async fn nobody_is_healthy_where_nobody_listens() {
    let silence = Silence::new();
    let nobody = silence.address().to_string();
    let asked = crate::support::epicme(&["healthcheck", "--bind", &nobody], &[]).output();
    let asked = asked.unwrap();
    assert_eq!(asked.status.code(), Some(1));
    let said = String::from_utf8(asked.stderr).unwrap();
    assert_eq!(said, format!("epicme: {nobody} gives no answer\n"));
}

#[actix_rt::test]
async fn told_to_stop_it_ends_a_hundred_streams_in_order_and_does_what_was_accepted() {
    let (issuer, server) = Issuer::bystander();
    let database = TestDatabase::new();
    let mut program = Program::serve(&[
        ("DATABASE_URL", database.url.expose_secret()),
        ("EPICME_ISSUER", issuer.url()),
        ("EPICME_DRAIN_TIMEOUT", "10s"),
    ]);
    let token = token(&issuer, "ann");
    let mut modern_streams = Vec::new();
    let mut legacy_streams = Vec::new();
    for at in 0..50 {
        let filter = json!({ "notifications": { "resourcesListChanged": true } });
        let stream = modern(&program, &token, "subscriptions/listen", filter);
        let mut stream = stream.send().await.unwrap();
        assert_eq!(stream.status(), 200);
        let first = patiently(stream.chunk()).await.unwrap().unwrap();
        assert!(
            str::from_utf8(&first).unwrap().contains("acknowledged"),
            "{at}"
        );
        modern_streams.push(stream);
        legacy_streams.push(legacy_stream(&program, &token).await);
    }
    let mut holder = hold_entries(&database);
    let writing = actix_rt::spawn(create_entry(&program, &token, "accepted").send());
    until_somebody_waits(&database).await;

    let told = Instant::now();
    program.signal("TERM");
    program.says("stopping");
    let modern_ends = join_all(
        modern_streams
            .into_iter()
            .map(|stream| patiently(stream.text())),
    );
    for end in modern_ends.await {
        // A whole body: the stream ended, and did not break off.
        let end = end.unwrap();
        let data = end
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("data: "));
        let message: Value = serde_json::from_str(data.expect("a last message")).unwrap();
        assert_eq!(message["id"], 1, "{message}");
        assert_eq!(message["result"]["resultType"], "complete", "{message}");
    }
    let legacy_ends = join_all(
        legacy_streams
            .into_iter()
            .map(|stream| patiently(stream.text())),
    );
    for end in legacy_ends.await {
        end.unwrap();
    }
    holder.batch_execute("COMMIT").unwrap();
    let written = patiently(writing).await.unwrap().unwrap();
    assert_eq!(written.status(), 200);
    let (code, said) = program.ends();
    assert_eq!(code, 0, "{said}");
    assert!(
        told.elapsed() < Duration::from_secs(10),
        "{:?}",
        told.elapsed()
    );
    assert_eq!(database.count("entries WHERE title = 'accepted'"), 1);
    server.stop(false).await;
}

#[actix_rt::test]
async fn what_does_not_end_in_time_is_given_up_and_said() {
    let (issuer, server) = Issuer::bystander();
    let database = TestDatabase::new();
    for second_signal in [false, true] {
        let mut program = Program::serve(&[
            ("DATABASE_URL", database.url.expose_secret()),
            ("EPICME_ISSUER", issuer.url()),
            (
                "EPICME_DRAIN_TIMEOUT",
                if second_signal { "1h" } else { "300ms" },
            ),
        ]);
        let token = token(&issuer, "ann");
        let holder = hold_entries(&database);
        let writing = actix_rt::spawn(create_entry(&program, &token, "late").send());
        until_somebody_waits(&database).await;
        program.signal("TERM");
        if second_signal {
            program.says("stopping");
            program.signal("TERM");
        }
        let (code, said) = program.ends();
        assert_eq!(code, 75, "{said}");
        let reason = if second_signal {
            "epicme: received a second stop signal"
        } else {
            "epicme: shutdown timed out after 300 ms; in-flight work was abandoned"
        };
        assert!(said.contains(reason), "{said}");
        drop(holder);
        // It never had an answer: the connection broke.
        assert!(patiently(writing).await.unwrap().is_err());
    }
    server.stop(false).await;
}

#[actix_rt::test]
async fn it_says_that_it_is_not_ready_before_it_turns_anybody_away() {
    let (issuer, server) = Issuer::bystander();
    let database = TestDatabase::new();
    let mut program = Program::serve(&[
        ("DATABASE_URL", database.url.expose_secret()),
        ("EPICME_ISSUER", issuer.url()),
        ("EPICME_DRAIN_DELAY", "3s"),
    ]);
    let token = token(&issuer, "ann");
    until_ready(&program).await;
    let before = create_entry(&program, &token, "before").send().await;
    assert_eq!(before.unwrap().headers().get("connection"), None);
    program.signal("TERM");
    program.says("stopping");
    let (status, body) = program.get("/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({
            "status": "draining",
            "error": "temporarily_unavailable",
            "error_description": "The server is stopping",
        })
    );
    let written = create_entry(&program, &token, "meanwhile")
        .send()
        .await
        .unwrap();
    assert_eq!(written.status(), 200);
    // Its client is not to send the next request over this connection.
    assert_eq!(written.headers()["connection"], "close");
    let (code, said) = program.ends();
    assert_eq!(code, 0, "{said}");
    server.stop(false).await;
}
