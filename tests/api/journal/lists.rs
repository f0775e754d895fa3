//! Lists of entries and tags: pages, time spans, and the search.

use serde_json::json;

use crate::support::TestApp;

/// B-09, P-23.
#[actix_rt::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for i in 0..7 {
        ann.entry(&format!("apple {i}")).await;
        ann.tag(&format!("tag {i}")).await;
    }
    for (tool, arguments, items, expected) in [
        ("list_entries", json!({}), "entries", [7, 6, 5, 4, 3, 2, 1]),
        (
            "search_entries",
            json!({ "query": "apple" }),
            "entries",
            [7, 6, 5, 4, 3, 2, 1],
        ),
        ("list_tags", json!({}), "tags", [1, 2, 3, 4, 5, 6, 7]),
    ] {
        for limit in [1, 3, 7, 200] {
            let mut ids = Vec::new();
            let mut arguments = arguments.clone();
            arguments["limit"] = limit.into();
            loop {
                let page = ann.done(tool, arguments.clone()).await;
                let page_of = page[items].as_array().unwrap();
                assert!(!page_of.is_empty() && page_of.len() <= limit);
                ids.extend(page_of.iter().map(|item| item["id"].as_i64().unwrap()));
                match page.get("nextCursor") {
                    Some(cursor) => arguments["cursor"] = cursor.clone(),
                    None => break,
                }
            }
            assert_eq!(ids, expected, "{tool} by {limit}");
        }
    }
    // What is deleted meanwhile leaves a gap and nothing else.
    let page = ann.done("list_entries", json!({ "limit": 3 })).await;
    ann.done("delete_entry", json!({ "id": 5 })).await;
    ann.done("delete_entry", json!({ "id": 4 })).await;
    let rest = ann
        .done("list_entries", json!({ "cursor": page["nextCursor"] }))
        .await;
    assert_eq!(rest["entries"].as_array().unwrap().len(), 3);
}

#[actix_rt::test]
async fn a_page_has_fifty_items_unless_said_otherwise() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let owner = "(SELECT id FROM users LIMIT 1)";
    ann.entry("first").await;
    app.database
        .execute(&format!(
            "INSERT INTO entries (user_id, title, content) SELECT {owner}, 'more ' || n, 'c' FROM generate_series(1, 250) n"
        ))
        .unwrap();
    for (arguments, count) in [(json!({}), 50), (json!({ "limit": 200 }), 200)] {
        let page = ann.done("list_entries", arguments).await;
        assert_eq!(page["entries"].as_array().unwrap().len(), count);
        assert!(page["nextCursor"].is_string());
    }
}

#[actix_rt::test]
async fn a_search_reads_titles_and_texts_as_a_search_engine_would() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for (title, content) in [
        ("Apples", "We picked them in the garden."),
        ("Garden", "Nothing but weeds and a <b>pear</b> tree."),
        ("Sea", "No fruit at all; it was cold."),
    ] {
        ann.done(
            "create_entry",
            json!({ "title": title, "content": content }),
        )
        .await;
    }
    for (query, expected) in [
        ("garden", vec![2, 1]),
        ("GARDEN apples", vec![1]),
        ("apples or cold", vec![3, 1]),
        ("garden -apples", vec![2]),
        ("\"but weeds\"", vec![2]),
        ("\"pear weeds\"", vec![]),
        ("zebra", vec![]),
        ("' OR 1=1; --", vec![]),
    ] {
        let found = ann.done("search_entries", json!({ "query": query })).await;
        let ids: Vec<_> = found["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| hit["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, expected, "{query}");
    }
    let found = ann.done("search_entries", json!({ "query": "pear" })).await;
    let excerpt = found["entries"][0]["excerpt"].as_str().unwrap();
    assert!(
        excerpt.contains("pear") && excerpt.contains("weeds"),
        "{excerpt}"
    );
}

#[actix_rt::test]
async fn a_day_is_a_day_of_the_time_zone_that_is_named() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for (title, written) in [
        ("a", "2026-07-27T21:59:59.999999Z"),
        ("b", "2026-07-27T22:00:00Z"),
        ("c", "2026-07-28T21:59:59.999999Z"),
        ("d", "2026-07-28T22:00:00Z"),
    ] {
        let id = ann.entry(title).await;
        let sql = format!("UPDATE entries SET created_at = '{written}' WHERE id = {id}");
        assert_eq!(app.database.execute(&sql).unwrap(), 1);
    }
    for (arguments, expected) in [
        (
            json!({ "from": "2026-07-28", "to": "2026-07-29", "timeZone": "Europe/Berlin" }),
            "cb",
        ),
        (json!({ "from": "2026-07-28", "to": "2026-07-29" }), "dc"),
        (
            json!({ "from": "2026-07-28", "to": "2026-07-28", "timeZone": "Europe/Berlin" }),
            "",
        ),
        (
            json!({ "to": "2026-07-28", "timeZone": "Europe/Berlin" }),
            "a",
        ),
        (
            json!({ "from": "2026-07-29", "timeZone": "Europe/Berlin" }),
            "d",
        ),
        (
            json!({ "from": "2026-07-28T00:00:00+02:00", "to": "2026-07-28T22:00:00Z", "timeZone": "Asia/Tokyo" }),
            "cb",
        ),
        (
            json!({ "from": "2026-07-27T21:59:59.999999Z", "to": "2026-07-27T22:00:00Z" }),
            "a",
        ),
        (json!({ "from": "0001-01-01", "to": "9999-12-31" }), "dcba"),
    ] {
        let found = ann.done("list_entries", arguments.clone()).await;
        let titles: String = found["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["title"].as_str().unwrap())
            .collect();
        assert_eq!(titles, expected, "{arguments}");
    }
}

/// P-23.
#[actix_rt::test]
async fn a_cursor_of_one_list_is_none_of_another() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for i in 0..2 {
        ann.entry(&i.to_string()).await;
        ann.tag(&format!("a tag of a good length {i}")).await;
    }
    let said =
        "Invalid arguments: `cursor` must be the nextCursor of an earlier page of this list.";
    let tags = ann.done("list_tags", json!({ "limit": 1 })).await;
    assert_eq!(
        ann.failed("list_entries", json!({ "cursor": tags["nextCursor"] }))
            .await,
        said
    );
    let entries = ann.done("list_entries", json!({ "limit": 1 })).await;
    let cursor = entries["nextCursor"].as_str().unwrap().to_owned();
    for wrong in [
        format!("{cursor}="),
        cursor[1..].to_owned(),
        format!("{cursor}AAAA"),
    ] {
        assert_eq!(
            ann.failed("list_entries", json!({ "cursor": wrong })).await,
            said
        );
    }
}
