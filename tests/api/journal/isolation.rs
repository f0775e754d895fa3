//! Two users: what is not yours is not there.

use serde_json::{Value, json};

use crate::support::{ALL, TestApp};

/// A result as bytes, with this id in place of that one.
fn renamed(result: &Value, from: i64, to: i64) -> String {
    result
        .to_string()
        .replace(&from.to_string(), &to.to_string())
}

#[actix_rt::test]
async fn anothers_entries_and_tags_are_answered_like_those_that_never_were() {
    let app = TestApp::spawn();
    let (ann, bob) = (app.journal("ann"), app.journal("bob"));
    // Ids of a length that occurs nowhere else, so that one can be replaced by another.
    for table in ["entries", "tags"] {
        app.database
            .execute(&format!(
                "ALTER TABLE {table} ALTER COLUMN id RESTART WITH 7000001"
            ))
            .unwrap();
    }
    let (entry, tag) = (ann.entry("Ann's secret").await, ann.tag("Ann's tag").await);
    ann.done(
        "add_tag_to_entry",
        json!({ "entryId": entry, "tagId": tag }),
    )
    .await;
    let (own_entry, own_tag) = (bob.entry("Bob's").await, bob.tag("Bob's tag").await);
    let never = 7_999_999;
    for (tool, arguments) in [
        ("get_entry", json!({ "id": entry })),
        ("update_entry", json!({ "id": entry, "title": "stolen" })),
        ("update_entry", json!({ "id": entry })),
        ("delete_entry", json!({ "id": entry })),
        ("get_tag", json!({ "id": tag })),
        ("update_tag", json!({ "id": tag, "name": "stolen" })),
        ("update_tag", json!({ "id": tag, "name": "Bob's tag" })),
        ("delete_tag", json!({ "id": tag })),
        (
            "add_tag_to_entry",
            json!({ "entryId": entry, "tagId": own_tag }),
        ),
        (
            "add_tag_to_entry",
            json!({ "entryId": own_entry, "tagId": tag }),
        ),
        (
            "remove_tag_from_entry",
            json!({ "entryId": entry, "tagId": own_tag }),
        ),
        (
            "remove_tag_from_entry",
            json!({ "entryId": own_entry, "tagId": tag }),
        ),
        ("list_entries", json!({ "tagIds": [tag] })),
        (
            "create_entry",
            json!({ "title": "t", "content": "c", "tags": [own_tag, tag] }),
        ),
    ] {
        let foreign = if arguments.to_string().contains(&entry.to_string()) && entry != tag {
            entry
        } else {
            tag
        };
        let theirs = bob.call(tool, arguments.clone()).await;
        let unknown: Value = serde_json::from_str(&renamed(&arguments, foreign, never)).unwrap();
        let nobodys = bob.call(tool, unknown).await;
        assert_eq!(
            renamed(&theirs, foreign, never),
            nobodys.to_string(),
            "{tool} {arguments}"
        );
        assert!(!theirs.to_string().contains("Ann's"), "{tool}");
    }
    // Nothing of Ann's has changed, and nothing of the refused entry was stored.
    let kept = ann.done("get_entry", json!({ "id": entry })).await;
    assert_eq!(kept["entry"]["title"], "Ann's secret");
    assert_eq!(
        kept["entry"]["tags"],
        json!([{ "id": tag, "name": "Ann's tag" }])
    );
    assert_eq!(
        (
            app.database.count("entries"),
            app.database.count("entry_tags")
        ),
        (2, 1)
    );
}

///
#[actix_rt::test]
async fn lists_and_searches_show_ones_own() {
    let app = TestApp::spawn();
    let (ann, bob) = (app.journal("ann"), app.journal("bob"));
    for i in 0..3 {
        ann.entry(&format!("apple {i}")).await;
        ann.tag(&format!("apple {i}")).await;
    }
    for (tool, arguments, items) in [
        ("list_entries", json!({}), "entries"),
        ("search_entries", json!({ "query": "apple" }), "entries"),
        ("list_tags", json!({}), "tags"),
    ] {
        assert_eq!(
            bob.done(tool, arguments.clone()).await[items],
            json!([]),
            "{tool}"
        );
        // A cursor is a place, not a permission.
        let mut page = arguments.clone();
        page["limit"] = 1.into();
        let mut stolen = arguments;
        stolen["cursor"] = ann.done(tool, page).await["nextCursor"].clone();
        assert_eq!(bob.done(tool, stolen).await[items], json!([]), "{tool}");
    }
    // The same name is free for everybody.
    bob.tag("apple 0").await;
}

///
#[actix_rt::test]
async fn a_user_is_an_issuer_and_a_subject_whatever_the_client() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let entry = ann.entry("One").await;
    for client in [json!("another"), Value::Null] {
        let token = app.token_with(json!({ "client_id": client }));
        let reply = app
            .tool(&token, "get_entry", &json!({ "id": entry }))
            .send()
            .await;
        assert_eq!(reply.result()["structuredContent"]["entry"]["id"], entry);
    }
    for subject in ["Ann", "ann ", "ann\n", "an", "annn", "1"] {
        let token = app.token(subject, ALL);
        let reply = app
            .tool(&token, "get_entry", &json!({ "id": entry }))
            .send()
            .await;
        assert_eq!(reply.result()["isError"], true, "{subject:?}");
    }
}

#[actix_rt::test]
async fn who_only_writes_needs_no_row_and_who_reads_leaves_none() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    ann.done("whoami", json!({})).await;
    ann.done("list_entries", json!({})).await;
    assert_eq!(app.database.count("users"), 0);
    ann.entry("One").await;
    assert_eq!(app.database.count("users"), 1);
}
