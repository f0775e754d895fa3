//! The confirmation that a client is asked for before something is deleted, and its answers.

use serde_json::{Value, json};

use super::{Ask, Journal, TestApp};

/// A yes, in the words of either era.
pub(crate) fn yes() -> Value {
    json!({ "action": "accept", "content": { "confirmed": true } })
}

/// Every answer that does not confirm.
pub(crate) fn noes() -> [Value; 9] {
    [
        json!({ "action": "accept", "content": { "confirmed": false } }),
        json!({ "action": "accept", "content": { "confirmed": "true" } }),
        json!({ "action": "accept", "content": {} }),
        json!({ "action": "accept", "content": null }),
        json!({ "action": "accept" }),
        json!({ "action": "decline" }),
        json!({ "action": "decline", "content": { "confirmed": true } }),
        json!({ "action": "cancel" }),
        json!({}),
    ]
}

/// The form that a client is asked to show before something is deleted.
pub(crate) fn question(message: &str) -> Value {
    json!({
        "method": "elicitation/create",
        "params": {
            "message": message,
            "requestedSchema": {
                "type": "object",
                "properties": { "confirmed": { "type": "boolean", "title": "Delete it" } },
                "required": ["confirmed"],
            },
        },
    })
}

pub(crate) fn entry_question(id: i64, title: &str) -> Value {
    question(&format!(
        "Are you sure you want to delete entry {id}, “{title}”? This cannot be undone."
    ))
}

/// The same request by a modern client with these capabilities.
pub(crate) fn able<'a>(ask: Ask<'a>, capabilities: &Value) -> Ask<'a> {
    ask.edit(|body| {
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            capabilities.clone();
    })
}

/// A modern deletion of an entry by a client that shows forms.
pub(crate) fn deletion<'a>(app: &'a TestApp, token: &str, id: i64) -> Ask<'a> {
    let ask = app.tool(token, "delete_entry", &json!({ "id": id }));
    able(ask, &json!({ "elicitation": {} }))
}

/// The next round of a modern call, under an id of its own.
pub(crate) fn again<'a>(ask: &Ask<'a>, state: &str, answers: Value) -> Ask<'a> {
    ask.clone().edit(|body| {
        body["id"] = json!(2);
        body["params"]["requestState"] = state.into();
        body["params"]["inputResponses"] = answers;
    })
}

/// The state that comes with a question, which has to be this one.
pub(crate) async fn asked(ask: &Ask<'_>, question: &Value) -> String {
    let reply = ask.clone().send().await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let result = reply.result();
    let state = result["requestState"].as_str().unwrap_or_default();
    assert_eq!(
        result,
        json!({
            "resultType": "input_required",
            "inputRequests": { "confirm": question },
            "requestState": state,
            "_meta": { "io.modelcontextprotocol/serverInfo": {
                "name": "epicme",
                "title": "EpicMe Journal",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "A personal journal over MCP",
            } },
        })
    );
    assert!(state.len() > 40, "{state}");
    state.to_owned()
}

pub(crate) async fn is_there(journal: &Journal<'_>, entry: i64) -> bool {
    let found = journal.call("get_entry", json!({ "id": entry })).await;
    found.get("isError").is_none()
}

const REFUSED_STATE: &str = "Invalid params: requestState is not one of this server's for this call, or has expired, or was used; call again without it";

/// A state that does not count, whatever the reason, is refused in the same words.
pub(crate) async fn refused(ask: Ask<'_>, why: &str) {
    let reply = ask.send().await;
    assert_eq!(
        (reply.status, reply.json()["error"].clone()),
        (200, json!({ "code": -32602, "message": REFUSED_STATE })),
        "{why}"
    );
}
