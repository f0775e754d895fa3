//! How clients become known: registration, and documents at their own URLs.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actix_web::{App, HttpResponse, HttpServer, web};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Browser, CALLBACK, TestAuth, assert_error, ok, query};

#[actix_rt::test]
async fn a_client_is_told_what_was_registered() {
    let server = TestAuth::spawn().await;
    let secret = server
        .register_as(json!({
            "client_name": "App", "redirect_uris": ["https://app.example/cb"],
            "scope": "entries:read", "software_id": "ignored", "logo_uri": 7,
        }))
        .await;
    assert!(secret["client_id"].as_str().unwrap().len() >= 22);
    assert!(
        secret["client_secret"]
            .as_str()
            .unwrap()
            .starts_with("eps_")
    );
    assert_eq!(secret["client_secret_expires_at"], 0);
    assert!(secret["client_id_issued_at"].as_i64().unwrap() > 1_700_000_000);
    assert_eq!(secret["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(
        secret["grant_types"],
        json!([
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code"
        ])
    );
    assert_eq!(secret["response_types"], json!(["code"]));
    assert_eq!(secret["scope"], "entries:read");
    assert_eq!(secret.get("software_id"), None);

    let public = server
        .register_as(json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}))
        .await;
    assert_eq!(public.get("client_secret"), None);
    assert_eq!(public.get("client_secret_expires_at"), None);
    assert_ne!(public["client_id"], secret["client_id"]);
}

/// What hosts in the field send.
#[actix_rt::test]
async fn registrations_of_hosts_are_taken_and_told_back_as_they_were_registered() {
    let server = TestAuth::spawn().await;
    let registered = server
        .register_as(json!({
            "client_name": "Host", "application_type": "native", "token_endpoint_auth_method": "none",
            "redirect_uris": [
                "http://127.0.0.1/callback", "http://localhost:3334/oauth/callback",
                "cursor://anysphere.cursor-mcp/oauth/callback", "vscode://vscode.mcp/callback",
            ],
            "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
            "response_types": ["code", "token"], "contacts": [], "logo_uri": null, "client_uri": null,
        }))
        .await;
    assert_eq!(registered["application_type"], "native");
    assert_eq!(
        registered["grant_types"],
        json!(["authorization_code", "refresh_token"])
    );
    assert_eq!(registered["response_types"], json!(["code"]));
    let empty = json!({
        "redirect_uris": [CALLBACK], "grant_types": [], "response_types": [], "scope": null, "client_name": null,
    });
    let empty = server.register_as(empty).await;
    assert_eq!(empty["response_types"], json!(["code"]));
    assert_eq!(empty["grant_types"].as_array().unwrap().len(), 3);
}

#[actix_rt::test]
async fn a_bad_registration_says_which_member_is_wrong() {
    let server = TestAuth::spawn().await;
    let with = |name: &str, value: Value| {
        let mut metadata = json!({"redirect_uris": [CALLBACK]});
        metadata[name] = value;
        metadata
    };
    let many: Vec<_> = (0..21)
        .map(|i| format!("https://app.example/{i}"))
        .collect();
    for (metadata, error) in [
        (json!({}), "invalid_redirect_uri"),
        (with("redirect_uris", json!([])), "invalid_redirect_uri"),
        (
            with("redirect_uris", json!(["http://app.example/"])),
            "invalid_redirect_uri",
        ),
        (
            with("redirect_uris", json!(["javascript:alert(1)"])),
            "invalid_redirect_uri",
        ),
        (
            with("redirect_uris", json!(["https://app.example/#x"])),
            "invalid_redirect_uri",
        ),
        (
            with("redirect_uris", json!(many)),
            "invalid_client_metadata",
        ),
        (
            with("token_endpoint_auth_method", json!("magic")),
            "invalid_client_metadata",
        ),
        (
            with("grant_types", json!(["password"])),
            "invalid_client_metadata",
        ),
        (
            with("response_types", json!(["token"])),
            "invalid_client_metadata",
        ),
        (
            with("application_type", json!("tv")),
            "invalid_client_metadata",
        ),
        (
            with("redirect_uris", json!(["myapp:/callback"])),
            "invalid_redirect_uri",
        ),
        (
            with("client_name", json!("x".repeat(201))),
            "invalid_client_metadata",
        ),
        (json!("text"), "invalid_client_metadata"),
    ] {
        let response = server
            .send(Method::POST, "/oauth/register", &metadata)
            .await;
        assert_error(response, 400, error).await;
    }
    let form = server
        .post("/oauth/register", &[("redirect_uris", CALLBACK)])
        .await;
    assert_error(form, 400, "invalid_client_metadata").await;
    let long = json!({"redirect_uris": [CALLBACK], "x": "x".repeat(70_000)});
    let long = server.send(Method::POST, "/oauth/register", &long).await;
    assert_error(long, 413, "invalid_request").await;
}

/// A site that serves client documents on loopback, and counts how often.
struct Site {
    url: String,
    served: Arc<AtomicUsize>,
    handle: actix_web::dev::ServerHandle,
}

impl Site {
    async fn spawn() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::new(AtomicUsize::new(0));
        let (base, count) = (url.clone(), served.clone());
        let server = HttpServer::new(move || {
            let (base, count) = (base.clone(), count.clone());
            App::new().default_service(web::to(move |request: actix_web::HttpRequest| {
                count.fetch_add(1, Ordering::SeqCst);
                let own = format!("{base}{}", request.path());
                let answer = match request.path() {
                    "/good" => HttpResponse::Ok().json(json!({
                        "client_id": own, "client_name": "Documented", "redirect_uris": [CALLBACK],
                        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code"],
                    })),
                    "/mismatched" => HttpResponse::Ok().json(json!({
                        "client_id": format!("{base}/good"), "redirect_uris": [CALLBACK],
                    })),
                    "/secret" => HttpResponse::Ok().json(json!({
                        "client_id": own, "client_secret": "x", "redirect_uris": [CALLBACK],
                    })),
                    "/redirect" => HttpResponse::Found()
                        .insert_header(("location", "/good"))
                        .finish(),
                    "/long" => HttpResponse::Ok().body("x".repeat(70_000)),
                    "/broken" => HttpResponse::Ok().body("<html>"),
                    _ => HttpResponse::NotFound().finish(),
                };
                async move { answer }
            }))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Self {
            url,
            served,
            handle,
        }
    }
}

#[actix_rt::test]
async fn a_document_makes_a_client() {
    let (server, site) = (TestAuth::spawn().await, Site::spawn().await);
    let id = format!("{}/good", site.url);
    let mut browser = Browser::default();
    let consent = browser
        .sign_in(&server, &query("/oauth/authorize", &id, &[]), "1")
        .await;
    assert!(consent.html.contains("Documented") && consent.html.contains("Vouched for by"));
    let code = server.code(&id, &[("scope", "user:read")]).await;
    let tokens = ok(server.redeem(&id, &code, &[]).await).await;
    let told = server
        .introspect(tokens["access_token"].as_str().unwrap())
        .await;
    assert_eq!(told["client_id"], id);
    assert_eq!(
        tokens.get("refresh_token"),
        None,
        "its grant_types do not name it"
    );
    assert_eq!(
        site.served.load(Ordering::SeqCst),
        1,
        "it is fetched once and remembered"
    );

    let elsewhere = query(
        "/oauth/authorize",
        &id,
        &[("redirect_uri", "https://evil.example/")],
    );
    assert_eq!(
        server.get(&elsewhere).await.status(),
        StatusCode::BAD_REQUEST
    );
    site.handle.stop(false).await;
}

#[actix_rt::test]
async fn a_document_that_does_not_hold_makes_no_client() {
    let (server, site) = (TestAuth::spawn().await, Site::spawn().await);
    for path in [
        "/mismatched",
        "/secret",
        "/redirect",
        "/long",
        "/broken",
        "/missing",
    ] {
        let id = format!("{}{path}", site.url);
        let page = server.get(&query("/oauth/authorize", &id, &[])).await;
        assert_eq!(page.status(), StatusCode::BAD_REQUEST, "{path}");
        assert!(
            page.text()
                .await
                .unwrap()
                .contains("document cannot be used"),
            "{path}"
        );
    }
    assert_eq!(
        site.served.load(Ordering::SeqCst),
        6,
        "the redirect was not followed"
    );
    site.handle.stop(false).await;
}

#[actix_rt::test]
async fn without_documents_the_metadata_says_so_and_the_page_says_what_to_do() {
    let site = Site::spawn().await;
    let server = TestAuth::spawn_with(|settings| settings.client_documents = false).await;
    let metadata = ok(server.get("/.well-known/oauth-authorization-server").await).await;
    assert_eq!(metadata["client_id_metadata_document_supported"], false);
    let id = format!("{}/good", site.url);
    let page = server.get(&query("/oauth/authorize", &id, &[])).await;
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    let page = page.text().await.unwrap();
    for words in [
        "takes clients that register only",
        "Remove the connection in the app and add it again",
        "MOCK_AUTH_CLIENT_DOCUMENTS=on",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let form = [("grant_type", "refresh_token"), ("client_id", &id)];
    assert_error(
        server.post("/oauth/token", &form).await,
        401,
        "invalid_client",
    )
    .await;
    assert_eq!(site.served.load(Ordering::SeqCst), 0);
    site.handle.stop(false).await;
}

#[actix_rt::test]
async fn each_reason_for_no_client_comes_with_what_to_do() {
    let server = TestAuth::spawn().await;
    for (id, what_to_do) in [
        ("nobody", "so that the app registers anew"),
        ("https://10.0.0.1/c", "MOCK_AUTH_CLIENT_DOCUMENTS=off"),
        (
            "https://nowhere.invalid/c",
            "MOCK_AUTH_CLIENT_DOCUMENTS=off",
        ),
        ("https://app.example", "or to register"),
    ] {
        let page = server.get(&query("/oauth/authorize", id, &[])).await;
        assert_eq!(page.status(), StatusCode::BAD_REQUEST);
        let page = page.text().await.unwrap();
        assert!(page.contains(what_to_do), "{id}: {page}");
    }
}

/// SEC-08.
#[actix_rt::test]
async fn the_server_calls_no_private_address_for_a_stranger() {
    let server = TestAuth::spawn().await;
    for id in [
        "https://10.0.0.1/c",
        "https://169.254.169.254/latest",
        "https://[fd00::1]/c",
    ] {
        let page = server.get(&query("/oauth/authorize", id, &[])).await;
        assert_eq!(page.status(), StatusCode::BAD_REQUEST);
        assert!(
            page.text()
                .await
                .unwrap()
                .contains("not on the public internet"),
            "{id}"
        );
    }
    let plain = server
        .get(&query("/oauth/authorize", "http://app.example/c", &[]))
        .await;
    assert!(
        plain
            .text()
            .await
            .unwrap()
            .contains("no URL that a document may have")
    );
}
