//! Authorization servers that differ from the RFCs in ways that harm nobody, and those that an operator has to allow.

use std::sync::Arc;

use actix_web::dev::ServerHandle;
use epicme::config::{Config, Verification};
use resource_server::{
    issuer::{AssertionAudience, ClientAuthentication, ClientAuthenticationMethod, SecretSource},
    jose::keys::Algorithm,
    token_rules::{JwtType, SubjectClaim},
};
use serde_json::{Value, json};

use super::introspection::{active, list};
use crate::support::{
    ALL, Answer, Issuer, KEYS, RESOURCE, SecretFile, Seen, SigningKey, TestApp, lines_with,
    log_contains, parse_challenge,
};

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

fn client(config: &mut Config) -> &mut ClientAuthentication {
    match &mut config.issuers[0].verification {
        Verification::Introspection(client) => client,
        _ => panic!("the issuer of these tests is introspected"),
    }
}

/// Some decoders of `application/x-www-form-urlencoded` leave `+` as it is; all read `%20`.
#[actix_rt::test]
async fn a_space_in_a_secret_is_sent_as_every_decoder_reads_it() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let app = TestApp::spawn_with(|config| {
        client(config).secret = SecretSource::Given("a b+c".into());
    });
    let token = app.token("ann", ALL);
    assert_eq!(list(&app, &token).await.status, 200);
    let sent = app.issuer.seen()[0].authorization.clone().unwrap();
    let sent = STANDARD
        .decode(sent.strip_prefix("Basic ").unwrap())
        .unwrap();
    assert_eq!(sent, b"epicme:a%20b%2Bc");
}

/// RFC 7523 §3 lets the token endpoint be the audience.
#[actix_rt::test]
async fn an_assertion_is_for_the_token_endpoint_where_the_operator_says_so() {
    let key = Arc::new(SigningKey::new("c1"));
    let file = SecretFile::new(&key.pem());
    let app = TestApp::spawn_with(|config| {
        let client = client(config);
        client.method = ClientAuthenticationMethod::PrivateKeyJwt;
        client.assertion_audience = AssertionAudience::TokenEndpoint;
        client.secret = file.source();
    });
    let token_endpoint = format!("{}/token", app.issuer.url());
    let expected = token_endpoint.clone();
    app.issuer.lets_in(move |seen: &Seen| {
        let assertion = seen.said("client_assertion");
        let read = assertion.and_then(|assertion| key.verified(assertion));
        read.is_some_and(|(_, claims)| claims["aud"] == expected.as_str())
    });
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 200);

    // Without that endpoint nobody is asked.
    let mut document = app.issuer.usual_metadata();
    document.as_object_mut().unwrap().remove("token_endpoint");
    app.issuer.metadata(OAUTH, Answer::json(document));
    app.clock.advance(chrono::TimeDelta::minutes(11));
    let calls = app.issuer.calls();
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 503);
    assert_eq!(app.issuer.calls(), calls);
    assert!(log_contains("names no token_endpoint"));
}

#[actix_rt::test]
async fn an_odd_answer_at_one_address_does_not_hide_the_metadata_at_another() {
    let other = json!({ "issuer": "https://other.example", "introspection_endpoint": "https://other.example/x" });
    let long = json!({ "issuer": "x", "more": "y".repeat(70_000) });
    for (what, answer) in [
        ("500", Answer::text(500, "oops")),
        ("503", Answer::text(503, "")),
        ("429", Answer::text(429, "")),
        ("403", Answer::text(403, "<html>")),
        ("a redirect", Answer::text(302, "")),
        ("another issuer's", Answer::json(other)),
        ("a page", Answer::text(200, "<!doctype html>")),
        ("too long", Answer::json(long)),
        ("cut off", Answer::Cut),
    ] {
        let app = TestApp::spawn();
        let document = app.issuer.usual_metadata();
        app.issuer.metadata(OAUTH, answer);
        app.issuer.metadata(OPENID, Answer::json(document));
        let reply = list(&app, &app.token("ann", ALL)).await;
        assert_eq!(reply.status, 200, "{what}: {}", reply.text());
    }
}

#[actix_rt::test]
async fn a_document_with_the_endpoint_is_preferred_to_one_without() {
    let app = TestApp::spawn();
    let whole = app.issuer.usual_metadata();
    let mut partial = whole.clone();
    partial
        .as_object_mut()
        .unwrap()
        .remove("introspection_endpoint");
    app.issuer.metadata(OAUTH, Answer::json(partial));
    app.issuer.metadata(OPENID, Answer::json(whole));
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 200);
}

/// The first document that is there and wrong is what an operator has to hear of.
#[actix_rt::test]
async fn the_first_refused_document_is_reported_and_not_the_last_answer() {
    let app = TestApp::spawn();
    let other = json!({ "issuer": "https://other.example" });
    app.issuer.metadata(OAUTH, Answer::json(other));
    app.issuer.metadata(OPENID, Answer::text(500, "oops"));
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 503);
    let told = format!(
        "metadata of another issuer; asked was {}{OAUTH}",
        app.issuer.url()
    );
    assert!(log_contains(&told), "{:?}", lines_with("metadata"));

    let app = TestApp::spawn();
    app.issuer.metadata(OAUTH, Answer::text(500, "oops"));
    app.issuer.metadata(OPENID, Answer::text(200, "<html>"));
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 503);
    let told = format!("not a JSON object; asked was {}{OPENID}", app.issuer.url());
    assert!(log_contains(&told), "{:?}", lines_with("metadata"));
}

#[actix_rt::test]
async fn metadata_after_the_path_of_the_issuer_is_found_in_both_forms() {
    for appended in [OAUTH, OPENID] {
        let app = TestApp::spawn_with(|config| {
            let url = format!("{}/realms/x", config.issuers[0].url);
            config.issuers[0].url = url.parse().unwrap();
        });
        let issuer = format!("{}/realms/x", app.issuer.url());
        let mut document = app.issuer.usual_metadata();
        document["issuer"] = issuer.as_str().into();
        app.issuer.without_metadata();
        app.issuer
            .metadata(&format!("/realms/x{appended}"), Answer::json(document));
        let token = app.token_with(json!({ "iss": issuer }));
        assert_eq!(list(&app, &token).await.status, 200, "{appended}");
    }
}

/// RFC 8259 §8.1 lets a reader ignore it.
#[actix_rt::test]
async fn a_byte_order_mark_is_ignored_in_every_document() {
    let key = SigningKey::new("k1");
    let app = TestApp::spawn_with(|config| {
        let client = client(config).clone();
        config.issuers[0].verification = Verification::JwtThenIntrospection {
            algorithms: vec![Algorithm::Es256],
            client,
        };
    });
    let marked = |body: Value| Answer::text(200, format!("\u{feff}{body}"));
    app.issuer
        .metadata(OAUTH, marked(app.issuer.usual_metadata()));
    app.issuer
        .metadata(KEYS, marked(json!({ "keys": [key.jwk()] })));
    let now = app.clock.now().timestamp();
    let jwt = key.sign(
        "at+jwt",
        &json!({
            "iss": app.issuer.url(), "sub": "ann", "aud": RESOURCE, "client_id": "notebook", "scope": ALL,
            "iat": now, "exp": now + 600,
        }),
    );
    app.issuer.answer(&jwt, marked(active(&app)));
    assert_eq!(list(&app, &jwt).await.status, 200);
}

const HINT: &str = "may not let this client introspect the tokens of others";

#[actix_rt::test]
async fn an_operator_hears_of_an_issuer_that_calls_every_token_inactive() {
    let app = TestApp::spawn();
    for count in 1..=12 {
        let token = app.token_for(Answer::json(json!({ "active": false })));
        assert_eq!(list(&app, &token).await.status, 401);
        let issuer = app.issuer.url();
        let told = lines_with(HINT)
            .iter()
            .filter(|line| line.contains(issuer))
            .count();
        assert_eq!(told, usize::from(count >= 10), "{count}");
    }
}

#[actix_rt::test]
async fn an_issuer_that_called_a_token_active_is_not_suspected() {
    let app = TestApp::spawn();
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 200);
    for _ in 1..=12 {
        let token = app.token_for(Answer::json(json!({ "active": false })));
        assert_eq!(list(&app, &token).await.status, 401);
    }
    let issuer = app.issuer.url();
    assert!(!lines_with(HINT).iter().any(|line| line.contains(issuer)));
}

/// RFC 9701 §5: `aud` identifies the resource server.
#[actix_rt::test]
async fn a_signed_reply_for_this_resource_is_for_this_server() {
    let app = TestApp::spawn_with(|config| config.issuers[0].signed_replies = true);
    let key = SigningKey::new("k1");
    app.issuer.keys(&[&key]);
    for (audience, status) in [(RESOURCE, 200), ("https://other.example/mcp", 503)] {
        let reply = json!({
            "iss": app.issuer.url(), "aud": audience, "iat": app.clock.now().timestamp(),
            "token_introspection": active(&app),
        });
        let signed = key.sign("token-introspection+jwt", &reply);
        let token = app.token_for(Answer::text(200, signed));
        assert_eq!(list(&app, &token).await.status, status, "{audience}");
    }
}

/// A server of two issuers that name scopes differently.
fn of_two_prefixes() -> (TestApp, Issuer, ServerHandle) {
    let (second, handle) = Issuer::bystander();
    let app = TestApp::spawn_with(|config| {
        let mut other = config.issuers[0].clone();
        other.url = second.url().parse().unwrap();
        other.token_prefixes = vec!["b_".to_owned()];
        other.rules.scope_prefix = "api://b/".to_owned();
        config.issuers[0].token_prefixes = vec!["token-".to_owned()];
        config.issuers.push(other);
    });
    (app, second, handle)
}

#[actix_rt::test]
async fn scopes_are_named_as_the_issuer_of_the_token_names_them() {
    let (app, second, _handle) = of_two_prefixes();
    let scope = |reply: &crate::support::Reply| {
        let challenge = parse_challenge(reply.header("www-authenticate").unwrap()).unwrap();
        challenge.get("scope").unwrap().to_owned()
    };
    let document = app
        .get("/.well-known/oauth-protected-resource/mcp")
        .await
        .json();
    let named = |prefix: &'static str| ALL.split(' ').map(move |name| format!("{prefix}{name}"));
    let both = named("").chain(named("api://b/")).collect::<Vec<_>>();
    assert_eq!(document["scopes_supported"], json!(both));
    let nobody = app.ask("POST", "/mcp").send().await;
    assert_eq!(scope(&nobody), ALL, "those of the first");

    second.answer(
        "b_1",
        Answer::json(json!({
            "active": true, "sub": "ann", "scope": "api://b/user:read", "aud": RESOURCE, "iss": second.url(),
        })),
    );
    let arguments = json!({ "title": "a", "content": "b" });
    let refused = app.tool("b_1", "create_entry", &arguments).send().await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(scope(&refused), "api://b/entries:write");
    let of_first = app.token("ann", "user:read");
    let refused = app.tool(&of_first, "create_entry", &arguments).send().await;
    assert_eq!(scope(&refused), "entries:write");
}

/// Each relaxation is off unless it is set.
#[actix_rt::test]
async fn nothing_beyond_the_rfcs_is_accepted_unless_an_operator_says_so() {
    let key = SigningKey::new("k1");
    let now = |app: &TestApp| app.clock.now().timestamp();
    let claims = |app: &TestApp, changes: Value| {
        let mut claims = json!({
            "iss": app.issuer.url(), "sub": "ann", "aud": RESOURCE, "client_id": "notebook", "scope": ALL,
            "iat": now(app), "exp": now(app) + 600,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].verification = Verification::Jwt {
            algorithms: vec![Algorithm::Es256],
            opaque: Some(client(config).clone()),
        };
    });
    app.issuer.keys(&[&key]);
    let good = key.sign("at+jwt", &claims(&app, json!({})));
    assert_eq!(list(&app, &good).await.status, 200);
    for (media_type, changes, status) in [
        ("JWT", json!({}), 401),
        (
            "at+jwt",
            json!({ "client_id": null, "azp": "notebook", "cid": "c", "appid": "i" }),
            401,
        ),
        ("at+jwt", json!({ "scope": null, "scp": ALL }), 403),
        ("at+jwt", json!({ "aud": "api://journal" }), 401),
        ("at+jwt", json!({ "aud": null }), 401),
        ("at+jwt", json!({ "sub": null, "username": "ann" }), 401),
    ] {
        let jwt = key.sign(media_type, &claims(&app, changes.clone()));
        assert_eq!(list(&app, &jwt).await.status, status, "{changes}");
    }
    let untyped = key.sign_with(
        &json!({ "alg": "ES256", "kid": "k1" }),
        &claims(&app, json!({})),
    );
    assert_eq!(list(&app, &untyped).await.status, 401);
    for (changes, status) in [
        (json!({ "sub": null }), 401),
        (json!({ "aud": null }), 401),
        (json!({ "aud": "epicme" }), 401),
        (json!({ "scope": null, "scp": ALL }), 403),
        (json!({ "scope": "api://journal/entries:read" }), 403),
    ] {
        let token = app.token_with(changes.clone());
        assert_eq!(list(&app, &token).await.status, status, "{changes}");
    }
}

/// The identity of a user must not depend on what a server happens to send.
#[actix_rt::test]
async fn users_are_their_names_only_where_the_operator_says_so() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].rules.subject = SubjectClaim::Username;
    });
    let user = async |changes: Value| {
        let token = app.token_with(changes);
        let reply = app.tool(&token, "whoami", &json!({})).send().await;
        reply.result()["structuredContent"]["user"]["subject"].clone()
    };
    assert_eq!(user(json!({ "sub": null, "username": "ada" })).await, "ada");
    assert_eq!(user(json!({ "sub": "7", "username": "ada" })).await, "ada");
    let nameless = app.token_with(json!({ "username": null, "preferred_username": "ada" }));
    assert_eq!(list(&app, &nameless).await.status, 401);
    assert!(log_contains("are identified by username (EPICME_SUBJECT)"));
}

/// With every relaxation on, what an issuer signs for another use is refused all the same.
#[actix_rt::test]
async fn no_other_document_of_the_issuer_is_an_access_token() {
    let key = SigningKey::new("k1");
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].jwt_types = JwtType::ALL.to_vec();
        config.issuers[0].rules.audiences = ["notebook".to_owned()].into();
        config.issuers[0].verification = Verification::Jwt {
            algorithms: vec![Algorithm::Es256],
            opaque: None,
        };
    });
    app.issuer.keys(&[&key]);
    let now = app.clock.now().timestamp();
    let sign = |media_type: &str, changes: Value| {
        let mut claims = json!({
            "iss": app.issuer.url(), "sub": "ann", "aud": "notebook", "client_id": "notebook", "iat": now, "exp": now + 600,
            "scope": ALL,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        key.sign(media_type, &claims)
    };
    assert_eq!(list(&app, &sign("JWT", json!({}))).await.status, 200);
    for changes in [
        json!({ "nonce": "n" }),
        json!({ "at_hash": "h" }),
        json!({ "c_hash": "h" }),
        json!({ "token_use": "id" }),
        json!({ "typ": "ID" }),
        json!({ "scope": null }),
        json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } }),
    ] {
        for media_type in ["JWT", "at+jwt"] {
            let reply = list(&app, &sign(media_type, changes.clone())).await;
            assert_eq!(reply.status, 401, "{media_type}: {changes}");
        }
    }
    for media_type in [
        "logout+jwt",
        "dpop+jwt",
        "token-introspection+jwt",
        "secevent+jwt",
    ] {
        let reply = list(&app, &sign(media_type, json!({}))).await;
        assert_eq!(reply.status, 401, "{media_type}");
    }
}
