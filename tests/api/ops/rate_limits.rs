//! How often what may be asked: tokens that are not known, by where they come from, and requests, by
//! user and by client.

use chrono::TimeDelta;
use epicme::config::LimitConfig;
use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use serde_json::json;

use crate::support::{ALL, Answer, Ask, Reply, TestApp, asked_about, patiently};

/// A server with these limits and no others, which trusts a proxy at this address, if it is one.
fn limited(proxy: &str, edit: impl FnOnce(&mut LimitConfig)) -> TestApp {
    TestApp::spawn_with(|config| {
        if !proxy.is_empty() {
            config.http.trusted_proxies = vec![proxy.parse().unwrap()];
        }
        edit(&mut config.http.limits);
    })
}

fn unknown_tokens(proxy: &str, per_minute: u32) -> TestApp {
    limited(proxy, |limits| {
        limits.unknown_tokens = Some(per_minute.try_into().unwrap());
    })
}

fn whoami<'a>(app: &'a TestApp, token: &str) -> Ask<'a> {
    app.tool(token, "whoami", &json!({}))
}

/// A request with a token that nobody gave out, by way of a proxy that says this of it.
async fn guess(app: &TestApp, said: Option<(&str, &str)>) -> Reply {
    let ask = whoami(
        app,
        &app.token_for(Answer::json(json!({ "active": false }))),
    );
    match said {
        Some((name, value)) => ask.header(name, value).send().await,
        None => ask.send().await,
    }
}

async fn ok(ask: Ask<'_>) {
    let reply = ask.send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// SEC-11.
#[actix_rt::test]
async fn a_flood_of_random_tokens_reaches_the_issuer_up_to_the_limit_and_no_further() {
    let app = unknown_tokens("", 5);
    let good = app.token("ann", ALL);
    ok(whoami(&app, &good)).await;
    let before = app.issuer.calls();
    let replies = join_all((0..40).map(|_| guess(&app, None))).await;
    let with = |status| replies.iter().filter(move |reply| reply.status == status);
    assert_eq!((with(401).count(), with(429).count()), (5, 35));
    assert_eq!(app.issuer.calls() - before, 5);
    insta::assert_snapshot!("unknown_tokens", with(429).next().unwrap().shown());
    // Who is known is served on; who is not has to wait, for nobody knows whether the token is good.
    ok(whoami(&app, &good)).await;
    let late = app.token("bob", ALL);
    assert_eq!(whoami(&app, &late).send().await.status, 429);
    assert_eq!(app.issuer.calls() - before, 5);
    // Who waits as told is served.
    app.clock.advance(TimeDelta::seconds(11));
    assert_eq!(whoami(&app, &late).send().await.status, 429);
    app.clock.advance(TimeDelta::seconds(1));
    ok(whoami(&app, &late)).await;
    assert_eq!(guess(&app, None).await.status, 401);
    assert_eq!(guess(&app, None).await.status, 429);
}

#[actix_rt::test]
async fn good_tokens_and_outages_do_not_count() {
    let app = unknown_tokens("", 3);
    for _ in 0..10 {
        ok(whoami(&app, &app.token("ann", ALL))).await;
    }
    let down = app.token_for(Answer::text(503, ""));
    for _ in 0..2 {
        assert_eq!(whoami(&app, &down).send().await.status, 503);
    }
    for status in [401, 401, 401, 429] {
        assert_eq!(guess(&app, None).await.status, status);
    }
}

#[actix_rt::test]
async fn a_token_counts_once_however_many_ask_with_it_and_until_it_is_known_to_be_good() {
    let app = unknown_tokens("", 2);
    let tokens = ["ann", "bob", "cleo"].map(|user| {
        let usual = app.usual(json!({ "sub": user }));
        app.token_for(Answer::Hang(Box::new(usual)))
    });
    let asks = tokens
        .iter()
        .flat_map(|token| (0..10).map(|_| whoami(&app, token).send()));
    let mut waiting: FuturesUnordered<_> = asks.collect();
    // Whichever two come first are asked about. Nobody knows yet that they are good: the third waits for its turn.
    asked_about(&app, &mut waiting, 2).await;
    assert_eq!(app.issuer.calls(), 2);
    app.issuer.release();
    let rest: Vec<Reply> = patiently(waiting.collect()).await;
    assert_eq!(rest.len(), 30);
    for reply in rest {
        reply.result();
    }
    assert_eq!(app.issuer.calls(), 3);
    for status in [401, 401, 429] {
        assert_eq!(guess(&app, None).await.status, status);
    }
}

#[actix_rt::test]
async fn a_peer_that_is_no_trusted_proxy_cannot_say_where_it_comes_from() {
    for proxy in ["", "192.0.2.1"] {
        let app = unknown_tokens(proxy, 2);
        for (number, status) in [(1, 401), (2, 401), (3, 429), (4, 429)] {
            let forwarded = format!("for=203.0.113.{number}");
            let listed = format!("203.0.113.{number}");
            let said = [("forwarded", &*forwarded), ("x-forwarded-for", &*listed)];
            let reply = guess(&app, Some(said[number % 2])).await;
            assert_eq!(reply.status, status, "{number}");
        }
    }
}

#[actix_rt::test]
async fn behind_a_trusted_proxy_each_client_is_counted_for_itself() {
    let app = unknown_tokens("127.0.0.0/8", 1);
    for (name, value, status) in [
        ("x-forwarded-for", "203.0.113.1", 401),
        ("x-forwarded-for", "203.0.113.1", 429),
        ("x-forwarded-for", "203.0.113.2", 401),
        // What the client itself had sent stands to the left.
        ("x-forwarded-for", "203.0.113.3, 203.0.113.2", 429),
        ("x-forwarded-for", "203.0.113.2, 127.0.0.9", 429),
        ("forwarded", "for=203.0.113.2", 429),
        (
            "forwarded",
            "for=\"[2001:db8:0:1::1]:4711\";proto=https",
            401,
        ),
        ("forwarded", "for=\"[2001:db8:0:1:ffff::2]\"", 429),
        ("forwarded", "for=\"[2001:db8:0:2::1]\"", 401),
        // Nobody is named: it is the proxy that is counted.
        ("forwarded", "for=unknown", 401),
        ("x-forwarded-for", "nonsense", 429),
    ] {
        let reply = guess(&app, Some((name, value))).await;
        assert_eq!(reply.status, status, "{name}: {value}");
    }
    // A field that the proxy hands on as it came changes nothing.
    let token = app.token("ann", ALL);
    let ask = whoami(&app, &token)
        .header("x-forwarded-for", "203.0.113.2")
        .header("forwarded", "for=203.0.113.99");
    assert_eq!(ask.send().await.status, 429);
}

/// S-09, S-17, SEC-11.
#[actix_rt::test]
async fn a_user_has_so_many_requests_a_minute_by_whatever_client() {
    let app = limited("", |limits| {
        limits.requests_per_user = Some(6.try_into().unwrap());
    });
    let tokens = ["notebook", "phone"]
        .map(|client| app.token_with(json!({ "sub": "ann", "client_id": client })));
    let session = app.open(&tokens[0], "2025-11-25").await;
    ok(whoami(&app, &tokens[0])).await;
    ok(whoami(&app, &tokens[1])).await;
    let reference = json!({ "type": "ref/resource", "uri": "epicme://tags/{id}" });
    let completion = json!({ "ref": reference, "argument": { "name": "id", "value": "" } });
    let complete = || app.modern(&tokens[1], "completion/complete", completion.clone());
    complete().send().await.result();
    // What is refused for something else counts as well.
    let nonsense = app.post(&tokens[1], &json!({}));
    assert_eq!(nonsense.send().await.status, 400);
    let unknown = app.ask("DELETE", "/mcp").header("mcp-session-id", "x");
    let unknown = unknown.header("authorization", &format!("Bearer {}", tokens[0]));
    assert_eq!(unknown.send().await.status, 404);
    let reply = whoami(&app, &tokens[1]).send().await;
    insta::assert_snapshot!("requests_of_a_user", reply.shown());
    assert_eq!(complete().send().await.status, 429);
    let listed = app.within(&session, "tools/list", json!({}));
    assert_eq!(listed.send().await.status, 429);
    let listen = app.within(&session, "", json!({})).method("GET").body("");
    assert_eq!(listen.send().await.status, 429);
    // Others are none of this user's.
    ok(whoami(&app, &app.token("bob", ALL))).await;
    app.clock.advance(TimeDelta::seconds(10));
    ok(whoami(&app, &tokens[0])).await;
    assert_eq!(whoami(&app, &tokens[0]).send().await.status, 429);
}

/// S-09, SEC-11.
#[actix_rt::test]
async fn a_client_has_so_many_requests_a_minute_for_all_its_users() {
    let app = limited("", |limits| {
        limits.requests_per_client = Some(2.try_into().unwrap());
    });
    let token = |user: &str, client| app.token_with(json!({ "sub": user, "client_id": client }));
    ok(whoami(&app, &token("ann", Some("notebook")))).await;
    ok(whoami(&app, &token("bob", Some("notebook")))).await;
    let reply = whoami(&app, &token("cleo", Some("notebook"))).send().await;
    insta::assert_snapshot!("requests_of_a_client", reply.shown());
    ok(whoami(&app, &token("ann", Some("phone")))).await;
    for _ in 0..3 {
        ok(whoami(&app, &token("ann", None))).await;
    }
    app.clock.advance(TimeDelta::seconds(30));
    ok(whoami(&app, &token("cleo", Some("notebook")))).await;
}

#[actix_rt::test]
async fn an_answer_that_is_no_429_says_nothing_of_limits() {
    let app = limited("", |limits| {
        limits.requests_per_user = Some(6.try_into().unwrap());
    });
    let reply = whoami(&app, &app.token("ann", ALL)).send().await;
    assert_eq!(reply.status, 200);
    let limits = |name: &&str| name.starts_with("ratelimit") || *name == "retry-after";
    let names: Vec<_> = reply.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names.iter().find(|name| limits(name)), None);
}
