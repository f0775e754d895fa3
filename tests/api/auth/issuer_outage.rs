//! An authorization server that fails, hangs or is unreachable: never the fault of the client.

use chrono::TimeDelta;
use serde_json::json;

use super::introspection::{active, assert_outage, list};
use crate::support::{ALL, Answer, Reply, Silence, TestApp, lines_with, log_contains};

#[actix_rt::test]
async fn an_outage_is_503_and_is_over_when_it_is_over() {
    let app = TestApp::spawn();
    let at = |seconds| {
        let date = app.clock.now() + TimeDelta::seconds(seconds);
        date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    let down =
        |retry_after: String| Answer::Whole(503, vec![("retry-after", retry_after)], Vec::new());
    for (why, answer, retry_after, tries) in [
        (
            "502 with HTML",
            Answer::text(502, "<html>evil</html>"),
            "5",
            2,
        ),
        ("503", Answer::text(503, ""), "5", 2),
        ("504", Answer::text(504, ""), "5", 2),
        ("down for a while", down("9".to_owned()), "9", 1),
        ("down for very long", down("999999".to_owned()), "300", 1),
        ("down until then", down(at(17)), "17", 1),
        ("down until long ago", down(at(-17)), "5", 2),
    ] {
        let token = app.token_for(answer);
        let before = app.issuer.calls();
        assert_outage(&list(&app, &token).await, retry_after, why);
        for method in ["GET", "DELETE"] {
            let ask = app
                .ask(method, "/mcp")
                .header("authorization", &format!("Bearer {token}"));
            assert_outage(&ask.send().await, retry_after, why);
        }
        // An outage is not kept, what may pass is tried once more, and a good answer helps at once.
        assert_eq!(app.issuer.calls(), before + 3 * tries, "{why}");
        app.issuer.answer(&token, Answer::json(active(&app)));
        assert_eq!(list(&app, &token).await.status, 200, "{why}");
    }
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

/// A server behind a proxy that tells it where its clients are.
fn proxied() -> TestApp {
    TestApp::spawn_with(|config| {
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
}

/// A request from a client there.
async fn list_from(app: &TestApp, source: usize, token: &str) -> Reply {
    app.modern(token, "tools/list", json!({}))
        .header("x-forwarded-for", &format!("203.0.113.{source}"))
        .send()
        .await
}

/// Status 503, without a second try.
fn down() -> Answer {
    Answer::Whole(503, vec![("retry-after", "0".to_owned())], Vec::new())
}

#[actix_rt::test]
async fn an_issuer_that_fails_again_and_again_is_left_alone_and_then_probed() {
    let app = proxied();
    let known = app.token("ann", ALL);
    assert_eq!(list(&app, &known).await.status, 200);
    app.issuer.answer_others(|_| down());
    for source in 0..5 {
        let failing = list_from(&app, source, &app.token_for(down())).await;
        assert_outage(&failing, "1", "failing");
    }
    // Strangers alone failed, so it is probed at once, about a random token.
    let unknown = app.token("bob", ALL);
    let before = app.issuer.calls();
    assert_outage(&list(&app, &unknown).await, "1", "a probe that fails");
    assert_eq!(app.issuer.calls(), before + 1);
    let before = app.issuer.calls();
    // Who is known is served on; who is not is told when to come back, and nobody is asked.
    assert_eq!(list(&app, &known).await.status, 200);
    assert_outage(&list(&app, &unknown).await, "5", "left alone");
    app.clock.advance(TimeDelta::seconds(4));
    assert_outage(&list(&app, &unknown).await, "1", "left alone");
    assert_eq!(app.issuer.calls(), before);
    // Once in five seconds it is asked about a random token; the others wait.
    for probes in 1..=20 {
        app.clock
            .advance(TimeDelta::seconds(if probes == 1 { 1 } else { 5 }));
        assert_outage(&list(&app, &unknown).await, "1", "a probe that fails");
        assert_outage(&list(&app, &unknown).await, "5", "left alone");
        assert_eq!(app.issuer.calls(), before + probes);
    }
    let seen = app.issuer.seen();
    let random: Vec<_> = seen[before..]
        .iter()
        .map(|seen| seen.said("token"))
        .collect();
    assert!(!random.contains(&Some(&unknown)));
    assert_ne!(random[0], random[1]);
    // It is back, and asked within five seconds of that.
    app.issuer
        .answer_others(|_| Answer::json(json!({ "active": false })));
    app.clock.advance(TimeDelta::seconds(5));
    assert_eq!(list(&app, &unknown).await.status, 200);
    assert_eq!(list(&app, &app.token("cid", ALL)).await.status, 200);
    let issuer = format!("issuer={}", app.issuer.url());
    let lines = |text| {
        let lines = lines_with(text).into_iter();
        lines.filter(|line| line.contains(&issuer)).count()
    };
    assert_eq!(
        (lines("the circuit is open"), lines("the circuit is closed")),
        (1, 1)
    );
}

#[actix_rt::test]
async fn a_probe_is_answered_by_any_whole_reply() {
    for answer in [
        Answer::text(400, "{}"),
        Answer::text(401, "{}"),
        Answer::text(403, "<html>"),
        Answer::text(500, ""),
        Answer::text(200, "nonsense"),
        Answer::Cut,
        Answer::text(429, ""),
    ] {
        let app = proxied();
        for source in 0..5 {
            let token = app.token_for(down());
            assert_eq!(list_from(&app, source, &token).await.status, 503);
        }
        app.issuer.answer_others(|_| down());
        let good = app.token("ann", ALL);
        assert_eq!(list(&app, &good).await.status, 503);
        app.issuer.answer_others(move |_| answer.clone());
        assert_eq!(list(&app, &good).await.status, 503);
        app.clock.advance(TimeDelta::seconds(5));
        assert_eq!(list(&app, &good).await.status, 200);
    }
}

#[actix_rt::test]
async fn errors_for_tokens_that_were_good_open_the_circuit() {
    let app = TestApp::spawn();
    let tokens: Vec<_> = (0..6)
        .map(|n| app.token(&format!("user-{n}"), ALL))
        .collect();
    for token in &tokens {
        assert_eq!(list(&app, token).await.status, 200);
    }
    app.clock.advance(TimeDelta::seconds(61));
    let failing = || Answer::Whole(500, vec![("retry-after", "0".to_owned())], Vec::new());
    for token in &tokens[..5] {
        app.issuer.answer(token, failing());
        assert_outage(&list(&app, token).await, "5", "500");
    }
    let before = app.issuer.calls();
    assert_outage(&list(&app, &tokens[5]).await, "5", "open");
    assert_outage(&list(&app, &app.token("new", ALL)).await, "5", "open");
    assert_eq!(app.issuer.calls(), before);
    app.clock.advance(TimeDelta::seconds(5));
    assert_eq!(list(&app, &tokens[5]).await.status, 200);
}

#[actix_rt::test]
async fn tokens_that_sources_choose_together_keep_nobody_elses_out() {
    let app = TestApp::spawn_with(|config| {
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.issuers[0].timeout = std::time::Duration::from_millis(150);
    });
    let known = app.token("ann", ALL);
    assert_eq!(list(&app, &known).await.status, 200);
    app.clock.advance(TimeDelta::seconds(61));
    let hangs = || Answer::Hang(Box::new(Answer::text(200, "late")));
    for (kind, answer) in [("500", Answer::text(500, "")), ("hangs", hangs())] {
        for round in 0..3 {
            for source in 0..6 {
                let token = app.token_for(answer.clone());
                let source = 10 * round + source;
                assert_eq!(list_from(&app, source, &token).await.status, 503, "{kind}");
            }
            let before = app.issuer.calls();
            let new = app.token(&format!("{kind}-{round}"), ALL);
            assert_eq!(
                list_from(&app, 200 + round, &new).await.status,
                200,
                "{kind}"
            );
            assert!(app.issuer.calls() > before, "{kind}");
            app.clock.advance(TimeDelta::seconds(61));
            assert_eq!(list(&app, &known).await.status, 200, "{kind}");
        }
    }
    app.issuer.release();
}

#[actix_rt::test]
async fn in_an_outage_a_token_may_read_on_if_the_operator_says_so() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].stale = std::time::Duration::from_secs(300);
    });
    let ann = app.journal("ann");
    ann.entry("Before").await;
    let down = down();
    app.clock.advance(TimeDelta::seconds(61));
    app.issuer.answer(&ann.token, down.clone());
    let entries = ann.done("list_entries", json!({})).await;
    assert_eq!(entries["entries"][0]["title"], "Before");
    assert!(log_contains("serving a stale token read-only"));
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
    assert_outage(&list(&app, &ann.token).await, "1", "stale for too long");

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
    assert_outage(&list(&app, &bob).await, "1", "called inactive before");

    // Never past the token's end.
    let end = (app.clock.now() + TimeDelta::seconds(100)).timestamp();
    let cid = app.token_with(json!({ "sub": "cid", "exp": end }));
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(list(&app, &cid).await.status, 200);
    app.issuer.answer(&cid, down);
    app.clock.advance(TimeDelta::seconds(98));
    assert_eq!(list(&app, &cid).await.status, 200);
    app.clock.advance(TimeDelta::seconds(1));
    assert_outage(&list(&app, &cid).await, "1", "ended");
}

#[actix_rt::test]
async fn without_the_operators_word_nothing_is_read_in_an_outage() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    assert_eq!(list(&app, &token).await.status, 200);
    app.clock.advance(TimeDelta::seconds(60));
    app.issuer.answer(&token, down());
    assert_outage(&list(&app, &token).await, "1", "off by default");
}
