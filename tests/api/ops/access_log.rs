//! The access log: one line per request, which says what was asked in declared words alone.

use serde_json::json;

use crate::support::{ALL, Answer, Reply, TestApp, lines_with};

/// The access line of the request that this is the reply to, without what differs from run to run.
fn line(reply: &Reply) -> String {
    let id = reply.header("x-request-id").unwrap();
    let lines = lines_with(id);
    let mut access = lines.iter().filter(|line| line.contains(" access "));
    let line = access.next().unwrap();
    assert!(access.next().is_none(), "{lines:?}");
    let (line, micros) = line.rsplit_once(" micros=").unwrap();
    assert!(micros.parse::<u64>().is_ok(), "{micros}");
    line.replace(id, "[id]")
}

#[actix_rt::test]
async fn a_line_says_what_was_asked_by_whom_and_what_became_of_it() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let reader = app.token("ann", "entries:read");
    let session = app.open(&token, "2025-06-18").await;
    let ann = "subject=49915e0d client=notebook";
    let modern = format!("{ann} claimed_client=test");
    let whoami = json!({ "name": "whoami", "arguments": {} });
    for (ask, said) in [
        (
            app.modern(&token, "tools/list", json!({})),
            format!("200 [id] status=200 outcome=ok {modern} rpc=tools/list era=modern"),
        ),
        (
            app.tool(&token, "get_entry", &json!({ "id": 1 })),
            format!(
                "200 [id] status=200 outcome=tool_error {modern} rpc=tools/call era=modern kind=tool feature=get_entry"
            ),
        ),
        (
            app.tool(&reader, "create_tag", &json!({ "name": "zq3" })),
            format!(
                "403: needs scope tags:write [id] status=403 outcome=forbidden {modern} rpc=tools/call era=modern kind=tool feature=create_tag"
            ),
        ),
        (
            app.modern(
                &token,
                "resources/read",
                json!({ "uri": "epicme://entries/31" }),
            )
            .header("mcp-name", "epicme://entries/31"),
            format!(
                "200: Resource not found [id] status=200 outcome=error {modern} rpc=resources/read era=modern kind=resource feature=epicme://entries/{{id}}"
            ),
        ),
        (
            app.within(&session, "tools/call", whoami),
            format!(
                "200 [id] status=200 outcome=ok {ann} rpc=tools/call era=legacy kind=tool feature=whoami"
            ),
        ),
        (
            app.ask("POST", "/mcp"),
            "401: no bearer token [id] status=401 outcome=unauthorized subject=-".to_owned(),
        ),
    ] {
        let reply = ask.send().await;
        let line = line(&reply);
        let (_, line) = line.split_once("POST /mcp ").unwrap();
        let line = line
            .replace("request_id=", "")
            .replace("method=POST path=/mcp ", "");
        assert_eq!(line, said);
    }
}

/// What a client says that it is called is shown as that, and cannot look like anything else.
#[actix_rt::test]
async fn a_client_is_shown_by_the_name_that_it_claims_and_as_claiming_it() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let named = |info: serde_json::Value| {
        app.modern(&token, "tools/list", json!({}))
            .edit(move |body| {
                body["params"]["_meta"]["io.modelcontextprotocol/clientInfo"] = info;
            })
    };
    for (info, said) in [
        (
            json!({ "name": "claude-code", "version": "2" }),
            Some("claude-code"),
        ),
        (
            json!({ "name": "x\nINFO access subject=ann", "version": "2" }),
            Some("x\\u{a}INFO\\u{20}access\\u{20}subject=ann"),
        ),
        (json!({ "name": 7, "version": "2" }), None),
        (json!({ "version": "2" }), None),
        (json!("claude-code"), None),
    ] {
        let line = line(&named(info.clone()).send().await);
        match said {
            Some(said) => assert!(
                line.contains(&format!(" claimed_client={said} rpc=")),
                "{line}"
            ),
            None => assert!(!line.contains("claimed_client"), "{line}"),
        }
    }
    let long = line(
        &named(json!({ "name": "n".repeat(4_000), "version": "2" }))
            .send()
            .await,
    );
    assert!(long.len() < 600, "{}", long.len());
    let legacy = line(&app.initialize(&token, "2025-06-18").send().await);
    assert!(
        legacy.contains(" claimed_client=test rpc=initialize"),
        "{legacy}"
    );
}

#[actix_rt::test]
async fn no_name_that_a_client_makes_up_is_in_it() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for ask in [
        app.tool(&token, "zq9-tool", &json!({})),
        app.modern(&token, "zq9-method", json!({})),
        app.modern(&token, "prompts/get", json!({ "name": "zq9-prompt" })),
        app.modern(&token, "resources/read", json!({ "uri": "epicme://zq9" }))
            .header("mcp-name", "epicme://zq9"),
    ] {
        let reply = ask.send().await;
        let line = line(&reply);
        // What is told in words may be what the client was told.
        let (_, keys) = line.split_once(" request_id=").unwrap();
        assert!(
            !keys.contains("feature=") && !keys.contains("zq9"),
            "{line}"
        );
    }
}

#[actix_rt::test]
async fn a_client_that_leaves_has_a_line_without_a_status() {
    let app = TestApp::spawn();
    let hang = Answer::Hang(Box::new(Answer::json(json!({ "active": false }))));
    let token = app.token_for(hang);
    let ask = app.modern(&token, "tools/list", json!({}));
    // No other test names this trace.
    let ask = ask.header(
        "traceparent",
        "00-9f6a1d3c5b7e4a2f8c0d1e2f3a4b5c6d-00f067aa0ba902b7-01",
    );
    let asked = Box::pin(ask.begin());
    let reached = Box::pin(app.issuer.is_asked(1));
    drop(futures_util::future::select(asked, reached).await);
    let mut lines = Vec::new();
    while lines.is_empty() {
        tokio::task::yield_now().await;
        lines = lines_with("trace_id=9f6a1d3c5b7e4a2f8c0d1e2f3a4b5c6d");
    }
    assert!(
        lines[0].contains(" POST /mcp cancelled ") && lines[0].contains(" outcome=cancelled "),
        "{lines:?}"
    );
    assert!(!lines[0].contains("status="), "{lines:?}");
}
