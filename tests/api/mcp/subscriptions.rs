//! Change notifications: on the stream of a modern client's subscription, and on the
//! general stream of a legacy session. To the same user alone, of what was asked for alone.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{ALL, Ask, Events, Session, TestApp, patiently};

/// A modern client's `subscriptions/listen`, under this id.
fn subscribe<'a>(app: &'a TestApp, token: &str, id: Value, filter: Value) -> Ask<'a> {
    let params = json!({ "notifications": filter });
    app.modern(token, "subscriptions/listen", params)
        .edit(|body| body["id"] = id)
}

/// The next message of a stream without event ids.
async fn next(events: &mut Events) -> Value {
    let event = events.next().await.expect("the stream goes on");
    let data = event.strip_prefix("data: ").expect("data and no id");
    serde_json::from_str(data).unwrap()
}

fn acknowledged(id: &Value, honoured: Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "method": "notifications/subscriptions/acknowledged",
        "params": {
            "_meta": { "io.modelcontextprotocol/subscriptionId": id },
            "notifications": honoured,
        },
    })
}

fn updated(id: &Value, uri: &str) -> Value {
    json!({
        "jsonrpc": "2.0",
        "method": "notifications/resources/updated",
        "params": { "_meta": { "io.modelcontextprotocol/subscriptionId": id }, "uri": uri },
    })
}

fn list_changed(id: &Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "method": "notifications/resources/list_changed",
        "params": { "_meta": { "io.modelcontextprotocol/subscriptionId": id } },
    })
}

/// T-24, T-26, P-12, D-17.
#[actix_rt::test]
async fn a_subscription_is_acknowledged_first_with_what_is_honoured() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for id in [json!("L1"), json!(7), json!("7")] {
        let filter = json!({
            "toolsListChanged": true,
            "promptsListChanged": true,
            "resourcesListChanged": true,
            "resourceSubscriptions": ["epicme://tags", "epicme://nowhere", "epicme://tags"],
        });
        let mut events = subscribe(&app, &token, id.clone(), filter).listen().await;
        let honoured =
            json!({ "resourcesListChanged": true, "resourceSubscriptions": ["epicme://tags"] });
        assert_eq!(next(&mut events).await, acknowledged(&id, honoured));
    }
    let mut events = subscribe(&app, &token, json!(1), json!({})).listen().await;
    assert_eq!(next(&mut events).await, acknowledged(&json!(1), json!({})));
}

/// P-13, P-14, P-17, D-21.
#[actix_rt::test]
async fn a_change_is_told_to_the_same_users_subscriptions_that_asked_for_it() {
    let app = TestApp::spawn();
    let (ann, bob) = (app.journal("ann"), app.journal("bob"));
    let entry = ann.entry("mine").await;
    let tag = ann.tag("home").await;
    let other = bob.entry("his").await;
    let (entry_uri, tag_uri) = (
        format!("epicme://entries/{entry}"),
        format!("epicme://tags/{tag}"),
    );
    let id = json!("L");
    let all = json!({
        "resourcesListChanged": true,
        "resourceSubscriptions": [entry_uri, tag_uri, format!("epicme://entries/{other}")],
    });
    let mut everything = subscribe(&app, &ann.token, id.clone(), all).listen().await;
    let one = json!({ "resourceSubscriptions": [tag_uri] });
    let mut little = subscribe(&app, &ann.token, id.clone(), one).listen().await;
    let theirs = json!({ "resourcesListChanged": true, "resourceSubscriptions": [entry_uri] });
    let mut stranger = subscribe(&app, &bob.token, id.clone(), theirs)
        .listen()
        .await;
    for events in [&mut everything, &mut little, &mut stranger] {
        assert_eq!(
            next(events).await["method"],
            "notifications/subscriptions/acknowledged"
        );
    }

    ann.call("update_entry", json!({ "id": entry, "mood": "calm" }))
        .await;
    ann.call(
        "add_tag_to_entry",
        json!({ "entryId": entry, "tagId": tag }),
    )
    .await;
    bob.call("update_entry", json!({ "id": other, "mood": "calm" }))
        .await;
    ann.call(
        "update_tag",
        json!({ "id": tag, "description": "Where I live" }),
    )
    .await;
    ann.call("update_tag", json!({ "id": tag, "name": "house" }))
        .await;
    ann.call("delete_tag", json!({ "id": tag })).await;
    ann.call("delete_tag", json!({ "id": tag })).await;
    ann.call("delete_entry", json!({ "id": entry })).await;
    bob.tag("work").await;

    for expected in [
        updated(&id, &entry_uri),
        updated(&id, &entry_uri),
        updated(&id, &tag_uri),
        updated(&id, &tag_uri),
        list_changed(&id),
        updated(&id, &tag_uri),
        list_changed(&id),
        updated(&id, &entry_uri),
    ] {
        assert_eq!(next(&mut everything).await, expected);
    }
    for _ in 0..3 {
        assert_eq!(next(&mut little).await, updated(&id, &tag_uri));
    }
    // Bob hears of his own tag first: there was nothing of Ann's before it.
    assert_eq!(next(&mut stranger).await, list_changed(&id));
}

/// A-12.
#[actix_rt::test]
async fn what_the_token_may_not_read_it_cannot_subscribe_to() {
    let app = TestApp::spawn();
    let token = app.token("ann", "entries:read");
    let filter = json!({ "resourceSubscriptions": ["epicme://entries/1", "epicme://tags"] });
    let reply = subscribe(&app, &token, json!(1), filter).send().await;
    assert_eq!(reply.status, 403);
    assert!(
        reply
            .header("www-authenticate")
            .unwrap()
            .contains(r#"scope="tags:read""#)
    );
    // A list that never changes for this token is not honoured.
    let filter = json!({
        "resourcesListChanged": true,
        "resourceSubscriptions": ["epicme://entries/1"],
    });
    let mut events = subscribe(&app, &token, json!(1), filter).listen().await;
    let honoured = json!({ "resourceSubscriptions": ["epicme://entries/1"] });
    assert_eq!(next(&mut events).await, acknowledged(&json!(1), honoured));
}

/// P-14.
#[actix_rt::test]
async fn a_filter_that_is_none_is_refused_before_anything_is_streamed() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let many: Vec<_> = (1..=101)
        .map(|id| format!("epicme://entries/{id}"))
        .collect();
    for filter in [
        json!(null),
        json!([]),
        json!({ "resourcesListChanged": "yes" }),
        json!({ "resourceSubscriptions": "epicme://tags" }),
        json!({ "resourceSubscriptions": [1] }),
        json!({ "resourceSubscriptions": many }),
    ] {
        let reply = subscribe(&app, &token, json!(1), filter.clone())
            .send()
            .await;
        assert_eq!(reply.status, 200, "{filter}");
        assert_eq!(reply.json()["error"]["code"], -32602, "{filter}");
    }
}

/// T-27, P-16, SEC-11.
#[actix_rt::test]
async fn streams_are_counted_per_user_and_in_all_and_a_closed_one_no_more() {
    let app = TestApp::spawn_with(|config| {
        config.http.streams.per_user = 2.try_into().unwrap();
        config.http.streams.in_all = 3.try_into().unwrap();
    });
    let tokens = ["ann", "bob", "cid"].map(|subject| app.token(subject, ALL));
    let open = |token: &str| subscribe(&app, token, json!(1), json!({}));
    let first = open(&tokens[0]).listen().await;
    let _second = open(&tokens[0]).listen().await;
    let full = open(&tokens[0]).send().await;
    assert_eq!(full.status, 503);
    assert!(full.header("retry-after").is_some());
    let _third = open(&tokens[1]).listen().await;
    assert_eq!(open(&tokens[2]).send().await.status, 503);
    drop(first);
    // The server notices when it looks at the connection; until then it says the same.
    patiently(async {
        loop {
            let (head, _) = open(&tokens[2]).begin().await;
            if head.status == 200 {
                return;
            }
            assert_eq!(head.status, 503);
        }
    })
    .await;
}

/// B-04, B-10, P-13, P-15, P-19, D-22.
#[actix_rt::test]
async fn a_subscription_ends_in_order_with_its_token() {
    let app = TestApp::spawn();
    let soon = (app.clock.now() + TimeDelta::minutes(5)).timestamp();
    // Where the token has no end, the stream has one all the same.
    for (end, seconds) in [(json!(soon), 300), (Value::Null, 24 * 60 * 60)] {
        let token = app.token_with(json!({ "exp": end }));
        let id = json!("L");
        let filter = json!({ "resourcesListChanged": true });
        let ask = subscribe(&app, &token, id.clone(), filter.clone());
        let mut events = ask.listen().await;
        assert_eq!(next(&mut events).await, acknowledged(&id, filter));
        app.clock.advance(TimeDelta::seconds(seconds - 1));
        let writer = app.token("ann", ALL);
        let arguments = json!({ "name": format!("tag {seconds}") });
        app.tool(&writer, "create_tag", &arguments)
            .send()
            .await
            .result();
        assert_eq!(next(&mut events).await, list_changed(&id));
        app.clock.advance(TimeDelta::seconds(1));
        ends_in_order(&mut events, &id).await;
    }
}

/// P-15.
#[actix_rt::test]
async fn a_subscription_ends_in_order_with_the_server() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let id = json!(1);
    let mut events = subscribe(&app, &token, id.clone(), json!({}))
        .listen()
        .await;
    assert_eq!(next(&mut events).await, acknowledged(&id, json!({})));
    let stopping = std::thread::spawn(move || drop(app));
    ends_in_order(&mut events, &id).await;
    stopping.join().unwrap();
}

async fn ends_in_order(events: &mut Events, id: &Value) {
    let last = next(events).await;
    assert_eq!(last["id"], *id);
    assert_eq!(last["result"]["resultType"], "complete");
    assert_eq!(
        last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        *id
    );
    assert_eq!(
        last["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "epicme"
    );
    assert_eq!(events.next().await, None);
}

/// The general stream of a legacy session.
async fn general(app: &TestApp, session: &Session) -> Events {
    app.session_stream(session).listen().await
}

/// L-26, D-21.
#[actix_rt::test]
async fn a_legacy_session_is_told_of_what_it_subscribed_to_on_its_general_stream() {
    let app = TestApp::spawn();
    let (ann, bob) = (app.journal("ann"), app.journal("bob"));
    let entry = ann.entry("mine").await;
    let uri = format!("epicme://entries/{entry}");
    let session = app.open(&ann.token, "2025-06-18").await;
    let foreign = app.open(&bob.token, "2025-06-18").await;
    let mut events = general(&app, &session).await;
    let mut others = general(&app, &foreign).await;
    for session in [&session, &foreign] {
        let subscribed = app.within(session, "resources/subscribe", json!({ "uri": uri }));
        assert_eq!(subscribed.send().await.json()["result"], json!({}));
    }
    ann.call("update_entry", json!({ "id": entry, "mood": "calm" }))
        .await;
    let (_, message) = events.message().await;
    assert_eq!(
        message,
        json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": uri } })
    );
    let unsubscribed = app.within(&session, "resources/unsubscribe", json!({ "uri": uri }));
    assert_eq!(unsubscribed.send().await.json()["result"], json!({}));
    ann.call("update_entry", json!({ "id": entry, "mood": "wild" }))
        .await;
    ann.tag("home").await;
    bob.tag("work").await;
    for events in [&mut events, &mut others] {
        let (_, message) = events.message().await;
        assert_eq!(
            message,
            json!({ "jsonrpc": "2.0", "method": "notifications/resources/list_changed", "params": {} })
        );
    }
}

/// L-26.
#[actix_rt::test]
async fn a_legacy_session_subscribes_to_what_its_token_may_read_and_to_nothing_else() {
    let app = TestApp::spawn();
    let token = app.token("ann", "entries:read");
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let session = app.open(&token, version).await;
        let ask = |uri: &str| app.within(&session, "resources/subscribe", json!({ "uri": uri }));
        let unknown = ask("epicme://nowhere").send().await;
        assert_eq!(unknown.json()["error"]["code"], -32002);
        assert_eq!(
            unknown.json()["error"]["data"],
            json!({ "uri": "epicme://nowhere" })
        );
        let hidden = ask("epicme://tags").send().await;
        assert_eq!(hidden.status, 403);
        let challenge = hidden.header("www-authenticate").unwrap();
        assert!(
            challenge.contains(r#"scope="entries:read tags:read""#),
            "{challenge}"
        );
        let missing = app.within(&session, "resources/subscribe", json!({}));
        assert_eq!(missing.send().await.json()["error"]["code"], -32602);
        for id in 1..=100 {
            assert_eq!(
                ask(&format!("epicme://entries/{id}")).send().await.json()["result"],
                json!({})
            );
        }
        let one_more = ask("epicme://entries/101").send().await;
        assert_eq!(one_more.json()["error"]["code"], -32602);
    }
}

/// D-03, D-09.
#[actix_rt::test]
async fn neither_era_has_the_others_way_to_subscribe() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let reply = app
            .modern(&token, method, json!({ "uri": "epicme://tags" }))
            .send()
            .await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (404, &json!(-32601))
        );
    }
    let session = app.open(&token, "2025-11-25").await;
    let listen = app.within(
        &session,
        "subscriptions/listen",
        json!({ "notifications": {} }),
    );
    let reply = listen.send().await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (400, &json!(-32602))
    );
}

#[actix_rt::test]
async fn a_change_to_what_is_there_already_is_not_told() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let (one, other) = (ann.entry("one").await, ann.entry("other").await);
    let uris = [one, other].map(|id| format!("epicme://entries/{id}"));
    let id = json!("L");
    let filter = json!({ "resourceSubscriptions": uris });
    let mut events = subscribe(&app, &ann.token, id.clone(), filter.clone())
        .listen()
        .await;
    assert_eq!(next(&mut events).await, acknowledged(&id, filter));
    for changes in [
        json!({ "id": one }),
        json!({ "id": one, "title": "one", "mood": null, "isPrivate": true }),
        json!({ "id": other, "title": "another" }),
    ] {
        ann.done("update_entry", changes).await;
    }
    // The first that comes is the last that was made.
    assert_eq!(next(&mut events).await, updated(&id, &uris[1]));
}
