//! Tokens that are bound to a key: of use to whoever proves the key, with a fresh proof for each
//! request, and to nobody else (RFC 9449).

use chrono::TimeDelta;
use epicme::config::ProofConfig;
use serde_json::{Value, json};

use crate::support::{ALL, Ask, DpopClient, Reply, TestApp, parse_challenge, parse_challenges};

fn list<'a>(app: &'a TestApp, token: &str) -> Ask<'a> {
    app.modern(token, "tools/list", json!({}))
}

fn with_proof<'a>(ask: Ask<'a>, token: &str, proof: &str) -> Ask<'a> {
    ask.header("authorization", &format!("DPoP {token}"))
        .header("dpop", proof)
}

/// The error that the challenge of the scheme names.
fn error(reply: &Reply, scheme: &str) -> Option<String> {
    assert_eq!(reply.status, 401, "{}", reply.text());
    let fields = parse_challenges(reply.header("www-authenticate").unwrap()).unwrap();
    let schemes: Vec<&str> = fields.iter().map(|field| field.scheme.as_str()).collect();
    assert_eq!(schemes, ["Bearer", "DPoP"]);
    let algorithms = fields[1].get("algs").unwrap();
    assert!(algorithms.contains("ES256"), "{algorithms}");
    assert!(!algorithms.contains("HS256") && !algorithms.contains("none"));
    let named = fields.iter().find(|field| field.scheme == scheme).unwrap();
    named.get("error").map(str::to_owned)
}

#[actix_rt::test]
async fn a_bound_token_is_good_with_a_proof_of_its_key_on_every_method() {
    let app = TestApp::spawn();
    let client = DpopClient::new();
    let token = client.token(&app, "ann");
    let ask = list(&app, &token);
    let reply = with_proof(ask, &token, &client.proof(&app, &token, "1"));
    assert_eq!(reply.send().await.status, 200);
    let ask = app.initialize(&token, "2025-11-25");
    let opened = with_proof(ask, &token, &client.proof(&app, &token, "2"))
        .send()
        .await;
    assert_eq!(opened.status, 200);
    let session = opened.header("mcp-session-id").unwrap();
    let mut claims = DpopClient::claims(&app, &token, "3");
    claims["htm"] = "DELETE".into();
    let ask = app.ask("DELETE", "/mcp").header("mcp-session-id", session);
    let closed = with_proof(ask, &token, &client.sign(&claims)).send().await;
    assert_eq!(closed.status, 204);
    // Any spelling of the same URL will do (RFC 3986 §6.2).
    let mut claims = DpopClient::claims(&app, &token, "4");
    claims["htu"] = "HTTPS://JOURNAL.example:443/mcp?x=1#y".into();
    let reply = with_proof(list(&app, &token), &token, &client.sign(&claims));
    assert_eq!(reply.send().await.status, 200);
}

#[actix_rt::test]
async fn a_bound_token_by_itself_is_good_for_nothing() {
    let app = TestApp::spawn();
    let client = DpopClient::new();
    let token = client.token(&app, "ann");
    let reply = list(&app, &token).send().await;
    assert_eq!(error(&reply, "Bearer").as_deref(), Some("invalid_token"));
    // Nor does a proof help where the scheme says that there is none.
    let proof = client.proof(&app, &token, "1");
    let reply = list(&app, &token).header("dpop", &proof).send().await;
    assert_eq!(error(&reply, "Bearer").as_deref(), Some("invalid_token"));
}

#[actix_rt::test]
async fn a_token_is_of_no_use_with_the_proof_of_another_key_or_if_it_is_bound_to_none() {
    let app = TestApp::spawn();
    let (client, thief) = (DpopClient::new(), DpopClient::new());
    let bound = client.token(&app, "ann");
    let unbound = app.token("ann", ALL);
    for token in [&bound, &unbound] {
        let proof = thief.proof(&app, token, "1");
        let reply = with_proof(list(&app, token), token, &proof).send().await;
        assert_eq!(error(&reply, "DPoP").as_deref(), Some("invalid_token"));
        assert_eq!(
            error(&reply, "Bearer"),
            None,
            "the error is about what was used"
        );
    }
    assert_eq!(list(&app, &unbound).send().await.status, 200);
}

#[actix_rt::test]
async fn a_proof_is_good_for_one_request_with_one_token_at_one_time() {
    let app = TestApp::spawn();
    let client = DpopClient::new();
    let token = client.token(&app, "ann");
    let other = client.token(&app, "ann");
    let now = app.clock.now().timestamp();
    let good = || DpopClient::claims(&app, &token, "x");
    let changed = |name: &str, value: Value| {
        let mut claims = good();
        claims[name] = value;
        claims
    };
    for (why, claims) in [
        ("another method", changed("htm", "GET".into())),
        ("the method in small letters", changed("htm", "post".into())),
        (
            "another host",
            changed("htu", "https://evil.example/mcp".into()),
        ),
        (
            "another path",
            changed("htu", "https://journal.example/".into()),
        ),
        (
            "another scheme",
            changed("htu", "http://journal.example/mcp".into()),
        ),
        ("too old", changed("iat", (now - 301).into())),
        ("from the future", changed("iat", (now + 31).into())),
        (
            "another token",
            changed("ath", DpopClient::claims(&app, &other, "x")["ath"].clone()),
        ),
        ("no token", changed("ath", Value::Null)),
        ("no id", changed("jti", "".into())),
        ("an id too long", changed("jti", "x".repeat(257).into())),
    ] {
        let proof = client.sign(&claims);
        let reply = with_proof(list(&app, &token), &token, &proof).send().await;
        assert_eq!(
            error(&reply, "DPoP").as_deref(),
            Some("invalid_dpop_proof"),
            "{why}"
        );
    }
    let proof = client.sign(&good());
    let twice = with_proof(list(&app, &token), &token, &proof).also("dpop", proof.as_bytes());
    assert_eq!(
        error(&twice.send().await, "DPoP").as_deref(),
        Some("invalid_dpop_proof")
    );
    let missing = list(&app, &token).header("authorization", &format!("DPoP {token}"));
    assert_eq!(
        error(&missing.send().await, "DPoP").as_deref(),
        Some("invalid_dpop_proof")
    );
    let mut broken = proof.clone();
    broken.replace_range(broken.len() - 4.., "AAAA");
    let reply = with_proof(list(&app, &token), &token, &broken).send().await;
    assert_eq!(error(&reply, "DPoP").as_deref(), Some("invalid_dpop_proof"));

    // None of those used the proof up; the first that is good does.
    assert_eq!(
        with_proof(list(&app, &token), &token, &proof)
            .send()
            .await
            .status,
        200
    );
    for _ in 0..2 {
        let reply = with_proof(list(&app, &token), &token, &proof).send().await;
        assert_eq!(error(&reply, "DPoP").as_deref(), Some("invalid_dpop_proof"));
    }
    // It is remembered for as long as it could be accepted.
    app.clock.advance(TimeDelta::seconds(300));
    let reply = with_proof(list(&app, &token), &token, &proof).send().await;
    assert_eq!(error(&reply, "DPoP").as_deref(), Some("invalid_dpop_proof"));
}

#[actix_rt::test]
async fn nobody_without_a_good_token_has_a_proof_looked_at() {
    let app = TestApp::spawn();
    let reply = with_proof(list(&app, "unknown-token"), "unknown-token", "nonsense")
        .send()
        .await;
    assert_eq!(error(&reply, "DPoP").as_deref(), Some("invalid_token"));
}

#[actix_rt::test]
async fn where_nonces_are_needed_the_challenge_brings_one_and_a_proof_with_it_is_good() {
    let app = TestApp::spawn_with(|config| config.http.proofs = ProofConfig::Nonce);
    let client = DpopClient::new();
    let token = client.token(&app, "ann");
    let ask = || list(&app, &token);
    let proof = client.proof(&app, &token, "1");
    let reply = with_proof(ask(), &token, &proof).send().await;
    assert_eq!(error(&reply, "DPoP").as_deref(), Some("use_dpop_nonce"));
    let nonce = reply.header("dpop-nonce").unwrap().to_owned();
    let with_nonce = |id: &str, nonce: &str| {
        let mut claims = DpopClient::claims(&app, &token, id);
        claims["nonce"] = nonce.into();
        client.sign(&claims)
    };
    for id in ["2", "3"] {
        let reply = with_proof(ask(), &token, &with_nonce(id, &nonce))
            .send()
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let reply = with_proof(ask(), &token, &with_nonce("4", "made up"))
        .send()
        .await;
    assert_eq!(error(&reply, "DPoP").as_deref(), Some("use_dpop_nonce"));
    app.clock.advance(TimeDelta::minutes(10));
    let reply = with_proof(ask(), &token, &with_nonce("5", &nonce))
        .send()
        .await;
    assert_eq!(
        error(&reply, "DPoP").as_deref(),
        Some("use_dpop_nonce"),
        "too old"
    );
    assert_ne!(reply.header("dpop-nonce"), Some(nonce.as_str()));
}

#[actix_rt::test]
async fn where_proofs_are_not_taken_a_bound_token_cannot_be_used_and_nothing_speaks_of_them() {
    let app = TestApp::spawn_with(|config| config.http.proofs = ProofConfig::Off);
    let client = DpopClient::new();
    let token = client.token(&app, "ann");
    let proof = client.proof(&app, &token, "1");
    let proved = with_proof(list(&app, &token), &token, &proof);
    for ask in [proved, list(&app, &token)] {
        let reply = ask.send().await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.headers.get_all("www-authenticate").iter().count(), 1);
    }
    let metadata = app.get("/.well-known/oauth-protected-resource/mcp").await;
    assert!(!metadata.text().contains("dpop"));
}

#[actix_rt::test]
async fn the_metadata_names_what_proofs_may_be_signed_with() {
    let app = TestApp::spawn();
    let metadata = app.get("/.well-known/oauth-protected-resource/mcp").await;
    let algorithms = metadata.json()["dpop_signing_alg_values_supported"].clone();
    assert!(algorithms.as_array().unwrap().contains(&"ES256".into()));
}

#[actix_rt::test]
async fn a_bound_token_that_lacks_a_scope_is_challenged_by_its_own_scheme() {
    let app = TestApp::spawn();
    let client = DpopClient::new();
    let token = app.token_with(json!({
        "scope": "user:read", "token_type": "DPoP", "cnf": { "jkt": client.thumbprint() },
    }));
    let ask = app.tool(&token, "list_entries", &json!({}));
    let reply = with_proof(ask, &token, &client.proof(&app, &token, "1"))
        .send()
        .await;
    assert_eq!(reply.status, 403);
    let challenge = parse_challenge(reply.header("www-authenticate").unwrap()).unwrap();
    assert_eq!(challenge.scheme, "DPoP");
    assert_eq!(challenge.get("error"), Some("insufficient_scope"));
    assert_eq!(challenge.get("scope"), Some("entries:read"));
}

#[actix_rt::test]
async fn a_proof_that_comes_over_the_limit_is_not_remembered_and_a_replay_costs_nothing() {
    let app = TestApp::spawn_with(|config| {
        config.http.limits.requests_per_user = std::num::NonZeroU32::new(3);
    });
    let client = DpopClient::new();
    let token = client.token(&app, "ann");
    let proof = |id: usize| client.proof(&app, &token, &id.to_string());
    let first = proof(0);
    let ask = |proof: &str| with_proof(list(&app, &token), &token, proof);
    assert_eq!(ask(&first).send().await.status, 200);
    // Whoever has overheard a request cannot use up the user's limit with it.
    for _ in 0..10 {
        let reply = ask(&first).send().await;
        assert_eq!(error(&reply, "DPoP").as_deref(), Some("invalid_dpop_proof"));
    }
    for id in 1..3 {
        assert_eq!(ask(&proof(id)).send().await.status, 200);
    }
    let late = proof(3);
    for _ in 0..5 {
        assert_eq!(ask(&late).send().await.status, 429);
    }
    app.clock.advance(TimeDelta::seconds(20));
    assert_eq!(ask(&late).send().await.status, 200, "it was not used up");
}
