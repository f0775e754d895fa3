//! Elicitation in the modern era: a tool that deletes asks the user first if the client can show a
//! form, and the answer comes with the next round of the call.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{
    ALL, TestApp, able, again, asked, deletion, entry_question, is_there, noes, question, refused,
    yes,
};

/// P-05, E-02.
#[actix_rt::test]
async fn a_client_that_cannot_ask_deletes_at_once() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    for capabilities in [
        json!({}),
        json!({ "elicitation": { "url": {} } }),
        json!({ "elicitation": null }),
        json!({ "elicitation": true }),
        json!({ "sampling": {}, "roots": {} }),
    ] {
        let (entry, tag) = (journal.entry("Rain").await, journal.tag("rain").await);
        for (tool, id) in [("delete_entry", entry), ("delete_tag", tag)] {
            let ask = app.tool(&journal.token, tool, &json!({ "id": id }));
            let result = able(ask, &capabilities).send().await.result();
            assert_eq!(result["resultType"], "complete", "{capabilities}");
            assert_eq!(result["structuredContent"]["success"], true);
        }
        assert!(!is_there(&journal, entry).await);
    }
}

/// T-22, B-04, P-01, P-03, P-04, P-11, E-01, E-03, PF-01.
#[actix_rt::test]
async fn a_modern_client_is_asked_and_its_yes_deletes() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    for elicitation in [
        json!({}),
        json!({ "form": {} }),
        json!({ "form": {}, "url": {} }),
    ] {
        let (entry, tag) = (journal.entry("Rain").await, journal.tag("rain").await);
        let tag_question = question(&format!(
            "Are you sure you want to delete tag {tag}, “rain”? It comes off every entry that has it. This cannot be undone."
        ));
        for (tool, id, question) in [
            ("delete_entry", entry, entry_question(entry, "Rain")),
            ("delete_tag", tag, tag_question),
        ] {
            let ask = app.tool(&journal.token, tool, &json!({ "id": id }));
            let ask = able(ask, &json!({ "elicitation": elicitation }));
            let state = asked(&ask, &question).await;
            let read = tool.replace("delete", "get");
            journal.done(&read, json!({ "id": id })).await;
            let answers = json!({ "confirm": yes(), "unknown": 7 });
            let result = again(&ask, &state, answers).send().await.result();
            assert_eq!(result["resultType"], "complete");
            assert_eq!(result["structuredContent"]["success"], true);
            journal.failed(&read, json!({ "id": id })).await;
        }
    }
}

/// E-05.
#[actix_rt::test]
async fn whatever_is_no_yes_deletes_nothing() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let tag = journal.tag("rain").await;
    let delete_tag = app.tool(&journal.token, "delete_tag", &json!({ "id": tag }));
    let delete_tag = able(delete_tag, &json!({ "elicitation": {} }));
    for no in noes() {
        let ask = deletion(&app, &journal.token, entry);
        let state = asked(&ask, &entry_question(entry, "Rain")).await;
        let reply = again(&ask, &state, json!({ "confirm": no })).send().await;
        let result = reply.result();
        assert_eq!(result["resultType"], "complete", "{no}");
        assert_eq!(result["structuredContent"]["success"], false, "{no}");
        assert_eq!(result["structuredContent"]["entry"]["id"], entry, "{no}");
        assert_eq!(
            result["content"][0]["text"],
            format!("Entry {entry} was not deleted: the user did not confirm it.")
        );
        assert!(is_there(&journal, entry).await, "{no}");

        let result = delete_tag.clone().send().await.result();
        let state = result["requestState"].as_str().unwrap();
        let reply = again(&delete_tag, state, json!({ "confirm": no })).send();
        let result = reply.await.result();
        assert_eq!(result["structuredContent"]["success"], false, "{no}");
        journal.done("get_tag", json!({ "id": tag })).await;
    }
}

/// B-09, P-10.
#[actix_rt::test]
async fn a_question_without_an_answer_is_asked_again() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let question = entry_question(entry, "Rain");
    let ask = deletion(&app, &journal.token, entry);
    let mut state = asked(&ask, &question).await;
    for answers in [
        json!({}),
        json!({ "other": yes() }),
        json!({ "Confirm": yes() }),
    ] {
        let next = asked(&again(&ask, &state, answers), &question).await;
        assert_ne!(next, state);
        state = next;
    }
    let without_answers = again(&ask, &state, json!({})).edit(|body| {
        body["params"]
            .as_object_mut()
            .unwrap()
            .remove("inputResponses");
    });
    let state = asked(&without_answers, &question).await;
    assert!(is_there(&journal, entry).await);
    let done = again(&ask, &state, json!({ "confirm": yes() }))
        .send()
        .await;
    assert_eq!(done.result()["structuredContent"]["success"], true);
}

/// P-10.
#[actix_rt::test]
async fn an_answer_that_is_no_object_is_refused() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let ask = deletion(&app, &journal.token, entry);
    for answer in [
        json!(1),
        Value::Null,
        json!([yes()]),
        json!("accept"),
        json!(true),
    ] {
        for (answers, message) in [
            (
                json!({ "confirm": answer }),
                "Invalid params: inputResponses.confirm must be an object",
            ),
            (
                answer.clone(),
                "Invalid params: inputResponses must be an object",
            ),
        ] {
            let state = asked(&ask, &entry_question(entry, "Rain")).await;
            let reply = again(&ask, &state, answers).send().await;
            assert_eq!(
                (reply.status, reply.json()["error"].clone()),
                (200, json!({ "code": -32602, "message": message })),
                "{answer}"
            );
            assert!(is_there(&journal, entry).await, "{answer}");
        }
    }
}

#[actix_rt::test]
async fn nobody_answers_before_they_are_asked() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let question = entry_question(entry, "Rain");
    let ask = deletion(&app, &journal.token, entry).edit(|body| {
        body["params"]["inputResponses"] = json!({ "confirm": yes() });
    });
    asked(&ask, &question).await;
    for state in [Value::Null, json!(1), json!({}), json!([])] {
        let reply = ask
            .clone()
            .edit(|body| body["params"]["requestState"] = state.clone())
            .send()
            .await;
        assert_eq!(
            (reply.status, reply.json()["error"].clone()),
            (
                200,
                json!({ "code": -32602, "message": "Invalid params: requestState must be a string" })
            ),
            "{state}"
        );
    }
    assert!(is_there(&journal, entry).await);
}

/// P-06, P-07, P-08, E-06, A-16, SEC-03, SEC-10.
#[actix_rt::test]
async fn a_state_counts_once_for_what_it_was_given_for() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let (entry, other) = (journal.entry("Rain").await, journal.entry("Sun").await);
    let question = entry_question(entry, "Rain");
    let ask = deletion(&app, &journal.token, entry);
    let confirmed = || json!({ "confirm": yes() });
    let state = asked(&ask, &question).await;

    let mut tampered = state.clone();
    tampered.replace_range(20..21, if &state[20..21] == "A" { "B" } else { "A" });
    for (why, state) in [
        ("tampered with", tampered.as_str()),
        ("too long", &format!("{state}A")),
        ("too short", &state[..state.len() - 1]),
        ("of another version", &state.replacen("v2.", "v1.", 1)),
        ("made up", "v2.AAAA"),
        ("of another key", &state.replacen("v2.", "v2.A", 1)),
        ("empty", ""),
        ("huge", &"A".repeat(100_000)),
    ] {
        refused(again(&ask, state, confirmed()), why).await;
    }
    // Bob's journal has an entry of its own under every id, as far as anyone outside can tell.
    let bob = app.token("bob", ALL);
    let other_client = app.token_with(json!({ "client_id": "other" }));
    let no_client = app.token_with(json!({ "client_id": null }));
    for (why, token) in [
        ("another user", &bob),
        ("another client", &other_client),
        ("a nameless client", &no_client),
    ] {
        let ask = deletion(&app, token, entry);
        refused(again(&ask, &state, confirmed()), why).await;
    }
    let other_arguments = deletion(&app, &journal.token, other);
    refused(
        again(&other_arguments, &state, confirmed()),
        "another entry",
    )
    .await;
    let tag = journal.tag("rain").await;
    for (tool, id) in [
        ("delete_tag", tag),
        ("delete_tag", entry),
        ("get_entry", entry),
    ] {
        let other_tool = app.tool(&journal.token, tool, &json!({ "id": id }));
        let other_tool = able(other_tool, &json!({ "elicitation": {} }));
        refused(again(&other_tool, &state, confirmed()), tool).await;
    }
    for entry in [entry, other] {
        assert!(is_there(&journal, entry).await);
    }
    journal.done("get_tag", json!({ "id": tag })).await;

    // It is still good for the one thing, however that is written, under a newer token.
    let spaced = again(
        &deletion(&app, &app.token("ann", ALL), entry),
        &state,
        confirmed(),
    )
    .edit_text(|body| {
        *body = body.replacen(r#"{"id":"#, "{ \n\t\"\\u0069d\" : ", 1);
    });
    let done = spaced.send().await.result();
    assert_eq!(done["structuredContent"]["success"], true);
    refused(again(&ask, &state, confirmed()), "used").await;
}

/// P-08.
#[actix_rt::test]
async fn an_answer_of_two_retries_at_once_counts_once() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let ask = deletion(&app, &journal.token, entry);
    let state = asked(&ask, &entry_question(entry, "Rain")).await;
    let retry = || again(&ask, &state, json!({ "confirm": yes() })).send();
    let (one, two) = futures_util::future::join(retry(), retry()).await;
    let refused = [&one, &two].map(|reply| reply.json().get("error").is_some());
    assert!(refused[0] != refused[1], "{one:?} {two:?}");
}

/// P-07, P-09.
#[actix_rt::test]
async fn a_state_is_good_for_ten_minutes() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let ask = deletion(&app, &journal.token, entry);
    let question = entry_question(entry, "Rain");
    let (late, in_time) = (asked(&ask, &question).await, asked(&ask, &question).await);
    app.clock.advance(TimeDelta::seconds(599));
    let declined = again(
        &ask,
        &in_time,
        json!({ "confirm": { "action": "decline" } }),
    );
    let declined = declined.send().await.result();
    assert_eq!(declined["structuredContent"]["success"], false);
    app.clock.advance(TimeDelta::seconds(1));
    refused(again(&ask, &late, json!({ "confirm": yes() })), "expired").await;
    assert!(is_there(&journal, entry).await);
}

/// SEC-13.
#[actix_rt::test]
async fn the_token_of_each_round_has_to_reach_far_enough() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let ask = deletion(&app, &journal.token, entry);
    let state = asked(&ask, &entry_question(entry, "Rain")).await;
    let narrow = deletion(&app, &app.token("ann", "entries:read"), entry);
    let reply = again(&narrow, &state, json!({ "confirm": yes() }))
        .send()
        .await;
    assert_eq!(reply.status, 403);
    assert!(is_there(&journal, entry).await);
    // Nothing was used up.
    let reply = again(&ask, &state, json!({ "confirm": yes() }))
        .send()
        .await;
    assert_eq!(reply.result()["structuredContent"]["success"], true);
}

/// SEC-13.
#[actix_rt::test]
async fn what_is_gone_is_not_asked_about() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let ask = deletion(&app, &journal.token, entry);
    let state = asked(&ask, &entry_question(entry, "Rain")).await;
    journal.done("delete_entry", json!({ "id": entry })).await;
    for ask in [again(&ask, &state, json!({ "confirm": yes() })), ask] {
        let result = ask.send().await.result();
        assert_eq!(
            (&result["content"][0]["text"], &result["structuredContent"]),
            (
                &json!(format!(
                    "There is no entry {entry}, so nothing was deleted."
                )),
                &json!({
                    "success": false,
                    "outcome": "not_found",
                    "summary": format!("There is no entry {entry}, so nothing was deleted."),
                    "entry": null,
                })
            )
        );
    }
}

#[actix_rt::test]
async fn nobody_is_asked_about_what_is_not_theirs() {
    let app = TestApp::spawn();
    let entry = app.journal("ann").entry("Rain").await;
    let result = deletion(&app, &app.token("bob", ALL), entry).send().await;
    assert_eq!(result.result()["structuredContent"]["success"], false);
    assert!(is_there(&app.journal("ann"), entry).await);
}
