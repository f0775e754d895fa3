//! How the server shows an authorization server who it is, and how its secret changes while it runs.

use std::{fs, pin::pin, process::Command, sync::Arc, time::Duration};

use chrono::TimeDelta;
use epicme::config::{Config, Verification};
use futures_util::future::{Either, select};
use resource_server::issuer::{ClientAuthenticationMethod, SecretSource};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::{
    ALL, Answer, Issuer, Program, SecretFile, Seen, SigningKey, TestApp, TestDatabase, lines_with,
};

async fn status(app: &TestApp) -> u16 {
    let token = app.token("ann", ALL);
    let reply = app.modern(&token, "tools/list", json!({})).send().await;
    reply.status
}

fn with(
    method: ClientAuthenticationMethod,
    secret: SecretSource,
    key_id: Option<&str>,
) -> impl FnOnce(&mut Config) {
    let key_id = key_id.map(str::to_owned);
    move |config| {
        let Verification::Introspection(client) = &mut config.issuers[0].verification else {
            panic!("the issuer of these tests is introspected")
        };
        client.method = method;
        client.secret = secret;
        client.key_id = key_id;
    }
}

/// Everything of the form but the token, which is the first field.
fn rest_of_form(seen: &Seen) -> Vec<(&str, &str)> {
    assert_eq!(seen.form[0].0, "token");
    let fields = seen.form[1..].iter();
    fields
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[actix_rt::test]
async fn a_secret_can_be_sent_in_the_form() {
    let method = ClientAuthenticationMethod::SecretPost;
    let secret = SecretSource::Given("p%40 &é=".into());
    let app = TestApp::spawn_with(with(method, secret, None));
    assert_eq!(status(&app).await, 200);
    let seen = &app.issuer.seen()[0];
    assert_eq!(seen.authorization, None);
    assert_eq!(
        rest_of_form(seen),
        [
            ("token_type_hint", "access_token"),
            ("client_id", "epicme"),
            ("client_secret", "p%40 &é="),
        ]
    );
}

#[actix_rt::test]
async fn a_token_of_its_own_is_sent_as_one() {
    let file = SecretFile::new("own.token-1\n");
    let method = ClientAuthenticationMethod::Bearer;
    let app = TestApp::spawn_with(with(method, file.source(), None));
    assert_eq!(status(&app).await, 200);
    let seen = &app.issuer.seen()[0];
    assert_eq!(seen.authorization.as_deref(), Some("Bearer own.token-1"));
    assert_eq!(rest_of_form(seen), [("token_type_hint", "access_token")]);
}

/// RFC 7523 §3: signed by the client, for this issuer, short-lived, and never used again.
#[actix_rt::test]
async fn an_assertion_is_signed_for_the_issuer_and_used_once() {
    let key = Arc::new(SigningKey::new("c1"));
    let file = SecretFile::new(&key.pem());
    let method = ClientAuthenticationMethod::PrivateKeyJwt;
    let app = TestApp::spawn_with(with(method, file.source(), Some("c1")));
    let knows = |key: &Arc<SigningKey>| {
        let key = Arc::clone(key);
        move |seen: &Seen| {
            let assertion = seen.said("client_assertion");
            assertion.is_some_and(|assertion| key.verified(assertion).is_some())
        }
    };
    app.issuer.lets_in(knows(&key));
    assert_eq!(status(&app).await, 200);
    assert_eq!(status(&app).await, 200);
    let now = app.clock.now().timestamp();
    let mut token_ids = Vec::new();
    for seen in app.issuer.seen() {
        let assertion = seen.said("client_assertion").unwrap();
        assert_eq!(seen.authorization, None);
        assert_eq!(
            rest_of_form(&seen),
            [
                ("token_type_hint", "access_token"),
                ("client_id", "epicme"),
                (
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                ),
                ("client_assertion", assertion),
            ]
        );
        let (header, mut claims) = key.verified(assertion).unwrap();
        assert_eq!(header, json!({ "alg": "ES256", "kid": "c1", "typ": "JWT" }));
        token_ids.push(claims["jti"].take().as_str().unwrap().to_owned());
        assert_eq!(
            claims,
            json!({
                "iss": "epicme", "sub": "epicme", "aud": app.issuer.url(),
                "iat": now, "exp": now + 60, "jti": null,
            })
        );
        assert_eq!(lines_with(assertion), [""; 0], "an assertion in the log");
    }
    assert_ne!(token_ids[0], token_ids[1]);
    app.issuer.lets_in(knows(&Arc::new(SigningKey::new("c1"))));
    assert_eq!(
        status(&app).await,
        503,
        "a key that the issuer does not know"
    );
}

fn is_bearer(seen: &Seen, secret: &str) -> bool {
    seen.authorization.as_deref() == Some(&format!("Bearer {secret}"))
}

fn used(app: &TestApp, from: usize) -> Vec<String> {
    let seen = app.issuer.seen();
    let used = seen[from..]
        .iter()
        .map(|seen| seen.authorization.clone().unwrap());
    used.collect()
}

#[actix_rt::test]
async fn a_new_secret_that_is_not_known_yet_costs_no_request() {
    let file = SecretFile::new("old");
    let method = ClientAuthenticationMethod::Bearer;
    let app = TestApp::spawn_with(with(method, file.source(), None));
    app.issuer.lets_in(|seen| is_bearer(seen, "old"));
    assert_eq!(status(&app).await, 200);
    file.write("a newer one".replace(' ', "-").as_str());
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(status(&app).await, 200, "the old one in the same request");
    assert_eq!(used(&app, 1), ["Bearer a-newer-one", "Bearer old"]);
    assert_eq!(status(&app).await, 200);
    assert_eq!(used(&app, 3), ["Bearer old"], "left alone for a while");
    app.issuer.lets_in(|seen| is_bearer(seen, "a-newer-one"));
    app.clock.advance(TimeDelta::seconds(30));
    assert_eq!(status(&app).await, 200);
    assert_eq!(status(&app).await, 200);
    assert_eq!(used(&app, 4), ["Bearer a-newer-one"; 2]);
}

#[actix_rt::test]
async fn half_a_key_in_the_file_leaves_the_whole_one_in_use() {
    let (old, new) = (SigningKey::new("c"), SigningKey::new("c"));
    let file = SecretFile::new(&old.pem());
    let method = ClientAuthenticationMethod::PrivateKeyJwt;
    let app = TestApp::spawn_with(with(method, file.source(), None));
    assert_eq!(status(&app).await, 200);
    file.write(&new.pem()[..60]);
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(status(&app).await, 200);
    let signed = |seen: &Seen| {
        old.verified(seen.said("client_assertion").unwrap())
            .is_some()
    };
    assert!(app.issuer.seen().iter().all(signed));
    file.write(&new.pem());
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(status(&app).await, 200);
    assert!(!signed(app.issuer.seen().last().unwrap()));
}

/// What a secret is on may hang, such as a file system of the network.
#[actix_rt::test]
async fn a_file_that_hangs_costs_one_request_and_keeps_up_nobody_else() {
    let file = SecretFile::new("old");
    let method = ClientAuthenticationMethod::Bearer;
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].timeout = Duration::from_millis(500);
        with(method, file.source(), None)(config);
    });
    assert_eq!(status(&app).await, 200);
    fs::remove_file(file.path()).unwrap();
    let made = Command::new("mkfifo").arg(file.path()).status().unwrap();
    assert!(made.success());
    app.clock.advance(TimeDelta::seconds(1));
    let (hangs, alive) = (pin!(status(&app)), pin!(app.get("/livez")));
    let Either::Right((alive, hangs)) = select(hangs, alive).await else {
        panic!("the thread that serves was kept up");
    };
    assert_eq!(alive.status, 200);
    assert_eq!(hangs.await, 503);
    for _ in 0..2 {
        assert_eq!(status(&app).await, 200, "with the secret before");
        app.clock.advance(TimeDelta::seconds(1));
    }
    // Whoever reads it comes to an end, and the server with it.
    fs::write(file.path(), "newer").unwrap();
}

async fn status_at(program: &Program) -> u16 {
    let reply = reqwest::Client::builder().no_proxy().build().unwrap();
    let reply = reply
        .get(format!("http://{}/mcp", program.address))
        .header("host", "127.0.0.1:8787")
        .header("authorization", "Bearer abc")
        .send();
    reply.await.unwrap().status().as_u16()
}

#[actix_rt::test]
async fn a_hangup_has_a_secret_that_was_refused_tried_at_once() {
    let (issuer, _handle) = Issuer::bystander();
    issuer.serves().await;
    issuer.answer(
        "abc",
        Answer::json(json!({
            "active": true, "sub": "ann", "scope": ALL, "aud": "http://127.0.0.1:8787/mcp",
        })),
    );
    issuer.lets_in(|seen| is_bearer(seen, "old"));
    let file = SecretFile::new("old");
    let database = TestDatabase::new();
    let mut program = Program::start(&[
        ("DATABASE_URL", database.url.expose_secret()),
        ("EPICME_ISSUER", issuer.url()),
        ("EPICME_INTROSPECTION_AUTHENTICATION", "bearer"),
        (
            "EPICME_INTROSPECTION_CLIENT_SECRET_FILE",
            file.path().to_str().unwrap(),
        ),
        ("EPICME_INTROSPECTION_CACHE", "0s"),
        ("EPICME_WORKERS", "1"),
    ]);
    program.says("the authorization server answers");
    let at_start = issuer.calls();
    // Whoever is let in is told to name a session.
    assert_eq!(status_at(&program).await, 400);
    file.write("newer");
    program.signal("HUP");
    program.says_next("secret files will be read again");
    assert_eq!(status_at(&program).await, 400);
    let calls = issuer.calls() - at_start;
    assert_eq!(calls, 3, "the new one, and the old one after it");
    issuer.lets_in(|seen| is_bearer(seen, "newer"));
    assert_eq!(status_at(&program).await, 503, "the new one is left alone");
    program.signal("HUP");
    program.says_next("secret files will be read again");
    assert_eq!(status_at(&program).await, 400);
    program.signal("TERM");
    assert_eq!(program.ends().0, 0);
}
