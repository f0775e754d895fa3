//! What outlives a restart, in a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use mock_auth::{MockAuth, Settings, TokenFormat};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Browser, CALLBACK, TestAuth, assert_error, location, ok, param, query};

/// A folder that nobody else uses, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (id, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(format!("mock-auth-restart-{id}-{count}")))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The next run does not meet it: the name holds this process's id.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that keeps its state there. Its issuer is always the same, though its port is not.
async fn start(folder: &Folder, edit: impl FnOnce(&mut Settings)) -> TestAuth {
    TestAuth::spawn_with(|settings| {
        settings.issuer = Some("http://auth.example".to_owned());
        settings.state = Some(folder.path().to_owned());
        edit(settings);
    })
    .await
}

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap()
}

#[actix_rt::test]
async fn hosts_stay_registered_and_signed_in_over_a_restart() {
    let folder = Folder::new();
    let server = start(&folder, |_| {}).await;
    let client = server.register().await;
    let tokens = server.tokens(&client, "entries:read").await;
    let confidential = server
        .register_as(json!({"redirect_uris": [CALLBACK]}))
        .await;
    let revoked = server.tokens(&client, "tags:read").await;
    server
        .auth
        .revoke_token(&text(&revoked, "refresh_token").into());
    server.auth.stop().await;

    let server = start(&folder, |_| {}).await;
    let told = server.introspect(text(&tokens, "access_token")).await;
    assert_eq!(
        (&told["active"], &told["client_id"]),
        (&json!(true), &json!(client))
    );
    let told = server.introspect(text(&revoked, "access_token")).await;
    assert_eq!(told["active"], false);
    let refreshed = server
        .refresh(&client, text(&tokens, "refresh_token"), &[])
        .await;
    let refreshed = ok(refreshed).await;
    // The same client can sign in again, and one with a secret knows it.
    server.tokens(&client, "entries:read").await;
    let id = text(&confidential, "client_id");
    for (secret, error) in [
        (text(&confidential, "client_secret"), "invalid_request"),
        ("x", "invalid_client"),
    ] {
        let form = [("client_id", id), ("client_secret", secret)];
        let answer = server.post("/oauth/token", &form).await;
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["error"], error, "no grant_type, or no client");
    }
    server.auth.stop().await;

    // A parallel refresh that comes after yet another restart gets the successor of the first.
    let server = start(&folder, |_| {}).await;
    let late = server
        .refresh(&client, text(&tokens, "refresh_token"), &[])
        .await;
    assert_eq!(ok(late).await["refresh_token"], refreshed["refresh_token"]);
    server.auth.stop().await;
}

#[actix_rt::test]
async fn signed_tokens_verify_with_the_same_keys_after_a_restart() {
    let folder = Folder::new();
    let jwt = |settings: &mut Settings| settings.access_token_format = TokenFormat::Jwt;
    let server = start(&folder, jwt).await;
    server.auth.rotate_signing_key();
    let client = server.register().await;
    let tokens = server.tokens(&client, "entries:read").await;
    let keys = ok(server.get("/oauth/jwks").await).await;
    server.auth.stop().await;
    let server = start(&folder, jwt).await;
    assert_eq!(ok(server.get("/oauth/jwks").await).await, keys);
    let told = server.introspect(text(&tokens, "access_token")).await;
    assert_eq!(told["active"], true);
}

#[actix_rt::test]
async fn unticked_scopes_stay_unticked_over_a_restart() {
    let folder = Folder::new();
    let server = start(&folder, |_| {}).await;
    let client = server.register().await;
    let path = query("/oauth/authorize", &client, &[]);
    let mut browser = Browser::default();
    let page = browser.sign_in(&server, &path, "1").await;
    let form = [
        ("page", page.handle()),
        ("decision", "allow"),
        ("scope", "user:read"),
    ];
    let back = browser.submit(&server, "/oauth/authorize", &form).await;
    assert!(param(location(&back), "code").is_some());
    server.auth.stop().await;
    let server = start(&folder, |_| {}).await;
    let page = Browser::default().sign_in(&server, &path, "1").await;
    assert_eq!(page.is_ticked("user:read"), Some(true));
    assert_eq!(page.is_ticked("entries:write"), Some(false));
}

#[actix_rt::test]
async fn nothing_in_the_folder_tells_a_secret() {
    let folder = Folder::new();
    let server = start(&folder, |_| {}).await;
    let client = server.register().await;
    let tokens = server.tokens(&client, "entries:read").await;
    server.auth.stop().await;
    for file in fs::read_dir(folder.path()).unwrap() {
        let content = fs::read(file.unwrap().path()).unwrap();
        for secret in [
            client.as_str(),
            text(&tokens, "access_token"),
            text(&tokens, "refresh_token"),
        ] {
            let found = content
                .windows(16)
                .any(|part| part == &secret.as_bytes()[..16]);
            assert!(!found);
        }
    }
}

#[actix_rt::test]
async fn a_broken_or_foreign_state_is_set_aside_and_the_server_starts() {
    let folder = Folder::new();
    let server = start(&folder, |_| {}).await;
    let client = server.register().await;
    server.auth.stop().await;
    let sealed = folder.path().join("state.sealed");
    let good = fs::read(&sealed).unwrap();
    let mut broken = good.clone();
    *broken.last_mut().unwrap() ^= 1;
    for content in [&b""[..], b"{}", &good[..good.len() / 2], &broken] {
        fs::write(&sealed, content).unwrap();
        let server = start(&folder, |_| {}).await;
        let page = server.get(&query("/oauth/authorize", &client, &[])).await;
        assert_eq!(page.status(), StatusCode::BAD_REQUEST);
        let aside = folder.path().join("state.sealed.aside");
        assert_eq!(fs::read(aside).unwrap(), content);
        server.auth.stop().await;
    }
    // What was granted under one issuer is worth nothing under another.
    fs::write(&sealed, &good).unwrap();
    let other = start(&folder, |it| {
        it.issuer = Some("http://other.example".to_owned())
    })
    .await;
    let page = other.get(&query("/oauth/authorize", &client, &[])).await;
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    other.auth.stop().await;
    fs::write(&sealed, &good).unwrap();
    let server = start(&folder, |_| {}).await;
    let page = server.get(&query("/oauth/authorize", &client, &[])).await;
    assert_eq!(page.status(), StatusCode::OK);
}

#[actix_rt::test]
async fn a_folder_that_another_server_has_is_an_error_that_says_so() {
    let folder = Folder::new();
    let server = start(&folder, |_| {}).await;
    let second = MockAuth::start_with(Settings {
        bind: "127.0.0.1:0".parse().unwrap(),
        state: Some(folder.path().to_owned()),
        ..Settings::default()
    })
    .await;
    let error = second.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("another program"), "{error}");
    assert!(error.to_string().contains(folder.path().to_str().unwrap()));
    drop(server);
    start(&folder, |_| {}).await.auth.stop().await;
}

#[actix_rt::test]
async fn without_a_folder_a_client_of_before_is_told_to_register() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    server.auth.stop().await;
    let server = TestAuth::spawn().await;
    let refused = server.refresh(&client, "epr_x", &[]).await;
    assert_error(refused, 401, "invalid_client").await;
    let head = server.request(Method::HEAD, &query("/oauth/authorize", &client, &[]));
    assert_eq!(head.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}
