//! Neither the log nor an error has a secret in it: no token, no text of a journal, nothing that a client
//! sends to forge a line.

use serde_json::{Value, json};

use crate::support::{ALL, Answer, Client, ERAS, Kind, Sample, TestApp, lines_with, samples};

/// A text that occurs in no other test.
const SECRET: &str = "zq7-private";

/// Puts the secret into each argument in turn, as a text and as a list, also where neither fits.
fn with_the_secret_in_each(sample: &Sample, arguments: &Value) -> Vec<Value> {
    // Too long for any argument; a URI also stands in a header.
    let times = if sample.feature.kind == Kind::Template {
        1
    } else {
        20_000
    };
    let names = arguments.as_object().unwrap().keys();
    let spoilt = names.flat_map(|name| {
        [json!(SECRET.repeat(times)), json!([SECRET])].map(|value| {
            let mut spoilt = arguments.clone();
            spoilt[name] = value;
            spoilt
        })
    });
    spoilt.collect()
}

/// Calls the sample with arguments that may be wrong: if it fails, the answer repeats none of them.
async fn try_to_call(client: &Client<'_>, sample: &Sample, arguments: &Value) {
    let params = sample.params(arguments);
    let reply = client.ask(sample.feature.method(), params).send().await;
    let body = reply.json();
    if body.get("error").is_some() || body["result"]["isError"] == true {
        // That a resource is not there is said with its URI, which the client knows.
        let told = body.to_string();
        assert!(
            sample.feature.kind == Kind::Template || !told.contains(SECRET),
            "{}: {told}",
            sample.feature
        );
    }
}

/// What each feature is given and what it answers stays out of the log, whether it succeeds, fails or is
/// refused.
#[actix_rt::test]
async fn no_text_of_a_journal_reaches_the_log_or_an_error() {
    let app = TestApp::spawn();
    for revision in ERAS {
        for (number, sample) in samples(&app).await.iter().enumerate() {
            let user = format!("ann {number} of {revision}");
            let journal = app.journal(&user);
            let client = app.client(revision, &journal.token).await;
            let rows = journal.rows(SECRET).await;
            let arguments = (sample.arguments)(&rows);
            for spoilt in with_the_secret_in_each(sample, &arguments) {
                try_to_call(&client, sample, &spoilt).await;
            }
            let needed = sample.feature.scopes(&arguments);
            let others: Vec<_> = ALL
                .split(' ')
                .filter(|scope| !needed.contains(scope))
                .collect();
            let refused = app
                .client(revision, &app.token(&user, &others.join(" ")))
                .await;
            try_to_call(&refused, sample, &arguments).await;
            client.succeed(sample, &rows).await;
            assert_eq!(
                lines_with(SECRET),
                [""; 0],
                "{revision}: {}",
                sample.feature
            );
        }
        let client = app.client(revision, &app.token("ann", ALL)).await;
        for (reference, argument) in client.completions().await {
            let argument = json!({ "name": argument, "value": SECRET });
            let params = json!({ "ref": reference, "argument": argument });
            client.result("completion/complete", params).await;
        }
        assert_eq!(lines_with(SECRET), [""; 0], "{revision}: completions");
    }
}

#[actix_rt::test]
async fn a_text_that_the_database_refuses_reaches_neither_the_log_nor_the_error() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    app.database
        .execute("ALTER TABLE tags ADD CHECK (name <> 'zq-refused-name')")
        .unwrap();
    let arguments = json!({ "name": "zq-refused-name" });
    let reply = app.tool(&ann.token, "create_tag", &arguments).send().await;
    assert_eq!(reply.error(), (500, -32603));
    assert!(
        !reply.text().contains("zq-refused") && !reply.text().contains("tags"),
        "{}",
        reply.text()
    );
    assert_eq!(lines_with("zq-refused"), [""; 0]);
}

///
#[actix_rt::test]
async fn an_internal_error_is_in_the_log_under_the_id_that_the_client_has() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    app.database
        .execute("ALTER TABLE tags RENAME COLUMN name TO renamed")
        .unwrap();
    let reply = app.tool(&ann.token, "list_tags", &json!({})).send().await;
    assert_eq!(reply.error(), (500, -32603));
    assert_eq!(reply.json()["id"], 1);
    assert!(
        !reply.text().contains("column") && !reply.text().contains("name\\\""),
        "{}",
        reply.text()
    );
    let id = reply.header("x-request-id").unwrap();
    let lines = lines_with(id);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("name") && line.contains("does not exist")),
        "{lines:?}"
    );
}

///
#[actix_rt::test]
async fn a_refused_token_is_in_the_log_by_its_fingerprint() {
    let app = TestApp::spawn();
    let token = app.token_for(Answer::json(json!({ "active": false })));
    let ask = app.modern(&token, "tools/list", json!({}));
    let reply = ask.send().await;
    let lines = lines_with(reply.header("x-request-id").unwrap());
    assert!(
        lines
            .iter()
            .any(|line| line.contains("inactive token") && line.contains(" token=")),
        "{lines:?}"
    );
    assert_eq!(lines_with(&token), [""; 0]);
}

#[actix_rt::test]
async fn the_query_and_the_headers_of_a_request_are_not_logged() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let ask = app
        .ask("GET", "/nothing?access_token=zq8-query")
        .header("cookie", "zq8-cookie");
    assert_eq!(
        ask.header("referer", "zq8-referer").send().await.status,
        404
    );
    let ask = app
        .post(&token, &json!({}))
        .path("/mcp?zq8-query")
        .header("user-agent", "zq8-agent");
    assert_eq!(ask.send().await.status, 400);
    assert_eq!(lines_with("zq8"), [""; 0]);
}

#[actix_rt::test]
async fn no_client_writes_lines_into_the_log() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let name = "x\n2026 ERROR zq9-forged \u{1b}[31m\u{202e}";
    let ask = app
        .modern(&token, "tools/call", json!({ "name": name }))
        .header(
            "mcp-name",
            "=?base64?eAoyMDI2IEVSUk9SIHpxOS1mb3JnZWQgG1szMW3igK4=?=",
        );
    let reply = ask.send().await;
    assert_eq!(reply.error(), (200, -32602));
    let lines = lines_with(reply.header("x-request-id").unwrap());
    assert!(!lines.is_empty());
    assert!(
        lines
            .iter()
            .all(|line| !line.contains(|c: char| c.is_control() || c == '\u{202e}')),
        "{lines:?}"
    );
}

#[actix_rt::test]
async fn every_request_is_in_the_log_once_with_its_status() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for (ask, said) in [
        (app.modern(&token, "tools/list", json!({})), "POST /mcp 200"),
        (app.ask("GET", "/nothing"), "GET /nothing 404"),
        (app.ask("POST", "/mcp"), "POST /mcp 401"),
        (
            app.ask("POST", "/mcp").header("host", "evil.example"),
            "POST /mcp 421",
        ),
        (app.ask("BREW", "/mcp"), "other /mcp 405"),
    ] {
        let reply = ask.send().await;
        let lines = lines_with(reply.header("x-request-id").unwrap());
        let access: Vec<_> = lines
            .iter()
            .filter(|line| line.contains(" access "))
            .collect();
        assert_eq!(access.len(), 1, "{lines:?}");
        assert!(access[0].contains(said), "{access:?}");
    }
}
