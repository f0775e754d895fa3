//! The journal's tools: how they are listed, and what they answer.

use serde_json::json;

use crate::support::{MODERN, TestApp, complaints, redacted, samples};

/// P-20. One snapshot per tool, so that a new tool adds one and changes none.
#[actix_rt::test]
async fn each_tool_is_listed_as_its_snapshot_shows() {
    let app = TestApp::spawn();
    for (name, tool) in app.tools().await {
        let shown = serde_json::to_string_pretty(&tool).unwrap();
        insta::assert_snapshot!(format!("tool_{name}"), shown);
    }
}

/// S-05, S-06.
#[actix_rt::test]
async fn each_tool_takes_and_answers_what_its_schemas_say() {
    let app = TestApp::spawn();
    let tools = app.tools().await;
    let ann = app.journal("ann");
    let client = app.client(MODERN, &ann.token).await;
    for sample in samples(&app).await {
        let Some(tool) = tools.get(&sample.feature.name) else {
            continue;
        };
        let rows = ann.rows("ann").await;
        let arguments = (sample.arguments)(&rows);
        let wrong = complaints(&tool["inputSchema"], &arguments);
        assert_eq!(wrong, [""; 0], "{}: {arguments}", sample.feature);
        let structured = &client.succeed(&sample, &rows).await["structuredContent"];
        let wrong = complaints(&tool["outputSchema"], structured);
        assert_eq!(wrong, [""; 0], "{}: {structured}", sample.feature);
    }
}

#[actix_rt::test]
async fn tags_that_are_null_are_none_and_need_no_scope() {
    let app = TestApp::spawn();
    let token = app.token("ann", "entries:write");
    let arguments = json!({ "title": "t", "content": "c", "tags": null });
    let reply = app.tool(&token, "create_entry", &arguments).send().await;
    assert_eq!(reply.status, 200);
}

#[actix_rt::test]
async fn tools_write_and_find_entries_and_tags() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let descriptors = app.tools().await;
    let mut shown = String::new();
    for (tool, arguments) in [
        ("whoami", json!({})),
        ("list_entries", json!({})),
        ("list_tags", json!({})),
        (
            "create_tag",
            json!({ "name": "Work", "description": "Paid" }),
        ),
        ("create_tag", json!({ "name": "garden" })),
        (
            "create_entry",
            json!({ "title": "First", "content": "It rained." }),
        ),
        (
            "create_entry",
            json!({
                "title": "Second", "content": "The *sun* shone.\n\nAll day.", "mood": "calm", "location": "Oslo",
                "weather": "sunny", "isPrivate": false, "isFavorite": true, "tags": [2, 1, 2],
                "idempotencyKey": "k",
            }),
        ),
        ("get_entry", json!({ "id": 2 })),
        ("list_entries", json!({})),
        ("list_entries", json!({ "tagIds": [1], "isFavorite": true })),
        ("search_entries", json!({ "query": "rain" })),
        (
            "update_entry",
            json!({ "id": 1, "title": "Erste", "mood": "glad", "isFavorite": true }),
        ),
        ("update_entry", json!({ "id": 1, "mood": null })),
        ("add_tag_to_entry", json!({ "entryId": 1, "tagId": 1 })),
        ("add_tag_to_entry", json!({ "entryId": 1, "tagId": 1 })),
        ("remove_tag_from_entry", json!({ "entryId": 1, "tagId": 1 })),
        ("remove_tag_from_entry", json!({ "entryId": 1, "tagId": 1 })),
        ("get_tag", json!({ "id": 1 })),
        ("list_tags", json!({})),
        (
            "update_tag",
            json!({ "id": 1, "name": "WORK", "description": null }),
        ),
        ("delete_tag", json!({ "id": 1 })),
        ("delete_tag", json!({ "id": 1 })),
        ("delete_entry", json!({ "id": 2 })),
        ("delete_entry", json!({ "id": 2 })),
    ] {
        let descriptor = &descriptors[tool];
        assert_eq!(
            complaints(&descriptor["inputSchema"], &arguments),
            [""; 0],
            "{tool}"
        );
        let result = ann.call(tool, arguments.clone()).await;
        assert_eq!(result.get("isError"), None, "{tool} {arguments}: {result}");
        let structured = &result["structuredContent"];
        assert_eq!(
            complaints(&descriptor["outputSchema"], structured),
            [""; 0],
            "{tool}"
        );
        let mut result = redacted(result);
        // What every modern result has is shown elsewhere.
        result.as_object_mut().unwrap().remove("_meta");
        result.as_object_mut().unwrap().remove("resultType");
        shown += &format!(
            "{tool} {arguments}\n{}\n\n",
            serde_json::to_string_pretty(&result).unwrap()
        );
    }
    insta::assert_snapshot!("a_journal_by_tools", shown);
}

/// S-08.
#[actix_rt::test]
async fn what_cannot_be_done_is_told_to_the_model() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let (entry, tag) = (ann.entry("One").await, ann.tag("Work").await);
    ann.tag("Home").await;
    let taken = "There is a tag of that name already; upper and lower case, the way an accent is written and full width make no difference.";
    for (tool, arguments, text) in [
        ("get_entry", json!({ "id": 99 }), "There is no entry 99."),
        (
            "update_entry",
            json!({ "id": 99, "title": "t" }),
            "There is no entry 99.",
        ),
        ("get_tag", json!({ "id": 99 }), "There is no tag 99."),
        (
            "update_tag",
            json!({ "id": 99, "name": "n" }),
            "There is no tag 99.",
        ),
        ("create_tag", json!({ "name": "WORK" }), taken),
        ("update_tag", json!({ "id": tag, "name": "home" }), taken),
        (
            "add_tag_to_entry",
            json!({ "entryId": 99, "tagId": tag }),
            "There is no entry 99.",
        ),
        (
            "add_tag_to_entry",
            json!({ "entryId": entry, "tagId": 99 }),
            "There is no tag 99.",
        ),
        (
            "create_entry",
            json!({ "title": "t", "content": "c", "tags": [tag, 99] }),
            "There is no tag 99.",
        ),
        (
            "list_entries",
            json!({ "from": "2026-07-28", "to": "2026-07-27" }),
            "Invalid arguments: `from` must not be later than `to`.",
        ),
    ] {
        assert_eq!(
            ann.failed(tool, arguments.clone()).await,
            text,
            "{tool} {arguments}"
        );
    }
    // Nothing of a refused entry is left.
    assert_eq!(app.database.count("entries"), 1);
    // A new spelling of its own name is no second tag.
    ann.done("update_tag", json!({ "id": tag, "name": "wORK" }))
        .await;
}

#[actix_rt::test]
async fn the_same_key_is_the_same_write() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let write = json!({ "title": "t", "content": "c", "idempotencyKey": "k" });
    let first = ann.done("create_entry", write.clone()).await;
    // Spelled-out defaults and another order mean the same.
    let spelled = json!({ "idempotencyKey": "k", "content": "c", "isPrivate": true, "mood": "", "title": "t" });
    for again in [write.clone(), spelled] {
        assert_eq!(ann.done("create_entry", again).await, first);
    }
    let other = json!({ "title": "other", "content": "c", "idempotencyKey": "k" });
    assert_eq!(
        ann.failed("create_entry", other).await,
        "`idempotencyKey` was used within the last 24 hours with other arguments; choose another key for another write."
    );
    // The key is this user's and this tool's.
    let tag = json!({ "name": "n", "idempotencyKey": "k" });
    let tagged = ann.done("create_tag", tag.clone()).await;
    assert_eq!(ann.done("create_tag", tag).await, tagged);
    let bob = app.journal("bob");
    assert_ne!(
        bob.done("create_entry", write).await["entry"]["id"],
        first["entry"]["id"]
    );
    assert_eq!(app.database.count("entries"), 2);
}

#[actix_rt::test]
async fn text_comes_back_as_it_was() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for text in [
        "  spaces around  ",
        "line\r\nbreaks\n\ttabs",
        "quotes \" ' ` and \\ backslashes",
        "𝒳 👩‍👩‍👧 é e\u{301} \u{202e}rtl\u{202c} \u{feff}",
        "x\u{1}\u{7f}\u{85}",
        "</script><!-- ]]> ${jndi:x} {{7*7}} %s %00",
        "null",
    ] {
        let done = ann
            .done(
                "create_entry",
                json!({ "title": text, "content": text, "mood": text }),
            )
            .await;
        let read = ann
            .done("get_entry", json!({ "id": done["entry"]["id"] }))
            .await;
        for member in ["title", "content", "mood"] {
            assert_eq!(read["entry"][member], text);
        }
    }
}
