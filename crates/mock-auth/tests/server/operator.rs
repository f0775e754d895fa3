//! What whoever runs the server can do, and what others cannot do in their name.

use mock_auth::{Endpoint, FaultMode, IntrospectionClient, MockAuth, Settings};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Browser, CALLBACK, RESOURCE, TestAuth, assert_error, ok, param, query};

#[actix_rt::test]
async fn test_auth_answers_without_a_page() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let path = query(
        "/test-auth",
        &client,
        &[("scope", "tags:read"), ("user_id", "3")],
    );
    let body = ok(server.get(&path).await).await;
    assert_eq!(body["userId"], "3");
    let back = body["redirectTo"].as_str().unwrap();
    assert!(back.starts_with(CALLBACK));
    assert_eq!(param(back, "state").unwrap(), "st ate&1");
    let code = param(back, "code").unwrap();
    let tokens = ok(server.redeem(&client, &code, &[]).await).await;
    let told = server
        .introspect(tokens["access_token"].as_str().unwrap())
        .await;
    assert_eq!(
        (&told["sub"], &told["scope"]),
        (&json!("3"), &json!("tags:read"))
    );
}

#[actix_rt::test]
async fn test_auth_grants_no_scope_unless_asked_and_checks_like_the_page() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let code = server.code(&client, &[]).await;
    let tokens = ok(server.redeem(&client, &code, &[]).await).await;
    assert_eq!(tokens["scope"], "");
    for (name, value, status, error) in [
        ("user_id", "99", 404, "unknown_user"),
        (
            "redirect_uri",
            "https://evil.example/",
            400,
            "invalid_request",
        ),
        ("code_challenge_method", "plain", 400, "invalid_request"),
        ("scope", "openid", 400, "invalid_scope"),
        ("resource", "mcp", 400, "invalid_target"),
    ] {
        let response = server
            .get(&query("/test-auth", &client, &[(name, value)]))
            .await;
        assert_error(response, status, error).await;
    }
}

#[actix_rt::test]
async fn a_token_is_one_post_away() {
    let server = TestAuth::spawn().await;
    let post = |body: Value| {
        let request = server.request(Method::POST, "/dev/token").json(&body);
        async { request.send().await.unwrap() }
    };
    let tokens = ok(post(json!({})).await).await;
    assert_eq!(tokens["expires_in"], 3600);
    let told = server
        .introspect(tokens["access_token"].as_str().unwrap())
        .await;
    assert_eq!(
        (&told["sub"], &told["aud"]),
        (&json!("1"), &json!(RESOURCE))
    );
    let wanted = json!({
        "user": "bela", "scope": "tags:read", "client_id": "load", "expires_in": 5,
        "resource": ["https://a.example/", "https://b.example/"],
    });
    let tokens = ok(post(wanted).await).await;
    assert_eq!(
        (&tokens["expires_in"], &tokens["scope"]),
        (&json!(5), &json!("tags:read"))
    );
    let told = server
        .introspect(tokens["access_token"].as_str().unwrap())
        .await;
    assert_eq!(
        (&told["sub"], &told["client_id"]),
        (&json!("2"), &json!("load"))
    );
    assert_eq!(told["aud"].as_array().unwrap().len(), 2);

    assert_error(post(json!({"user": "nobody"})).await, 404, "unknown_user").await;
    assert_error(post(json!({"usr": "ada"})).await, 400, "invalid_request").await;
    assert_error(
        post(json!({"resource": "mcp"})).await,
        400,
        "invalid_target",
    )
    .await;
}

#[actix_rt::test]
async fn a_page_of_another_site_cannot_use_the_json_api() {
    let server = TestAuth::spawn().await;
    // What a form or a request without preflight can send.
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        for (method, path) in [
            (Method::POST, "/dev/token"),
            (Method::POST, "/admin/revoke"),
            (Method::PUT, "/admin/faults"),
        ] {
            let request = server
                .request(method, path)
                .header("content-type", content_type);
            let response = request.body("{}").send().await.unwrap();
            assert_error(response, 415, "unsupported_media_type").await;
        }
    }
}

#[actix_rt::test]
async fn a_name_that_is_not_ours_gets_nothing() {
    let server = TestAuth::spawn_with(|settings| {
        settings.allowed_hosts = vec!["mock-auth".to_owned()];
    })
    .await;
    let port = server.auth.address().port();
    let health = async |host: String| {
        let request = server
            .request(Method::GET, "/healthcheck")
            .header("host", host);
        request.send().await.unwrap()
    };
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1",
    ] {
        for host in [host.to_owned(), format!("{host}:{port}")] {
            let response = health(host).await;
            assert_error(response, 421, "misdirected_request").await;
        }
    }
    for host in ["localhost", "127.0.0.1", "[::1]", "mock-auth"] {
        assert_eq!(
            health(format!("{host}:{port}")).await.status(),
            StatusCode::OK,
            "{host}"
        );
    }
}

#[actix_rt::test]
async fn nothing_is_built_from_host_or_its_substitutes() {
    let server = TestAuth::spawn().await;
    let path = "/.well-known/oauth-authorization-server";
    let plain = server.get(path).await.text().await.unwrap();
    let request = server
        .request(Method::GET, path)
        .header("host", "localhost:1")
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "host=evil.example");
    let spoofed = request.send().await.unwrap();
    assert_eq!(spoofed.text().await.unwrap(), plain);
}

#[actix_rt::test]
async fn the_admin_page_shows_fingerprints_and_revokes() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let tokens = server.tokens(&client, "user:read").await;
    let access = tokens["access_token"].as_str().unwrap();
    let mut browser = Browser::default();
    let page = browser.open(&server, "/admin").await;
    let told = server.introspect(access).await;
    let id = told["jti"].as_str().unwrap();
    assert!(page.html.contains(&id[..8]) && page.html.contains("Notebook"));
    assert!(!page.html.contains(access), "no token is shown");

    let form = [("page", page.handle()), ("revoke", id)];
    let forged = server.post("/admin", &form).await;
    assert_eq!(forged.status(), StatusCode::BAD_REQUEST);
    assert_eq!(server.introspect(access).await["active"], true);
    let pressed = browser.submit(&server, "/admin", &form).await;
    assert_eq!(pressed.status(), StatusCode::SEE_OTHER);
    assert_eq!(server.introspect(access).await["active"], false);
}

#[actix_rt::test]
async fn the_admin_page_sets_faults() {
    let server = TestAuth::spawn().await;
    let mut browser = Browser::default();
    let page = browser.open(&server, "/admin").await;
    let form = [
        ("page", page.handle()),
        ("metadata_mode", "none"),
        ("token_mode", "slow"),
        ("token_delay_ms", "5"),
        ("introspection_mode", "error"),
        ("introspection_status", "502"),
        ("jwks_mode", "cut"),
        ("faults", "set"),
    ];
    browser.submit(&server, "/admin", &form).await;
    let faults = server.auth.faults();
    assert_eq!(faults.get(Endpoint::Introspection).status, 502);
    assert_eq!(faults.get(Endpoint::Token).delay_ms, 5);
    assert_eq!(faults.get(Endpoint::Jwks).mode, FaultMode::Cut);
    let page = browser.open(&server, "/admin").await;
    let form = [("page", page.handle()), ("faults", "clear")];
    browser.submit(&server, "/admin", &form).await;
    assert_eq!(faults.get(Endpoint::Introspection).mode, FaultMode::None);
}

#[actix_rt::test]
async fn tokens_are_revoked_over_http() {
    let server = TestAuth::spawn().await;
    let revoke = async |body: Value| {
        let response = server.send(Method::POST, "/admin/revoke", &body).await;
        ok(response).await["revoked"].as_u64().unwrap()
    };
    let token = ok(server.send(Method::POST, "/dev/token", &json!({})).await).await;
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(revoke(json!({"subject": "2"})).await, 0);
    assert_eq!(revoke(json!({"token": token})).await, 1);
    assert_eq!(server.introspect(token).await["active"], false);
    server.send(Method::POST, "/dev/token", &json!({})).await;
    assert_eq!(revoke(json!({"client_id": "dev"})).await, 2);
    let wrong = json!({"everything": true});
    let wrong = server.send(Method::POST, "/admin/revoke", &wrong).await;
    assert_error(wrong, 400, "invalid_request").await;
}

#[actix_rt::test]
async fn settings_that_contradict_themselves_stop_the_start() {
    for edit in [
        (|it| it.issuer = Some("https://auth.example/path".to_owned())) as fn(&mut Settings),
        |it| it.issuer = Some("auth.example".to_owned()),
        |it| it.users = Vec::new(),
        |it| {
            it.introspection_clients = vec![IntrospectionClient {
                id: "epicme".to_owned(),
                secret: "".into(),
            }];
        },
        |it| it.default_resource = Some("/mcp".to_owned()),
        |it| it.allowed_resources = vec!["https://a.example/#x".to_owned()],
    ] {
        let mut settings = Settings {
            bind: "127.0.0.1:0".parse().unwrap(),
            ..Settings::default()
        };
        edit(&mut settings);
        let error = MockAuth::start_with(settings).await.err().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
    }
}

#[actix_rt::test]
async fn a_taken_port_is_an_error() {
    let server = TestAuth::spawn().await;
    let settings = Settings {
        bind: server.auth.address(),
        ..Settings::default()
    };
    let error = MockAuth::start_with(settings).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[actix_rt::test]
async fn dropping_a_server_stops_it() {
    fn may_be_shared<T: Send + Sync>(_: &T) {}

    let TestAuth { auth, .. } = TestAuth::spawn().await;
    may_be_shared(&auth);
    let address = auth.address();
    drop(auth);
    let refused = async {
        while std::net::TcpStream::connect(address).is_ok() {
            actix_rt::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(30);
    assert!(actix_rt::time::timeout(patience, refused).await.is_ok());
}
