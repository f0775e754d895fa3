//! Tokens that are bound to a key (RFC 9449).

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use mock_auth::{TokenFormat, TokenGrant};
use reqwest::{Method, Response, StatusCode};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{CALLBACK, RESOURCE, TestAuth, VERIFIER, assert_error, ok};

/// RFC 7638 §3: the hash of the required members in their order, without white space.
fn thumbprint(x: &str) -> String {
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
}

/// A client's key.
struct Key(Ed25519KeyPair);

impl Key {
    fn generate() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x})
    }

    fn thumbprint(&self) -> String {
        thumbprint(self.jwk()["x"].as_str().unwrap())
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", text(header), text(claims));
        let signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// A proof for the token endpoint, with members changed.
    fn proof(&self, server: &TestAuth, token_id: &str, changes: &Value) -> String {
        let mut header = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": self.jwk()});
        let mut claims = json!({
            "htm": "POST",
            "htu": server.url("/oauth/token"),
            "iat": Utc::now().timestamp(),
            "jti": token_id,
        });
        for (name, value) in changes.as_object().unwrap() {
            let part = if header.get(name).is_some() {
                &mut header
            } else {
                &mut claims
            };
            part[name] = value.clone();
        }
        self.sign(&header, &claims)
    }
}

/// RFC 8037 appendix A.3 has a key and its thumbprint.
#[test]
fn the_thumbprint_is_computed_as_in_the_rfc() {
    let thumbprint = thumbprint("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

async fn post(server: &TestAuth, proofs: &[&str], form: &[(&str, &str)]) -> Response {
    let mut request = server.request(Method::POST, "/oauth/token").form(form);
    for proof in proofs {
        request = request.header("dpop", *proof);
    }
    request.send().await.unwrap()
}

async fn redeem(server: &TestAuth, client: &str, proofs: &[&str]) -> Response {
    let code = server.code(client, &[("scope", "entries:read")]).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    post(server, proofs, &form).await
}

async fn refresh(server: &TestAuth, client: &str, token: &Value, proofs: &[&str]) -> Response {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client),
        ("refresh_token", token["refresh_token"].as_str().unwrap()),
    ];
    post(server, proofs, &form).await
}

async fn bound_to(server: &TestAuth, tokens: &Value) -> Value {
    let told = server
        .introspect(tokens["access_token"].as_str().unwrap())
        .await;
    assert_eq!(told["active"], true);
    assert_eq!(told["token_type"], tokens["token_type"]);
    told["cnf"].clone()
}

#[actix_rt::test]
async fn who_proves_a_key_gets_tokens_that_are_bound_to_it() {
    let server = TestAuth::spawn().await;
    let metadata = ok(server.get("/.well-known/oauth-authorization-server").await).await;
    assert_eq!(
        metadata["dpop_signing_alg_values_supported"],
        json!(["ES256", "EdDSA"])
    );
    let (client, key) = (server.register().await, Key::generate());
    let proof = key.proof(&server, "p1", &json!({}));
    let tokens = ok(redeem(&server, &client, &[&proof]).await).await;
    assert_eq!(tokens["token_type"], "DPoP");
    let bound = json!({"jkt": key.thumbprint()});
    assert_eq!(bound_to(&server, &tokens).await, bound);
    // So is what descends from them.
    let proof = key.proof(&server, "p2", &json!({}));
    let tokens = ok(refresh(&server, &client, &tokens, &[&proof]).await).await;
    assert_eq!(tokens["token_type"], "DPoP");
    assert_eq!(bound_to(&server, &tokens).await, bound);
}

#[actix_rt::test]
async fn a_bound_refresh_token_is_of_no_use_without_its_key() {
    let server = TestAuth::spawn().await;
    let (client, key) = (server.register().await, Key::generate());
    let proof = key.proof(&server, "p1", &json!({}));
    let tokens = ok(redeem(&server, &client, &[&proof]).await).await;
    let without = refresh(&server, &client, &tokens, &[]).await;
    assert_error(without, 400, "invalid_dpop_proof").await;
    let thief = Key::generate().proof(&server, "p2", &json!({}));
    let other = refresh(&server, &client, &tokens, &[&thief]).await;
    assert_error(other, 400, "invalid_grant").await;
    // Neither try cost the client its token.
    let proof = key.proof(&server, "p3", &json!({}));
    ok(refresh(&server, &client, &tokens, &[&proof]).await).await;
}

#[actix_rt::test]
async fn a_client_may_begin_to_prove_a_key_when_it_refreshes() {
    let server = TestAuth::spawn().await;
    let (client, key) = (server.register().await, Key::generate());
    let plain = server.tokens(&client, "entries:read").await;
    assert_eq!(bound_to(&server, &plain).await, Value::Null);
    let proof = key.proof(&server, "p1", &json!({}));
    let tokens = ok(refresh(&server, &client, &plain, &[&proof]).await).await;
    let bound = json!({"jkt": key.thumbprint()});
    assert_eq!(bound_to(&server, &tokens).await, bound);
}

#[actix_rt::test]
async fn a_proof_that_is_not_for_this_request_is_refused() {
    let server = TestAuth::spawn().await;
    let (client, key) = (server.register().await, Key::generate());
    let now = Utc::now().timestamp();
    let mut private = key.jwk();
    private["d"] = json!("AAAA");
    let mut cases: Vec<_> = [
        json!({"htm": "GET"}),
        json!({"htu": server.url("/oauth/revoke")}),
        json!({"htu": "https://elsewhere.example/oauth/token"}),
        json!({"iat": now - 400}),
        json!({"iat": now + 60}),
        json!({"jti": ""}),
        json!({"jti": "a".repeat(257)}),
        json!({"typ": "JWT"}),
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "ES256"}),
        json!({"jwk": Key::generate().jwk()}),
        json!({"jwk": private}),
    ]
    .iter()
    .map(|changes| key.proof(&server, "p1", changes))
    .collect();
    cases.extend(["".to_owned(), "a.b.c".to_owned(), "a".repeat(8_193)]);
    for proof in &cases {
        let response = redeem(&server, &client, &[proof]).await;
        assert_error(response, 400, "invalid_dpop_proof").await;
    }
    let proof = key.proof(&server, "p1", &json!({}));
    let twice = redeem(&server, &client, &[&proof, &proof]).await;
    assert_error(twice, 400, "invalid_dpop_proof").await;
    // Query and fragment do not count.
    let htu = format!("{}?a=b#c", server.url("/oauth/token"));
    let proof = key.proof(&server, "p1", &json!({"htu": htu}));
    assert_eq!(
        redeem(&server, &client, &[&proof]).await.status(),
        StatusCode::OK
    );
}

#[actix_rt::test]
async fn a_proof_works_once() {
    let server = TestAuth::spawn().await;
    let (client, key) = (server.register().await, Key::generate());
    let proof = key.proof(&server, "p1", &json!({}));
    ok(redeem(&server, &client, &[&proof]).await).await;
    let again = redeem(&server, &client, &[&proof]).await;
    assert_error(again, 400, "invalid_dpop_proof").await;
    // Another key may use the same name.
    let other = Key::generate().proof(&server, "p1", &json!({}));
    ok(redeem(&server, &client, &[&other]).await).await;
}

#[actix_rt::test]
async fn bound_tokens_can_be_had_without_a_flow_and_as_jwts() {
    let server = TestAuth::spawn().await;
    let thumbprint = Key::generate().thumbprint();
    let grant = TokenGrant {
        subject: "1".to_owned(),
        client_id: "any".to_owned(),
        scopes: "entries:read".to_owned(),
        audience: vec![RESOURCE.to_owned()],
        lifetime: Duration::from_secs(60),
        ..TokenGrant::default()
    };
    let token = server
        .auth
        .issue_bound_token(&thumbprint, TokenFormat::Jwt, grant);
    let bound = json!({"jkt": thumbprint});
    assert_eq!(server.introspect(token.expose_secret()).await["cnf"], bound);
    let claims = token.expose_secret().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["cnf"], bound);

    let dev_token = async |jkt: &str| {
        let wanted = json!({ "jkt": jkt });
        server.send(Method::POST, "/dev/token", &wanted).await
    };
    let tokens = ok(dev_token(&thumbprint).await).await;
    assert_eq!(tokens["token_type"], "DPoP");
    assert_eq!(bound_to(&server, &tokens).await, bound);
    let wrong = dev_token(&thumbprint[1..]).await;
    assert_error(wrong, 400, "invalid_request").await;
}
