//! The journal as one document: with the answer if it is short, as a resource that is read piece by
//! piece if it is long.

use serde_json::{Value, json};

use crate::support::{ALL, Journal, TestApp, patiently, redacted};

/// A text of 100,000 characters, some of which JSON escapes and some of which take several bytes.
fn long_text(mark: &str) -> String {
    let text: String = "\"é\n\u{1F30A}\\ ".chars().cycle().take(99_990).collect();
    format!("{mark:<10}{text}")
}

impl Journal<'_> {
    async fn write(&self, title: &str, content: &str) {
        let arguments = json!({ "title": title, "content": content });
        self.done("create_entry", arguments).await;
    }
}

async fn read(app: &TestApp, token: &str, uri: &str) -> Value {
    let ask = app.modern(token, "resources/read", json!({ "uri": uri }));
    ask.header("mcp-name", uri).send().await.result()
}

/// What a client without the resource, and a client of somebody else's, are told.
async fn is_not_found(app: &TestApp, token: &str, uri: &str) {
    let ask = app.modern(token, "resources/read", json!({ "uri": uri }));
    let reply = ask.header("mcp-name", uri).send().await;
    assert_eq!(
        reply.json()["error"],
        json!({ "code": -32602, "message": "Resource not found", "data": { "uri": uri } })
    );
}

#[actix_rt::test]
async fn a_short_journal_comes_with_the_answer_and_can_be_read_again() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let tag = ann.tag("sea").await;
    let entry = json!({ "title": "First", "content": "It was \"calm\".\nReally.", "tags": [tag], "mood": "calm" });
    ann.done("create_entry", entry).await;
    ann.entry("Second").await;
    app.journal("bob").entry("Not in it").await;

    for (arguments, media_type) in [
        (json!({}), "application/json"),
        (json!({ "format": "json" }), "application/json"),
        (json!({ "format": "markdown" }), "text/markdown"),
    ] {
        let result = ann.call("export_journal", arguments).await;
        let about = &result["structuredContent"];
        assert_eq!(about["mimeType"], media_type);
        assert_eq!((&about["entries"], &about["tags"]), (&json!(2), &json!(1)));
        let text = about["document"].as_str().unwrap();
        assert_eq!(about["bytes"], text.len());
        assert!(!text.contains("Not in it"));
        if media_type == "application/json" {
            let document = redacted(serde_json::from_str(text).unwrap());
            assert_eq!(document["format"], "epicme-journal");
            assert_eq!(document["tags"][0]["name"], "sea");
            let mut first = ann
                .call("get_entry", json!({ "id": document["entries"][0]["id"] }))
                .await;
            assert_eq!(
                redacted(first["structuredContent"]["entry"].take()),
                document["entries"][0]
            );
            assert_eq!(document["entries"][0]["tags"][0]["name"], "sea");
            assert_eq!(document["entries"][1]["title"], "Second");
        } else {
            let first = text.find("## First").unwrap();
            assert!(first < text.find("## Second").unwrap());
            assert!(text.contains("It was \"calm\".\nReally."));
        }
        let uri = about["uri"].as_str().unwrap();
        let read = read(&app, &ann.token, uri).await;
        assert_eq!(
            read["contents"],
            json!([{ "uri": uri, "mimeType": media_type, "text": text }])
        );
        assert_eq!(
            (&read["ttlMs"], &read["cacheScope"]),
            (&json!(0), &json!("private"))
        );
        assert_eq!(read["resultType"], "complete");
    }
    assert_eq!(
        ann.failed("export_journal", json!({ "format": "pdf" }))
            .await,
        "Invalid arguments: `format` must be `json` or `markdown`."
    );
}

#[actix_rt::test]
async fn a_journal_in_which_nothing_was_ever_written_can_be_exported() {
    let app = TestApp::spawn();
    let result = app.journal("new").call("export_journal", json!({})).await;
    let text = result["structuredContent"]["document"].as_str().unwrap();
    let document: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        (&document["tags"], &document["entries"]),
        (&json!([]), &json!([]))
    );
}

#[actix_rt::test]
async fn a_long_journal_is_named_by_its_uri_and_read_whole_in_every_revision() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let texts = ["a", "b", "c", "d"].map(long_text);
    for text in &texts {
        ann.write("Long", text).await;
    }
    let result = ann.call("export_journal", json!({})).await;
    let about = &result["structuredContent"];
    let uri = about["uri"].as_str().unwrap();
    assert_eq!(about.get("document"), None);
    assert!(about["summary"].as_str().unwrap().contains(uri), "{about}");
    let parts = app
        .database
        .count("export_parts WHERE content NOT LIKE '{%' AND length(content) > 0");
    assert!(parts >= 1, "it has more than one part");

    let check = |contents: &Value| {
        assert_eq!(contents["uri"], uri);
        assert_eq!(contents["mimeType"], "application/json");
        let text = contents["text"].as_str().unwrap();
        assert_eq!(about["bytes"], text.len());
        let document: Value = serde_json::from_str(text).unwrap();
        let entries = document["entries"].as_array().unwrap();
        assert_eq!(entries.len(), texts.len());
        for (entry, text) in entries.iter().zip(&texts) {
            assert_eq!(entry["content"], *text);
        }
    };
    check(&read(&app, &ann.token, uri).await["contents"][0]);
    for version in ["2025-11-25", "2025-06-18", "2025-03-26"] {
        let session = app.open(&ann.token, version).await;
        let ask = app.within(&session, "resources/read", json!({ "uri": uri }));
        let result = ask.send().await.result();
        assert_eq!(
            result.as_object().unwrap().len(),
            1,
            "{version}: contents alone"
        );
        check(&result["contents"][0]);
    }
}

#[actix_rt::test]
async fn an_export_tells_page_by_page_how_far_it_has_come() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for number in 0..13 {
        ann.write("Long", &long_text(&number.to_string())).await;
    }
    let ask = app.tool(&ann.token, "export_journal", &json!({}));
    let mut events = ask
        .edit(|body| body["params"]["_meta"]["progressToken"] = "how far".into())
        .listen()
        .await;
    let mut told = Vec::new();
    let result = loop {
        let event = events.next().await.expect("the stream goes on");
        let message: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        match message["method"].as_str() {
            Some("notifications/progress") => told.push(message["params"].clone()),
            _ => break message["result"].clone(),
        }
    };
    assert_eq!(events.next().await, None);
    assert_eq!(result["structuredContent"]["entries"], 13);
    assert!(told.len() >= 2, "{told:?}");
    for (earlier, later) in told.iter().zip(&told[1..]) {
        assert!(earlier["progress"].as_f64() < later["progress"].as_f64());
    }
    assert_eq!(
        told.last().unwrap(),
        &json!({ "progressToken": "how far", "progress": 13.0, "total": 13.0, "message": "Exported 13 of 13 entries" })
    );
}

#[actix_rt::test]
async fn an_export_that_is_called_off_ends_and_is_never_whole() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for mark in ["a", "b", "c", "d"] {
        ann.write("Long", &long_text(mark)).await;
    }
    let session = app.open(&ann.token, "2025-11-25").await;
    // The export gets as far as its first part.
    let mut lock = app.database.connect();
    diesel::connection::SimpleConnection::batch_execute(
        &mut lock,
        "BEGIN; LOCK TABLE export_parts IN ACCESS EXCLUSIVE MODE",
    )
    .unwrap();
    let call = json!({ "name": "export_journal" });
    let call = app.within(&session, "tools/call", call).send();
    let cancel = async {
        while app.database.count("exports") == 0 {
            tokio::task::yield_now().await;
        }
        let params = json!({ "requestId": 1 });
        let message =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
        app.tell(&session, message).await;
    };
    let (reply, ()) = patiently(futures_util::future::join(call, cancel)).await;
    assert_eq!(
        (reply.status, reply.body.len()),
        (202, 0),
        "no answer is wanted"
    );
    drop(lock);
    let ping = app.within(&session, "ping", json!({})).send().await;
    assert_eq!(ping.result(), json!({}));
    assert_eq!(app.database.count("exports WHERE parts IS NULL"), 1);
}

#[actix_rt::test]
async fn an_export_is_its_owners_and_nobody_can_tell_that_it_is_there() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    ann.entry("Mine").await;
    let uri = ann.done("export_journal", json!({})).await["uri"].clone();
    let uri = uri.as_str().unwrap();
    is_not_found(&app, &app.token("bob", ALL), uri).await;
    is_not_found(&app, &ann.token, "epicme://exports/1").await;

    for scopes in [
        "entries:read",
        "tags:read",
        "entries:write tags:write user:read",
    ] {
        let token = app.token("ann", scopes);
        let ask = app.modern(&token, "resources/read", json!({ "uri": uri }));
        for ask in [
            ask.header("mcp-name", uri),
            app.tool(&token, "export_journal", &json!({})),
        ] {
            let reply = ask.send().await;
            assert_eq!(reply.status, 403);
            let challenge = reply.header("www-authenticate").unwrap();
            assert!(
                challenge.contains("scope=\"entries:read tags:read\""),
                "{challenge}"
            );
        }
        let tools = app.modern(&token, "tools/list", json!({})).send().await;
        assert!(!tools.text().contains("export_journal"));
    }
}

#[actix_rt::test]
async fn an_export_is_kept_for_an_hour_and_two_at_most() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    ann.entry("Mine").await;
    let mut uris = Vec::new();
    for _ in 0..3 {
        let about = ann.done("export_journal", json!({})).await;
        uris.push(about["uri"].as_str().unwrap().to_owned());
    }
    is_not_found(&app, &ann.token, &uris[0]).await;
    for uri in &uris[1..] {
        read(&app, &ann.token, uri).await;
    }
    assert_eq!(
        app.database
            .count("exports WHERE expires_at = created_at + interval '1 hour'"),
        2
    );
    app.database
        .execute("UPDATE exports SET expires_at = now()")
        .unwrap();
    for uri in &uris {
        is_not_found(&app, &ann.token, uri).await;
    }
    // What has expired goes with the next export.
    ann.done("export_journal", json!({})).await;
    assert_eq!(app.database.count("exports"), 1);
    assert_eq!(app.database.count("export_parts"), 1);
}

#[actix_rt::test]
async fn half_a_document_does_not_look_like_a_whole_one() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for mark in ["a", "b", "c", "d"] {
        ann.write("Long", &long_text(mark)).await;
    }
    let about = ann.done("export_journal", json!({})).await;
    let uri = about["uri"].as_str().unwrap();
    app.database
        .execute("DELETE FROM export_parts WHERE number = 1")
        .unwrap();
    let ask = app.modern(&ann.token, "resources/read", json!({ "uri": uri }));
    let (head, response) = patiently(ask.header("mcp-name", uri).begin()).await;
    assert_eq!(head.status, 200);
    assert!(
        patiently(response.bytes()).await.is_err(),
        "the connection broke off"
    );
}

#[actix_rt::test]
async fn a_document_is_not_sent_in_a_batch() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let about = ann.done("export_journal", json!({})).await;
    let session = app.open(&ann.token, "2025-03-26").await;
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": { "uri": about["uri"] } },
        { "jsonrpc": "2.0", "id": 2, "method": "ping" },
    ]);
    let ask = app.within(&session, "ping", json!({}));
    let answers = ask.body(batch.to_string()).send().await.json();
    assert_eq!(answers[0]["error"]["code"], -32600);
    assert_eq!(
        answers[0]["error"]["message"],
        "Invalid request: this resource is too long for a batch; read it by a request of its own"
    );
    assert_eq!(answers[1]["result"], json!({}));
}

#[actix_rt::test]
async fn an_export_takes_no_more_room_than_its_users_quota_allows() {
    let app = TestApp::spawn_with(|config| {
        config.database.quota_entries = 1;
        config.database.quota_bytes = 1_000;
    });
    let ann = app.journal("ann");
    ann.entry("Mine").await;
    ann.done("export_journal", json!({})).await;
    for number in 0..10 {
        let description = "d".repeat(500);
        let tag = json!({ "name": format!("tag {number}"), "description": description });
        ann.done("create_tag", tag).await;
    }
    let said = ann.failed("export_journal", json!({})).await;
    assert!(
        said.contains("longer than 3024 bytes") && said.contains("list_entries"),
        "{said}"
    );
    let stored = "export_parts WHERE octet_length(content) > 3024";
    assert_eq!(app.database.count(stored), 0);
}
