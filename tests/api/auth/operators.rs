//! The endpoints of operators: where they are, how they are spelled, and the command that uses them.

use std::process::Command;

use serde_json::{Value, json};

use super::introspection::list;
use crate::support::{ALL, PUBLIC_URL, TestApp, lines_with};

const SECRET: &str = "a secret for operators";

const PATHS: [&str; 3] = ["/admin/revocations", "/admin/cut-offs", "/oauth/revoked"];

fn spawn(apart: bool) -> TestApp {
    TestApp::spawn_with(|config| {
        config.http.revocation_secret = Some(SECRET.into());
        config.http.admin = apart.then(|| ([127, 0, 0, 1], 0).into());
    })
}

/// The status of a POST that brings the secret, and who answered it.
async fn post(app: &TestApp, url: &str, secret: &str) -> (u16, Value) {
    let request = app.http.post(url).header("host", "journal.example");
    let request = request.header("authorization", format!("Bearer {secret}"));
    let body = json!({ "issuer": app.issuer.url(), "subject": "nobody" }).to_string();
    let answer = request
        .header("content-type", "application/json")
        .body(body);
    let answer = answer.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

#[actix_rt::test]
async fn operators_have_a_listener_of_their_own_and_the_public_one_knows_nothing_of_them() {
    let app = spawn(true);
    let (public, admin) = (app.address, app.admin.unwrap());
    for path in PATHS {
        let (status, body) = post(&app, &format!("http://{public}{path}"), SECRET).await;
        assert_eq!(
            (status, &body["error"]),
            (404, &json!("not_found")),
            "{path}"
        );
    }
    let url = format!("http://{admin}/admin/revocations");
    assert_eq!(post(&app, &url, SECRET).await.0, 204);
    assert_eq!(post(&app, &url, "wrong").await.0, 401);
    // By its address too, because the secret decides.
    let listed = app.http.get(&url).bearer_auth(SECRET).send().await.unwrap();
    assert_eq!(listed.status().as_u16(), 200);
    for path in [
        "/mcp",
        "/",
        "/livez",
        "/metrics",
        "/oauth/backchannel-logout",
    ] {
        let answer = app.http.get(format!("http://{admin}{path}")).send().await;
        assert_eq!(answer.unwrap().status().as_u16(), 404, "{path}");
    }
    // It ends what the public listener serves.
    let token = app.token("ann", ALL);
    assert_eq!(list(&app, &token).await.status, 200);
    let body = json!({ "everybody": true, "until": "forever" }).to_string();
    let denied = app.http.post(&url).bearer_auth(SECRET).body(body);
    let denied = denied.header("content-type", "application/json").send();
    assert_eq!(denied.await.unwrap().status().as_u16(), 204);
    assert_eq!(list(&app, &token).await.status, 401);
}

#[actix_rt::test]
async fn without_it_they_are_on_the_public_one_and_the_operator_is_warned() {
    let app = spawn(false);
    assert_eq!(app.admin, None);
    let url = format!("http://{}/admin/revocations", app.address);
    assert_eq!(post(&app, &url, SECRET).await.0, 204);
    assert!(!lines_with("set EPICME_ADMIN_BIND to serve them on a listener").is_empty());
}

/// A proxy that keeps a path from the public compares it in some spelling.
#[actix_rt::test]
async fn other_spellings_of_their_paths_are_nothing() {
    for apart in [false, true] {
        let app = spawn(apart);
        let address = app.admin.unwrap_or(app.address);
        for path in [
            "//admin/revocations",
            "/admin//revocations",
            "/%61dmin/revocations",
            "/admin/revocation%73",
            "/admin%2Frevocations",
            "/admin/revocations/",
            "/admin/revocations%2F",
            "/admin/revocations;x",
            "/Admin/revocations",
            "/ADMIN/REVOCATIONS",
            "/admin/Revocations",
            "/admin/cut%2doffs",
            "/admin",
            "/admin/",
            "/oauth/%72evoked",
            "/oauth/revoked/",
            "//oauth/revoked",
            "/OAuth/revoked",
            "/x/admin/revocations",
        ] {
            let (status, body) = post(&app, &format!("http://{address}{path}"), SECRET).await;
            assert_eq!(
                (status, &body["error"]),
                (404, &json!("not_found")),
                "{path}"
            );
        }
        let right = format!("http://{address}/admin/revocations?x=1");
        assert_eq!(post(&app, &right, SECRET).await.0, 204);
    }
}

#[actix_rt::test]
async fn a_source_guesses_the_secret_sixty_times_a_minute_at_most() {
    for apart in [false, true] {
        let app = spawn(apart);
        let address = app.admin.unwrap_or(app.address);
        let url = format!("http://{address}/admin/revocations");
        for _ in 0..100 {
            assert_eq!(
                post(&app, &url, SECRET).await.0,
                204,
                "the right one is not limited"
            );
        }
        for _ in 0..60 {
            assert_eq!(post(&app, &url, "wrong").await.0, 401);
        }
        for secret in ["wrong", SECRET] {
            let (status, body) = post(&app, &url, secret).await;
            assert_eq!((status, &body["error"]), (429, &json!("too_many_requests")));
        }
        // Nothing else is.
        assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 200);
        app.clock.advance(chrono::TimeDelta::seconds(1));
        assert_eq!(post(&app, &url, SECRET).await.0, 204);
    }
}

#[actix_rt::test]
async fn the_command_denies_lists_and_lifts() {
    let app = spawn(true);
    let file = std::env::temp_dir().join(format!("epicme-operators-{}", std::process::id()));
    std::fs::write(&file, SECRET).unwrap();
    let admin = app.admin.unwrap().to_string();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_epicme"))
            .args(["revoke", "--public-url", PUBLIC_URL, "--secret-file"])
            .arg(&file)
            .args(arguments)
            .env_clear()
            .env("EPICME_ADMIN_BIND", &admin)
            .env("EPICME_ISSUER", app.issuer.url())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout) + &text(output.stderr),
        )
    };
    assert_eq!(
        run(&["--list"]),
        (0, "There are no revocations.\n".to_owned())
    );
    let token = app.token("ann", ALL);
    assert_eq!(
        run(&["--subject", "ann", "--until", "forever"]),
        (0, String::new())
    );
    let until = "2030-08-01T00:00:00Z";
    assert_eq!(
        run(&["--client", "a b\nc", "--until", until]),
        (0, String::new())
    );
    assert_eq!(list(&app, &token).await.status, 401);
    let (code, listed) = run(&["--list"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!((code, lines.len()), (0, 3), "{listed}");
    let issuer = app.issuer.url();
    let columns = |line: &str| {
        line.split("  ")
            .map(str::trim)
            .map(str::to_owned)
            .filter(|one| !one.is_empty())
            .collect::<Vec<_>>()
    };
    assert_eq!(columns(lines[0]), ["REVOKED AT", "UNTIL", "BY", "WHAT"]);
    let now = "2030-07-31T12:00:00Z";
    let client = format!("client a b\\u{{a}}c at {issuer}");
    assert_eq!(columns(lines[1]), [now, until, "operator", &client]);
    let user = format!("user ann at {issuer}");
    assert_eq!(columns(lines[2]), [now, "forever", "operator", &user]);
    assert_eq!(run(&["--subject", "ann", "--lift"]), (0, String::new()));
    assert_eq!(list(&app, &token).await.status, 200);
    let (code, said) = run(&["--subject", "ann", "--lift"]);
    assert_eq!(code, 69);
    assert!(
        said.contains("the server answers 404: There is no such revocation"),
        "{said}"
    );
    let (code, said) = run(&["--subject", "ann", "--until", "tomorrow"]);
    assert_eq!(code, 69);
    assert!(said.contains("until must be a time to come"), "{said}");
    for wrong in [
        &["--list", "--everybody"][..],
        &["--list", "--lift"],
        &["--everybody", "--lift", "--until", "forever"],
        &["--token-sha256", "00", "--until", "forever"],
        &["--until", "forever"],
    ] {
        assert_eq!(run(wrong).0, 64, "{wrong:?}");
    }
    std::fs::remove_file(&file).unwrap();
}
