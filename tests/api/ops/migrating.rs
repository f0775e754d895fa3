//! A server that runs migrations at its start is alive meanwhile, and says that it is not ready.

use diesel::{Connection, PgConnection, connection::SimpleConnection};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{Issuer, Program, new_cluster, patiently};

#[actix_rt::test]
async fn a_server_is_alive_and_not_ready_while_it_waits_for_another_that_migrates() {
    let (issuer, server) = Issuer::bystander();
    issuer.serves().await;
    let cluster = new_cluster();
    cluster.create_database("epicme").unwrap();
    let url = cluster.url("epicme");
    // Another process has its turn to migrate.
    let mut other = PgConnection::establish(url.expose_secret()).unwrap();
    other
        .batch_execute("SELECT pg_advisory_lock(76177399569765)")
        .unwrap();
    let mut program = Program::serve(&[
        ("DATABASE_URL", url.expose_secret()),
        ("EPICME_ISSUER", issuer.url()),
        ("EPICME_MIGRATE", "on"),
    ]);
    program.says("or waiting for another process that does");
    assert_eq!(program.get("/livez").await, (200, "OK".to_owned()));
    let (status, report) = program.get("/readyz").await;
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (status, &report["status"], &report["journal"]),
        (503, &json!("not_ready"), &json!("migrating")),
        "{report}"
    );
    assert_eq!(
        report["error_description"],
        "A part that every request needs is being prepared"
    );
    // No token is checked before the stored revocations were read.
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
    let refused = program
        .http
        .post(format!("http://{}/mcp", program.address))
        .header("host", "127.0.0.1:8787")
        .bearer_auth("token-of-ann")
        .header("accept", "application/json, text/event-stream")
        .json(&call)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    other
        .batch_execute("SELECT pg_advisory_unlock_all()")
        .unwrap();
    program.says("the database is there, and its schema is up to date");
    patiently(async { while program.get("/readyz").await.0 != 200 {} }).await;
    server.stop(false).await;
}

#[actix_rt::test]
async fn a_migration_that_the_database_refuses_ends_the_server_with_the_reason() {
    let cluster = new_cluster();
    cluster.create_database("epicme").unwrap();
    let url = cluster.url("epicme");
    // A table that the first migration wants to create.
    let mut other = PgConnection::establish(url.expose_secret()).unwrap();
    other
        .batch_execute("CREATE TABLE entries (in_the_way int)")
        .unwrap();
    let program = Program::serve(&[
        ("DATABASE_URL", url.expose_secret()),
        ("EPICME_MIGRATE", "on"),
    ]);
    let (code, said) = program.ends();
    assert_eq!(code, 69, "{said}");
    assert!(said.contains("the database cannot be used: "), "{said}");
    assert!(said.contains("already exists"), "{said}");
}
