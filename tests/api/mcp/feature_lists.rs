//! What is shown of the features, held against the rules that hold of every one of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{ALL, REVISIONS, TestApp};

/// Every object in a value, whatever it stands in.
fn objects<'a>(value: &'a Value, found: &mut Vec<&'a serde_json::Map<String, Value>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| objects(item, found)),
        Value::Object(members) => {
            found.push(members);
            members.values().for_each(|member| objects(member, found));
        }
        _ => {}
    }
}

/// What a client of this revision is shown of everything, with something in every list.
async fn everything(app: &TestApp, revision: &'static str) -> Vec<Value> {
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let client = app.client(revision, &journal.token).await;
    let mut shown = Vec::new();
    for (method, params) in [
        ("tools/list", json!({})),
        ("prompts/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        (
            "resources/read",
            json!({ "uri": format!("epicme://entries/{entry}") }),
        ),
        ("prompts/get", json!({ "name": "summarize_entries" })),
        (
            "tools/call",
            json!({ "name": "get_entry", "arguments": { "id": entry } }),
        ),
    ] {
        shown.push(client.ask(method, params).send().await.result());
    }
    let about = if revision == REVISIONS[0] {
        app.modern(&journal.token, "server/discover", json!({}))
    } else {
        app.initialize(&journal.token, revision)
    };
    shown.push(about.send().await.result());
    shown
}

/// S-03, S-04, S-10.
#[actix_rt::test]
async fn every_tool_is_named_and_described_by_the_rules() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for revision in REVISIONS {
        let client = app.client(revision, &token).await;
        let list = client.result("tools/list", json!({})).await;
        let tools = list["tools"].as_array().unwrap();
        let mut names = BTreeSet::new();
        for tool in tools {
            let name = tool["name"].as_str().unwrap();
            assert!((1..=128).contains(&name.len()), "{name}");
            let is_allowed =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            assert!(name.bytes().all(is_allowed), "{name}");
            assert!(names.insert(name), "{name} twice");
            assert!(!tool["description"].as_str().unwrap().is_empty());
            let input = &tool["inputSchema"];
            assert_eq!(input["type"], "object", "{name}");
            assert_eq!(input["additionalProperties"], false, "{name}");
            // Nothing that counts is left to the defaults, which are the worst that a tool can be.
            let hints = &tool["annotations"];
            let reads = hints["readOnlyHint"].as_bool().unwrap();
            assert_eq!(hints["openWorldHint"], false, "{name}");
            assert!(reads || hints["idempotentHint"].is_boolean(), "{name}");
            let destroys = name.starts_with("delete_");
            assert!(reads || hints["destructiveHint"] == destroys, "{name}");
            assert!(!(reads && destroys), "{name}");
            if let Some(output) = tool.get("outputSchema") {
                assert_ne!(revision, "2025-03-26", "{name}");
                assert_eq!(output["type"], "object", "{name}");
            }
        }
        assert!(!names.is_empty());
    }
}

/// T-17, T-18, T-20, B-15, B-16, B-18, S-15, PF-10.
#[actix_rt::test]
async fn nothing_that_is_shown_leads_elsewhere() {
    let app = TestApp::spawn();
    for revision in REVISIONS {
        let shown = everything(&app, revision).await;
        let mut found = Vec::new();
        for value in &shown {
            objects(value, &mut found);
        }
        for members in found {
            // No picture to fetch from somewhere, and no parameter that is copied into a header.
            for name in ["icons", "x-mcp-header"] {
                assert_eq!(members.get(name), None, "{revision}: {members:?}");
            }
            // A schema explains itself, in the default dialect.
            for name in ["$ref", "$dynamicRef", "$id"] {
                assert_eq!(members.get(name), None, "{revision}: {members:?}");
            }
            if let Some(dialect) = members.get("$schema") {
                assert_eq!(dialect, "https://json-schema.org/draft/2020-12/schema");
            }
            for name in ["uri", "uriTemplate"] {
                if let Some(uri) = members.get(name).and_then(Value::as_str) {
                    assert!(uri.starts_with("epicme://"), "{uri}");
                }
            }
        }
    }
}

/// B-13.
#[actix_rt::test]
async fn no_metadata_is_of_our_own_making() {
    let app = TestApp::spawn();
    for revision in REVISIONS {
        for result in everything(&app, revision).await {
            let mut found = Vec::new();
            objects(&result, &mut found);
            let keys: Vec<_> = found
                .iter()
                .filter_map(|members| members.get("_meta"))
                .flat_map(|meta| meta.as_object().unwrap().keys())
                .collect();
            if revision == REVISIONS[0] {
                assert_eq!(keys, ["io.modelcontextprotocol/serverInfo"], "{result}");
            } else {
                assert_eq!(keys, [""; 0], "{result}");
            }
        }
    }
}
