//! The tools: what they show of themselves, whom they serve, and what they answer.

use serde_json::{Value, json};

use crate::support::{ALL, TestApp, complaints, parse_challenge, redacted};

/// Every tool, what a call of it needs, and arguments that pass its rules.
fn calls() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("whoami", "user:read", json!({})),
        (
            "create_entry",
            "entries:write",
            json!({ "title": "t", "content": "c" }),
        ),
        (
            "create_entry",
            "entries:write tags:read",
            json!({ "title": "t", "content": "c", "tags": [] }),
        ),
        ("get_entry", "entries:read", json!({ "id": 1 })),
        ("list_entries", "entries:read", json!({})),
        ("search_entries", "entries:read", json!({ "query": "q" })),
        (
            "update_entry",
            "entries:read entries:write",
            json!({ "id": 1 }),
        ),
        (
            "delete_entry",
            "entries:read entries:write",
            json!({ "id": 1 }),
        ),
        ("create_tag", "tags:write", json!({ "name": "n" })),
        ("get_tag", "tags:read", json!({ "id": 1 })),
        ("list_tags", "tags:read", json!({})),
        ("update_tag", "tags:read tags:write", json!({ "id": 1 })),
        ("delete_tag", "tags:read tags:write", json!({ "id": 1 })),
        (
            "add_tag_to_entry",
            "entries:read entries:write tags:read",
            json!({ "entryId": 1, "tagId": 1 }),
        ),
        (
            "remove_tag_from_entry",
            "entries:read entries:write tags:read",
            json!({ "entryId": 1, "tagId": 1 }),
        ),
        ("export_journal", "entries:read tags:read", json!({})),
        ("list_connected_clients", "user:read", json!({})),
        ("list_activity", "user:read", json!({})),
    ]
}

async fn list(app: &TestApp, token: &str) -> Value {
    app.modern(token, "tools/list", json!({}))
        .send()
        .await
        .result()
}

/// The tools by name.
async fn descriptors(app: &TestApp) -> serde_json::Map<String, Value> {
    let list = list(app, &app.token("ann", ALL)).await;
    let tools = list["tools"].as_array().unwrap().iter();
    tools
        .map(|tool| (tool["name"].as_str().unwrap().to_owned(), tool.clone()))
        .collect()
}

/// P-20.
#[actix_rt::test]
async fn the_list_of_a_token_with_every_scope() {
    let app = TestApp::spawn();
    let list = list(&app, &app.token("ann", ALL)).await;
    assert_eq!(list["tools"].as_array().unwrap().len(), 17);
    assert_eq!(list["cacheScope"], "private");
    insta::assert_snapshot!("tools", serde_json::to_string_pretty(&list).unwrap());
}

/// S-01, S-02, A-18.
#[actix_rt::test]
async fn a_list_shows_what_the_token_may_use() {
    let app = TestApp::spawn();
    let scopes: Vec<&str> = ALL.split(' ').collect();
    for bits in 1..32_u32 {
        let granted: Vec<&str> = scopes
            .iter()
            .enumerate()
            .filter(|(i, _)| bits & (1 << i) != 0)
            .map(|(_, scope)| *scope)
            .collect();
        let mut expected: Vec<&str> = calls()
            .into_iter()
            .filter(|(_, needed, arguments)| {
                arguments.get("tags").is_none()
                    && needed.split(' ').all(|scope| granted.contains(&scope))
            })
            .map(|(name, ..)| name)
            .collect();
        let list = list(&app, &app.token("ann", &granted.join(" "))).await;
        let mut shown: Vec<&str> = list["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect();
        // The order is the catalogue's, and the same for everybody.
        let order: Vec<&str> = calls().into_iter().map(|(name, ..)| name).collect();
        assert!(shown.is_sorted_by_key(|name| order.iter().position(|known| known == name)));
        shown.sort_unstable();
        expected.sort_unstable();
        assert_eq!(shown, expected, "{granted:?}");
    }
}

/// S-09, SEC-06.
#[actix_rt::test]
async fn each_call_needs_each_of_its_scopes_before_anything_of_it_is_looked_at() {
    let app = TestApp::spawn();
    for (tool, needed, arguments) in calls() {
        for missing in needed.split(' ') {
            let others: Vec<&str> = ALL.split(' ').filter(|scope| *scope != missing).collect();
            let token = app.token("ann", &others.join(" "));
            let mut broken = arguments.clone();
            broken["nonsense"] = true.into();
            for arguments in [&arguments, &broken] {
                let reply = app.tool(&token, tool, arguments).send().await;
                assert_eq!(reply.status, 403, "{tool} without {missing}");
                let field = reply.header("www-authenticate").unwrap();
                let challenge = parse_challenge(field).unwrap();
                assert_eq!(
                    challenge.get("scope"),
                    Some(needed),
                    "{tool} without {missing}"
                );
            }
        }
        let token = app.token("ann", needed);
        let reply = app.tool(&token, tool, &arguments).send().await;
        assert_eq!(reply.status, 200, "{tool} with {needed}: {}", reply.text());
    }
    // Tags that are null are none.
    let token = app.token("ann", "entries:write");
    let arguments = json!({ "title": "t", "content": "c", "tags": null });
    assert_eq!(
        app.tool(&token, "create_entry", &arguments)
            .send()
            .await
            .status,
        200
    );
}

/// S-05, S-06.
#[actix_rt::test]
async fn every_tool_does_what_it_says() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let descriptors = descriptors(&app).await;
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
    insta::assert_snapshot!("every_tool", shown);
}

/// S-08.
#[actix_rt::test]
async fn what_cannot_be_done_is_told_to_the_model() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let (entry, tag) = (ann.entry("One").await, ann.tag("Work").await);
    ann.tag("Home").await;
    let taken = "There is a tag of that name already; names are compared without regard to case.";
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
        ("%", vec![]),
        ("\\", vec![]),
        ("& | ! ( ) :* <->", vec![]),
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

#[actix_rt::test]
async fn text_comes_back_as_it_was() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for text in [
        "  spaces around  ",
        "line\r\nbreaks\n\ttabs",
        "quotes \" ' ` and \\ backslashes",
        "𝒳 👩‍👩‍👧 é e\u{301} \u{202e}rtl\u{202c} \u{feff}",
        "\u{1}\u{7f}\u{85}",
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

/// What an argument has to be.
#[derive(Clone, Copy)]
enum Rule {
    Id,
    Ids,
    Text(usize, usize),
    Flag,
    Limit,
    Cursor,
    Moment,
    Zone,
}

impl Rule {
    /// Values that break it, and what is said of them.
    fn broken(self, name: &str) -> Vec<(Value, String)> {
        let all = |rule: &str, values: Vec<Value>| {
            let said = format!("Invalid arguments: `{name}` must be {rule}.");
            values
                .into_iter()
                .map(|value| (value, said.clone()))
                .collect()
        };
        match self {
            Self::Id => all(
                "an integer from 1 up",
                vec![
                    json!(0),
                    json!(-1),
                    json!(1.5),
                    json!(1.0),
                    json!("1"),
                    json!(true),
                    json!([1]),
                    json!({}),
                    json!(9_223_372_036_854_775_808_u64),
                    json!(1e300),
                ],
            ),
            Self::Ids => {
                let mut cases = all(
                    "an array",
                    vec![json!("1"), json!(1), json!({}), json!(true)],
                );
                cases.extend(all(
                    "an array of at most 50 items",
                    vec![json!(vec![1; 51])],
                ));
                for item in [json!(0), json!("1"), json!(1.5), Value::Null] {
                    let said =
                        format!("Invalid arguments: `{name}[1]` must be an integer from 1 up.");
                    cases.push((json!([1, item]), said));
                }
                cases
            }
            Self::Text(min, max) => {
                let mut values = vec![
                    json!("a\0b"),
                    json!("x".repeat(max + 1)),
                    json!("é".repeat(max + 1)),
                    json!(7),
                    json!(true),
                    json!(["x"]),
                    json!({ "x": 1 }),
                ];
                if min > 0 {
                    values.push(json!(""));
                }
                all(
                    &format!("a string of {min} to {max} characters, without NUL"),
                    values,
                )
            }
            Self::Flag => all(
                "a boolean",
                vec![json!(0), json!(1), json!("true"), json!([]), json!({})],
            ),
            Self::Limit => all(
                "an integer from 1 to 200",
                vec![
                    json!(0),
                    json!(201),
                    json!(-1),
                    json!(1.5),
                    json!("50"),
                    json!(true),
                    json!(70_000),
                ],
            ),
            Self::Cursor => all(
                "the nextCursor of an earlier page of this list",
                vec![
                    json!(7),
                    json!("%%%"),
                    json!("AAAA"),
                    json!("x".repeat(5_000)),
                    json!({}),
                ],
            ),
            Self::Moment => all(
                "a date (2026-07-28) or an RFC 3339 time (2026-07-28T09:30:00Z)",
                vec![
                    json!("yesterday"),
                    json!(""),
                    json!("2026-02-30"),
                    json!("2026-07-28T09:30:00"),
                    json!("28.07.2026"),
                    json!(1_785_499_200),
                    json!("2026-13-01T00:00:00Z"),
                ],
            ),
            Self::Zone => all(
                "the IANA name of a time zone, such as Europe/Berlin",
                vec![
                    json!("Mars/Olympus"),
                    json!(""),
                    json!(7),
                    json!("../../etc/passwd"),
                    json!("x".repeat(100)),
                ],
            ),
        }
    }

    /// Values at the edge of it that pass.
    fn kept(self) -> Vec<Value> {
        match self {
            Self::Id => vec![json!(1), json!(i64::MAX)],
            Self::Ids => vec![json!([]), json!(vec![1; 50])],
            Self::Text(min, max) => vec![json!("𝒳".repeat(max)), json!("x".repeat(min))],
            Self::Flag => vec![json!(true), json!(false)],
            Self::Limit => vec![json!(1), json!(200)],
            Self::Cursor => vec![],
            Self::Moment => vec![json!("2024-02-29"), json!("2026-07-28T09:30:00.123-07:00")],
            Self::Zone => vec![json!("UTC"), json!("America/Argentina/Buenos_Aires")],
        }
    }

    /// Whether the schema says the whole of it.
    fn is_in_the_schema(self) -> bool {
        !matches!(self, Self::Cursor | Self::Zone)
    }
}

/// Whether an argument may be left out, or be null.
#[derive(Clone, Copy, PartialEq)]
enum May {
    Neither,
    BeAbsent,
    BeNull,
}

use May::{BeAbsent, BeNull, Neither};

/// An argument, what it has to be, and what it may be besides.
type Argument = (&'static str, Rule, May);

/// Every argument of every tool.
fn arguments() -> Vec<(&'static str, Vec<Argument>)> {
    let note = Rule::Text(0, 100);
    let key = ("idempotencyKey", Rule::Text(1, 200), BeNull);
    let id = ("id", Rule::Id, Neither);
    let page = [
        ("limit", Rule::Limit, BeNull),
        ("cursor", Rule::Cursor, BeNull),
    ];
    let entry_tag = vec![("entryId", Rule::Id, Neither), ("tagId", Rule::Id, Neither)];
    vec![
        ("whoami", vec![]),
        (
            "create_entry",
            vec![
                ("title", Rule::Text(1, 200), Neither),
                ("content", Rule::Text(1, 100_000), Neither),
                ("mood", note, BeNull),
                ("location", note, BeNull),
                ("weather", note, BeNull),
                ("isPrivate", Rule::Flag, BeNull),
                ("isFavorite", Rule::Flag, BeNull),
                ("tags", Rule::Ids, BeNull),
                key,
            ],
        ),
        ("get_entry", vec![id]),
        (
            "list_entries",
            vec![
                ("tagIds", Rule::Ids, BeNull),
                ("from", Rule::Moment, BeNull),
                ("to", Rule::Moment, BeNull),
                ("timeZone", Rule::Zone, BeNull),
                ("isFavorite", Rule::Flag, BeNull),
                page[0],
                page[1],
            ],
        ),
        (
            "search_entries",
            vec![("query", Rule::Text(1, 200), Neither), page[0], page[1]],
        ),
        (
            "update_entry",
            vec![
                id,
                ("title", Rule::Text(1, 200), BeAbsent),
                ("content", Rule::Text(1, 100_000), BeAbsent),
                ("mood", note, BeNull),
                ("location", note, BeNull),
                ("weather", note, BeNull),
                ("isPrivate", Rule::Flag, BeAbsent),
                ("isFavorite", Rule::Flag, BeAbsent),
            ],
        ),
        ("delete_entry", vec![id]),
        (
            "create_tag",
            vec![
                ("name", Rule::Text(1, 60), Neither),
                ("description", Rule::Text(0, 500), BeNull),
                key,
            ],
        ),
        ("get_tag", vec![id]),
        ("list_tags", page.to_vec()),
        (
            "update_tag",
            vec![
                id,
                ("name", Rule::Text(1, 60), BeAbsent),
                ("description", Rule::Text(0, 500), BeNull),
            ],
        ),
        ("delete_tag", vec![id]),
        ("add_tag_to_entry", entry_tag.clone()),
        ("remove_tag_from_entry", entry_tag),
        ("list_connected_clients", vec![]),
        (
            "list_activity",
            vec![("clientId", Rule::Text(1, 1_024), BeNull), page[0], page[1]],
        ),
    ]
}

fn good_arguments(tool: &str) -> Value {
    calls()
        .into_iter()
        .find(|(name, ..)| *name == tool)
        .unwrap()
        .2
}

/// S-04, S-09.
#[actix_rt::test]
async fn every_rule_of_every_argument_is_told_by_name_and_stands_in_the_schema() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let descriptors = descriptors(&app).await;
    for (tool, rules) in arguments() {
        let schema = &descriptors[tool]["inputSchema"];
        for (name, rule, may) in rules {
            let mut broken = rule.broken(name);
            if may != BeNull {
                // The rule without what is said of a part of it.
                let (_, said) = broken[0].clone();
                broken.push((Value::Null, said));
            }
            for (value, said) in broken {
                let mut arguments = good_arguments(tool);
                arguments[name] = value.clone();
                assert_eq!(
                    ann.failed(tool, arguments.clone()).await,
                    said,
                    "{tool} {name} {value}"
                );
                if rule.is_in_the_schema()
                    && value != json!(1.0)
                    && value != json!(9_223_372_036_854_775_808_u64)
                {
                    assert_ne!(
                        complaints(schema, &arguments),
                        [""; 0],
                        "{tool} {name} {value}"
                    );
                }
            }
            let mut kept = rule.kept();
            if may == BeNull {
                kept.push(Value::Null);
            }
            for value in kept {
                let mut arguments = good_arguments(tool);
                arguments[name] = value;
                assert_eq!(complaints(schema, &arguments), [""; 0], "{tool} {name}");
                let result = ann.call(tool, arguments).await;
                let text = result["content"][0]["text"].as_str().unwrap();
                assert!(
                    !text.starts_with("Invalid arguments"),
                    "{tool} {name}: {text}"
                );
            }
        }
    }
}

/// S-08.
#[actix_rt::test]
async fn arguments_are_complete_known_and_there_once() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let descriptors = descriptors(&app).await;
    for (tool, rules) in arguments() {
        let schema = &descriptors[tool]["inputSchema"];
        assert_eq!(schema["additionalProperties"], false, "{tool}");
        let mut known: Vec<&str> = rules.iter().map(|(name, ..)| *name).collect();
        let required: Vec<&str> = rules
            .iter()
            .filter(|(.., may)| *may == Neither)
            .map(|(name, ..)| *name)
            .collect();
        let demanded = schema["required"].as_array().into_iter().flatten();
        assert_eq!(
            demanded
                .map(|name| name.as_str().unwrap())
                .collect::<Vec<_>>(),
            required,
            "{tool}"
        );

        let mut more = good_arguments(tool);
        more["userId"] = "a secret value".into();
        let said = ann.failed(tool, more).await;
        let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let there_are = match names.as_slice() {
            [] => "there are none".to_owned(),
            [one] => format!("there is {one}"),
            [one, other] => format!("there are {one} and {other}"),
            names => format!("there are {}", names.join(", ")),
        };
        assert_eq!(
            said,
            format!("Invalid arguments: `userId` is not an argument of this tool; {there_are}."),
        );

        known.sort_unstable();
        let mut described: Vec<&str> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        described.sort_unstable();
        assert_eq!(described, known, "{tool}");

        for name in required {
            let mut less = good_arguments(tool);
            less.as_object_mut().unwrap().remove(name);
            assert_eq!(
                ann.failed(tool, less.clone()).await,
                format!("Invalid arguments: `{name}` is required.")
            );
            assert_ne!(complaints(schema, &less), [""; 0], "{tool} {name}");
        }
    }
    let doubled = |body: &mut String| {
        *body = body.replace(r#""arguments":{"id":1}"#, r#""arguments":{"id":1,"id":1}"#);
    };
    let reply = app
        .tool(&ann.token, "get_entry", &json!({ "id": 1 }))
        .edit_text(doubled)
        .send()
        .await;
    assert_eq!(
        reply.result()["content"][0]["text"],
        "Invalid arguments: each argument may appear only once."
    );
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
