//! The database out of reach, clients that leave, floods: bounded, honest, and over when it is over.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use secrecy::ExposeSecret;
use serde_json::json;

use super::users_share::SHARE_USED_UP;
use crate::support::{ALL, Reply, TestApp, TestDatabase, envelope, header_lines, new_cluster};

fn assert_unavailable(reply: &Reply, wait: &str, said: &str) {
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(reply.header("retry-after"), Some(wait));
    assert_eq!(
        reply.json(),
        json!({ "jsonrpc": "2.0", "id": 1, "error": {
            "code": -32603,
            "message": said,
            "data": { "error": "temporarily_unavailable", "error_description": said, "request_id": "[request id]" },
        } })
    );
}

const NO_JOURNAL: &str = "The journal cannot be reached at the moment; try again later";

#[actix_rt::test]
async fn without_its_database_the_server_says_so_and_serves_what_needs_none() {
    let mut cluster = Some(new_cluster());
    cluster.as_ref().unwrap().create_database("epicme").unwrap();
    let url = cluster.as_ref().unwrap().url("epicme");
    epicme::storage::migrate(&url).unwrap();
    let app = TestApp::spawn_with(|config| config.database.url = url);
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-11-25").await;
    let arguments = json!({ "title": "t", "content": "c" });
    assert_eq!(
        app.tool(&token, "create_entry", &arguments)
            .send()
            .await
            .status,
        200
    );
    cluster.take().unwrap().stop().unwrap();
    for tool in ["create_entry", "list_entries"] {
        let arguments = if tool == "create_entry" {
            arguments.clone()
        } else {
            json!({})
        };
        let began = Instant::now();
        let modern = app.tool(&token, tool, &arguments).send().await;
        assert_unavailable(&modern, "5", NO_JOURNAL);
        let call = json!({ "name": tool, "arguments": arguments });
        let legacy = app.within(&session, "tools/call", call).send().await;
        assert_unavailable(&legacy, "5", NO_JOURNAL);
        assert!(
            began.elapsed() < Duration::from_secs(15),
            "{tool} {:?}",
            began.elapsed()
        );
    }
    assert_eq!(
        app.tool(&token, "whoami", &json!({})).send().await.status,
        200
    );
    assert_eq!(
        app.modern(&token, "tools/list", json!({}))
            .send()
            .await
            .status,
        200
    );
    assert_eq!(app.get("/healthcheck").await.status, 200);
}

#[actix_rt::test]
async fn when_the_database_is_back_so_is_the_journal() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let entry = ann.entry("One").await;
    let url = app.database.url.expose_secret();
    let name = url.rsplit('/').next().unwrap();
    let elsewhere = TestDatabase::new();
    let cut =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    // A read that meets a cut connection is tried again on a fresh one.
    elsewhere.execute(&cut).unwrap();
    ann.done("get_entry", json!({ "id": entry })).await;
    // Every connection is cut, and none is let in.
    let allow = |yes: bool| format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {yes}");
    elsewhere.execute(&allow(false)).unwrap();
    elsewhere.execute(&cut).unwrap();
    for _ in 0..2 {
        let reply = app
            .tool(&ann.token, "get_entry", &json!({ "id": entry }))
            .send()
            .await;
        assert_unavailable(&reply, "5", NO_JOURNAL);
    }
    elsewhere.execute(&allow(true)).unwrap();
    // Each try waits for a connection by itself.
    for attempt in 0.. {
        let reply = app
            .tool(&ann.token, "get_entry", &json!({ "id": entry }))
            .send()
            .await;
        if reply.status == 200 {
            break;
        }
        assert!(attempt < 10, "it recovers: {}", reply.text());
    }
    ann.entry("Two").await;
}

#[actix_rt::test]
async fn a_write_is_done_even_if_its_client_leaves() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    ann.entry("warm").await;
    let mut blocker = app.database.connect();
    blocker
        .batch_execute("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "_meta": envelope(), "name": "create_entry", "arguments": { "title": "kept", "content": "c" },
    } })
    .to_string();
    let mut wire = app.wire();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\n{}mcp-protocol-version: 2026-07-28\r\n\
         mcp-method: tools/call\r\nmcp-name: create_entry\r\ncontent-length: {}\r\n\r\n{body}",
        header_lines(&ann.token),
        body.len()
    ));
    // The write waits for the lock, so it has been accepted; now its client leaves.
    let mut waiting = app.database.connect();
    let waits = "DO $$ BEGIN \
        WHILE NOT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database \
        WHERE NOT granted AND datname = current_database()) \
        LOOP PERFORM pg_sleep(0.01); END LOOP; END $$";
    waiting.batch_execute(waits).unwrap();
    wire.cut();
    blocker.batch_execute("COMMIT").unwrap();
    let found = "DO $$ BEGIN \
        WHILE NOT EXISTS (SELECT FROM entries WHERE title = 'kept') LOOP PERFORM pg_sleep(0.01); END LOOP; END $$";
    waiting
        .batch_execute("SET statement_timeout = '20s'")
        .unwrap();
    waiting.batch_execute(found).unwrap();
}

/// SEC-11.
#[actix_rt::test]
async fn a_body_without_end_is_refused_where_it_gets_too_long() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let mut wire = app.wire();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\n{}transfer-encoding: chunked\r\n\r\n",
        header_lines(&token)
    ));
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    // 2 MiB are 32 chunks.
    for _ in 0..33 {
        wire.send(&chunk);
    }
    let answer = wire.read_some();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(wire.ends_while_sending(&chunk));
}

#[actix_rt::test]
async fn no_refusal_lets_a_body_go_on_for_ever() {
    let app = TestApp::spawn();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    for (line, host, status) in [
        ("POST /mcp", "journal.example", 401),
        ("DELETE /mcp", "journal.example", 401),
        ("GET /mcp", "journal.example", 401),
        ("PUT /mcp", "journal.example", 405),
        ("POST /mcp", "elsewhere.example", 421),
        ("POST /", "journal.example", 405),
        ("POST /nowhere", "journal.example", 404),
    ] {
        let mut wire = app.wire();
        wire.send(format!(
            "{line} HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n{chunk}"
        ));
        let answer = wire.read_some();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{line}: {answer}"
        );
        assert!(wire.ends_while_sending(&chunk), "{line} to {host}");
    }
}

#[actix_rt::test]
async fn a_body_that_is_announced_too_long_is_not_read() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let answer = app.exchange(format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\n{}content-length: 2097153\r\n\r\n",
        header_lines(&token)
    ));
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[actix_rt::test]
async fn a_body_that_breaks_off_costs_nobody_anything() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for _ in 0..20 {
        let mut wire = app.wire();
        wire.send(format!(
            "POST /mcp HTTP/1.1\r\nhost: journal.example\r\n{}content-length: 1000\r\n\r\n{{",
            header_lines(&token)
        ));
        wire.cut();
    }
    assert_eq!(
        app.modern(&token, "tools/list", json!({}))
            .send()
            .await
            .status,
        200
    );
}

/// SEC-11.
#[actix_rt::test]
async fn hundreds_at_once_are_answered_or_told_to_come_back() {
    // More than a user may have in flight otherwise.
    let app = TestApp::spawn_with(|config| {
        config.http.memory.requests_per_user = 1_000.try_into().unwrap();
    });
    let ann = app.journal("ann");
    ann.entry("One").await;
    let asks = (0..300).map(|i| {
        let arguments =
            json!({ "title": format!("{i}"), "content": "c", "idempotencyKey": format!("{i}") });
        match i % 3 {
            0 => app.tool(&ann.token, "create_entry", &arguments),
            1 => app.tool(&ann.token, "list_entries", &json!({})),
            _ => app.modern(&ann.token, "tools/list", json!({})),
        }
        .send()
    });
    let replies = futures_util::future::join_all(asks).await;
    let mut written = 1;
    for (i, reply) in replies.iter().enumerate() {
        match reply.status {
            200 => written += i64::from(i % 3 == 0),
            503 => {
                assert_eq!(reply.header("retry-after"), Some("1"));
                let said = reply.json()["error"]["message"].clone();
                assert!(
                    said == "The server is busy; try again soon" || said == SHARE_USED_UP,
                    "{said}"
                );
                assert_eq!(reply.json()["id"], 1);
            }
            other => panic!("{other}: {}", reply.text()),
        }
    }
    // What was said to be written was, and nothing else.
    assert_eq!(app.database.count("entries"), written);
    ann.entry("after the flood").await;
}

/// S-09, SEC-11.
#[actix_rt::test]
async fn a_queue_that_is_full_is_said_to_be_busy_at_once() {
    let app = TestApp::spawn_with(|config| config.database.pool = 1.try_into().unwrap());
    let ann = app.journal("ann");
    ann.entry("warm").await;
    let mut blocker = app.database.connect();
    blocker
        .batch_execute("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    // Of each user a third of the places.
    let tokens = ["ann", "bob", "cid", "dan"].map(|name| app.token(name, ALL));
    let asks = (0..120).map(|i| app.tool(&tokens[i % 4], "list_entries", &json!({})).send());
    let mut waiting: futures_util::stream::FuturesUnordered<_> = asks.collect();
    let first = futures_util::StreamExt::next(&mut waiting).await.unwrap();
    assert_unavailable(&first, "1", "The server is busy; try again soon");
    blocker.batch_execute("COMMIT").unwrap();
    let rest: Vec<Reply> = futures_util::StreamExt::collect(waiting).await;
    assert!(rest.iter().any(|reply| reply.status == 200));
    assert!(rest.iter().all(|reply| [200, 503].contains(&reply.status)));
}
