//! However many threads serve and introspect, they know the same of an authorization server. Each request
//! of these tests is a connection of its own, and connections go to the threads in turn.

use epicme::config::Verification;
use futures_util::future::{join, join_all};
use resource_server::jose::keys::Algorithm;
use serde_json::json;

use crate::support::{ALL, Answer, RESOURCE, Reply, SigningKey, TestApp};

const THREADS: usize = 4;

fn spawn() -> TestApp {
    TestApp::spawn_with(|config| {
        config.http.workers = THREADS.try_into().unwrap();
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
}

async fn list(app: &TestApp, token: &str) -> Reply {
    app.modern(token, "tools/list", json!({})).send().await
}

#[actix_rt::test]
async fn each_thread_introspects_by_a_connection_of_its_own_and_finds_the_endpoint_once_for_all() {
    let app = spawn();
    for n in 0..2 * THREADS {
        let token = app.token(&format!("user-{n}"), ALL);
        assert_eq!(list(&app, &token).await.status, 200);
    }
    assert_eq!(app.issuer.calls(), 2 * THREADS);
    assert_eq!(app.issuer.metadata_calls().len(), 1);
    assert_eq!(app.issuer.connections(), THREADS);
}

#[actix_rt::test]
async fn a_token_that_comes_to_all_threads_at_once_is_asked_about_once() {
    let app = spawn();
    let good = app.token_for(Answer::Hang(Box::new(app.usual(json!({})))));
    let askers = join_all((0..25 * THREADS).map(|_| list(&app, &good)));
    let (replies, ()) = join(askers, app.issuer.releases_once_asked(1)).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(app.issuer.calls(), 1);
    // What one thread was told, all know.
    for _ in 0..THREADS {
        assert_eq!(list(&app, &good).await.status, 200);
    }
    assert_eq!(app.issuer.calls(), 1);
}

#[actix_rt::test]
async fn failures_in_a_row_count_over_all_threads_and_all_leave_the_issuer_alone() {
    let app = spawn();
    let down = || Answer::Whole(503, vec![("retry-after", "0".to_owned())], Vec::new());
    for source in 0..5 {
        let token = app.token_for(down());
        let ask = app.modern(&token, "tools/list", json!({}));
        let ask = ask.header("x-forwarded-for", &format!("203.0.113.{source}"));
        assert_eq!(ask.send().await.status, 503);
    }
    assert_eq!(app.issuer.calls(), 5);
    // Strangers alone failed, so it is probed first, about a token that nobody has.
    app.issuer.answer_others(move |_| down());
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 503);
    assert_eq!(app.issuer.calls(), 6);
    for _ in 0..THREADS {
        let reply = list(&app, &app.token("ann", ALL)).await;
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (503, Some("5"))
        );
    }
    assert_eq!(app.issuer.calls(), 6);
}

#[actix_rt::test]
async fn keys_are_fetched_once_for_all_threads_and_once_more_for_keys_that_nobody_knows() {
    let key = SigningKey::new("k1");
    let app = TestApp::spawn_with(|config| {
        config.http.workers = THREADS.try_into().unwrap();
        config.issuers[0].verification = Verification::Jwt {
            algorithms: vec![Algorithm::Es256],
            opaque: None,
        };
    });
    app.issuer.keys(&[&key]);
    let token = |key: &SigningKey, n: usize| {
        let now = app.clock.now().timestamp();
        key.sign(
            "at+jwt",
            &json!({
                "iss": app.issuer.url(), "sub": format!("user-{n}"), "aud": RESOURCE, "client_id": "notebook",
                "scope": ALL, "iat": now, "exp": now + 3600,
            }),
        )
    };
    for n in 0..2 * THREADS {
        assert_eq!(list(&app, &token(&key, n)).await.status, 200);
    }
    assert_eq!(app.issuer.key_calls(), 1);
    let stranger = SigningKey::new("stranger");
    for n in 0..2 * THREADS {
        let expected = if n == 0 { 401 } else { 503 };
        assert_eq!(list(&app, &token(&stranger, n)).await.status, expected);
    }
    assert_eq!(app.issuer.key_calls(), 2);
}
