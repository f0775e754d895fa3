//! The examples, each run as a process beside the mock authorization server and asked by the official client; and the
//! pages that explain them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client;
mod outages;
mod page;
mod support;
mod tutorial;

use reqwest::StatusCode;
use rmcp::model::{ElicitationAction, ServerNotification, SubscriptionFilter};
use serde_json::json;

use client::{Client, Era, call, patiently};
use support::Example;

#[actix_rt::test]
async fn the_adder_adds_for_tokens_with_its_scope() {
    let example = Example::start("mcp-server", "adder", "adder.rs").await;
    let numbers = json!({ "a": 2, "b": 40 });

    let request = call(&example, "", "add", &numbers);
    example
        .refuses_without_a_token(request, &["math:use"])
        .await;
    let other = example.token("1", "other:use");
    let request = call(&example, &other, "add", &numbers);
    example.refuses_for_want_of("math:use", request).await;

    let token = example.token("1", "math:use");
    for era in Era::BOTH {
        let client = Client::connect(&example, &token, era).await;
        assert_eq!(client.revision(), era.revision());
        assert_eq!(client.tools().await, ["add"]);
        let result = client.call("add", &numbers).await;
        assert_eq!(result.structured_content, Some(json!({ "sum": 42 })));
        assert_eq!(client::text(&result), "2 + 40 = 42, for user 1.");
        let refused = client.call("add", &json!({ "a": i64::MAX, "b": 1 })).await;
        assert_eq!(refused.is_error, Some(true));
        assert_eq!(client::text(&refused), "The sum is too large.");
    }
    assert!(example.terminate().success());
}

#[actix_rt::test]
async fn the_tool_of_rmcp_knows_who_calls() {
    let example = Example::start("examples", "rmcp", "rmcp/forward.rs").await;
    let nothing = json!({});

    let request = call(&example, "", "greet", &nothing);
    example
        .refuses_without_a_token(request, &["greetings:read"])
        .await;
    let other = example.token("1", "other:use");
    let request = call(&example, &other, "greet", &nothing);
    example.refuses_for_want_of("greetings:read", request).await;

    for era in Era::BOTH {
        for user in ["1", "2"] {
            let token = example.token(user, "greetings:read");
            let client = Client::connect(&example, &token, era).await;
            assert_eq!(client.revision(), era.revision());
            let result = client.call("greet", &nothing).await;
            assert_eq!(client::text(&result), format!("Hello, user {user}."));
        }
    }
}

#[actix_rt::test]
async fn notes_belong_to_their_users() {
    let example = Example::start("mcp-server", "notes", "notes/tools.rs").await;
    let scopes = "notes:read notes:write";
    let note = json!({ "text": "Buy milk" });

    let request = call(&example, "", "write_note", &note);
    example
        .refuses_without_a_token(request, &["notes:read", "notes:write"])
        .await;
    let reader = example.token("1", "notes:read");
    let request = call(&example, &reader, "write_note", &note);
    example.refuses_for_want_of("notes:write", request).await;
    let reader = Client::connect(&example, &reader, Era::Modern).await;
    assert_eq!(reader.tools().await, [""; 0]);

    for (era, user, other) in [(Era::Modern, "1", "2"), (Era::Legacy, "3", "4")] {
        let ann = Client::connect(&example, &example.token(user, scopes), era).await;
        let bob = Client::connect(&example, &example.token(other, scopes), era).await;
        let written = ann.call("write_note", &note).await;
        assert_eq!(written.structured_content, Some(json!({ "id": 1 })));

        assert_eq!(ann.resources().await, ["notes://own/1"]);
        assert_eq!(ann.read("notes://own/1").await.as_deref(), Some("Buy milk"));
        assert_eq!(bob.resources().await, [""; 0]);
        assert_eq!(bob.read("notes://own/1").await, None);
        let deleted = bob.call("delete_note", &json!({ "id": 1 })).await;
        assert_eq!(client::text(&deleted), "There is no note 1.");

        let recalled = ["Sum up my notes about milk.", "Buy milk"];
        assert_eq!(ann.prompt("recall", "milk").await, recalled);
        assert_eq!(bob.prompt("recall", "milk").await, recalled[..1]);
    }
}

#[actix_rt::test]
async fn a_note_is_deleted_once_the_user_has_confirmed_it() {
    let example = Example::start("mcp-server", "notes", "notes/tools.rs").await;
    for (era, user) in [(Era::Modern, "1"), (Era::Legacy, "2")] {
        let token = example.token(user, "notes:read notes:write");
        let ann = Client::connect(&example, &token, era).await;
        ann.call("write_note", &json!({ "text": "Buy milk" })).await;
        let note = json!({ "id": 1 });

        ann.answer_questions_with(ElicitationAction::Decline);
        let kept = ann.call("delete_note", &note).await;
        assert_eq!(
            client::text(&kept),
            "Not deleted: the user did not confirm it."
        );
        ann.answer_questions_with(ElicitationAction::Accept);
        let deleted = ann.call("delete_note", &note).await;
        assert_eq!(client::text(&deleted), "Note 1 is deleted.");

        assert_eq!(ann.questions(), ["Delete the note \"Buy milk\"?"; 2]);
        assert_eq!(ann.resources().await, [""; 0]);
    }
}

#[actix_rt::test]
async fn subscribers_are_notified_of_their_own_notes_alone() {
    let example = Example::start("mcp-server", "notes", "notes/store.rs").await;
    let scopes = "notes:read notes:write";
    let note = json!({ "text": "Buy milk" });

    let token = example.token("1", scopes);
    let ann = Client::connect(&example, &token, Era::Modern).await;
    let other = example.token("2", scopes);
    let bob = Client::connect(&example, &other, Era::Modern).await;
    let filter = SubscriptionFilter::builder()
        .resources_list_changed()
        .build();
    let mut subscription = ann.peer().listen(filter).await.unwrap();
    bob.call("write_note", &note).await;
    bob.call("write_note", &note).await;
    ann.call("write_note", &note).await;
    let notified = patiently(subscription.next()).await.unwrap();
    assert!(matches!(
        notified,
        Some(ServerNotification::ResourceListChangedNotification(_))
    ));
    assert_eq!(ann.resources().await, ["notes://own/1"]);

    let ann = Client::connect(&example, &token, Era::Legacy).await;
    ann.subscribe("notes://own/1").await;
    ann.answer_questions_with(ElicitationAction::Accept);
    ann.call("delete_note", &json!({ "id": 1 })).await;
    assert_eq!(patiently(ann.next_update()).await, "notes://own/1");
}

#[actix_rt::test]
async fn the_guard_protects_each_route_by_its_scopes() {
    let example = Example::start("resource-server", "guard", "guard.rs").await;
    let (reader, writer) = (
        example.token("1", "reports:read"),
        example.token("2", "reports:write"),
    );
    let read = || example.http.get(&example.url);
    let write = || example.http.post(&example.url).body("All is well.");

    let scopes = ["reports:read", "reports:write"];
    example.refuses_without_a_token(read(), &scopes).await;
    example.refuses_without_a_token(write(), &scopes).await;

    let request = read().bearer_auth(&writer);
    example.refuses_for_want_of("reports:read", request).await;
    let request = write().bearer_auth(&reader);
    example.refuses_for_want_of("reports:write", request).await;

    let answer = read().bearer_auth(&reader).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.unwrap(), "The reports of user 1.");
    let answer = write().bearer_auth(&writer).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.unwrap(), "12 bytes from user 2.");
}

#[actix_rt::test]
async fn a_source_of_unknown_tokens_is_told_its_limit_and_when_to_come_back() {
    let example = Example::start("resource-server", "guard", "guard.rs").await;
    let mut answer = None;
    for number in 0..100 {
        let request = example.http.get(&example.url);
        let request = request.bearer_auth(format!("unknown-{number}"));
        let response = request.send().await.unwrap();
        if response.status() != StatusCode::UNAUTHORIZED {
            answer = Some(response);
            break;
        }
        assert!(!response.headers().contains_key("ratelimit-limit"));
    }
    let answer = answer.expect("the limit is reached");
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let field = |name| answer.headers()[name].to_str().unwrap();
    assert_eq!(field("ratelimit-limit"), "60");
    assert_eq!(field("ratelimit-remaining"), "0");
    assert_eq!(field("ratelimit-reset"), field("retry-after"));
}
