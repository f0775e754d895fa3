//! Tokens in use are asked about again in the background before their cached answer ends, so that no call waits.

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::{
    introspection::{assert_outage, list},
    revocation::{ends_in_order, subscribe},
};
use crate::support::{ALL, Answer, TestApp, patiently, scraped};

/// Sooner than any token is asked about again, and later than every one, within the minute that an answer is cached.
const BEFORE: TimeDelta = TimeDelta::seconds(44);
const DUE: TimeDelta = TimeDelta::seconds(54);

fn hang(then: Answer) -> Answer {
    Answer::Hang(Box::new(then))
}

async fn ok(app: &TestApp, token: &str) {
    let reply = list(app, token).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[actix_rt::test]
async fn no_call_waits_for_a_token_in_use_to_be_checked_again() {
    let app = TestApp::spawn();
    let (used, unused) = (app.token("ann", ALL), app.token("bob", ALL));
    ok(&app, &used).await;
    ok(&app, &unused).await;
    let usual = app.usual(json!({}));
    app.clock.advance(BEFORE);
    ok(&app, &used).await;
    assert_eq!(app.issuer.calls(), 2, "it is early");
    app.issuer.answer(&used, hang(usual));
    app.clock.advance(DUE - BEFORE);
    for _ in 0..5 {
        ok(&app, &used).await;
    }
    patiently(app.issuer.is_asked(3)).await;
    ok(&app, &used).await;
    app.issuer.release();
    // It is believed for a minute since it was asked about; that nobody used the other made nobody ask about it.
    app.clock.advance(BEFORE - TimeDelta::seconds(1));
    for _ in 0..5 {
        ok(&app, &used).await;
    }
    assert_eq!(app.issuer.calls(), 3);
    ok(&app, &unused).await;
    assert_eq!(app.issuer.calls(), 4);
}

#[actix_rt::test]
async fn a_refresh_that_fails_prolongs_nothing_and_takes_nothing_away() {
    let app = TestApp::spawn();
    let down = || Answer::Whole(503, vec![("retry-after", "0".to_owned())], Vec::new());
    for (answer, retry_after) in [(down(), "1"), (Answer::text(404, ""), "5")] {
        let token = app.token("ann", ALL);
        ok(&app, &token).await;
        let before = app.issuer.calls();
        app.issuer.answer(&token, answer);
        app.clock.advance(DUE);
        ok(&app, &token).await;
        patiently(app.issuer.is_asked(before + 1)).await;
        app.clock.advance(TimeDelta::milliseconds(5_999));
        ok(&app, &token).await;
        app.clock.advance(TimeDelta::milliseconds(1));
        assert_outage(&list(&app, &token).await, retry_after, "its time is over");
        app.issuer.answer(&token, app.usual(json!({})));
        app.clock.advance(TimeDelta::seconds(5));
        ok(&app, &token).await;
    }
}

#[actix_rt::test]
async fn a_refresh_that_fails_is_repeated_at_most_once_a_second() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    ok(&app, &token).await;
    app.issuer.answer(&token, Answer::text(404, ""));
    app.clock.advance(DUE);
    for second in 0..6 {
        for _ in 0..20 {
            ok(&app, &token).await;
        }
        let asked = app.issuer.calls() - 1;
        assert!(asked <= second + 1, "{asked} in {second} s");
        app.clock.advance(TimeDelta::milliseconds(999));
    }
    assert!(app.issuer.calls() > 3, "it is repeated");
}

#[actix_rt::test]
async fn a_refresh_that_says_inactive_ends_the_token_and_its_streams_at_once() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let subscription = subscribe(&app, &token).await;
    app.issuer
        .answer(&token, Answer::json(json!({ "active": false })));
    app.clock.advance(DUE);
    ok(&app, &token).await;
    ends_in_order(subscription).await;
    assert_eq!(list(&app, &token).await.status, 401);
    assert_eq!(app.issuer.calls(), 2);
}

#[actix_rt::test]
async fn nothing_is_believed_past_the_end_of_its_token() {
    let app = TestApp::spawn();
    let end = (app.clock.now() + TimeDelta::seconds(80)).timestamp();
    let token = app.token_with(json!({ "exp": end }));
    ok(&app, &token).await;
    // 30 s before the end the cached answer is not used any more, and asking earlier would change nothing.
    app.clock.advance(TimeDelta::seconds(49));
    ok(&app, &token).await;
    assert_eq!(app.issuer.calls(), 1);
    // One that says another end is not believed for longer than that.
    let token = app.token_with(json!({ "exp": end + 60 }));
    ok(&app, &token).await;
    app.issuer
        .answer(&token, app.usual(json!({ "exp": end - 10 })));
    app.clock.advance(TimeDelta::seconds(10));
    let before = app.issuer.calls();
    app.clock.advance(DUE - TimeDelta::seconds(10));
    list(&app, &token).await;
    patiently(app.issuer.is_asked(before + 1)).await;
    let refused = async { while list(&app, &token).await.status == 200 {} };
    patiently(refused).await;
}

#[actix_rt::test]
async fn so_many_are_refreshed_at_once_and_so_many_of_one_user() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].timeout = std::time::Duration::from_secs(60);
        config.http.metrics = Some(([127, 0, 0, 1], 0).into());
    });
    let of_one = Vec::from_iter((0..20).map(|_| app.token("ann", ALL)));
    let of_many = Vec::from_iter((0..60).map(|n| app.token(&format!("user-{n}"), ALL)));
    let all = || stream::iter(of_one.iter().chain(&of_many));
    all().for_each_concurrent(8, |token| ok(&app, token)).await;
    let before = app.issuer.calls();
    for token in of_one.iter().chain(&of_many) {
        app.issuer.answer(token, hang(app.usual(json!({}))));
    }
    app.clock.advance(DUE);
    all().for_each_concurrent(8, |token| ok(&app, token)).await;
    patiently(app.issuer.is_asked(before + 32)).await;
    let of_one_user = app.issuer.seen()[before..]
        .iter()
        .filter(|seen| of_one.iter().any(|token| seen.said("token") == Some(token)))
        .count();
    assert_eq!(of_one_user, 8);
    let metrics = scraped(&app).await;
    let skipped = "epicme_introspection_refreshes_total{result=\"skipped\"}";
    assert_eq!(metrics[skipped], 48.0);
    assert_eq!(app.issuer.calls(), before + 32);
}
