//! A client that is given nothing but a URL gets to a written entry, in every revision.

use crate::{
    browser::Browser,
    client::{self, Begin, CALLBACK, allow, challenged, knock, param, scopes, to_consent},
    dev_servers::DevServers,
};

async fn from_401_to_a_written_entry(begin: Begin) {
    let servers = DevServers::open().await;
    let metadata = servers.resource_metadata().await;
    let all: Vec<String> = serde_json::from_value(metadata["scopes_supported"].clone()).unwrap();
    let all = scopes(&all.join(" "));
    assert_eq!(metadata["resource"], servers.mcp_url());

    // 401: the challenge names the metadata and the scopes, and blames nobody.
    let leaving = knock(&servers, begin).await;
    let challenge = &leaving.challenge;
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    let metadata_url = challenged(challenge, "resource_metadata").unwrap();
    assert!(
        metadata_url.ends_with("/.well-known/oauth-protected-resource/mcp"),
        "{metadata_url}"
    );
    assert_eq!(scopes(&challenged(challenge, "scope").unwrap()), all);
    assert_eq!(challenged(challenge, "error"), None);

    // Discovery: the document that the challenge names, the issuer's metadata, registration.
    let issuer = servers.issuer();
    assert_eq!(
        leaving.trail.steps(),
        [
            format!("GET {metadata_url}"),
            format!("GET {issuer}/.well-known/oauth-authorization-server"),
            format!("POST {issuer}/oauth/register"),
        ]
    );

    // The authorization request: what was advertised is what is asked for, with PKCE.
    let asked = &leaving.authorize;
    assert!(
        asked
            .as_str()
            .starts_with(&format!("{issuer}/oauth/authorize?"))
    );
    assert_eq!(scopes(&param(asked, "scope").unwrap()), all);
    assert_eq!(param(asked, "resource").as_deref(), Some(servers.mcp_url()));
    assert_eq!(
        param(asked, "code_challenge_method").as_deref(),
        Some("S256")
    );
    assert_eq!(param(asked, "redirect_uri").as_deref(), Some(CALLBACK));

    // The browser: who are you, what may it do, and back.
    let mut browser = Browser::new();
    let consent = to_consent(&mut browser, asked, "1").await;
    assert!(consent.says("Flow test"));
    assert_eq!(scopes(&consent.form().boxes("scope").join(" ")), all);
    let state = param(asked, "state");
    let callback = allow(&mut browser, &consent, &[]).await.away();
    assert!(callback.as_str().starts_with(CALLBACK));
    assert_eq!(param(&callback, "state"), state);
    assert_eq!(param(&callback, "iss").as_deref(), Some(issuer));

    // The token, and the journal.
    let trail = leaving.trail.clone();
    let signed_in = leaving.come_back(callback).await.unwrap();
    assert_eq!(
        trail.steps().last(),
        Some(&format!("POST {issuer}/oauth/token"))
    );
    let client = client::connect(&servers, begin, signed_in.manager)
        .await
        .unwrap();
    assert_eq!(client.revision(), begin.revision());
    let tools = client.tools().await;
    for tool in ["whoami", "create_entry", "list_entries", "update_tag"] {
        assert!(tools.iter().any(|name| name == tool), "{tool} in {tools:?}");
    }
    let title = format!("Written by {begin:?}");
    let id = client.write(&title).await.unwrap();
    assert!(id > 0);
    assert_eq!(client.titles().await[0], title);

    assert_eq!(
        servers.calls("introspection"),
        1,
        "one token, asked about once"
    );
    assert_eq!(servers.calls("register"), 1);
    assert_eq!(servers.calls("token"), 1);
    assert_eq!(servers.calls("openid_metadata"), 0);
    client.leave().await;
    servers.close().await;
}

/// PF-15.
#[actix_rt::test]
async fn a_client_of_2026_07_28_gets_in_by_itself() {
    from_401_to_a_written_entry(Begin::Discover).await;
}

/// V-03.
#[actix_rt::test]
async fn a_client_that_probes_lands_in_the_modern_era() {
    from_401_to_a_written_entry(Begin::Auto).await;
}

/// PF-15.
#[actix_rt::test]
async fn a_client_of_2025_11_25_gets_in_by_itself() {
    from_401_to_a_written_entry(Begin::Initialize("2025-11-25")).await;
}

/// PF-15.
#[actix_rt::test]
async fn a_client_of_2025_06_18_gets_in_by_itself() {
    from_401_to_a_written_entry(Begin::Initialize("2025-06-18")).await;
}

/// PF-15.
#[actix_rt::test]
async fn a_client_of_2025_03_26_gets_in_by_itself() {
    from_401_to_a_written_entry(Begin::Initialize("2025-03-26")).await;
}

///
#[actix_rt::test]
async fn a_client_without_any_challenge_finds_the_metadata_by_its_path() {
    use rmcp::transport::auth::{AuthorizationRequest, OAuthState};
    let servers = DevServers::open().await;
    let mut state = OAuthState::new(servers.mcp_url(), None).await.unwrap();
    let request = AuthorizationRequest::new(CALLBACK);
    state.start_authorization(request).await.unwrap();
    let url = state.get_authorization_url().await.unwrap();
    assert!(url.starts_with(servers.issuer()), "{url}");
    servers.close().await;
}
