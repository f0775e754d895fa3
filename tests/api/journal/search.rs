//! The search, through the tool: what it finds in eight languages, in what order, and what it refuses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Journal, TestApp};

/// Number, title and text, a line each.
const ENTRIES: &str = include_str!("../../../crates/full-text/tests/relevance/entries.tsv");

/// A query, and the numbers of all entries that it finds.
const QUERIES: &str = include_str!("../../../crates/full-text/tests/relevance/queries.tsv");

async fn write(journal: &Journal<'_>, title: &str, content: &str) -> i64 {
    let entry = json!({ "title": title, "content": content });
    let written = journal.done("create_entry", entry).await;
    written["entry"]["id"].as_i64().unwrap()
}

/// The ids that a search finds, page by page.
async fn found(journal: &Journal<'_>, mut arguments: Value) -> Vec<i64> {
    let mut ids = Vec::new();
    loop {
        let page = journal.done("search_entries", arguments.clone()).await;
        let hits = page["entries"].as_array().unwrap();
        ids.extend(hits.iter().map(|hit| hit["id"].as_i64().unwrap()));
        match page.get("nextCursor") {
            Some(cursor) => arguments["cursor"] = cursor.clone(),
            None => return ids,
        }
    }
}

#[actix_rt::test]
async fn every_query_finds_its_entries_and_no_others() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let mut numbers = BTreeMap::new();
    for line in ENTRIES.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [number, title, content] = fields[..] else {
            panic!("three fields: {line}");
        };
        numbers.insert(write(&ann, title, content).await, number);
    }
    for line in QUERIES.lines() {
        let (query, wanted) = line.split_once('\t').unwrap();
        let mut wanted: Vec<_> = wanted.split(' ').collect();
        wanted.sort_unstable();
        for order in ["newest", "relevance"] {
            let ids = found(&ann, json!({ "query": query, "order": order })).await;
            if order == "newest" {
                assert!(ids.is_sorted_by(|one, next| one > next), "{query}");
            }
            let mut seen: Vec<_> = ids.iter().map(|id| numbers[id]).collect();
            seen.sort_unstable();
            assert_eq!(seen, wanted, "{query}, {order}");
        }
    }
}

#[actix_rt::test]
async fn a_query_with_nothing_to_search_for_says_so() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for query in [" ", "\"\"", "-", "- -"] {
        let refused = ann
            .failed("search_entries", json!({ "query": query }))
            .await;
        assert!(refused.contains("query"), "{query}: {refused}");
        assert!(
            refused.contains("nothing to search for"),
            "{query}: {refused}"
        );
    }
    let refused = ann
        .failed("search_entries", json!({ "query": "-tea" }))
        .await;
    assert!(refused.contains("only exclusions"), "{refused}");
}

#[actix_rt::test]
async fn what_is_changed_or_deleted_is_found_by_what_it_says_now() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let id = write(&ann, "Breakfast", "今日は東京で朝ごはん").await;
    let find = async |query: &str| found(&ann, json!({ "query": query })).await;
    assert_eq!(find("東京").await, [id]);
    ann.done(
        "update_entry",
        json!({ "id": id, "content": "Tea in Kyōto" }),
    )
    .await;
    assert_eq!(find("東京").await, [0; 0]);
    // The title stays, and is found with the new text.
    assert_eq!(find("breakfast kyōto").await, [id]);
    ann.done("update_entry", json!({ "id": id, "title": "Supper" }))
        .await;
    assert_eq!(find("breakfast").await, [0; 0]);
    assert_eq!(find("supper tea").await, [id]);
    ann.done("update_entry", json!({ "id": id, "mood": "calm" }))
        .await;
    assert_eq!(find("supper tea").await, [id]);
    ann.done("delete_entry", json!({ "id": id })).await;
    assert_eq!(find("tea").await, [0; 0]);
}

#[actix_rt::test]
async fn nobody_finds_the_words_of_another() {
    let app = TestApp::spawn();
    let [ann, bob] = ["ann", "bob"].map(|name| app.journal(name));
    write(&bob, "東京", "secret of the lighthouse").await;
    for query in [
        "東京",
        "京",
        "secret",
        "light",
        "\"the lighthouse\"",
        "zebra or secret",
    ] {
        for order in ["newest", "relevance"] {
            let search = json!({ "query": query, "order": order });
            assert_eq!(found(&ann, search).await, [0; 0], "{query}");
        }
    }
}

#[actix_rt::test]
async fn by_relevance_the_best_come_first_and_pages_follow_without_gap_or_repeat() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let in_title = write(&ann, "Tea", "A cup of it, and tea again.").await;
    let mut others = Vec::new();
    for n in 0..6 {
        others.push(write(&ann, &format!("Day {n}"), "There was tea and much else.").await);
    }
    others.reverse();
    for limit in [1, 3, 200] {
        let search = json!({ "query": "tea", "order": "relevance", "limit": limit });
        let expected = [&[in_title], &others[..]].concat();
        assert_eq!(found(&ann, search).await, expected, "pages of {limit}");
    }
    // What is written after the first page is not in the pages that follow.
    let mut search = json!({ "query": "tea", "order": "relevance", "limit": 2 });
    let first = ann.done("search_entries", search.clone()).await;
    write(&ann, "Tea tea", "tea").await;
    search["cursor"] = first["nextCursor"].clone();
    assert_eq!(found(&ann, search).await, others[1..]);
    // A position is of one order.
    let other = json!({ "query": "tea", "cursor": first["nextCursor"] });
    let refused = ann.failed("search_entries", other).await;
    assert!(
        refused.contains("`cursor`") && refused.contains("`order`"),
        "{refused}"
    );
}

#[actix_rt::test]
async fn an_entry_of_the_release_before_is_found_until_it_is_cut_into_words_and_after() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let first = write(&ann, "First", "walking by the river").await;
    // As the release before writes it.
    let owner = "(SELECT id FROM users LIMIT 1)";
    let sql = format!(
        "INSERT INTO entries (user_id, title, content)
         SELECT {owner}, 'Before', '今日は東京で walking, coffee/tea' FROM generate_series(1, 3)"
    );
    app.database.execute(&sql).unwrap();
    let of_before = "entries WHERE search_form = 0";
    assert_eq!(app.database.count(of_before), 3);
    for query in ["東京", "tea", "walk"] {
        let ids = found(&ann, json!({ "query": query })).await;
        assert_eq!(ids.iter().filter(|id| **id != first).count(), 3, "{query}");
    }
    // It changes a text, and knows nothing of words.
    let sql = format!("UPDATE entries SET content = 'a quiet lighthouse' WHERE id = {first}");
    app.database.execute(&sql).unwrap();
    assert_eq!(app.database.count(of_before), 4);
    assert_eq!(found(&ann, json!({ "query": "lighthouse" })).await, [first]);
    assert_eq!(found(&ann, json!({ "query": "river" })).await, [0; 0]);
}
