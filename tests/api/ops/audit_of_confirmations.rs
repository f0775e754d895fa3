//! The audit log, step by step, of deletions that ask the user first.

use serde_json::json;

use super::audit_log::{MODERN, ann, audited, with_forms};
use crate::support::TestApp;

/// What the lines say in a word or two.
fn said(lines: &[String]) -> Vec<&str> {
    let said = lines.iter().map(|line| {
        let line = line.strip_prefix("INFO audit ").unwrap();
        &line[..line.find(" event=").unwrap()]
    });
    said.collect()
}

#[actix_rt::test]
async fn a_confirmation_is_in_it_step_by_step_in_the_modern_era() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    for (answer, steps) in [
        (
            json!({ "action": "accept", "content": { "confirmed": true } }),
            ["confirmation given", "write done"],
        ),
        (
            json!({ "action": "decline" }),
            ["confirmation declined", "write declined"],
        ),
    ] {
        let id = journal.entry("Rain").await;
        let ask = with_forms(app.tool(&journal.token, "delete_entry", &json!({ "id": id })));
        let reply = ask.clone().send().await;
        let lines = audited(&app, &reply);
        assert_eq!(said(&lines), ["confirmation asked", "write asked"]);
        assert_eq!(
            lines[0],
            format!(
                "INFO audit confirmation asked event=confirmation outcome=asked request_id=[id] address=127.0.0.0/24 kind=tool feature=delete_entry object=entry:[id] {} {MODERN}",
                ann()
            )
        );
        let state = reply.result()["requestState"].clone();
        let again = ask.edit(|body| {
            body["id"] = json!(2);
            body["params"]["requestState"] = state;
            body["params"]["inputResponses"] = json!({ "confirm": answer });
        });
        let reply = again.clone().send().await;
        assert_eq!(said(&audited(&app, &reply)), steps);
        // The same state a second time.
        let reply = again.send().await;
        let lines = audited(&app, &reply);
        assert_eq!(said(&lines), ["request_state refused", "write failed"]);
        assert!(
            lines[0].contains(" kind=tool feature=delete_entry "),
            "{lines:?}"
        );
    }
    let id = journal.entry("Rain").await;
    let reply = app
        .tool(&journal.token, "delete_entry", &json!({ "id": id }))
        .send()
        .await;
    assert_eq!(
        said(&audited(&app, &reply)),
        ["confirmation impossible", "write done"]
    );
}

#[actix_rt::test]
async fn a_confirmation_is_in_it_step_by_step_in_the_legacy_era() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let forms = json!({ "elicitation": {} });
    let session = app.open_with(&journal.token, "2025-11-25", forms).await;
    for (confirmed, steps) in [
        (
            true,
            ["confirmation asked", "confirmation given", "write done"],
        ),
        (
            false,
            [
                "confirmation asked",
                "confirmation declined",
                "write declined",
            ],
        ),
    ] {
        let id = journal.entry("Rain").await;
        let call = json!({ "name": "delete_entry", "arguments": { "id": id } });
        let mut events = app.within(&session, "tools/call", call).listen().await;
        // The event that a client resumes from.
        events.next().await.unwrap();
        let (_, question) = events.message().await;
        assert_eq!(question["method"], "elicitation/create");
        let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": {
            "action": "accept", "content": { "confirmed": confirmed } } });
        app.tell(&session, answer).await;
        while events.next().await.is_some() {}
        let lines = audited(&app, &events.head);
        assert_eq!(said(&lines), steps);
        assert!(
            lines
                .iter()
                .all(|line| line.ends_with("era=legacy version=2025-11-25"))
        );
    }
}

#[actix_rt::test]
async fn what_was_not_confirmed_for_another_reason_is_told_apart() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let forms = json!({ "elicitation": {} });
    let session = app.open_with(&journal.token, "2025-06-18", forms).await;
    let id = journal.entry("Rain").await;
    let delete = |number: i64| {
        let call = json!({ "name": "delete_entry", "arguments": { "id": id } });
        app.within(&session, "tools/call", call)
            .edit(|body| body["id"] = number.into())
    };
    let mut open = Vec::new();
    for number in 1..=16 {
        let mut events = delete(number).listen().await;
        events.message().await;
        open.push(events);
    }
    // One question more than may be open.
    let reply = delete(17).send().await;
    assert_eq!(
        said(&audited(&app, &reply)),
        ["confirmation not_asked", "write failed"]
    );
    journal.done("get_entry", json!({ "id": id })).await;
    // Called off while its user thinks about it.
    let mut events = open.pop().unwrap();
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": { "requestId": 16 } });
    app.tell(&session, cancel).await;
    while events.next().await.is_some() {}
    assert_eq!(
        said(&audited(&app, &events.head)),
        ["confirmation asked", "write cancelled"]
    );
}
