//! Several authorization servers: each is shown its own tokens and no other's, whatever goes wrong.

use actix_web::dev::ServerHandle;
use chrono::TimeDelta;
use epicme::config::Verification;
use resource_server::jose::keys::Algorithm;
use serde_json::{Value, json};

use crate::support::{ALL, Answer, Issuer, RESOURCE, Reply, SigningKey, TestApp};

/// A server of two issuers: the tokens of the first begin with `token-`, those of the second with `b_`,
/// or are JWTs.
struct Two {
    app: TestApp,
    second: Issuer,
    key: SigningKey,
    _handle: ServerHandle,
}

impl Two {
    fn spawn() -> Self {
        let (second, handle) = Issuer::bystander();
        let key = SigningKey::new("k1");
        second.keys(&[&key]);
        let app = TestApp::spawn_with(|config| {
            let mut other = config.issuers[0].clone();
            other.url = second.url().parse().unwrap();
            other.token_prefixes = vec!["b_".to_owned()];
            other.verification = Verification::Jwt {
                algorithms: vec![Algorithm::Es256],
                opaque: other.verification.client().cloned(),
            };
            config.issuers[0].token_prefixes = vec!["token-".to_owned()];
            config.issuers.push(other);
            config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        });
        Self {
            app,
            second,
            key,
            _handle: handle,
        }
    }

    /// What the second one says of a token.
    fn answer(&self, token: &str) {
        self.second.answer(
            token,
            Answer::json(json!({
                "active": true, "sub": "ann", "scope": ALL, "aud": RESOURCE, "iss": self.second.url(),
            })),
        );
    }

    fn jwt(&self, key: &SigningKey, issuer: &str) -> String {
        let now = self.app.clock.now();
        let claims = json!({
            "iss": issuer, "sub": "ann", "aud": RESOURCE, "client_id": "notebook", "scope": ALL,
            "iat": now.timestamp(), "exp": (now + TimeDelta::hours(1)).timestamp(),
        });
        key.sign("at+jwt", &claims)
    }

    async fn list(&self, token: &str) -> Reply {
        let ask = self.app.modern(token, "tools/list", json!({}));
        ask.send().await
    }
}

///
#[actix_rt::test]
async fn a_token_is_shown_to_its_issuer_alone() {
    let two = Two::spawn();
    let of_first = two.app.token("ann", ALL);
    assert_eq!(two.list(&of_first).await.status, 200);
    assert!(two.second.saw_nothing());

    let two = Two::spawn();
    two.answer("b_1");
    assert_eq!(two.list("b_1").await.status, 200);
    let jwt = two.jwt(&two.key, two.second.url());
    assert_eq!(two.list(&jwt).await.status, 200);
    assert_eq!((two.second.calls(), two.second.key_calls()), (1, 1));
    assert!(two.app.issuer.saw_nothing());
}

#[actix_rt::test]
async fn whatever_goes_wrong_at_one_issuer_no_other_is_tried() {
    for (why, answer, status) in [
        ("inactive", Answer::json(json!({ "active": false })), 401),
        ("down", Answer::text(500, "oops"), 503),
        ("refuses us", Answer::text(401, "{}"), 503),
        ("nonsense", Answer::text(200, "<html>"), 503),
        ("cut off", Answer::Cut, 503),
        (
            "another kind of token",
            Answer::text(400, "{\"error\":\"unsupported_token_type\"}"),
            401,
        ),
    ] {
        let two = Two::spawn();
        let token = two.app.token_for(answer);
        // The second one would take it for its own.
        two.answer(&token);
        assert_eq!(two.list(&token).await.status, status, "{why}");
        assert!(two.second.saw_nothing(), "{why}");
    }
    let two = Two::spawn();
    two.app.issuer.without_metadata();
    let token = two.app.token("ann", ALL);
    assert_eq!(two.list(&token).await.status, 503);
    assert!(two.second.saw_nothing());
}

#[actix_rt::test]
async fn a_token_of_no_known_issuer_is_shown_to_nobody() {
    let two = Two::spawn();
    for token in [
        "c_1",
        "B_1",
        "tokens",
        &two.jwt(&two.key, "https://a.example"),
        // Not to the letter.
        &two.jwt(&two.key, &format!("{}/", two.second.url())),
        &two.key.sign("at+jwt", &json!({ "sub": "ann" })),
    ] {
        let reply = two.list(token).await;
        assert_eq!(reply.status, 401, "{token}");
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
    assert!(two.app.issuer.saw_nothing());
    assert!(two.second.saw_nothing());
}

#[actix_rt::test]
async fn one_issuer_cannot_speak_for_another() {
    let two = Two::spawn();
    // Signed with the second one's key, in the first one's name, which has its tokens introspected.
    let forged = two.jwt(&two.key, two.app.issuer.url());
    assert_eq!(two.list(&forged).await.status, 401);
    assert!(two.second.saw_nothing());
    // The second one says that its token is the first one's.
    two.second.answer(
        "b_2",
        Answer::json(json!({
            "active": true, "sub": "ann", "scope": ALL, "aud": RESOURCE, "iss": two.app.issuer.url(),
        })),
    );
    assert_eq!(two.list("b_2").await.status, 401);
}

#[actix_rt::test]
async fn one_name_at_two_issuers_is_two_users() {
    let two = Two::spawn();
    two.answer("b_1");
    let of_first = two.app.token("ann", ALL);
    let entry = json!({ "title": "Mine", "content": "alone" });
    let created = two.app.tool(&of_first, "create_entry", &entry).send().await;
    assert_eq!(created.result()["isError"], Value::Null);
    for (token, count) in [(of_first.as_str(), 1), ("b_1", 0)] {
        let ask = two.app.tool(token, "list_entries", &json!({}));
        let listed = ask.send().await.result()["structuredContent"]["entries"].clone();
        assert_eq!(listed.as_array().unwrap().len(), count, "{listed}");
    }
}

#[actix_rt::test]
async fn an_issuer_that_fails_is_left_alone_and_the_other_goes_on() {
    let two = Two::spawn();
    let down = || Answer::Whole(503, vec![("retry-after", "0".to_owned())], Vec::new());
    for source in 0..5 {
        let token = two.app.token_for(down());
        let ask = two.app.modern(&token, "tools/list", json!({}));
        let ask = ask.header("x-forwarded-for", &format!("203.0.113.{source}"));
        assert_eq!(ask.send().await.status, 503);
    }
    // Strangers alone failed, so it is probed first, about a token that nobody has.
    two.app.issuer.answer_others(move |_| down());
    let good = two.app.token("ann", ALL);
    for _ in 0..2 {
        assert_eq!(two.list(&good).await.status, 503);
        assert_eq!(two.app.issuer.calls(), 6, "it is left alone");
    }
    two.answer("b_1");
    assert_eq!(two.list("b_1").await.status, 200);
    let inactive = Answer::json(json!({ "active": false }));
    two.app.issuer.answer_others(move |_| inactive.clone());
    two.app.clock.advance(TimeDelta::seconds(5));
    assert_eq!(two.list(&good).await.status, 200);
}

#[actix_rt::test]
async fn clients_find_every_issuer_and_the_first_ones_metadata() {
    let two = Two::spawn();
    let resource = two
        .app
        .get("/.well-known/oauth-protected-resource/mcp")
        .await;
    assert_eq!(
        resource.json()["authorization_servers"],
        json!([two.app.issuer.url(), two.second.url()])
    );
    let relayed = two.app.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(relayed.json(), two.app.issuer.usual_metadata());
    assert!(two.second.saw_nothing());
}
