//! Completions of prompts' arguments and of templates' ids, in every revision.

use serde_json::{Value, json};

use crate::support::{ALL, Client, MODERN, REVISIONS, TestApp, asked_for};

fn prompt(name: &str, argument: &str, value: &str) -> Value {
    json!({
        "ref": { "type": "ref/prompt", "name": name },
        "argument": { "name": argument, "value": value },
    })
}

fn template(uri: &str, value: &str) -> Value {
    json!({
        "ref": { "type": "ref/resource", "uri": uri },
        "argument": { "name": "id", "value": value },
    })
}

async fn complete(client: &Client<'_>, params: Value) -> Value {
    let result = client.result("completion/complete", params).await;
    assert_eq!(result.as_object().unwrap().len(), 1, "{result}");
    result["completion"].clone()
}

async fn values(client: &Client<'_>, params: Value) -> Vec<String> {
    let completion = complete(client, params).await;
    let values: Vec<String> = serde_json::from_value(completion["values"].clone()).unwrap();
    assert_eq!(completion["total"], values.len());
    assert_eq!(completion["hasMore"], false);
    values
}

#[actix_rt::test]
async fn ids_are_suggested_by_their_beginning_or_by_name() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let (walk, work) = (journal.tag("Walk").await, journal.tag("work").await);
    let (lake, city) = (
        journal.entry("ÄT the lake").await,
        journal.entry("City").await,
    );
    let eve = app.journal("eve");
    let (foreign_tag, foreign) = (eve.tag("Walk").await, eve.entry("at the lake").await);
    let (walk, work) = (walk.to_string(), work.to_string());
    let (lake, city) = (lake.to_string(), city.to_string());
    for revision in REVISIONS {
        let client = app.client(revision, &journal.token).await;
        for entry in [
            |value: &str| prompt("suggest_tags", "entryId", value),
            |value: &str| template("epicme://entries/{id}", value),
        ] {
            assert_eq!(values(&client, entry("")).await, [&*city, &lake]);
            assert_eq!(values(&client, entry("ät THE")).await, [&*lake]);
            assert_eq!(values(&client, entry(&city)).await, [&*city]);
            assert_eq!(values(&client, entry(&foreign.to_string())).await, [""; 0]);
            assert_eq!(values(&client, entry("nothing")).await, [""; 0]);
            assert_eq!(values(&client, entry("%")).await, [""; 0]);
            assert_eq!(values(&client, entry("\0")).await, [""; 0]);
            assert_eq!(values(&client, entry(&"1".repeat(5_000))).await, [""; 0]);
        }
        let tag = |value: &str| template("epicme://tags/{id}", value);
        assert_eq!(values(&client, tag("")).await, [&*work, &walk]);
        assert_eq!(values(&client, tag("WAL")).await, [&*walk]);
        assert_eq!(
            values(&client, tag(&foreign_tag.to_string())).await,
            [""; 0]
        );
        let tags = |value: &str| prompt("summarize_entries", "tags", value);
        assert_eq!(values(&client, tags("wal")).await, [&*walk]);
        let second = values(&client, tags(&format!("{work}, wal"))).await;
        assert_eq!(second, [format!("{work},{walk}")]);
        let zone = |value: &str| prompt("summarize_entries", "timeZone", value);
        assert_eq!(
            values(&client, zone("europe/berl")).await,
            ["Europe/Berlin"]
        );
        let date = prompt("summarize_entries", "from", "2026");
        assert_eq!(values(&client, date).await, [""; 0]);
    }
}

/// S-17.
#[actix_rt::test]
async fn at_most_a_hundred_are_suggested_and_what_is_left_is_told_honestly() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let oldest = journal.entry("note").await;
    let more = |count: usize| {
        app.database
            .execute(&format!(
                "INSERT INTO entries (user_id, title, content)
                 SELECT user_id, 'note', 'text' FROM entries, generate_series(1, {count})
                  WHERE id = {oldest}"
            ))
            .unwrap()
    };
    let client = app.client(MODERN, &journal.token).await;
    let entry = |value: &str| template("epicme://entries/{id}", value);
    more(149);
    let found = complete(&client, entry("NOTE")).await;
    assert_eq!(found["values"].as_array().unwrap().len(), 100);
    assert_eq!(
        (&found["total"], &found["hasMore"]),
        (&json!(150), &json!(true))
    );
    more(2_000);
    let found = complete(&client, entry("note")).await;
    assert_eq!(found["values"].as_array().unwrap().len(), 100);
    assert_eq!(
        (found.get("total"), &found["hasMore"]),
        (None, &json!(true))
    );
    // However old it is, what is typed in full is found, and stands first.
    let found = complete(&client, entry(&oldest.to_string())).await;
    assert_eq!(found["values"][0], oldest.to_string());
    let zones = complete(&client, prompt("summarize_entries", "timeZone", "")).await;
    assert_eq!(zones["values"].as_array().unwrap().len(), 100);
    assert_eq!(zones["hasMore"], true);
    assert!(zones["total"].as_u64() > Some(400));
}

/// S-17.
#[actix_rt::test]
async fn a_completion_needs_what_it_is_for_and_what_it_gives_away() {
    let app = TestApp::spawn();
    for (params, needs) in [
        (
            prompt("suggest_tags", "entryId", ""),
            "entries:read tags:read",
        ),
        (prompt("summarize_entries", "from", ""), "entries:read"),
        (prompt("summarize_entries", "timeZone", ""), "entries:read"),
        (
            prompt("summarize_entries", "tags", ""),
            "entries:read tags:read",
        ),
        (prompt("summarize_entries", "nothing", ""), "entries:read"),
        (template("epicme://tags/{id}", ""), "tags:read"),
        (template("epicme://entries/{id}", ""), "entries:read"),
    ] {
        let token = app.token("ann", "user:read");
        for revision in REVISIONS {
            let client = app.client(revision, &token).await;
            let reply = client
                .ask("completion/complete", params.clone())
                .send()
                .await;
            let asked = asked_for(&reply);
            let expected = match revision {
                MODERN => needs.to_owned(),
                _ => format!("user:read {needs}"),
            };
            assert_eq!(asked, expected, "{params}");
        }
        let enough = app.token("ann", needs);
        let client = app.client(MODERN, &enough).await;
        let reply = client.ask("completion/complete", params).send().await;
        assert_eq!(reply.status, 200, "{needs}");
    }
    // Tags found by name are not for a token that may read entries alone.
    let token = app.token("ann", "entries:read");
    let client = app.client(MODERN, &token).await;
    let params = prompt("summarize_entries", "tags", "");
    let reply = client.ask("completion/complete", params).send().await;
    assert_eq!(asked_for(&reply), "entries:read tags:read");
}

/// S-17.
#[actix_rt::test]
async fn what_cannot_be_completed_is_refused() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let typed = json!({ "name": "id", "value": "" });
    let entry = json!({ "type": "ref/resource", "uri": "epicme://entries/{id}" });
    for revision in REVISIONS {
        let client = app.client(revision, &token).await;
        for reference in [
            json!(null),
            json!("ref/prompt"),
            json!({}),
            json!({ "type": "ref/tool", "name": "whoami" }),
            json!({ "type": "ref/prompt" }),
            json!({ "type": "ref/prompt", "name": "nothing" }),
            json!({ "type": "ref/prompt", "uri": "epicme://entries/{id}" }),
            json!({ "type": "ref/resource", "uri": 7 }),
            json!({ "type": "ref/resource", "uri": "epicme://entries/7" }),
            json!({ "type": "ref/resource", "uri": "epicme://tags" }),
        ] {
            let params = json!({ "ref": reference, "argument": typed });
            client.refused("completion/complete", params).await;
        }
        for argument in [
            json!(null),
            json!([]),
            json!({}),
            json!({ "name": "id" }),
            json!({ "name": "id", "value": 7 }),
            json!({ "name": "title", "value": "" }),
        ] {
            let params = json!({ "ref": entry, "argument": argument });
            client.refused("completion/complete", params).await;
        }
        client
            .refused("completion/complete", json!({ "ref": entry }))
            .await;
        client
            .refused("completion/complete", json!({ "argument": typed }))
            .await;
        let with_context = json!({
            "ref": entry, "argument": typed, "context": { "arguments": { "x": "y" } },
        });
        assert_eq!(values(&client, with_context).await, [""; 0]);
    }
}
