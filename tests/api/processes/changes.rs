//! Changes that one process makes and another tells its clients.

use serde_json::{Value, json};

use crate::support::{ALL, Events, TestApp};

/// The token of a user whom the issuer knows, for any of its processes.
fn token(app: &TestApp) -> String {
    app.token("ann", ALL)
}

/// A subscription to the lists and to these resources, its acknowledgement read.
pub(super) async fn subscribe(app: &TestApp, token: &str, uris: &[&str]) -> Events {
    let filter = json!({ "resourcesListChanged": true, "resourceSubscriptions": uris });
    let params = json!({ "notifications": filter });
    let ask = app.modern(token, "subscriptions/listen", params);
    let mut events = ask.listen().await;
    assert!(events.next().await.unwrap().contains("acknowledged"));
    events
}

/// The method and the URI of the next message of a stream.
pub(super) async fn next(events: &mut Events) -> (String, Value) {
    loop {
        let event = events.next().await.expect("the stream goes on");
        let data = event.lines().find_map(|line| line.strip_prefix("data: "));
        if let Some(data) = data {
            let message: Value = serde_json::from_str(data).unwrap();
            let method = message["method"].as_str().unwrap().to_owned();
            let (_, name) = method.rsplit_once('/').unwrap();
            return (name.to_owned(), message["params"]["uri"].clone());
        }
    }
}

pub(super) fn updated(uri: &str) -> (String, Value) {
    ("updated".to_owned(), uri.into())
}

pub(super) fn list_changed() -> (String, Value) {
    ("list_changed".to_owned(), Value::Null)
}

#[actix_rt::test]
async fn a_write_in_one_process_is_heard_on_the_streams_of_another_in_both_eras() {
    let here = TestApp::spawn();
    let there = here.beside(|_| ());
    let token = token(&here);
    let journal = here.journal("ann");
    let entry = journal.entry("mine").await;
    let uri = format!("epicme://entries/{entry}");
    let mut modern = subscribe(&there, &token, &[&uri, "epicme://tags"]).await;
    let session = there.open(&token, "2025-11-25").await;
    let subscribed = there.within(&session, "resources/subscribe", json!({ "uri": uri }));
    assert_eq!(subscribed.send().await.status, 200);
    let mut legacy = there.session_stream(&session).listen().await;
    let mut stranger = subscribe(&there, &here.token("bob", ALL), &[&uri]).await;

    journal
        .call("update_entry", json!({ "id": entry, "mood": "calm" }))
        .await;
    journal.tag("work").await;
    assert_eq!(next(&mut modern).await, updated(&uri));
    assert_eq!(next(&mut modern).await, updated("epicme://tags"));
    assert_eq!(next(&mut modern).await, list_changed());
    assert_eq!(next(&mut legacy).await, updated(&uri));
    assert_eq!(next(&mut legacy).await, list_changed());

    // What the process itself writes is heard once, and by nobody else.
    there.journal("bob").tag("work").await;
    there.journal("ann").tag("home").await;
    assert_eq!(next(&mut stranger).await, list_changed());
    assert_eq!(next(&mut modern).await, updated("epicme://tags"));
    assert_eq!(next(&mut modern).await, list_changed());
    assert_eq!(next(&mut legacy).await, list_changed());
    here.journal("ann").tag("last").await;
    assert_eq!(next(&mut modern).await, updated("epicme://tags"));
}
