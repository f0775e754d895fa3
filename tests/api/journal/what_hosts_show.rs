//! What hosts show to people and models: links, sentences in structured results, and what a token lacks.

use serde_json::{Value, json};

use crate::support::{ALL, TestApp};

fn blocks(result: &Value, kind: &str) -> usize {
    let blocks = result["content"].as_array().unwrap();
    blocks.iter().filter(|block| block["type"] == kind).count()
}

#[actix_rt::test]
async fn results_have_no_links_unless_the_operator_wants_them_and_name_the_uri_always() {
    for wanted in [false, true] {
        let app = TestApp::spawn_with(|config| config.http.resource_links = wanted);
        let ann = app.journal("ann");
        let tag = ann.call("create_tag", json!({ "name": "Work" })).await;
        let uri = tag["structuredContent"]["tag"]["uri"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(uri.starts_with("epicme://tags/"), "{uri}");
        let id = tag["structuredContent"]["tag"]["id"].clone();
        let created = ann
            .call(
                "create_entry",
                json!({ "title": "t", "content": "c", "tags": [id] }),
            )
            .await;
        let entry = &created["structuredContent"]["entry"];
        assert_eq!(entry["tags"][0]["uri"], uri);
        let read = app.modern(&ann.token, "resources/read", json!({ "uri": entry["uri"] }));
        let read = read.header("mcp-name", entry["uri"].as_str().unwrap());
        assert_eq!(
            read.send().await.result()["contents"][0]["uri"],
            entry["uri"]
        );
        let listed = ann.call("list_entries", json!({})).await;
        assert_eq!(
            listed["structuredContent"]["entries"][0]["uri"],
            entry["uri"]
        );
        let tags = ann.call("list_tags", json!({})).await;
        assert_eq!(tags["structuredContent"]["tags"][0]["uri"], uri);
        let exported = ann.call("export_journal", json!({})).await;
        for (result, links) in [
            (&tag, 1),
            (&created, 2),
            (&listed, 1),
            (&tags, 1),
            (&exported, 1),
        ] {
            assert_eq!(
                blocks(result, "resource_link"),
                if wanted { links } else { 0 },
                "{result}"
            );
        }
        assert!(
            exported["structuredContent"]["document"]
                .as_str()
                .unwrap()
                .contains("Work")
        );
    }
}

#[actix_rt::test]
async fn a_deletion_says_in_its_structured_result_what_it_came_to() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let (entry, tag) = (ann.entry("t").await, ann.tag("Work").await);
    for (tool, id, outcome) in [
        ("delete_entry", entry, "deleted"),
        ("delete_entry", entry, "not_found"),
        ("delete_tag", tag, "deleted"),
        ("delete_tag", tag, "not_found"),
    ] {
        let result = ann.call(tool, json!({ "id": id })).await;
        let structured = &result["structuredContent"];
        assert_eq!(structured["outcome"], outcome, "{tool}");
        assert_eq!(structured["summary"], result["content"][0]["text"]);
    }
}

#[actix_rt::test]
async fn who_lacks_scopes_is_told_which_and_what_they_would_add() {
    let app = TestApp::spawn();
    let few = app.token("ann", "user:read entries:read");
    let all = app.token("ann", ALL);
    let said = "entries:write (Write journal entries), tags:read (Read your tags), tags:write (Write tags)";
    let discovery = |token: &str| app.modern(token, "server/discover", json!({}));
    let result = discovery(&few).send().await.result();
    let instructions = result["instructions"].as_str().unwrap();
    assert!(instructions.contains(said), "{instructions}");
    assert!(instructions.contains("not listed"), "{instructions}");
    // After a step-up it would be wrong.
    assert_eq!(
        (&result["ttlMs"], &result["cacheScope"]),
        (&json!(0), &json!("private"))
    );
    let opened = app.initialize(&few, "2025-11-25").send().await.result();
    assert!(opened["instructions"].as_str().unwrap().contains(said));
    for result in [
        discovery(&all).send().await.result(),
        app.initialize(&all, "2025-11-25").send().await.result(),
    ] {
        assert!(
            !result["instructions"].as_str().unwrap().contains("lacks"),
            "{result}"
        );
    }
    let whoami = app.tool(&few, "whoami", &json!({})).send().await.result();
    let missing = &whoami["structuredContent"]["missingScopes"];
    assert_eq!(
        missing[0],
        json!({ "scope": "entries:write", "allows": "Write journal entries" })
    );
    assert_eq!(missing.as_array().unwrap().len(), 3);
    assert!(
        whoami["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("entries:write")
    );
    let whoami = app.tool(&all, "whoami", &json!({})).send().await.result();
    assert_eq!(whoami["structuredContent"]["missingScopes"], json!([]));
}

#[actix_rt::test]
async fn an_operator_can_list_everything_and_let_the_challenge_do_its_work() {
    let app = TestApp::spawn_with(|config| config.http.list_all_features = true);
    let few = app.token("ann", "user:read");
    let session = app.open(&few, "2025-11-25").await;
    for reply in [
        app.modern(&few, "tools/list", json!({})).send().await,
        app.within(&session, "tools/list", json!({})).send().await,
    ] {
        let tools = reply.result()["tools"].as_array().unwrap().clone();
        assert!(tools.iter().any(|tool| tool["name"] == "create_entry"));
    }
    let entry = json!({ "title": "t", "content": "c" });
    let refused = app.tool(&few, "create_entry", &entry).send().await;
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .header("www-authenticate")
            .unwrap()
            .contains("scope=\"entries:write\"")
    );
    let discovery = app
        .modern(&few, "server/discover", json!({}))
        .send()
        .await
        .result();
    assert!(
        discovery["instructions"]
            .as_str()
            .unwrap()
            .contains("is refused until")
    );
}
