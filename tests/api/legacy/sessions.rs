//! Legacy sessions: who may use one, how long it lives, and which rights its requests have.

use chrono::TimeDelta;
use serde_json::json;

use crate::support::{ALL, Reply, Session, TestApp, parse_challenge, tools_for};

pub(super) const REVISIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// L-05, L-06, L-23.
#[actix_rt::test]
async fn a_session_id_comes_with_initialize_alone_and_cannot_be_guessed() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let session = app.open(&token, "2025-11-25").await;
        assert_eq!(session.id.len(), 76);
        assert!(
            session.id.bytes().all(|byte| byte.is_ascii_graphic()),
            "{}",
            session.id
        );
        // Nothing has to be said before the first request.
        let reply = app.within(&session, "ping", json!({})).send().await;
        assert_eq!(reply.text(), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        assert_eq!(reply.header("mcp-session-id"), None);
        ids.insert(session.id);
    }
    assert_eq!(ids.len(), 5);
}

/// T-09, L-01, L-07, D-07, D-08, D-28.
#[actix_rt::test]
async fn without_a_session_nothing_but_initialize_is_answered() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-11-25").await;
    for method in ["tools/list", "ping", "tools/call"] {
        let ask = app
            .within(&session, method, json!({}))
            .without("mcp-session-id");
        // Without a version there is no session either.
        for ask in [ask.clone().without("mcp-protocol-version"), ask] {
            let reply = ask.send().await;
            assert_eq!(reply.error(), (400, -32600), "{method}");
            assert_eq!(reply.json()["error"]["data"]["error"], "session_required");
            assert_eq!(reply.json()["id"], 1, "{method}");
        }
    }
    let twice = app
        .within(&session, "ping", json!({}))
        .also("mcp-session-id", session.id.as_bytes());
    assert_eq!(twice.send().await.error(), (400, -32600));
    let delete = app
        .ask("DELETE", "/mcp")
        .header("authorization", &format!("Bearer {}", session.token));
    assert_eq!(delete.send().await.error(), (400, -32600));
}

/// The answers to a call and to a DELETE under this session id.
async fn knock(app: &TestApp, session: &Session) -> [Reply; 2] {
    let delete = app
        .ask("DELETE", "/mcp")
        .header("authorization", &format!("Bearer {}", session.token))
        .header("mcp-session-id", &session.id);
    [
        app.within(session, "tools/list", json!({})).send().await,
        delete.send().await,
    ]
}

/// L-08, A-16, SEC-01, D-12, PF-08.
#[actix_rt::test]
async fn every_session_that_is_not_yours_is_the_same_unknown_session() {
    let app = TestApp::spawn();
    let ann = app.token("ann", ALL);
    let session = app.open(&ann, "2025-11-25").await;
    let under = |token: String, id: &str| Session {
        id: id.to_owned(),
        version: "2025-11-25".to_owned(),
        token,
    };
    let never = under(ann.clone(), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let unknown = knock(&app, &never).await;
    assert_eq!((unknown[0].status, unknown[1].status), (404, 404));
    insta::assert_snapshot!("unknown_session", unknown[0].shown());

    let deleted = app.open(&ann, "2025-11-25").await;
    assert_eq!(knock(&app, &deleted).await[1].status, 204);
    let idle = app.open(&ann, "2025-11-25").await;
    app.clock.advance(TimeDelta::minutes(29));
    assert_eq!(
        app.within(&session, "ping", json!({})).send().await.status,
        200
    );
    app.clock.advance(TimeDelta::minutes(1));

    let other_client = app.token_with(json!({ "client_id": "other" }));
    let no_client = app.token_with(json!({ "client_id": null }));
    for (why, stranger) in [
        ("another user's", under(app.token("bob", ALL), &session.id)),
        ("another client's", under(other_client, &session.id)),
        ("a nameless client's", under(no_client, &session.id)),
        ("ended", under(ann.clone(), &deleted.id)),
        ("idle for too long", under(ann.clone(), &idle.id)),
        ("no id", under(ann.clone(), "x")),
        ("empty", under(ann.clone(), "")),
        ("too long", under(ann.clone(), &"A".repeat(10_000))),
        (
            "in other letters",
            under(ann.clone(), &session.id.to_ascii_lowercase()),
        ),
    ] {
        for (reply, unknown) in knock(&app, &stranger).await.iter().zip(&unknown) {
            assert_eq!((reply.status, &reply.body), (404, &unknown.body), "{why}");
            let names = |reply: &Reply| {
                reply
                    .headers
                    .keys()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            };
            assert_eq!(names(reply), names(unknown), "{why}");
        }
    }
    // And all that knocking did it no harm.
    assert_eq!(
        app.within(&session, "ping", json!({})).send().await.status,
        200
    );
}

/// L-08.
#[actix_rt::test]
async fn a_session_ends_after_its_lifetime_however_busy_it_is() {
    let app = TestApp::spawn();
    let ann = |app: &TestApp| app.token_with(json!({ "exp": null }));
    let session = app.open(&ann(&app), "2025-11-25").await;
    for _ in 0..71 {
        app.clock.advance(TimeDelta::minutes(20));
        assert_eq!(
            app.within(&session, "ping", json!({})).send().await.status,
            200
        );
    }
    app.clock.advance(TimeDelta::minutes(20));
    assert_eq!(
        app.within(&session, "ping", json!({})).send().await.status,
        404
    );
}

/// SEC-01.
#[actix_rt::test]
async fn a_refreshed_token_keeps_the_session_and_its_own_scopes_decide() {
    let app = TestApp::spawn();
    let mut session = app.open(&app.token("ann", ALL), "2025-11-25").await;
    for (scope, status) in [
        ("user:read", 200),
        ("entries:read", 403),
        ("user:read tags:read", 200),
    ] {
        session.token = app.token("ann", scope);
        let list = app
            .within(&session, "tools/list", json!({}))
            .send()
            .await
            .result();
        let names: Vec<_> = list["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, tools_for(scope));
        let call = app.within(&session, "tools/call", json!({ "name": "whoami" }));
        assert_eq!(call.send().await.status, status, "{scope}");
    }
}

/// P-17.
#[actix_rt::test]
async fn a_session_is_told_which_lists_are_others_under_another_token() {
    let app = TestApp::spawn();
    let all = app.token("ann", ALL);
    let mut session = app.open(&all, "2025-06-18").await;
    let mut stream = app.session_stream(&session).listen().await;
    let (tools, prompts, resources) = (
        "notifications/tools/list_changed",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
    );
    for (scope, told) in [
        // Another token that allows the same changes nothing.
        (ALL, vec![]),
        (
            "user:read entries:read entries:write tags:read",
            vec![tools],
        ),
        ("entries:read", vec![tools, prompts, resources]),
        ("entries:read", vec![]),
        (ALL, vec![tools, prompts, resources]),
    ] {
        session.token = app.token("ann", scope);
        let lists = ["tools/list", "prompts/list", "resources/list"];
        for list in lists {
            let asked = app.within(&session, list, json!({})).send().await;
            asked.result();
        }
        for method in told {
            let (_, message) = stream.message().await;
            assert_eq!(
                message,
                json!({ "jsonrpc": "2.0", "method": method, "params": {} })
            );
        }
    }
    // There was nothing else to be told of.
    app.journal("ann").tag("last").await;
    let (_, message) = stream.message().await;
    assert_eq!(message["method"], resources);
}

/// A-13.
#[actix_rt::test]
async fn a_step_up_keeps_what_was_granted() {
    let app = TestApp::spawn();
    let token = app.token("ann", "tags:read user:read something:else");
    let session = app.open(&token, "2025-11-25").await;
    let ask = app.within(
        &session,
        "tools/call",
        json!({ "name": "delete_entry", "arguments": { "id": 1 } }),
    );
    let reply = ask.send().await;
    assert_eq!(reply.status, 403);
    assert_eq!(reply.json()["id"], 1);
    let challenge = parse_challenge(reply.header("www-authenticate").unwrap()).unwrap();
    // These clients replace their scopes by those of the challenge (C5).
    assert_eq!(
        challenge.get("scope"),
        Some("user:read entries:read entries:write tags:read")
    );
}

/// T-09, L-10, L-11, D-05, D-11, D-28.
#[actix_rt::test]
async fn the_version_header_is_the_sessions_or_absent() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-06-18").await;
    let ping = || app.within(&session, "ping", json!({}));
    assert_eq!(
        ping().without("mcp-protocol-version").send().await.status,
        200
    );
    for header in ["2025-11-25", "2025-03-26", "2024-11-05", "x", ""] {
        let reply = ping().header("mcp-protocol-version", header).send().await;
        assert_eq!(reply.error(), (400, -32600), "{header}");
    }
    assert_eq!(
        ping()
            .also("mcp-protocol-version", b"2025-06-18")
            .send()
            .await
            .error(),
        (400, -32600)
    );
    // A modern header makes it a modern request, which lacks its envelope (D-05).
    let modern = ping()
        .header("mcp-protocol-version", "2026-07-28")
        .send()
        .await;
    assert_eq!(modern.error(), (400, -32602));
}

/// L-09, D-11, D-13.
#[actix_rt::test]
async fn who_opened_a_session_can_end_it_once() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-11-25").await;
    let foreign = Session {
        token: app.token("bob", ALL),
        ..session.clone()
    };
    assert_eq!(knock(&app, &foreign).await[1].status, 404);
    let delete = |header: &str| {
        app.ask("DELETE", "/mcp")
            .header("authorization", &format!("Bearer {}", session.token))
            .header("mcp-session-id", &session.id)
            .header("mcp-protocol-version", header)
    };
    assert_eq!(delete("2025-06-18").send().await.error(), (400, -32600));
    let modern = delete("2026-07-28").send().await;
    assert_eq!((modern.status, modern.header("allow")), (405, Some("POST")));
    assert_eq!(
        app.within(&session, "ping", json!({})).send().await.status,
        200
    );
    let ended = delete("2025-11-25").send().await;
    assert_eq!((ended.status, ended.body.len()), (204, 0));
    assert_eq!(delete("2025-11-25").send().await.status, 404);
    assert_eq!(
        app.within(&session, "ping", json!({})).send().await.status,
        404
    );
}

/// T-06, L-12, D-15.
#[actix_rt::test]
async fn notifications_and_responses_are_taken_within_a_session() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-11-25").await;
    for message in [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } }),
        json!({ "jsonrpc": "2.0", "method": "no/such" }),
        json!({ "jsonrpc": "2.0", "id": "s-1", "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 9, "error": { "code": -1, "message": "no" } }),
    ] {
        let ask = app
            .within(&session, "", json!({}))
            .body(message.to_string());
        let reply = ask.clone().send().await;
        assert_eq!((reply.status, reply.body.len()), (202, 0), "{message}");
        assert_eq!(
            ask.clone().without("mcp-session-id").send().await.status,
            400
        );
        assert_eq!(ask.header("mcp-session-id", "x").send().await.status, 404);
    }
}

/// SEC-11, PF-08.
#[actix_rt::test]
async fn of_too_many_sessions_of_one_user_the_longest_idle_gives_way() {
    let app = TestApp::spawn_with(|config| {
        config.sessions.as_mut().unwrap().per_user = 2.try_into().unwrap();
    });
    let (ann, bob) = (app.token("ann", ALL), app.token("bob", ALL));
    let bobs = app.open(&bob, "2025-11-25").await;
    let mut sessions = Vec::new();
    for _ in 0..2 {
        app.clock.advance(TimeDelta::seconds(1));
        sessions.push(app.open(&ann, "2025-11-25").await);
    }
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(
        app.within(&sessions[0], "ping", json!({}))
            .send()
            .await
            .status,
        200
    );
    let third = app.open(&ann, "2025-11-25").await;
    for (session, status) in [
        (&sessions[0], 200),
        (&sessions[1], 404),
        (&third, 200),
        (&bobs, 200),
    ] {
        assert_eq!(
            app.within(session, "ping", json!({})).send().await.status,
            status
        );
    }
}

/// SEC-11.
#[actix_rt::test]
async fn when_there_are_as_many_sessions_as_may_be_another_has_to_wait() {
    let app = TestApp::spawn_with(|config| {
        config.sessions.as_mut().unwrap().in_all = 2.try_into().unwrap();
    });
    let ann = app.open(&app.token("ann", ALL), "2025-11-25").await;
    app.open(&app.token("bob", ALL), "2025-11-25").await;
    let cem = app.token_with(json!({ "sub": "cem", "exp": null }));
    let full = app.initialize(&cem, "2025-11-25").send().await;
    assert_eq!(full.error(), (503, -32603));
    assert_eq!(
        (full.header("retry-after"), full.header("mcp-session-id")),
        (Some("1"), None)
    );
    assert_eq!(full.json()["id"], 1);
    // Those who are in stay in, and a place that comes free is free at once.
    assert_eq!(app.within(&ann, "ping", json!({})).send().await.status, 200);
    app.clock.advance(TimeDelta::minutes(31));
    assert_eq!(app.initialize(&cem, "2025-11-25").send().await.status, 200);
}

/// V-04, D-30.
#[actix_rt::test]
async fn the_legacy_era_can_be_switched_off() {
    let app = TestApp::spawn_with(|config| config.sessions = None);
    let token = app.token("ann", ALL);
    for (ask, requested) in [
        (app.initialize(&token, "2025-11-25"), "2025-11-25"),
        (app.initialize(&token, "2024-11-05"), "2024-11-05"),
        (
            app.post(
                &token,
                &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }),
            ),
            "none",
        ),
        (
            app.post(
                &token,
                &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }),
            )
            .header("mcp-protocol-version", "2025-06-18")
            .header("mcp-session-id", "x"),
            "2025-06-18",
        ),
    ] {
        let reply = ask.send().await;
        assert_eq!(
            (reply.status, reply.json()),
            (
                400,
                json!({ "jsonrpc": "2.0", "id": 1, "error": {
                "code": -32022,
                "message": "Unsupported protocol version",
                "data": { "supported": ["2026-07-28"], "requested": requested },
            } })
            )
        );
    }
    for method in ["GET", "DELETE"] {
        let ask = app
            .ask(method, "/mcp")
            .header("authorization", &format!("Bearer {token}"));
        let reply = ask.send().await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    }
    assert_eq!(
        app.modern(&token, "tools/list", json!({}))
            .send()
            .await
            .status,
        200
    );
}

/// L-14.
#[actix_rt::test]
async fn batches_are_not_taken_since_2025_06_18() {
    let app = TestApp::spawn();
    for version in ["2025-06-18", "2025-11-25"] {
        let session = app.open(&app.token("ann", ALL), version).await;
        let batch = json!([{ "jsonrpc": "2.0", "id": 1, "method": "ping" }]).to_string();
        let reply = app.within(&session, "", json!({})).body(batch).send().await;
        assert_eq!(reply.error(), (400, -32600));
    }
}

/// T-28, V-02, V-03, D-01, D-10.
#[actix_rt::test]
async fn both_eras_live_side_by_side() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-11-25").await;
    // A session's id on a modern request means nothing (D-10), not even if it is another user's.
    let bob = app.token("bob", ALL);
    let ask = app
        .tool(&bob, "whoami", &json!({}))
        .header("mcp-session-id", &session.id);
    let reply = ask.send().await;
    assert_eq!(
        reply.result()["structuredContent"]["user"]["subject"],
        "bob"
    );
    assert_eq!(reply.header("mcp-session-id"), None);
    // An envelope inside a session is a modern request as well.
    let ask = app
        .modern(&token, "tools/list", json!({}))
        .header("mcp-session-id", &session.id);
    assert_eq!(ask.send().await.result()["resultType"], "complete");
    assert_eq!(
        app.within(&session, "ping", json!({})).send().await.status,
        200
    );
}
