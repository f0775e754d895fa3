//! A client that knows what 2025-03-26 knows: the authorization server's metadata is looked for at the
//! host of the server, no protected resource metadata is read, and no resource is named.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    browser::Browser,
    client::{CALLBACK, allow, http, param, to_consent},
    dev_servers::DevServers,
};

const REVISION: &str = "2025-03-26";

/// An `initialize` with this token, or without any.
async fn initialize(servers: &DevServers, token: Option<&str>) -> reqwest::Response {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": REVISION,
        "capabilities": {},
        "clientInfo": { "name": "oldest", "version": "1" },
    } });
    let ask = http()
        .post(servers.mcp_url())
        .header("accept", "application/json, text/event-stream")
        .json(&body);
    let ask = match token {
        Some(token) => ask.bearer_auth(token),
        None => ask,
    };
    ask.send().await.unwrap()
}

async fn document(response: reqwest::Response) -> Value {
    assert!(response.status().is_success(), "{response:?}");
    response.json().await.unwrap()
}

/// A-20, D-20.
#[actix_rt::test]
async fn a_client_that_looks_at_the_servers_own_host_gets_in() {
    let servers = DevServers::open().await;
    assert_eq!(initialize(&servers, None).await.status(), 401);

    let mut place = Url::parse(servers.mcp_url()).unwrap();
    place.set_path("/.well-known/oauth-authorization-server");
    let asked = http().get(place).header("mcp-protocol-version", REVISION);
    let metadata = document(asked.send().await.unwrap()).await;
    let endpoint = |name: &str| metadata[name].as_str().unwrap().to_owned();

    let registration = json!({
        "client_name": "oldest",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
    });
    let asked = http()
        .post(endpoint("registration_endpoint"))
        .json(&registration);
    let registered = document(asked.send().await.unwrap()).await;
    let client_id = registered["client_id"].as_str().unwrap();

    let verifier = "a-verifier-of-at-least-forty-three-characters";
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let mut authorize = Url::parse(&endpoint("authorization_endpoint")).unwrap();
    authorize.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("state", "s"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ]);
    let mut browser = Browser::new();
    let consent = to_consent(&mut browser, &authorize, "1").await;
    let callback = allow(&mut browser, &consent, &[]).await.away();
    let code = param(&callback, "code").unwrap();

    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("code", code.as_str()),
        ("code_verifier", verifier),
    ];
    let asked = http().post(endpoint("token_endpoint")).form(&form);
    let tokens = document(asked.send().await.unwrap()).await;
    let opened = initialize(&servers, tokens["access_token"].as_str()).await;
    assert!(opened.headers().contains_key("mcp-session-id"));
    assert_eq!(
        document(opened).await["result"]["protocolVersion"],
        REVISION
    );
    servers.close().await;
}
