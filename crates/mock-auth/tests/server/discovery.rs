use mock_auth::Scope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Browser, TestAuth, ok, query};

#[actix_rt::test]
async fn metadata_names_every_endpoint_under_the_issuer() {
    let server = TestAuth::spawn().await;
    let issuer = server.auth.issuer();
    assert_eq!(issuer, server.url(""));
    let oauth = ok(server.get("/.well-known/oauth-authorization-server").await).await;
    assert_eq!(oauth["issuer"], issuer);
    for (endpoint, path) in [
        ("authorization_endpoint", "/oauth/authorize"),
        ("token_endpoint", "/oauth/token"),
        ("registration_endpoint", "/oauth/register"),
        (
            "device_authorization_endpoint",
            "/oauth/device_authorization",
        ),
        ("introspection_endpoint", "/oauth/introspection"),
        ("revocation_endpoint", "/oauth/revoke"),
        ("jwks_uri", "/oauth/jwks"),
    ] {
        assert_eq!(oauth[endpoint], server.url(path));
        // And there is something there: none of them is a 404.
        assert_ne!(server.get(path).await.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(oauth["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(
        oauth["authorization_response_iss_parameter_supported"],
        true
    );
    assert_eq!(oauth["client_id_metadata_document_supported"], true);
    assert_eq!(oauth["scopes_supported"].as_array().unwrap().len(), 5);
}

#[actix_rt::test]
async fn the_openid_form_says_the_same_and_what_its_parsers_demand() {
    let server = TestAuth::spawn().await;
    let oauth = ok(server.get("/.well-known/oauth-authorization-server").await).await;
    let openid = ok(server.get("/.well-known/openid-configuration").await).await;
    for (name, value) in oauth.as_object().unwrap() {
        assert_eq!(&openid[name], value, "{name}");
    }
    for name in [
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    ] {
        assert!(
            openid.get(name).is_some() && oauth.get(name).is_none(),
            "{name}"
        );
    }
}

#[actix_rt::test]
async fn the_scopes_are_those_of_the_settings() {
    let server = TestAuth::spawn_with(|settings| {
        settings.scopes = vec![
            Scope::new("notes:read", "Read <your> notes"),
            Scope::new("notes:write", "Write notes"),
        ];
    })
    .await;
    let metadata = ok(server.get("/.well-known/oauth-authorization-server").await).await;
    let declared = json!(["notes:read", "notes:write"]);
    assert_eq!(metadata["scopes_supported"], declared);
    let client = server.register().await;
    let path = query("/oauth/authorize", &client, &[]);
    let consent = Browser::default().sign_in(&server, &path, "1").await;
    assert!(
        consent.html.contains("Read &lt;your&gt; notes"),
        "{}",
        consent.html
    );
    let issued = server.send(Method::POST, "/dev/token", &json!({})).await;
    assert_eq!(ok(issued).await["scope"], "notes:read notes:write");
    let tokens = server.tokens(&client, "notes:read entries:read").await;
    assert_eq!(tokens["scope"], "notes:read");
}

#[actix_rt::test]
async fn a_public_issuer_is_told_and_not_taken_from_the_request() {
    let server = TestAuth::spawn_with(|settings| {
        settings.issuer = Some("https://auth.example/".to_owned());
    })
    .await;
    let metadata = ok(server.get("/.well-known/oauth-authorization-server").await).await;
    assert_eq!(metadata["issuer"], "https://auth.example");
    assert_eq!(
        metadata["token_endpoint"],
        "https://auth.example/oauth/token"
    );
}

#[actix_rt::test]
async fn clients_in_browsers_may_call_what_they_need_and_no_more() {
    let server = TestAuth::spawn().await;
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/oauth/register",
        "/oauth/token",
        "/oauth/revoke",
        "/oauth/device_authorization",
    ] {
        let preflight = server
            .request(Method::OPTIONS, path)
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST")
            .send()
            .await
            .unwrap();
        assert_eq!(preflight.status(), StatusCode::NO_CONTENT, "{path}");
        let headers = preflight.headers();
        assert_eq!(headers["access-control-allow-origin"], "*", "{path}");
        let allowed = headers["access-control-allow-headers"].to_str().unwrap();
        assert!(allowed.contains("mcp-protocol-version") && allowed.contains("authorization"));
        assert!(allowed.contains("traceparent") && allowed.starts_with("*, "));
        // Errors have to be readable, too.
        let wrong = server.request(Method::PATCH, path).send().await.unwrap();
        assert_eq!(
            wrong.headers()["access-control-allow-origin"],
            "*",
            "{path}"
        );
    }
    for path in [
        "/admin",
        "/admin/faults",
        "/dev/token",
        "/test-auth",
        "/oauth/introspection",
        "/oauth/authorize",
        "/oauth/consent",
        "/device",
    ] {
        let preflight = server.request(Method::OPTIONS, path).send().await.unwrap();
        assert_eq!(preflight.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert!(
            !preflight
                .headers()
                .contains_key("access-control-allow-origin"),
            "{path}"
        );
    }
}

#[actix_rt::test]
async fn wrong_paths_and_methods_are_told_apart() {
    let server = TestAuth::spawn().await;
    let nowhere = server.get("/oauth/nothing").await;
    assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
    assert_eq!(nowhere.json::<Value>().await.unwrap()["error"], "not_found");
    let wrong = server.get("/oauth/token").await;
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.headers()["allow"], "POST, OPTIONS");
}

#[actix_rt::test]
async fn it_is_healthy_and_has_a_first_page() {
    let server = TestAuth::spawn().await;
    let health = server.get("/healthcheck").await;
    assert_eq!(health.status(), StatusCode::OK);
    assert_eq!(health.text().await.unwrap(), "ok");
    let head = server
        .request(Method::HEAD, "/healthcheck")
        .send()
        .await
        .unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert!(
        server
            .get("/")
            .await
            .text()
            .await
            .unwrap()
            .contains("/admin")
    );
}
