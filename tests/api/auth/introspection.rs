//! How the authorization server is asked about a token, and for how long its answer is used.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use epicme::config::Verification;
use futures_util::future::{join, join_all};
use resource_server::{issuer::SecretSource, token_rules::AbsentAudience};
use serde_json::{Value, json};

use crate::support::{ALL, Answer, Issuer, Reply, TestApp, log_contains};

pub(super) async fn list(app: &TestApp, token: &str) -> Reply {
    app.modern(token, "tools/list", json!({})).send().await
}

pub(super) fn active(app: &TestApp) -> Value {
    json!({ "active": true, "sub": "ann", "scope": ALL, "aud": "https://journal.example/mcp", "iss": app.issuer.url() })
}

pub(super) fn assert_outage(reply: &Reply, retry_after: &str, why: &str) {
    assert_eq!(reply.status, 503, "{why}: {}", reply.text());
    assert_eq!(reply.header("retry-after"), Some(retry_after), "{why}");
    assert_eq!(reply.header("www-authenticate"), None, "{why}");
    let mut body = reply.json();
    // Of a request it is the id, and of a GET there is none.
    body.as_object_mut().unwrap().remove("id");
    assert_eq!(
        body,
        json!({ "jsonrpc": "2.0", "error": {
            "code": -32603,
            "message": "The access token cannot be checked at the moment; try again with the same token",
            "data": {
                "error": "temporarily_unavailable",
                "error_description": "The access token cannot be checked at the moment; try again with the same token",
                "request_id": "[request id]",
            },
        } }),
        "{why}"
    );
}

///
#[actix_rt::test]
async fn the_server_authenticates_itself_and_says_what_kind_of_token_it_asks_about() {
    let app = TestApp::spawn_with(|config| {
        let Verification::Introspection(client) = &mut config.issuers[0].verification else {
            panic!("the issuer of these tests is introspected")
        };
        client.client_id = "epic me:é".to_owned();
        client.secret = SecretSource::Given("p%40ss: w&rd+".into());
    });
    let token = app.token("ann", ALL);
    assert_eq!(list(&app, &token).await.status, 200);
    let seen = &app.issuer.seen()[0];
    // Each part is form-encoded before the two are joined (RFC 6749 §2.3.1).
    let pair = "epic%20me%3A%C3%A9:p%2540ss%3A%20w%26rd%2B";
    assert_eq!(
        seen.authorization.as_deref(),
        Some(format!("Basic {}", STANDARD.encode(pair)).as_str())
    );
    assert_eq!(
        seen.content_type.as_deref(),
        Some("application/x-www-form-urlencoded")
    );
    let expected = [
        ("token", token.as_str()),
        ("token_type_hint", "access_token"),
    ];
    assert_eq!(
        seen.form,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[actix_rt::test]
async fn one_answer_serves_until_its_lifetime_ends() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for _ in 0..5 {
        assert_eq!(list(&app, &token).await.status, 200);
    }
    // Later it is asked about again in the background: see `refresh_ahead`.
    app.clock.advance(TimeDelta::seconds(44));
    assert_eq!(list(&app, &token).await.status, 200);
    assert_eq!(app.issuer.calls(), 1);
    // The token is revoked, and found to be so when the answer has served its time.
    app.issuer
        .answer(&token, Answer::json(json!({ "active": false })));
    assert_eq!(list(&app, &token).await.status, 200);
    app.clock.advance(TimeDelta::seconds(16));
    assert_eq!(list(&app, &token).await.status, 401);
    assert_eq!(app.issuer.calls(), 2);
}

#[actix_rt::test]
async fn no_answer_serves_past_the_end_of_its_token() {
    let app = TestApp::spawn();
    let end = app.clock.now() + TimeDelta::seconds(10);
    let token = app.token_with(json!({ "exp": end.timestamp() }));
    assert_eq!(list(&app, &token).await.status, 200);
    app.clock.advance(TimeDelta::milliseconds(9_999));
    assert_eq!(list(&app, &token).await.status, 200);
    app.clock.advance(TimeDelta::milliseconds(1));
    assert_eq!(list(&app, &token).await.status, 401);
}

#[actix_rt::test]
async fn the_cache_can_be_switched_off() {
    let app =
        TestApp::spawn_with(|config| config.issuers[0].cache_lifetime = std::time::Duration::ZERO);
    let token = app.token("ann", ALL);
    for _ in 0..3 {
        assert_eq!(list(&app, &token).await.status, 200);
    }
    assert_eq!(app.issuer.calls(), 3);
}

#[actix_rt::test]
async fn one_users_answer_never_serves_another_token() {
    let app = TestApp::spawn();
    let (ann, bob) = (app.token("ann", "user:read"), app.token("bob", "user:read"));
    for (token, name) in [(&ann, "ann"), (&bob, "bob"), (&ann, "ann")] {
        let reply = app.tool(token, "whoami", &json!({})).send().await;
        assert_eq!(reply.result()["structuredContent"]["user"]["subject"], name);
    }
}

#[actix_rt::test]
async fn a_token_of_a_kind_that_the_issuer_does_not_introspect_is_invalid() {
    let app = TestApp::spawn();
    let token = app.token_for(Answer::text(400, "{\"error\":\"unsupported_token_type\"}"));
    assert_eq!(list(&app, &token).await.status, 401);
    // Another endpoint than the right one says nothing of the token.
    let token = app.token_for(Answer::text(400, "{\"error\":\"unsupported_grant_type\"}"));
    assert_eq!(list(&app, &token).await.status, 503);
}

#[actix_rt::test]
async fn the_endpoint_is_found_where_rfc_8414_or_openid_puts_the_metadata() {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    const OPENID: &str = "/.well-known/openid-configuration";
    for (issuer_path, metadata_path, asked) in [
        ("", OAUTH, vec![OAUTH.to_owned()]),
        ("", OPENID, vec![OAUTH.to_owned(), OPENID.to_owned()]),
        (
            "/tenant",
            "/.well-known/oauth-authorization-server/tenant",
            vec![format!("{OAUTH}/tenant")],
        ),
        (
            "/tenant",
            "/tenant/.well-known/openid-configuration",
            vec![
                format!("{OAUTH}/tenant"),
                format!("{OPENID}/tenant"),
                format!("/tenant{OPENID}"),
            ],
        ),
    ] {
        let app = TestApp::spawn_with(|config| {
            config.issuers[0].url = format!("{}{issuer_path}", config.issuers[0].url)
                .parse()
                .unwrap();
        });
        let issuer = format!("{}{issuer_path}", app.issuer.url());
        app.issuer.without_metadata();
        app.issuer.metadata(
            metadata_path,
            Answer::json(json!({
                "issuer": issuer,
                "introspection_endpoint": format!("{}/introspect", app.issuer.url()),
            })),
        );
        let token = app.token_with(json!({ "iss": issuer }));
        assert_eq!(list(&app, &token).await.status, 200, "{metadata_path}");
        assert_eq!(app.issuer.metadata_calls(), asked);
        // Found once, not for every token.
        assert_eq!(
            list(&app, &app.token_with(json!({ "iss": issuer })))
                .await
                .status,
            200
        );
        assert_eq!(app.issuer.metadata_calls(), asked);
    }
}

/// SEC-08.
#[actix_rt::test]
async fn metadata_that_cannot_be_trusted_leads_nowhere() {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    let app = TestApp::spawn();
    let (bystander, _handle) = Issuer::bystander();
    let issuer = app.issuer.url();
    let endpoint = format!("{}/introspect", bystander.url());
    for (why, document) in [
        (
            "of another issuer",
            json!({ "issuer": bystander.url(), "introspection_endpoint": endpoint }),
        ),
        (
            "of almost this issuer",
            json!({ "issuer": format!("{issuer}/"), "introspection_endpoint": endpoint }),
        ),
        (
            "without an issuer",
            json!({ "introspection_endpoint": endpoint }),
        ),
        ("without an endpoint", json!({ "issuer": issuer })),
        (
            "an endpoint in the clear",
            json!({ "issuer": issuer, "introspection_endpoint": "http://a.example/" }),
        ),
        (
            "an endpoint that is none",
            json!({ "issuer": issuer, "introspection_endpoint": "file:///etc/passwd" }),
        ),
    ] {
        app.issuer.metadata(OAUTH, Answer::json(document));
        app.clock.advance(TimeDelta::minutes(11));
        let token = app.token("ann", ALL);
        assert_outage(&list(&app, &token).await, "5", why);
        assert_eq!(app.issuer.calls(), 0, "{why}");
    }
    assert_eq!(bystander.calls(), 0);
}

#[actix_rt::test]
async fn an_issuer_without_audiences_has_to_be_named_and_is_warned_of() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].rules.absent_audience = AbsentAudience::WithTokenType
    });
    assert_eq!(
        list(&app, &app.token_with(json!({ "aud": null })))
            .await
            .status,
        200
    );
    // Then the type has to say that it is an access token.
    let untyped = app.token_with(json!({ "aud": null, "token_type": null }));
    assert_eq!(list(&app, &untyped).await.status, 401);
    // An audience that is there still counts.
    let other = app.token_with(json!({ "aud": "https://other.example" }));
    assert_eq!(list(&app, &other).await.status, 401);
    assert!(log_contains(
        "without an audience (EPICME_AUDIENCE_OPTIONAL)"
    ));
}

#[actix_rt::test]
async fn a_name_at_the_issuer_may_be_any_text() {
    let app = TestApp::spawn();
    for subject in [
        "7",
        "ann@example.com",
        "auth0|abc",
        "名前",
        "a\"b\\c\r\nd",
        "<script>",
    ] {
        let token = app.token(subject, "user:read");
        let reply = app.tool(&token, "whoami", &json!({})).send().await;
        assert_eq!(
            reply.result()["structuredContent"]["user"]["subject"],
            subject
        );
    }
}

#[actix_rt::test]
async fn the_scopes_of_a_token_are_its_words() {
    let app = TestApp::spawn();
    for (scope, known) in [
        ("user:read", vec!["user:read"]),
        (
            "  tags:read   user:read tags:read user:read",
            vec!["user:read", "tags:read"],
        ),
        (
            "user:read user:write openid ENTRIES:READ",
            vec!["user:read"],
        ),
    ] {
        let token = app.token("ann", scope);
        let reply = app.tool(&token, "whoami", &json!({})).send().await;
        assert_eq!(reply.result()["structuredContent"]["scopes"], json!(known));
    }
}

#[actix_rt::test]
async fn however_many_ask_about_a_token_at_once_the_issuer_is_asked_once() {
    let app = TestApp::spawn();
    let answer = Answer::Hang(Box::new(Answer::json(active(&app))));
    let token = app.token_for(answer);
    let askers = join_all((0..1_000).map(|_| list(&app, &token)));
    let (replies, ()) = join(askers, app.issuer.releases_once_asked(1)).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(app.issuer.calls(), 1);
}

#[actix_rt::test]
async fn who_shares_a_question_shares_its_failure_and_the_next_to_come_asks_anew() {
    let app = TestApp::spawn();
    // Without a second try.
    let down = Answer::Whole(503, vec![("retry-after", "0".to_owned())], Vec::new());
    let token = app.token_for(Answer::Hang(Box::new(down)));
    let askers = join_all((0..50).map(|_| list(&app, &token)));
    let release = async {
        app.issuer.is_asked(1).await;
        app.issuer.answer(&token, Answer::json(active(&app)));
        app.issuer.release();
    };
    let (replies, ()) = join(askers, release).await;
    let failed = replies.iter().filter(|reply| reply.status == 503).count();
    let good = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(failed + good, 50);
    assert!(failed >= 1);
    assert!(app.issuer.calls() <= 2, "{}", app.issuer.calls());
    assert_eq!(list(&app, &token).await.status, 200);
}

#[actix_rt::test]
async fn a_token_that_is_no_good_is_not_asked_about_again_for_a_moment() {
    let app = TestApp::spawn();
    let token = app.token_for(Answer::json(json!({ "active": false })));
    for _ in 0..5 {
        assert_eq!(list(&app, &token).await.status, 401);
    }
    assert_eq!(app.issuer.calls(), 1);
    // A token may be so new that its issuer does not know it everywhere.
    app.issuer.answer(&token, Answer::json(active(&app)));
    assert_eq!(list(&app, &token).await.status, 401);
    app.clock.advance(TimeDelta::seconds(5));
    assert_eq!(list(&app, &token).await.status, 200);
    assert_eq!(app.issuer.calls(), 2);
}

#[actix_rt::test]
async fn a_flood_of_random_tokens_pushes_out_no_good_one() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].cache_entries = 50.try_into().unwrap();
    });
    let good = app.token("ann", ALL);
    assert_eq!(list(&app, &good).await.status, 200);
    for n in 0..500 {
        assert_eq!(list(&app, &format!("random-{n:09}")).await.status, 401);
    }
    let before = app.issuer.calls();
    assert_eq!(list(&app, &good).await.status, 200);
    assert_eq!(app.issuer.calls(), before);
}

#[actix_rt::test]
async fn one_connection_serves_many_questions() {
    let app = TestApp::spawn();
    for _ in 0..30 {
        assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 200);
    }
    assert_eq!(app.issuer.calls(), 30);
    assert_eq!(app.issuer.connections(), 1);
}
