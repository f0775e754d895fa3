//! `/readyz`: not before each authorization server has answered, and not less for all the work there is.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{Answer, Issuer, Program, SigningKey, Silence, TestApp, TestDatabase};

/// What `/readyz` says.
async fn ready(program: &Program) -> (u16, Value) {
    let (status, body) = program.get("/readyz").await;
    (status, serde_json::from_str(&body).unwrap())
}

/// Asks until the server is ready; a finding may be half a second old.
async fn until_ready(program: &Program) -> Value {
    let began = Instant::now();
    loop {
        let (status, report) = ready(program).await;
        if status == 200 {
            return report;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{report}");
    }
}

#[actix_rt::test]
async fn a_server_is_not_ready_before_its_issuer_has_answered() {
    let database = TestDatabase::new();
    let silence = Silence::new();
    let away = format!("http://{}", silence.address());
    let mut program = Program::serve(&[
        ("DATABASE_URL", database.url.expose_secret()),
        ("EPICME_ISSUER", &away),
    ]);
    let line = program.says("gave no usable answer, so this server is not ready");
    assert!(line.contains("Connection refused"), "{line}");
    let (status, report) = ready(&program).await;
    assert_eq!(status, 503);
    assert_eq!(
        report,
        json!({
            "status": "not_ready",
            "error": "temporarily_unavailable",
            "error_description": "An authorization server has not answered since the start",
            "journal": "ok",
            "introspection": "ok",
            "issuers": [{ "issuer": away, "circuit": "closed", "asked": "failed" }],
        })
    );
}

#[actix_rt::test]
async fn credentials_that_are_rejected_are_found_at_the_start_and_not_by_a_user() {
    let (issuer, server) = Issuer::bystander();
    issuer.serves().await;
    let database = TestDatabase::new();
    issuer.lets_in(|_| false);
    let mut program = Program::serve(&[
        ("DATABASE_URL", database.url.expose_secret()),
        ("EPICME_ISSUER", issuer.url()),
    ]);
    program.says("check the configured client id and client secret");
    program.says("gave no usable answer, so this server is not ready");
    assert_eq!(ready(&program).await.0, 503);
    // It is asked again, about a string that is no token, until it has answered.
    issuer.lets_in(|_| true);
    program.says("the authorization server answers");
    let report = until_ready(&program).await;
    assert_eq!(report["issuers"][0]["asked"], "ok");
    // What it answers later changes nothing: another process could not reach it either.
    issuer.lets_in(|_| false);
    until_ready(&program).await;
    server.stop(false).await;
}

#[actix_rt::test]
async fn an_issuer_of_jwts_is_asked_for_its_keys() {
    let (issuer, server) = Issuer::bystander();
    issuer.serves().await;
    let database = TestDatabase::new();
    let environment = [
        ("DATABASE_URL", database.url.expose_secret()),
        ("EPICME_ISSUER", issuer.url()),
        ("EPICME_JWT", "on"),
        ("EPICME_WORKERS", "2"),
    ];
    let mut program = Program::start(&environment);
    program.says("gave no usable answer, so this server is not ready");
    assert_eq!(ready(&program).await.0, 503);
    issuer.keys(&[&SigningKey::new("k1")]);
    program.says("the authorization server answers");
    until_ready(&program).await;
    assert_eq!(issuer.calls(), 0, "there is nothing to introspect with");
    server.stop(false).await;
}

/// An issuer that answers 400 for a string that it does not know still checks the tokens that it knows.
#[actix_rt::test]
async fn an_issuer_that_has_another_answer_for_no_token_does_not_keep_a_server_from_serving() {
    let (issuer, server) = Issuer::bystander();
    issuer.serves().await;
    let database = TestDatabase::new();
    issuer.answer_others(|_| Answer::text(400, r#"{"error":"invalid_token"}"#));
    let program = Program::serve(&[
        ("DATABASE_URL", database.url.expose_secret()),
        ("EPICME_ISSUER", issuer.url()),
    ]);
    until_ready(&program).await;
    server.stop(false).await;
}

#[actix_rt::test]
async fn users_work_that_fills_every_connection_does_not_make_it_unready() {
    let app = TestApp::spawn();
    let mut holder = app.database.connect();
    holder
        .batch_execute("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    // More calls than there are connections, of several users, none of which ends.
    let tokens: Vec<_> = (0..8)
        .map(|user| app.token(&format!("user-{user}"), "entries:read"))
        .collect();
    let calls = tokens.iter().map(|token| {
        let call = json!({ "name": "list_entries", "arguments": {} });
        app.modern(token, "tools/call", call).send()
    });
    let calls = join_all(calls);
    let watched = async {
        for _ in 0..4 {
            let reply = app.get("/readyz").await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            // A finding is kept for half a second.
            actix_rt::time::sleep(Duration::from_millis(550)).await;
        }
        holder.batch_execute("COMMIT").unwrap();
    };
    futures_util::future::join(calls, watched).await;
}
