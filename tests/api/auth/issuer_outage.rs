//! An authorization server that fails, hangs or is unreachable: never the fault of the client.

use chrono::TimeDelta;
use serde_json::json;

use super::introspection::{active, assert_outage, list};
use crate::support::{ALL, Answer, Issuer, Silence, TestApp, log_contains};

#[actix_rt::test]
async fn an_outage_is_503_and_is_over_when_it_is_over() {
    let app = TestApp::spawn();
    let (bystander, _handle) = Issuer::bystander();
    let elsewhere = format!("{}/introspect", bystander.url());
    let redirect =
        |status| Answer::Whole(status, vec![("location", elsewhere.clone())], Vec::new());
    let mut oversized = active(&app);
    oversized["padding"] = "x".repeat(70_000).into();
    let cases = [
        ("500", Answer::text(500, "oops"), "5"),
        ("502 with HTML", Answer::text(502, "<html>evil</html>"), "5"),
        (
            "our own credentials refused",
            Answer::text(401, "{\"error\":\"invalid_client\"}"),
            "5",
        ),
        ("our own rights too few", Answer::text(403, "{}"), "5"),
        ("404", Answer::text(404, "{}"), "5"),
        (
            "400 of another kind",
            Answer::text(400, "{\"error\":\"invalid_request\"}"),
            "5",
        ),
        ("201", Answer::text(201, active(&app).to_string()), "5"),
        (
            "too many requests",
            Answer::Whole(429, vec![("retry-after", "17".to_owned())], vec![]),
            "17",
        ),
        (
            "down for a while",
            Answer::Whole(503, vec![("retry-after", "9".to_owned())], vec![]),
            "9",
        ),
        (
            "down for very long",
            Answer::Whole(503, vec![("retry-after", "999999".to_owned())], vec![]),
            "300",
        ),
        (
            "a Retry-After with a date",
            Answer::Whole(
                503,
                vec![("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT".to_owned())],
                vec![],
            ),
            "5",
        ),
        ("a redirect", redirect(302), "5"),
        ("a redirect that keeps the method", redirect(307), "5"),
        ("a permanent redirect", redirect(308), "5"),
        ("oversized", Answer::json(oversized), "5"),
        ("empty", Answer::text(200, ""), "5"),
        ("not JSON", Answer::text(200, "active=true"), "5"),
        ("a list", Answer::text(200, "[false]"), "5"),
        ("a list of two", Answer::text(200, "[true, {}]"), "5"),
        (
            "not UTF-8",
            Answer::text(200, &b"{\"active\":true,\"sub\":\"\xff\"}"[..]),
            "5",
        ),
        (
            "active as text",
            Answer::json(json!({ "active": "true" })),
            "5",
        ),
        (
            "active as a number",
            Answer::json(json!({ "active": 1 })),
            "5",
        ),
        ("active missing", Answer::json(json!({ "sub": "ann" })), "5"),
        (
            "sub as a number",
            Answer::json(json!({ "active": true, "sub": 7 })),
            "5",
        ),
        (
            "scope as a list",
            Answer::json(json!({ "active": true, "sub": "a", "scope": ["x"] })),
            "5",
        ),
        ("cut off", Answer::Cut, "5"),
    ];
    let is_retryable = [
        "500",
        "502 with HTML",
        "a Retry-After with a date",
        "cut off",
    ];
    for (why, answer, retry_after) in cases {
        let token = app.token_for(answer);
        let before = app.issuer.calls();
        assert_outage(&list(&app, &token).await, retry_after, why);
        for method in ["GET", "DELETE"] {
            let ask = app
                .ask(method, "/mcp")
                .header("authorization", &format!("Bearer {token}"));
            assert_outage(&ask.send().await, retry_after, why);
        }
        // An error is not kept, what may pass is tried once more, and a good answer helps at once.
        let tries = if is_retryable.contains(&why) { 2 } else { 1 };
        assert_eq!(app.issuer.calls(), before + 3 * tries, "{why}");
        app.issuer.answer(&token, Answer::json(active(&app)));
        assert_eq!(list(&app, &token).await.status, 200, "{why}");
    }
    assert_eq!(
        (bystander.calls(), bystander.metadata_calls().len()),
        (0, 0)
    );
    assert!(log_contains("check EPICME_INTROSPECTION_CLIENT_ID"));
}

/// B-17.
#[actix_rt::test]
async fn an_issuer_that_hangs_is_an_outage_within_the_timeout() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].timeout = std::time::Duration::from_millis(150);
    });
    // Known metadata, so that what hangs is the introspection.
    assert_eq!(list(&app, &app.token("bob", ALL)).await.status, 200);
    let token = app.token_for(Answer::Hang(Box::new(Answer::json(active(&app)))));
    let began = std::time::Instant::now();
    assert_outage(&list(&app, &token).await, "5", "hangs");
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    app.issuer.release();
    assert_eq!(list(&app, &token).await.status, 200);
}

#[actix_rt::test]
async fn an_issuer_that_is_down_is_an_outage() {
    let silence = Silence::new();
    let nobody = silence.address();
    for with_metadata in [true, false] {
        let app = TestApp::spawn_with(|config| {
            if with_metadata {
                config.issuers[0].introspection_url =
                    Some(format!("http://{nobody}/introspect").parse().unwrap());
            } else {
                config.issuers[0].url = format!("http://{nobody}").parse().unwrap();
            }
        });
        let token = app.token("ann", ALL);
        assert_outage(&list(&app, &token).await, "5", "down");
        assert_eq!(app.issuer.calls(), 0);
        // What needs no token is served all the same.
        assert_eq!(
            app.get("/.well-known/oauth-protected-resource/mcp")
                .await
                .status,
            200
        );
        assert_eq!(app.get("/healthcheck").await.status, 200);
        assert_eq!(app.ask("POST", "/mcp").send().await.status, 401);
    }
}

#[actix_rt::test]
async fn what_fails_and_may_pass_is_tried_once_more_in_time() {
    let app = TestApp::spawn();
    for answer in [Answer::text(500, "oops"), Answer::Cut] {
        let good = Answer::json(active(&app));
        let token = app.token_for(Answer::First(Box::new(answer), Box::new(good)));
        let before = app.issuer.calls();
        assert_eq!(list(&app, &token).await.status, 200);
        assert_eq!(app.issuer.calls(), before + 2);
    }
}

#[actix_rt::test]
async fn an_issuer_that_fails_again_and_again_is_left_alone_and_then_probed() {
    let app = TestApp::spawn();
    let known = app.token("ann", ALL);
    assert_eq!(list(&app, &known).await.status, 200);
    let down = || app.token_for(Answer::text(404, "{}"));
    for _ in 0..5 {
        assert_outage(&list(&app, &down()).await, "5", "failing");
    }
    let before = app.issuer.calls();
    // Who is known is served on; who is not is told when to come back, and nobody is asked.
    assert_eq!(list(&app, &known).await.status, 200);
    let unknown = app.token("bob", ALL);
    assert_outage(&list(&app, &unknown).await, "5", "left alone");
    app.clock.advance(TimeDelta::seconds(4));
    assert_outage(&list(&app, &unknown).await, "1", "left alone");
    assert_eq!(app.issuer.calls(), before);
    app.clock.advance(TimeDelta::seconds(1));
    assert_outage(&list(&app, &down()).await, "5", "a probe that fails");
    assert_eq!(app.issuer.calls(), before + 1);
    assert_outage(&list(&app, &unknown).await, "10", "twice as long");
    app.clock.advance(TimeDelta::seconds(10));
    assert_eq!(
        list(&app, &unknown).await.status,
        200,
        "a probe that does not"
    );
    assert_eq!(list(&app, &app.token("cid", ALL)).await.status, 200);
}

#[actix_rt::test]
async fn in_an_outage_a_token_may_read_on_if_the_operator_says_so() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].stale = std::time::Duration::from_secs(300);
    });
    let ann = app.journal("ann");
    ann.entry("Before").await;
    let down = Answer::text(404, "{}");
    app.clock.advance(TimeDelta::seconds(61));
    app.issuer.answer(&ann.token, down.clone());
    let entries = ann.done("list_entries", json!({})).await;
    assert_eq!(entries["entries"][0]["title"], "Before");
    assert!(log_contains("may read on"));
    // Writing is neither allowed nor the client's fault.
    let arguments = json!({ "title": "t", "content": "c" });
    let write = app
        .tool(&ann.token, "create_entry", &arguments)
        .send()
        .await;
    assert_eq!(write.status, 503, "{}", write.text());
    assert_eq!(write.header("www-authenticate"), None);
    assert_eq!(
        write.json()["error"]["data"]["error"],
        "temporarily_unavailable"
    );
    app.clock.advance(TimeDelta::seconds(300));
    assert_outage(&list(&app, &ann.token).await, "5", "stale for too long");

    // The last word counts: a token that was called inactive reads nothing.
    let bob = app.token("bob", ALL);
    app.clock.advance(TimeDelta::seconds(60));
    assert_eq!(list(&app, &bob).await.status, 200);
    app.clock.advance(TimeDelta::seconds(61));
    app.issuer
        .answer(&bob, Answer::json(json!({ "active": false })));
    assert_eq!(list(&app, &bob).await.status, 401);
    app.issuer.answer(&bob, down.clone());
    app.clock.advance(TimeDelta::seconds(6));
    assert_outage(&list(&app, &bob).await, "5", "called inactive before");

    // Never past the token's end.
    let end = (app.clock.now() + TimeDelta::seconds(100)).timestamp();
    let cid = app.token_with(json!({ "sub": "cid", "exp": end }));
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(list(&app, &cid).await.status, 200);
    app.issuer.answer(&cid, down);
    app.clock.advance(TimeDelta::seconds(98));
    assert_eq!(list(&app, &cid).await.status, 200);
    app.clock.advance(TimeDelta::seconds(1));
    assert_outage(&list(&app, &cid).await, "5", "ended");
}

#[actix_rt::test]
async fn without_the_operators_word_nothing_is_read_in_an_outage() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    assert_eq!(list(&app, &token).await.status, 200);
    app.clock.advance(TimeDelta::seconds(60));
    app.issuer.answer(&token, Answer::text(404, "{}"));
    assert_outage(&list(&app, &token).await, "5", "off by default");
}
