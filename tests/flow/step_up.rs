//! A client with too few scopes gets a challenge, requests the missing ones, and continues.

use rmcp::transport::auth::{AuthClient, WWWAuthenticateParams};
use serde_json::json;
use url::Url;

use crate::{
    browser::Browser,
    client::{Begin, challenged, connect_with, http, param, scopes, sign_in, to_consent},
    dev_servers::DevServers,
};

const READING: &str = "entries:read tags:read tags:write user:read";

async fn steps_up(begin: Begin) {
    let servers = DevServers::open().await;
    let signed_in = sign_in(&servers, begin, "1", &["entries:write"]).await;
    let authorized = AuthClient::new(http(), signed_in.manager);
    let client = connect_with(&servers, begin, authorized.clone())
        .await
        .unwrap();
    let tools = client.tools().await;
    assert!(tools.contains(&"list_entries".to_owned()), "{tools:?}");
    assert!(!tools.contains(&"create_entry".to_owned()), "{tools:?}");

    // 403, with what it needs.
    let error = client.write("Too early").await.unwrap_err();
    let challenge = error
        .auth_challenge()
        .unwrap_or_else(|| panic!("{begin:?}: no challenge in {error}"))
        .to_owned();
    let base = Url::parse(servers.mcp_url()).unwrap();
    let read = WWWAuthenticateParams::parse(&challenge, &base);
    assert!(read.is_insufficient_scope(), "{challenge}");
    let needed = challenged(&challenge, "scope").unwrap();
    let expected = if begin.is_modern() {
        "entries:write".to_owned()
    } else {
        format!("{READING} entries:write")
    };
    assert_eq!(scopes(&needed), scopes(&expected));

    // rmcp asks for what it had and what it needs; the person agrees this time.
    let manager = authorized.auth_manager.lock().await;
    let url = manager.request_scope_upgrade(&needed).await.unwrap();
    let url = Url::parse(&url).unwrap();
    assert_eq!(
        scopes(&param(&url, "scope").unwrap()),
        scopes(&format!("{READING} entries:write"))
    );
    let mut browser = Browser::new();
    let consent = to_consent(&mut browser, &url, "1").await;
    // What was left out before is not ticked: that is for the person to do.
    let mut form = consent.form();
    form.tick("scope", "entries:write");
    let decision = ("decision", "allow");
    let callback = browser.press(&consent, &form, decision).await.away();
    let [code, state, issuer] =
        ["code", "state", "iss"].map(|name| param(&callback, name).unwrap());
    manager
        .exchange_code_for_token_with_issuer(&code, &state, Some(&issuer))
        .await
        .unwrap();
    drop(manager);

    // The same connection, the next request.
    client.write("In time").await.unwrap();
    assert_eq!(client.titles().await[0], "In time");
    assert!(client.tools().await.contains(&"create_entry".to_owned()));
    client.leave().await;
    servers.close().await;
}

/// SEC-06.
#[actix_rt::test]
async fn a_modern_client_steps_up_and_goes_on() {
    steps_up(Begin::Discover).await;
}

/// SEC-06.
#[actix_rt::test]
async fn a_legacy_client_steps_up_in_its_session_and_goes_on() {
    steps_up(Begin::Initialize("2025-11-25")).await;
}

#[actix_rt::test]
async fn a_call_with_tags_needs_more_than_the_tool() {
    let servers = DevServers::open().await;
    let signed_in = sign_in(&servers, Begin::Discover, "1", &["tags:read"]).await;
    let client = AuthClient::new(http(), signed_in.manager);
    let client = connect_with(&servers, Begin::Discover, client)
        .await
        .unwrap();
    client.write("Without tags").await.unwrap();
    let tagged = json!({"title": "Tagged", "content": "x", "tags": [1]});
    let error = client.call("create_entry", tagged).await.unwrap_err();
    let needed = challenged(error.auth_challenge().unwrap(), "scope").unwrap();
    assert_eq!(scopes(&needed), ["entries:write", "tags:read"]);
    client.leave().await;
    servers.close().await;
}
