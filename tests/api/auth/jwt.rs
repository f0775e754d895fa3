//! Access tokens that are JWTs (RFC 9068): who signed them decides, and the issuer is asked besides only
//! where that is wished.

use chrono::TimeDelta;
use epicme::config::Verification;
use resource_server::jose::keys::Algorithm;
use serde_json::{Value, json};

use crate::support::{ALL, Answer, KEYS, RESOURCE, Reply, SigningKey, TestApp, lines_with};

/// A server that verifies, and the key that its issuer signs with. It has no client to introspect with,
/// unless tokens are introspected as well.
fn verifying(introspected: bool) -> (TestApp, SigningKey) {
    let key = SigningKey::new("k1");
    let app = TestApp::spawn_with(|config| {
        let issuer = &mut config.issuers[0];
        let client = issuer.verification.client().cloned();
        let algorithms = vec![Algorithm::Es256];
        issuer.verification = match client.filter(|_| introspected) {
            Some(client) => Verification::JwtThenIntrospection { algorithms, client },
            None => Verification::Jwt {
                algorithms,
                opaque: None,
            },
        };
    });
    app.issuer.keys(&[&key]);
    (app, key)
}

/// The claims of a good token, with these changes; null takes away.
fn claims(app: &TestApp, changes: Value) -> Value {
    let now = app.clock.now();
    let mut claims = json!({
        "iss": app.issuer.url(), "sub": "ann", "aud": RESOURCE, "client_id": "notebook",
        "scope": ALL, "iat": now.timestamp(), "exp": (now + TimeDelta::hours(1)).timestamp(),
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn token(app: &TestApp, key: &SigningKey, changes: Value) -> String {
    key.sign("at+jwt", &claims(app, changes))
}

async fn list(app: &TestApp, token: &str) -> Reply {
    let reply = app.modern(token, "tools/list", json!({})).send().await;
    assert_eq!(lines_with(token), [""; 0], "a token in the log");
    reply
}

fn assert_outage(reply: &Reply, why: &str) {
    assert_eq!(reply.status, 503, "{why}: {}", reply.text());
    assert_eq!(reply.header("retry-after"), Some("5"), "{why}");
    assert_eq!(reply.header("www-authenticate"), None, "{why}");
}

fn assert_refused(reply: &Reply, why: &str) {
    assert_eq!(reply.status, 401, "{why}: {}", reply.text());
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
}

#[actix_rt::test]
async fn a_good_token_needs_the_issuers_keys_once_and_no_question() {
    let (app, key) = verifying(false);
    for subject in ["ann", "bob"] {
        let token = token(&app, &key, json!({ "sub": subject }));
        let reply = app.tool(&token, "whoami", &json!({})).send().await;
        assert_eq!(
            reply.result()["structuredContent"]["user"]["subject"],
            subject
        );
    }
    assert_eq!((app.issuer.calls(), app.issuer.key_calls()), (0, 1));
    // Its end is believed over what is remembered.
    let end = (app.clock.now() + TimeDelta::seconds(10)).timestamp();
    let short = token(&app, &key, json!({ "exp": end }));
    assert_eq!(list(&app, &short).await.status, 200);
    app.clock.advance(TimeDelta::seconds(10));
    assert_refused(&list(&app, &short).await, "expired since");
}

#[actix_rt::test]
async fn a_token_that_is_not_what_it_has_to_be_is_refused_and_nobody_is_asked() {
    let (app, key) = verifying(false);
    let now = app.clock.now().timestamp();
    let good = claims(&app, json!({}));
    let header = json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" });
    let headed = |changes: Value| {
        let mut header = header.clone();
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        key.sign_with(&header, &good)
    };
    let forged = SigningKey::new("k1").sign("at+jwt", &good);
    let signed = key.sign("at+jwt", &good);
    let (signed, signature) = signed.rsplit_once('.').unwrap();
    let another = token(&app, &key, json!({ "sub": "bob" }));
    let (tampered, _) = another.rsplit_once('.').unwrap();
    let unsigned = headed(json!({ "alg": "none" }));
    let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
    let changed = |changes| token(&app, &key, changes);
    for (why, token) in [
        ("expired", changed(json!({ "exp": now }))),
        ("not valid yet", changed(json!({ "nbf": now + 3_600 }))),
        ("issued later", changed(json!({ "iat": now + 3_600 }))),
        (
            "another audience",
            changed(json!({ "aud": "https://a.example" })),
        ),
        ("no audience", changed(json!({ "aud": null }))),
        ("no end", changed(json!({ "exp": null }))),
        ("no subject", changed(json!({ "sub": null }))),
        ("no client", changed(json!({ "client_id": null }))),
        (
            "another issuer",
            changed(json!({ "iss": "https://a.example" })),
        ),
        ("no issuer", changed(json!({ "iss": null }))),
        (
            "no type",
            key.sign_with(&json!({ "alg": "ES256", "kid": "k1" }), &good),
        ),
        ("an ID token", headed(json!({ "typ": "JWT" }))),
        ("a critical extension", headed(json!({ "crit": ["b64"] }))),
        ("not signed", format!("{unsigned}.")),
        ("none, and signed", headed(json!({ "alg": "none" }))),
        ("HS256", headed(json!({ "alg": "HS256" }))),
        (
            "not among the algorithms",
            headed(json!({ "alg": "ES384" })),
        ),
        ("another key of that id", forged),
        (
            "its own key in its header",
            headed(json!({ "kid": "k2", "jwk": key.jwk() })),
        ),
        ("signature of another", format!("{tampered}.{signature}")),
        ("half a signature", format!("{signed}.{}", &signature[..40])),
        ("no JWT", "opaque-and-of-nobody".to_owned()),
        ("encrypted", "YWFh.YmJi.Y2Nj.ZGRk.ZWVl".to_owned()),
    ] {
        assert_refused(&list(&app, &token).await, why);
    }
    assert_eq!(list(&app, &changed(json!({}))).await.status, 200);
    assert_eq!(app.issuer.calls(), 0);
}

#[actix_rt::test]
async fn unknown_keys_of_one_source_have_the_key_set_fetched_once_in_ten_seconds() {
    let (app, key) = verifying(false);
    assert_eq!(list(&app, &token(&app, &key, json!({}))).await.status, 200);
    for pause in 1..=2 {
        for n in 0..20 {
            let stranger = SigningKey::new(&format!("stranger-{pause}-{n}"));
            let reply = list(&app, &token(&app, &stranger, json!({}))).await;
            if n == 0 {
                assert_refused(&reply, "unknown key");
            } else {
                // It may be new since.
                assert_eq!(reply.status, 503);
                assert_eq!(reply.header("retry-after"), Some("10"));
            }
        }
        assert_eq!(app.issuer.key_calls(), 1 + pause);
        app.clock.advance(TimeDelta::seconds(10));
    }
}

#[actix_rt::test]
async fn a_new_key_counts_at_once_and_the_old_one_no_more() {
    let (app, old) = verifying(false);
    assert_eq!(list(&app, &token(&app, &old, json!({}))).await.status, 200);
    let new = SigningKey::new("k2");
    app.issuer.keys(&[&new]);
    assert_eq!(list(&app, &token(&app, &new, json!({}))).await.status, 200);
    assert_eq!(app.issuer.key_calls(), 2);
    let late = token(&app, &old, json!({ "sub": "bob" }));
    app.clock.advance(TimeDelta::seconds(10));
    assert_refused(&list(&app, &late).await, "signed with the old key");
}

#[actix_rt::test]
async fn keys_that_cannot_be_had_are_an_outage_and_no_fault_of_the_token() {
    let (app, key) = verifying(false);
    let private = json!({ "keys": [{ "kty": "oct", "kid": "k1", "k": "AAAA" }] });
    let redirect = vec![("location", format!("{}/elsewhere", app.issuer.url()))];
    app.issuer
        .metadata("/elsewhere", Answer::json(json!({ "keys": [key.jwk()] })));
    let good = token(&app, &key, json!({}));
    for (why, answer) in [
        ("500", Answer::text(500, "oops")),
        ("404", Answer::text(404, "{}")),
        ("a redirect", Answer::Whole(302, redirect, Vec::new())),
        ("cut off", Answer::Cut),
        ("not JSON", Answer::text(200, "<html>")),
        ("no keys", Answer::json(json!({ "keys": [] }))),
        ("a secret for a key", Answer::json(private)),
        ("oversized", Answer::text(200, "x".repeat(70_000))),
    ] {
        app.issuer.metadata(KEYS, answer);
        let calls = app.issuer.key_calls();
        assert_outage(&list(&app, &good).await, why);
        assert!(app.issuer.key_calls() > calls, "{why}");
        app.clock.advance(TimeDelta::seconds(1));
    }
    // That is not held against the token.
    app.issuer.keys(&[&key]);
    assert_eq!(list(&app, &good).await.status, 200);
}

#[actix_rt::test]
async fn keys_are_not_asked_for_before_the_date_that_their_server_names() {
    let (app, key) = verifying(false);
    for status in [429, 503] {
        let good = token(&app, &key, json!({}));
        let date = app.clock.now() + TimeDelta::seconds(60);
        let date = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let refusal = Answer::Whole(status, vec![("retry-after", date)], Vec::new());
        app.issuer.metadata(KEYS, refusal);
        assert_outage(&list(&app, &good).await, "it wants to be left alone");
        let calls = app.issuer.key_calls();
        app.issuer.keys(&[&key]);
        app.clock.advance(TimeDelta::seconds(58));
        assert_outage(&list(&app, &good).await, "not yet");
        assert_eq!(app.issuer.key_calls(), calls);
        app.clock.advance(TimeDelta::seconds(3));
        assert_eq!(list(&app, &good).await.status, 200);
        app.clock.advance(TimeDelta::days(2));
    }
}

#[actix_rt::test]
async fn keys_that_are_known_serve_on_while_new_ones_cannot_be_had() {
    let (app, key) = verifying(false);
    assert_eq!(list(&app, &token(&app, &key, json!({}))).await.status, 200);
    app.issuer.metadata(KEYS, Answer::text(500, "oops"));
    app.clock.advance(TimeDelta::minutes(11));
    assert_eq!(list(&app, &token(&app, &key, json!({}))).await.status, 200);
    // Whether this one is good cannot be found out, however often it is tried.
    let new = SigningKey::new("k2");
    assert_outage(
        &list(&app, &token(&app, &new, json!({}))).await,
        "a key that may be new",
    );
    for n in 0..3 {
        let reply = list(&app, &token(&app, &new, json!({ "jti": n }))).await;
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (503, Some("5"))
        );
    }
    assert_eq!(list(&app, &token(&app, &key, json!({}))).await.status, 200);
    app.clock.advance(TimeDelta::hours(24));
    let reply = list(&app, &token(&app, &key, json!({}))).await;
    assert_outage(&reply, "a day later");
}

#[actix_rt::test]
async fn a_token_that_is_introspected_as_well_can_be_revoked() {
    let (app, key) = verifying(true);
    let said = |token: &str, active: bool| {
        let mut reply = claims(&app, json!({ "active": active, "token_type": "Bearer" }));
        reply["sub"] = "ann".into();
        app.issuer.answer(token, Answer::json(reply));
    };
    let good = token(&app, &key, json!({}));
    said(&good, true);
    assert_eq!(list(&app, &good).await.status, 200);
    assert_eq!((app.issuer.calls(), app.issuer.key_calls()), (1, 1));
    said(&good, false);
    app.clock.advance(TimeDelta::minutes(1));
    assert_refused(&list(&app, &good).await, "revoked");

    let unlucky = token(&app, &key, json!({ "sub": "bob" }));
    app.issuer.answer(&unlucky, Answer::text(500, "oops"));
    assert_outage(&list(&app, &unlucky).await, "cannot be asked");

    let before = app.issuer.calls();
    let forged = SigningKey::new("k1").sign("at+jwt", &claims(&app, json!({})));
    said(&forged, true);
    assert_refused(&list(&app, &forged).await, "forged");
    assert_eq!(
        app.issuer.calls(),
        before,
        "what is forged is shown to nobody"
    );
    // Tokens that are no JWTs are introspected as ever.
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 200);
}

/// No server is asked that could report its revocation, so a revocation counts for every token that was issued
/// before it, whether it was seen before or not.
#[actix_rt::test]
async fn whoever_is_cut_off_needs_a_token_that_was_issued_since() {
    const SECRET: &str = "a secret for cut-offs";
    let key = SigningKey::new("k1");
    let app = TestApp::spawn_with(|config| {
        let issuer = &mut config.issuers[0];
        issuer.verification = Verification::Jwt {
            algorithms: vec![Algorithm::Es256],
            opaque: None,
        };
        config.http.revocation_secret = Some(SECRET.into());
    });
    app.issuer.keys(&[&key]);
    let seen = token(&app, &key, json!({ "jti": "seen" }));
    let unseen = token(&app, &key, json!({ "jti": "unseen" }));
    let another = token(&app, &key, json!({ "sub": "bob" }));
    assert_eq!(list(&app, &seen).await.status, 200);
    let whom = json!({ "issuer": app.issuer.url(), "subject": "ann" });
    let told = app
        .ask("POST", "/admin/cut-offs")
        .header("authorization", &format!("Bearer {SECRET}"))
        .header("content-type", "application/json")
        .body(whom.to_string());
    assert_eq!(told.send().await.status, 204);
    assert_refused(&list(&app, &seen).await, "seen before");
    assert_refused(&list(&app, &unseen).await, "not seen before");
    assert_eq!(list(&app, &another).await.status, 200);
    app.clock.advance(TimeDelta::seconds(60));
    assert_refused(&list(&app, &seen).await, "nor later");
    let since = token(&app, &key, json!({ "jti": "since" }));
    assert_eq!(list(&app, &since).await.status, 200);
}

/// What an issuer says of a JWT is joined with what the JWT says.
#[actix_rt::test]
async fn of_a_jwt_and_what_its_issuer_says_the_stricter_decides() {
    let (app, key) = verifying(true);
    let mut count = 0;
    let mut judged = |reply: Value| {
        count += 1;
        let token = token(&app, &key, json!({ "jti": count }));
        app.issuer.answer(&token, Answer::json(reply));
        token
    };
    let enough = judged(json!({ "active": true }));
    let reply = app.tool(&enough, "whoami", &json!({})).send().await;
    let whoami = &reply.result()["structuredContent"];
    assert_eq!(whoami["user"]["subject"], "ann");
    assert_eq!(
        whoami["scopes"].as_array().unwrap().len(),
        ALL.split(' ').count()
    );
    let fewer = judged(json!({ "active": true, "scope": "user:read openid" }));
    let reply = app.tool(&fewer, "whoami", &json!({})).send().await;
    assert_eq!(
        reply.result()["structuredContent"]["scopes"],
        json!(["user:read"])
    );
    let soon = app.clock.now() + TimeDelta::seconds(5);
    let short = judged(json!({ "active": true, "exp": soon.timestamp() }));
    assert_eq!(list(&app, &short).await.status, 200);
    for (why, reply) in [
        ("another user", json!({ "sub": "bob" })),
        ("another client", json!({ "client_id": "guest" })),
        ("another issuer", json!({ "iss": "https://a.example" })),
        ("another audience", json!({ "aud": "https://a.example" })),
        ("no audience", json!({ "aud": [] })),
        ("not valid yet", json!({ "nbf": soon.timestamp() + 3_600 })),
        ("expired", json!({ "exp": 1_000 })),
        (
            "bound to a key",
            json!({ "cnf": { "jkt": "0".repeat(43) } }),
        ),
        ("a refresh token", json!({ "token_type": "refresh_token" })),
        ("inactive", json!({ "active": false })),
    ] {
        let mut said = json!({ "active": true });
        for (name, value) in reply.as_object().unwrap() {
            said[name] = value.clone();
        }
        assert_refused(&list(&app, &judged(said)).await, why);
    }
    app.clock.advance(TimeDelta::seconds(5));
    assert_refused(&list(&app, &short).await, "the earlier end");
}

#[actix_rt::test]
async fn an_issuer_that_introspects_no_jwts_is_named_to_the_operator() {
    let (app, key) = verifying(true);
    for n in 0..6 {
        let token = token(&app, &key, json!({ "jti": n }));
        let answer = Answer::text(400, r#"{"error":"unsupported_token_type"}"#);
        app.issuer.answer(&token, answer);
        assert_outage(&list(&app, &token).await, "it says nothing of the token");
    }
    assert!(!lines_with("the issuer does not introspect access tokens that are JWTs").is_empty());
    // The endpoint is all right.
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 200);
}
