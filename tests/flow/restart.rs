//! What hosts notice of a restart of `epicme dev`.

use serde_json::{Value, json};
use url::Url;

use crate::{
    client::http,
    program::{Directory, Program, free_address},
};

/// Where nobody listens: the code is taken from the redirect.
const CALLBACK: &str = "http://127.0.0.1/callback";

/// A host does not notice that everything was restarted: its registration, tokens and legacy session go on.
#[actix_rt::test]
async fn hosts_stay_signed_in_over_a_restart() {
    let directory = Directory::new("flow-signed-in");
    let (bind, auth_bind) = (free_address(), free_address());
    let arguments = [
        "--directory",
        directory.path(),
        "--bind",
        &bind,
        "--auth-bind",
        &auth_bind,
    ];
    let program = Program::start(&arguments);
    let issuer = program.says("Authorization server").to_owned();
    let metadata = get(&format!("{issuer}/.well-known/oauth-authorization-server")).await;
    assert_eq!(metadata["client_id_metadata_document_supported"], false);
    let registration = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
    let client = http()
        .post(format!("{issuer}/oauth/register"))
        .json(&registration);
    let client: Value = client.send().await.unwrap().json().await.unwrap();
    let client = client["client_id"].as_str().unwrap();
    let tokens = sign_in_as(&issuer, client).await;
    let session = legacy(&program, &tokens, None, "initialize").await;
    let session = session.headers()["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(program.interrupt().code(), Some(0));

    let program = Program::start(&arguments);
    let listed = legacy(&program, &tokens, Some(&session), "tools/list").await;
    assert_eq!(listed.status(), 200, "the token and the session");
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", client),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    let refreshed = http().post(format!("{issuer}/oauth/token")).form(&refresh);
    assert_eq!(refreshed.send().await.unwrap().status(), 200);
    sign_in_as(&issuer, client).await;
    assert_eq!(program.interrupt().code(), Some(0));
}

async fn get(url: &str) -> Value {
    let answer = http().get(url).send().await.unwrap();
    answer.json().await.unwrap()
}

/// Tokens for the first demo user, without the pages.
async fn sign_in_as(issuer: &str, client: &str) -> Value {
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let query = [
        ("client_id", client),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "entries:read"),
        (
            "code_challenge",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        ),
        ("code_challenge_method", "S256"),
    ];
    let url = Url::parse_with_params(&format!("{issuer}/test-auth"), query).unwrap();
    let answer = get(url.as_str()).await;
    let back = Url::parse(answer["redirectTo"].as_str().unwrap()).unwrap();
    let code = back
        .query_pairs()
        .find(|(name, _)| name == "code")
        .unwrap()
        .1;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier),
    ];
    let tokens = http().post(format!("{issuer}/oauth/token")).form(&form);
    tokens.send().await.unwrap().json().await.unwrap()
}

/// A request of revision 2025-11-25.
async fn legacy(
    program: &Program,
    tokens: &Value,
    session: Option<&str>,
    method: &str,
) -> reqwest::Response {
    let params = match method {
        "initialize" => json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "flow", "version": "1"},
        }),
        _ => json!({}),
    };
    let mut request = http()
        .post(program.mcp_url())
        .bearer_auth(tokens["access_token"].as_str().unwrap())
        .header("accept", "application/json, text/event-stream")
        .json(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}));
    if let Some(session) = session {
        request = request
            .header("mcp-session-id", session)
            .header("mcp-protocol-version", "2025-11-25");
    }
    request.send().await.unwrap()
}
