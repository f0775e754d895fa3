//! A server that knows no token yet, and thousands of clients behind one address that come back at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{StreamExt, future::join, stream};
use serde_json::json;

use crate::support::{ALL, Answer, Reply, TestApp, patiently};

fn proxied() -> TestApp {
    TestApp::spawn_with(|config| {
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.http.limits.unknown_tokens = Some(60.try_into().unwrap());
    })
}

async fn list_from(app: &TestApp, source: usize, token: &str) -> Reply {
    app.modern(token, "tools/list", json!({}))
        .header("x-forwarded-for", &format!("203.0.113.{source}"))
        .send()
        .await
}

/// A hosted client.
#[actix_rt::test]
async fn two_thousand_good_tokens_of_one_address_are_all_served() {
    let app = proxied();
    let tokens = Vec::from_iter((0..2_000).map(|n| app.token(&format!("user-{n}"), ALL)));
    let replies = stream::iter(&tokens).map(|token| list_from(&app, 1, token));
    let statuses = replies.buffer_unordered(300).map(|reply| reply.status);
    let statuses: Vec<_> = statuses.collect().await;
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(served, 2_000);
    assert_eq!(app.issuer.calls(), 2_000);
    // None of them was charged: as many as ever may be refused.
    let refused = stream::iter(0..100).map(async |n| {
        let made_up = format!("made-up-token-{n}");
        list_from(&app, 1, &made_up).await.status
    });
    let refused: Vec<_> = refused.buffer_unordered(20).collect().await;
    let with = |status| refused.iter().filter(|seen| **seen == status).count();
    assert_eq!((with(401), with(429)), (60, 40));
    assert_eq!(app.issuer.calls(), 2_060);
}

#[actix_rt::test]
async fn what_is_made_up_is_refused_and_keeps_no_other_address_out() {
    let app = proxied();
    let asked = Arc::new(AtomicUsize::new(0));
    app.issuer.answer_others({
        let asked = Arc::clone(&asked);
        move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            Answer::json(json!({ "active": false }))
        }
    });
    let flood = stream::iter(0..1_000).map(async |n| {
        let made_up = format!("made-up-token-{n}");
        list_from(&app, 200, &made_up).await.status
    });
    let flood = flood.buffer_unordered(200).collect::<Vec<_>>();
    let tokens = Vec::from_iter((0..100).map(|n| app.token(&format!("user-{n}"), ALL)));
    let others = stream::iter(tokens.iter().enumerate())
        .map(async |(n, token)| list_from(&app, 1 + n % 5, token).await.status);
    let others = others.buffer_unordered(20).collect::<Vec<_>>();
    let (flood, others) = patiently(join(flood, others)).await;
    assert_eq!(others, [200; 100]);
    let with = |status| flood.iter().filter(|seen| **seen == status).count();
    assert_eq!((with(401), with(429)), (60, 940));
    assert_eq!(asked.load(Ordering::Relaxed), 60);
}
