//! What an authorization server says about one token is a fact about that token: whatever it is, others get
//! in, and a source that brings nothing but such tokens is held to its limit.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use epicme::config::{Config, Verification};
use futures_util::{
    StreamExt,
    future::{join, join_all},
    stream::FuturesUnordered,
};
use resource_server::issuer::ClientAuthenticationMethod;
use serde_json::json;

use super::introspection::{active, assert_outage, list};
use crate::support::{
    ALL, Answer, Issuer, Reply, SecretFile, TestApp, asked_about, lines_with, patiently,
};

/// A server behind a proxy that tells it where its clients are.
fn proxied(edit: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::spawn_with(|config| {
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        edit(config);
    })
}

async fn list_from(app: &TestApp, source: usize, token: &str) -> Reply {
    app.modern(token, "tools/list", json!({}))
        .header("x-forwarded-for", &format!("203.0.113.{source}"))
        .send()
        .await
}

fn limited(retry_after: impl Into<String>) -> Answer {
    Answer::Whole(429, vec![("retry-after", retry_after.into())], Vec::new())
}

/// A JWT of the issuer that nobody signed.
fn made_up(app: &TestApp, number: usize) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "alg": "ES256", "kid": "../../etc/passwd", "typ": "at+jwt" }));
    let claims = part(json!({ "iss": app.issuer.url(), "sub": "ann", "jti": number }));
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 64]))
}

/// What real servers and what stands before them answer to an odd token, and some that none did yet.
fn odd(app: &TestApp) -> Vec<(&'static str, Answer)> {
    let with = |name: &str, value: serde_json::Value| {
        let mut reply = active(app);
        reply[name] = value;
        Answer::json(reply)
    };
    vec![
        (
            "a request that it cannot read",
            Answer::text(400, "{\"error\":\"invalid_request\"}"),
        ),
        (
            "our own credentials refused",
            Answer::text(401, "{\"error\":\"invalid_client\"}"),
        ),
        ("a firewall", Answer::text(403, "<html>blocked</html>")),
        ("nothing there", Answer::text(404, "{}")),
        ("another status", Answer::text(418, "")),
        ("201", Answer::text(201, active(app).to_string())),
        (
            "a failure, as Better Auth has it for a forged JWT",
            Answer::text(500, ""),
        ),
        ("not implemented", Answer::text(501, "")),
        ("an error of a content network", Answer::text(520, "")),
        (
            "a reply over 1 MiB",
            with("groups", json!("x".repeat(1024 * 1024))),
        ),
        ("empty", Answer::text(200, "")),
        ("not JSON", Answer::text(200, "active=true")),
        ("HTML", Answer::text(200, "<html></html>")),
        ("a list", Answer::text(200, "[false]")),
        ("a list of two", Answer::text(200, "[true, {}]")),
        (
            "not UTF-8",
            Answer::text(200, &b"{\"active\":true,\"sub\":\"\xff\"}"[..]),
        ),
        ("active as text", Answer::json(json!({ "active": "true" }))),
        ("active as a number", Answer::json(json!({ "active": 1 }))),
        ("active missing", Answer::json(json!({ "sub": "ann" }))),
        ("sub as a number", with("sub", json!(7))),
        ("scope as a number", with("scope", json!(7))),
        ("scope as an array of numbers", with("scope", json!([7]))),
        ("exp as text", with("exp", json!("1911733200"))),
        ("broken off", Answer::Cut),
        (
            "broken off after the JSON",
            Answer::CutAfter(active(app).to_string().into_bytes()),
        ),
    ]
}

#[actix_rt::test]
async fn an_odd_answer_is_remembered_for_its_token_and_says_nothing_of_others() {
    let app = TestApp::spawn();
    let (bystander, _handle) = Issuer::bystander();
    let elsewhere = format!("{}/introspect", bystander.url());
    let redirect =
        |status| Answer::Whole(status, vec![("location", elsewhere.clone())], Vec::new());
    let mut cases = odd(&app);
    cases.extend([
        ("a redirect", redirect(302)),
        ("a redirect that keeps the method", redirect(307)),
        ("a permanent redirect", redirect(308)),
    ]);
    for (why, answer) in cases {
        let token = app.token_for(answer);
        assert_outage(&list(&app, &token).await, "5", why);
        let before = app.issuer.calls();
        for method in ["GET", "DELETE"] {
            let ask = app
                .ask(method, "/mcp")
                .header("authorization", &format!("Bearer {token}"));
            assert_outage(&ask.send().await, "5", why);
        }
        app.issuer.answer(&token, Answer::json(active(&app)));
        app.clock.advance(TimeDelta::milliseconds(4_500));
        assert_outage(&list(&app, &token).await, "1", why);
        assert_eq!(app.issuer.calls(), before, "{why}");
        assert_eq!(
            list(&app, &app.token("bob", ALL)).await.status,
            200,
            "{why}"
        );
        app.clock.advance(TimeDelta::milliseconds(500));
        assert_eq!(list(&app, &token).await.status, 200, "{why}");
    }
    assert!(bystander.saw_nothing());
    // Few lines, and none about an open circuit.
    let issuer = format!("issuer={}", app.issuer.url());
    let lines = lines_with("could not be checked").into_iter();
    let lines = lines.filter(|line| line.contains(&issuer)).count();
    assert!((1..=20).contains(&lines), "{lines}");
    let opened = lines_with("the circuit is open").into_iter();
    assert_eq!(opened.filter(|line| line.contains(&issuer)).count(), 0);
}

#[actix_rt::test]
async fn an_odd_answer_uses_up_the_limit_of_its_source() {
    let app = proxied(|config| {
        config.http.limits.unknown_tokens = Some(5.try_into().unwrap());
    });
    for _ in 0..5 {
        let token = app.token_for(Answer::text(500, ""));
        assert_eq!(list_from(&app, 1, &token).await.status, 503);
    }
    let calls = app.issuer.calls();
    let token = app.token_for(Answer::text(500, ""));
    assert_eq!(list_from(&app, 1, &token).await.status, 429);
    assert_eq!(app.issuer.calls(), calls);
    let good = app.token("ann", ALL);
    assert_eq!(list_from(&app, 2, &good).await.status, 200);
    // A token that was good is asked about again although its source has used up its limit.
    app.clock.advance(TimeDelta::seconds(61));
    for n in 0..5 {
        let refused = list_from(&app, 2, &format!("nobodys-token-{n}")).await;
        assert_eq!(refused.status, 401);
    }
    assert_eq!(list_from(&app, 2, "nobodys-token-5").await.status, 429);
    let calls = app.issuer.calls();
    assert_eq!(list_from(&app, 2, &good).await.status, 200);
    assert_eq!(app.issuer.calls(), calls + 1);
}

/// How many of the others get in with a fresh token each, while one source sends a hundred made-up tokens a second, by
/// the clock of the server; and what that source is answered.
async fn good_beside_an_attack(app: &TestApp, others: usize) -> (usize, Vec<u16>) {
    let (mut good, mut seen, mut number) = (0, Vec::new(), 0);
    for n in 0..others {
        app.clock.advance(TimeDelta::milliseconds(200));
        let made_up = Vec::from_iter((0..20).map(|_| {
            number += 1;
            made_up(app, number)
        }));
        let attack = join_all(made_up.iter().map(|token| list_from(app, 200, token)));
        let token = app.token(&format!("user-{n}"), ALL);
        let (replies, other) = join(attack, list_from(app, n, &token)).await;
        good += usize::from(other.status == 200);
        seen.extend(replies.iter().map(|reply| reply.status));
    }
    (good, seen)
}

/// The attack that this server fell to: one source, and nobody else got in.
#[actix_rt::test]
async fn eighty_eight_fresh_good_tokens_get_in_beside_a_hundred_made_up_ones_a_second() {
    for has_limit in [true, false] {
        let app = proxied(|config| {
            let limit = has_limit.then(|| 60.try_into().unwrap());
            config.http.limits.unknown_tokens = limit;
        });
        app.issuer.answer_others(|_| Answer::text(500, ""));
        let (good, seen) = good_beside_an_attack(&app, 88).await;
        assert_eq!((good, seen.len()), (88, 88 * 20));
        assert!(seen.iter().all(|status| [503, 429].contains(status)));
        assert_eq!(seen.contains(&429), has_limit);
    }
}

#[actix_rt::test]
async fn a_source_that_brings_odd_tokens_keeps_nobody_out() {
    let app = proxied(|_| ());
    let mut answers = odd(&app);
    answers.extend([
        ("rate limited", limited("30")),
        ("bad gateway", Answer::text(502, "")),
        ("unavailable", Answer::text(503, "")),
        ("gateway timeout", Answer::text(504, "")),
    ]);
    for (why, answer) in answers {
        app.issuer.answer_others(move |_| answer.clone());
        let (good, seen) = good_beside_an_attack(&app, 8).await;
        assert_eq!(good, 8, "{why}");
        assert!(
            seen.iter().all(|status| [503, 429].contains(status)),
            "{why}"
        );
        app.clock.advance(TimeDelta::seconds(61));
    }
}

#[actix_rt::test]
async fn tokens_that_make_the_issuer_hang_keep_nobody_out() {
    let app = proxied(|config| {
        config.issuers[0].timeout = Duration::from_millis(500);
        config.http.limits.unknown_tokens = None;
    });
    app.issuer
        .answer_others(|_| Answer::Hang(Box::new(Answer::text(500, ""))));
    let (good, seen) = good_beside_an_attack(&app, 88).await;
    assert_eq!(good, 88);
    assert!(seen.iter().all(|status| *status == 503));
    // Most were not asked about.
    assert!(app.issuer.calls() < 400, "{}", app.issuer.calls());
}

#[actix_rt::test]
async fn a_rate_limit_of_the_issuer_is_charged_to_the_source_of_the_token() {
    let app = proxied(|_| ());
    for source in 1..=2 {
        app.clock.advance(TimeDelta::seconds(120));
        let date = app.clock.now() + TimeDelta::seconds(17);
        let retry_after = if source == 1 {
            "17".to_owned()
        } else {
            date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
        };
        let known = app.token("ann", ALL);
        assert_eq!(list_from(&app, source, &known).await.status, 200);
        let token = app.token_for(limited(retry_after));
        assert_outage(&list_from(&app, source, &token).await, "17", "limited");
        let calls = app.issuer.calls();
        let good = app.token("bob", ALL);
        assert_outage(&list_from(&app, source, &good).await, "17", "it waits");
        assert_eq!(app.issuer.calls(), calls);
        // Neither who is known there nor who comes from elsewhere waits.
        assert_eq!(list_from(&app, source, &known).await.status, 200);
        for n in 0..20 {
            let token = app.token("cid", ALL);
            assert_eq!(list_from(&app, 10 + n, &token).await.status, 200);
        }
        app.clock.advance(TimeDelta::seconds(16));
        assert_outage(&list_from(&app, source, &good).await, "1", "it waits");
        app.clock.advance(TimeDelta::seconds(1));
        assert_eq!(list_from(&app, source, &good).await.status, 200);
    }
}

#[actix_rt::test]
async fn an_issuer_that_limits_this_server_is_asked_at_a_low_rate() {
    let app = proxied(|_| ());
    let known = app.token("ann", ALL);
    assert_eq!(list_from(&app, 1, &known).await.status, 200);
    for source in 2..4 {
        let token = app.token_for(limited("30"));
        assert_eq!(list_from(&app, source, &token).await.status, 503);
    }
    let calls = app.issuer.calls();
    let mut good = 0;
    for n in 0..100 {
        app.clock.advance(TimeDelta::milliseconds(100));
        let token = app.token("bob", ALL);
        good += usize::from(list_from(&app, 10 + n, &token).await.status == 200);
    }
    assert_eq!((good, app.issuer.calls() - calls), (50, 50));
    assert_eq!(list_from(&app, 1, &known).await.status, 200);
}

#[actix_rt::test]
async fn a_long_reply_a_mark_before_it_and_scopes_in_an_array_are_read() {
    let app = TestApp::spawn();
    let groups: Vec<_> = (0..7_000)
        .map(|n| format!("/departments/of/the/company/{n}"))
        .collect();
    let token = app.token_with(json!({ "groups": groups }));
    assert_eq!(list(&app, &token).await.status, 200);
    let marked = format!("\u{feff}{}", active(&app)).into_bytes();
    let marked = app.token_for(Answer::text(200, marked));
    assert_eq!(list(&app, &marked).await.status, 200);
    let scopes = app.token_with(json!({ "scope": ["user:read", "openid", "tags:read"] }));
    let reply = app.tool(&scopes, "whoami", &json!({})).send().await;
    assert_eq!(
        reply.result()["structuredContent"]["scopes"],
        json!(["user:read", "tags:read"])
    );
}

#[actix_rt::test]
async fn the_introspections_of_one_source_leave_places_for_others() {
    let app = proxied(|config| config.issuers[0].timeout = Duration::from_secs(60));
    let hang = || Answer::Hang(Box::new(app.usual(json!({}))));
    let tokens: Vec<_> = (0..100).map(|_| app.token_for(hang())).collect();
    let sent = tokens.iter().map(|token| list_from(&app, 1, token));
    let mut waiting: FuturesUnordered<_> = sent.collect();
    // As many as may are asked about, and the others wait for their turn.
    asked_about(&app, &mut waiting, 64).await;
    for n in 0..20 {
        let token = app.token("bob", ALL);
        assert_eq!(list_from(&app, 10 + n, &token).await.status, 200);
    }
    assert_eq!(app.issuer.calls(), 84);
    app.issuer.release();
    let rest: Vec<Reply> = patiently(waiting.collect()).await;
    assert_eq!((rest.len(), app.issuer.calls()), (100, 120));
    assert!(rest.iter().all(|reply| reply.status == 200));
}

/// One token that the issuer refuses as it refuses a client must not keep a new secret out.
#[actix_rt::test]
async fn an_odd_token_does_not_stop_the_rotation_of_a_secret() {
    let file = SecretFile::new("old");
    let app = TestApp::spawn_with(|config| {
        let Verification::Introspection(client) = &mut config.issuers[0].verification else {
            panic!("the issuer of these tests is introspected")
        };
        client.method = ClientAuthenticationMethod::Bearer;
        client.secret = file.source();
    });
    let sends = |secret: &'static str| {
        app.issuer.lets_in(move |seen| {
            seen.authorization.as_deref() == Some(&format!("Bearer {secret}"))
        });
    };
    sends("old");
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 200);
    file.write("newer");
    sends("newer");
    app.clock.advance(TimeDelta::seconds(1));
    // Refused with either secret.
    let odd = app.token_for(Answer::text(403, "<html>blocked</html>"));
    assert_outage(&list(&app, &odd).await, "5", "odd");
    assert_eq!(
        list(&app, &app.token("bob", ALL)).await.status,
        200,
        "the new one is tried"
    );
}
