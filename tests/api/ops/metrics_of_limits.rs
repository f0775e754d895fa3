//! What an operator's alerts are made of: calls of each tool by how they ended, and limits that were reached.

use std::collections::BTreeMap;

use epicme::config::Config;
use serde_json::json;

use crate::support::{ALL, Answer, TestApp, deletion, entry_question, scraped};

/// A server that tells its metrics.
fn measured(edit: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::spawn_with(|config| {
        config.http.metrics = Some(([127, 0, 0, 1], 0).into());
        edit(config);
    })
}

/// The series of a family that are not 0, by what follows its name.
async fn counted(app: &TestApp, family: &str) -> BTreeMap<String, f64> {
    let seen = scraped(app).await.into_iter();
    let of_family = seen.filter_map(|(series, count)| {
        let labels = series.strip_prefix(family)?.to_owned();
        (count > 0.0).then_some((labels, count))
    });
    of_family.collect()
}

fn calls(tool: &str, outcome: &str) -> String {
    format!("{{tool=\"{tool}\",outcome=\"{outcome}\"}}")
}

fn limit(name: &str) -> String {
    format!("{{limit=\"{name}\"}}")
}

#[actix_rt::test]
async fn a_call_of_a_tool_is_counted_by_its_tool_and_how_it_ended() {
    let app = measured(|_| ());
    let token = app.token("ann", ALL);
    let reader = app.token("ann", "entries:read");
    let entry = json!({ "title": "Rain", "content": "x" });
    let made = app.tool(&token, "create_entry", &entry).send().await;
    let id = made.json()["result"]["structuredContent"]["entry"]["id"]
        .as_i64()
        .unwrap();
    // In a legacy session as well.
    let session = app.open(&token, "2025-11-25").await;
    let call = json!({ "name": "list_entries", "arguments": {} });
    app.within(&session, "tools/call", call).send().await;
    for argument in [json!({ "id": 999_999 }), json!({ "id": "x" }), json!({})] {
        app.tool(&token, "get_entry", &argument).send().await;
    }
    app.tool(&reader, "create_tag", &json!({ "name": "a" }))
        .send()
        .await;
    // No tool of this name, so no series.
    app.tool(&token, "no_such_tool", &json!({})).send().await;
    let question = deletion(&app, &token, id).send().await.json();
    let asked = &question["result"]["inputRequests"]["confirm"];
    assert_eq!(*asked, entry_question(id, "Rain"));
    let answered = |answer| {
        let state = question["result"]["requestState"].clone();
        deletion(&app, &token, id).edit(move |body| {
            body["params"]["requestState"] = state;
            body["params"]["inputResponses"] = json!({ "confirm": answer });
        })
    };
    let odd = deletion(&app, &token, id).edit(|body| body["params"]["arguments"] = json!(7));
    assert_eq!(odd.send().await.json()["error"]["code"], -32602);
    answered(json!({ "action": "decline" })).send().await;
    let seen = counted(&app, "epicme_tool_calls_total").await;
    let expected = BTreeMap::from([
        (calls("create_entry", "ok"), 1.0),
        (calls("list_entries", "ok"), 1.0),
        (calls("get_entry", "tool_error"), 3.0),
        (calls("create_tag", "forbidden"), 1.0),
        (calls("delete_entry", "asked"), 1.0),
        (calls("delete_entry", "error"), 1.0),
        (calls("delete_entry", "declined"), 1.0),
    ]);
    assert_eq!(seen, expected);
}

#[actix_rt::test]
async fn a_limit_that_is_reached_is_counted_by_what_it_limits() {
    let app = measured(|config| {
        config.http.limits.unknown_tokens = Some(1.try_into().unwrap());
        config.http.limits.requests_per_user = Some(9.try_into().unwrap());
        config.http.streams.per_user = 1.try_into().unwrap();
        config.sessions.as_mut().unwrap().per_user = 1.try_into().unwrap();
    });
    let token = app.token("ann", ALL);
    let filter = json!({ "notifications": { "resourcesListChanged": true } });
    let listen = || app.modern(&token, "subscriptions/listen", filter.clone());
    let mut stream = listen().listen().await;
    stream.next().await.unwrap();
    assert_eq!(listen().send().await.status, 503);
    let streams = BTreeMap::from([(limit("streams"), 1.0)]);
    assert_eq!(counted(&app, "epicme_limits_reached_total").await, streams);
    // Those that wait give way to new ones; these do not.
    let refused = |status: u16| [429, 503].contains(&status);
    let mut limited = 0.0;
    for _ in 0..12 {
        let status = app.modern(&token, "ping", json!({})).send().await.status;
        limited += f64::from(u8::from(refused(status)));
    }
    let mut unknown = 0.0;
    for _ in 0..3 {
        let token = app.token_for(Answer::json(json!({ "active": false })));
        let status = app.modern(&token, "ping", json!({})).send().await.status;
        unknown += f64::from(u8::from(refused(status)));
    }
    assert!(limited > 0.0 && unknown > 0.0);
    let mut expected = streams;
    expected.insert(limit("requests_of_user"), limited);
    expected.insert(limit("unknown_tokens"), unknown);
    assert_eq!(counted(&app, "epicme_limits_reached_total").await, expected);
}

#[actix_rt::test]
async fn what_there_may_be_stands_beside_what_there_is() {
    let app = measured(|config| config.database.pool = 3.try_into().unwrap());
    let token = app.token("ann", ALL);
    let filter = json!({ "notifications": { "resourcesListChanged": true } });
    let stream = app.modern(&token, "subscriptions/listen", filter);
    let mut stream = stream.listen().await;
    stream.next().await.unwrap();
    let seen = scraped(&app).await;
    assert_eq!(seen["epicme_database_connections_limit"], 3.0);
    assert!(seen["epicme_connections_open"] >= 1.0);
    assert!(seen["epicme_connections_limit"] > seen["epicme_connections_open"]);
    assert_eq!(seen["epicme_tls_certificate_not_after_seconds"], 0.0);
}
