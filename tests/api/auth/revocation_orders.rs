//! Who may revoke, how an order is written, and what the audit log says of it.

use std::process::Command;

use base64::Engine;
use resource_server::{fingerprint::fingerprint, principal::UserId};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::revocation::{SECRET, cut_off, ends_in_order, form, goes_on, spawn, subscribe};
use crate::support::{ALL, PUBLIC_URL, TestApp, lines_with};

#[actix_rt::test]
async fn who_does_not_have_the_secret_cuts_nobody_off() {
    let app = spawn();
    let token = app.token("ann", ALL);
    let digest = Sha256::digest(&token);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut subscription = subscribe(&app, &token).await;
    for ask in [
        form(&app, "/oauth/revoked", format!("token={token}")),
        cut_off(&app, &json!({ "tokenSha256": digest })),
    ] {
        for reply in [
            ask.clone().without("authorization").send().await,
            ask.clone().header("authorization", "Bearer x").send().await,
            ask.clone()
                .header("authorization", &format!("Bearer {token}"))
                .send()
                .await,
        ] {
            assert_eq!(reply.status, 401);
            assert_eq!(reply.json()["error"], "invalid_client");
            assert_eq!(
                reply.header("www-authenticate"),
                Some(r#"Basic realm="revocations""#)
            );
        }
        let elsewhere = ask.clone().header("host", "evil.example").send().await;
        assert_eq!(elsewhere.status, 421);
        let page = ask.clone().header("origin", "https://evil.example");
        assert_eq!(page.send().await.status, 403);
        let other = ask.clone().method("GET").body("").send().await;
        assert_eq!((other.status, other.header("allow")), (405, Some("POST")));
    }
    app.journal("ann").tag("work").await;
    goes_on(&mut subscription, "list_changed").await;
    let reply = cut_off(&app, &json!({ "tokenSha256": digest.to_uppercase() }));
    assert_eq!(reply.send().await.status, 204);
    ends_in_order(subscription).await;

    let app = TestApp::spawn();
    for ask in [
        form(&app, "/oauth/revoked", "token=x"),
        cut_off(&app, &json!({ "everybody": true })),
    ] {
        assert_eq!(ask.send().await.status, 404, "there is no secret");
    }
}

#[actix_rt::test]
async fn a_cut_off_is_well_formed_or_refused() {
    let app = spawn();
    let revoked = |body: String| form(&app, "/oauth/revoked", body);
    for (body, status) in [
        ("token=unknown&token_type_hint=refresh_token", 200),
        ("token=unknown&more=1", 200),
        ("", 400),
        ("token=", 400),
        ("tokens=x", 400),
        ("token=a&token=b", 400),
    ] {
        let reply = revoked(body.to_owned()).send().await;
        assert_eq!(reply.status, status, "{body}");
        if status == 400 {
            assert_eq!(reply.json()["error"], "invalid_request");
        }
    }
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("issuer:{SECRET}"));
    let reply = revoked("token=x".to_owned()).header("authorization", &format!("Basic {basic}"));
    assert_eq!(reply.send().await.status, 200);
    let json = revoked("token=x".to_owned()).header("content-type", "application/json");
    assert_eq!(json.send().await.status, 415);
    let long = |length: usize| format!("token={}", "x".repeat(length - 6));
    assert_eq!(revoked(long(16 * 1024)).send().await.status, 200);
    assert_eq!(revoked(long(16 * 1024 + 1)).send().await.status, 413);

    let issuer = app.issuer.url();
    for whom in [
        json!({}),
        json!([]),
        json!({ "everybody": false }),
        json!({ "everybody": true, "issuer": issuer }),
        json!({ "issuer": issuer }),
        json!({ "subject": "ann" }),
        json!({ "client": "notebook" }),
        json!({ "issuer": issuer, "subject": "ann", "client": "notebook" }),
        json!({ "issuer": "https://other.example", "subject": "ann" }),
        json!({ "tokenSha256": "ab" }),
        json!({ "tokenSha256": "x".repeat(64) }),
        json!({ "tokenSha256": "é".repeat(32) }),
        json!({ "token": "x" }),
    ] {
        let reply = cut_off(&app, &whom).send().await;
        assert_eq!(reply.status, 400, "{whom}");
        assert_eq!(reply.json()["error"], "invalid_request");
    }
}

#[actix_rt::test]
async fn an_operator_cuts_off_from_the_command_line() {
    let app = spawn();
    let file = std::env::temp_dir().join(format!("epicme-cut-off-{}", std::process::id()));
    let server = format!("http://{}", app.address);
    let run_as = |command: &str, secret: &str, whom: &[&str]| {
        std::fs::write(&file, secret).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_epicme"))
            .args([command, "--server", &server, "--public-url", PUBLIC_URL])
            .args(["--issuer", app.issuer.url(), "--secret-file"])
            .arg(&file)
            .args(whom)
            .env_clear()
            .output()
            .unwrap();
        std::fs::remove_file(&file).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains(SECRET), "{said}");
        (output.status.code().unwrap(), said)
    };
    let run = |secret: &str, whom: &[&str]| run_as("revoke", secret, whom);
    let revoked = app.token("ann", ALL);
    let digest: String = Sha256::digest(&revoked)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let subscription = subscribe(&app, &revoked).await;
    assert_eq!(
        run(SECRET, &["--token-sha256", &digest]),
        (0, String::new())
    );
    ends_in_order(subscription).await;
    let token = app.token("ann", ALL);
    for whom in [
        &["--subject", "ann"][..],
        &["--client", "notebook"],
        &["--everybody"],
    ] {
        let subscription = subscribe(&app, &token).await;
        assert_eq!(run(SECRET, whom), (0, String::new()), "{whom:?}");
        ends_in_order(subscription).await;
    }
    let (code, said) = run_as("cut-off", SECRET, &["--everybody"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("is now called `revoke`"), "{said}");
    let (code, said) = run("another secret of that length", &["--everybody"]);
    assert_eq!(code, 69);
    assert!(said.contains("the server answers 401"), "{said}");
    assert_eq!(run(SECRET, &[]).0, 64);
    assert_eq!(run(SECRET, &["--everybody", "--subject", "ann"]).0, 64);
}

#[actix_rt::test]
async fn each_cut_off_is_a_line_of_the_audit_log_without_a_name() {
    let app = spawn();
    let issuer = app.issuer.url().to_owned();
    let subject = json!({ "issuer": issuer, "subject": "somebody-zq5" });
    let client = json!({ "issuer": issuer, "client": "some-app" });
    let token = json!({ "tokenSha256": "0".repeat(64) });
    // The id that `whoami` returns, and the fingerprint that the token's other lines have.
    let user = UserId::derive(&issuer, "somebody-zq5");
    let of_user = format!("done kind=user revoked={user} by=operator address=127.0.0.0/24");
    let of_token = format!(
        "done kind=token revoked={} by=revoker",
        fingerprint("somebody-zq5")
    );
    for (ask, line) in [
        (cut_off(&app, &subject), &*of_user),
        (
            cut_off(&app, &client),
            "done kind=client revoked=some-app by=operator",
        ),
        (
            cut_off(&app, &token),
            "done kind=token revoked=00000000 by=operator",
        ),
        (
            cut_off(&app, &json!({ "everybody": true })),
            "done kind=everybody by=operator",
        ),
        (
            form(&app, "/oauth/revoked", "token=somebody-zq5"),
            &*of_token,
        ),
        (
            cut_off(&app, &subject).header("authorization", "Bearer wrong"),
            "refused",
        ),
    ] {
        let reply = ask.send().await;
        let lines = lines_with(reply.header("x-request-id").unwrap());
        let audit: Vec<_> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("INFO audit cut_off "))
            .collect();
        assert_eq!(audit.len(), 1, "{lines:?}");
        let words: Vec<&str> = line.split(' ').collect();
        assert!(audit[0].starts_with(words[0]), "{audit:?}");
        for word in &words[1..] {
            assert!(audit[0].split(' ').any(|said| said == *word), "{audit:?}");
        }
    }
    assert_eq!(lines_with("somebody-zq5"), [""; 0]);
}
