//! A journal that was exported as JSON is brought into another, or back.

use serde_json::{Value, json};

use crate::support::{ALL, Journal, TestApp};

impl Journal<'_> {
    /// The journal as one JSON document.
    async fn exported(&self) -> Value {
        let done = self.done("export_journal", json!({})).await;
        serde_json::from_str(done["document"].as_str().unwrap()).unwrap()
    }

    async fn import(&self, document: &Value) -> Value {
        let arguments = json!({ "document": document.to_string() });
        self.done("import_journal", arguments).await
    }
}

/// A document of these entries.
fn document(entries: Value) -> Value {
    json!({ "format": "epicme-journal", "version": 1, "tags": [], "entries": entries })
}

/// A document without what belongs to the journal that it is of: ids and the time of the export.
fn content(mut document: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Object(members) => {
                members.retain(|name, _| !["id", "uri", "exportedAt"].contains(&name.as_str()));
                members.values_mut().for_each(strip);
            }
            _ => {}
        }
    }
    strip(&mut document);
    document
}

async fn write(journal: &Journal<'_>) {
    let sea = json!({ "name": "Sea", "description": "Salt\nwater" });
    let sea = journal.done("create_tag", sea).await["tag"]["id"].take();
    let dog = journal.tag("dog").await;
    for entry in [
        json!({ "title": "First", "content": "Some \"text\".\n\n# Not a heading", "mood": "calm", "location": "Gdańsk",
                "weather": "fog", "isPrivate": false, "isFavorite": true, "tags": [sea, dog] }),
        json!({ "title": "Second 𝒳", "content": "é e\u{301} \u{200b}", "tags": [dog] }),
        json!({ "title": "Third", "content": " " }),
    ] {
        journal.done("create_entry", entry).await;
    }
    let done = journal.done("list_entries", json!({ "limit": 1 })).await;
    let changes = json!({ "id": done["entries"][0]["id"], "mood": "changed" });
    journal.done("update_entry", changes).await;
}

#[actix_rt::test]
async fn a_journal_that_was_exported_comes_into_another_with_its_times_and_labels() {
    let app = TestApp::spawn();
    let (ann, bob) = (app.journal("ann"), app.journal("bob"));
    write(&ann).await;
    let exported = ann.exported().await;
    let done = bob.import(&exported).await;
    assert_eq!(
        done,
        json!({
            "entriesAdded": 3, "entriesThere": 0, "tagsAdded": 2, "tagsThere": 0, "refused": [],
            "summary": "Added 3 entries and 2 tags.",
        })
    );
    assert_eq!(content(bob.exported().await), content(exported.clone()));
    // A second time, and where it came from, it adds nothing.
    for journal in [&bob, &ann] {
        let before = journal.exported().await;
        let again = journal.import(&exported).await;
        assert_eq!(
            again["summary"],
            "Added 0 entries and 0 tags. There already: 3 entries and 2 tags."
        );
        assert_eq!(
            (&again["entriesAdded"], &again["tagsAdded"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(content(journal.exported().await), content(before));
    }
    // What was changed or deleted meanwhile is not doubled, and comes back.
    let list = bob.done("list_entries", json!({})).await;
    let change = json!({ "id": list["entries"][0]["id"], "title": "Another title" });
    bob.done("update_entry", change).await;
    bob.done("delete_entry", json!({ "id": list["entries"][1]["id"] }))
        .await;
    let third = bob.import(&exported).await;
    assert_eq!(
        (&third["entriesAdded"], &third["entriesThere"]),
        (&json!(1), &json!(2))
    );
    // The numbers are those of what there is.
    let usage = bob.done("whoami", json!({})).await;
    assert_eq!(
        usage["storage"]["entries"],
        ann.done("whoami", json!({})).await["storage"]["entries"]
    );
    let wrong = "entries e WHERE e.tag_count <> (SELECT count(*) FROM entry_tags l WHERE l.user_id = e.user_id AND l.entry_id = e.id)";
    assert_eq!(app.database.count(wrong), 0);
}

#[actix_rt::test]
async fn what_cannot_be_taken_is_told_with_its_place_and_the_rest_is_taken() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let at = "2020-02-29T12:00:00Z";
    let good = json!({ "title": "Good", "content": "c", "createdAt": at });
    let with = |change: Value| {
        let mut entry = good.clone();
        for (name, value) in change.as_object().unwrap() {
            entry[name] = value.clone();
        }
        entry
    };
    let many: Vec<_> = (0..51)
        .map(|n| json!({ "name": format!("t{n}") }))
        .collect();
    let mut document = document(json!([
        with(json!({ "title": " \u{200b}" })),
        good,
        with(json!({ "content": "" })),
        { "title": "No time", "content": "c" },
        7,
        with(json!({ "createdAt": "yesterday" })),
        with(json!({ "createdAt": "2020-03-01T00:00:00Z", "updatedAt": at })),
        with(json!({ "tags": many })),
        with(json!({ "tags": [{ "name": "\u{3164}" }] })),
        with(json!({ "mood": 7 })),
        with(json!({ "title": "Last", "content": "d", "mood": "", "weather": null, "tags": [{ "name": "new" }, { "name": "ＮＥＷ" }] })),
    ]));
    document["tags"] = json!([{ "name": "listed" }, { "name": "" }, { "name": "LISTED" }]);
    let done = ann.import(&document).await;
    let visible = |name: &str, most: usize| {
        format!(
            "`{name}` must be a string of 1 to {most} characters, without NUL, at least one of them visible."
        )
    };
    let time = "`createdAt` must be an RFC 3339 time of the years 1 to 9999, such as 2026-07-28T09:30:00Z.";
    let refused: Vec<_> = [
        ("tags", 1, visible("name", 60)),
        ("entries", 0, visible("title", 200)),
        ("entries", 2, "`content` must be a string of 1 to 100000 characters, without NUL.".to_owned()),
        ("entries", 3, "`createdAt` is required.".to_owned()),
        ("entries", 4, "It must be an object.".to_owned()),
        ("entries", 5, time.to_owned()),
        ("entries", 6, "`updatedAt` must not be earlier than `createdAt`.".to_owned()),
        ("entries", 7, "`tags` must be an array of at most 50 items.".to_owned()),
        ("entries", 8, visible("tags[0].name", 60)),
        (
            "entries",
            9,
            "`mood` must be a string of 0 to 100 characters, without NUL, at least one of them visible if there are any."
                .to_owned(),
        ),
    ]
    .into_iter()
    .map(|(list, index, reason)| json!({ "list": list, "index": index, "reason": reason }))
    .collect();
    assert_eq!(done["refused"], json!(refused));
    assert_eq!(
        done["summary"],
        "Added 2 entries and 2 tags. There already: 0 entries and 1 tag. Not taken: 10; see `refused`."
    );
    let exported = content(ann.exported().await);
    assert_eq!(exported["entries"][1]["tags"], json!([{ "name": "new" }]));
    assert_eq!(exported["entries"][0]["updatedAt"], at);
}

#[actix_rt::test]
async fn what_is_no_such_document_is_refused_as_a_whole() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let unread = "Invalid arguments: `document` must be a JSON document of export_journal; it cannot be read at line 1, column";
    for text in [
        "x",
        "{",
        "[]",
        "7",
        r#"{"format":"epicme-journal","version":1,"entries":{}}"#,
    ] {
        let said = ann
            .failed("import_journal", json!({ "document": text }))
            .await;
        assert!(said.starts_with(unread), "{said}");
    }
    for text in [
        r#"{"format":"other","version":1}"#,
        r#"{"format":"epicme-journal","version":2}"#,
    ] {
        assert_eq!(
            ann.failed("import_journal", json!({ "document": text }))
                .await,
            "Invalid arguments: `document` must have the `format` \"epicme-journal\" and the `version` 1."
        );
    }
    assert_eq!(app.database.count("entries"), 0);
}

#[actix_rt::test]
async fn the_time_of_an_imported_entry_may_be_in_any_year() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for (written, kept) in [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        (
            "1850-05-01T12:00:00.1234567+01:00",
            "1850-05-01T11:00:00.123456Z",
        ),
        ("2262-04-12T00:00:00Z", "2262-04-12T00:00:00Z"),
        (
            "9999-12-31T23:59:59.9999999Z",
            "9999-12-31T23:59:59.999999Z",
        ),
    ] {
        let entry = json!({ "title": "t", "content": "c", "createdAt": written });
        let done = ann.import(&document(json!([entry]))).await;
        assert_eq!(done["entriesAdded"], 1, "{written}: {done}");
        let listed = ann.done("list_entries", json!({})).await;
        let times = listed["entries"].as_array().unwrap().iter();
        let times = Vec::from_iter(times.map(|entry| entry["createdAt"].as_str().unwrap()));
        assert!(times.contains(&kept), "{kept} in {times:?}");
    }
}

#[actix_rt::test]
async fn an_import_stays_within_what_a_journal_may_hold() {
    let app = TestApp::spawn_with(|config| config.database.quota_entries = 2);
    let ann = app.journal("ann");
    let entries: Vec<_> = (1..=4)
        .map(|day| json!({ "title": "t", "content": "c", "createdAt": format!("2020-01-0{day}T00:00:00Z") }))
        .collect();
    let done = ann.import(&document(entries.into())).await;
    assert_eq!(
        (&done["entriesAdded"], &done["refused"][0]["index"]),
        (&json!(2), &json!(2))
    );
    let reason = done["refused"][1]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("Your journal has 2 entries, as many as it may have."),
        "{reason}"
    );
    assert_eq!(app.database.count("entries"), 2);
}

#[actix_rt::test]
async fn an_import_needs_the_scopes_of_writing() {
    let app = TestApp::spawn();
    let needed = "entries:write tags:read tags:write";
    let arguments = json!({ "document": document(json!([])).to_string() });
    let with = |scopes: &str| app.tool(&app.token("ann", scopes), "import_journal", &arguments);
    assert_eq!(with(needed).send().await.status, 200);
    for missing in needed.split(' ') {
        let rest = Vec::from_iter(ALL.split(' ').filter(|scope| *scope != missing)).join(" ");
        assert_eq!(with(&rest).send().await.status, 403, "{missing}");
    }
}
