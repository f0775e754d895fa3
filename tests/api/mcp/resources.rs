//! Resources and their templates, in every revision.

use serde_json::{Value, json};

use crate::support::{
    ALL, Client, Journal, Kind, MODERN, OLDEST, REVISIONS, TestApp, asked_for, names_for, redacted,
    untitled,
};

const USER: &str = "epicme://users/current";
const TAGS: &str = "epicme://tags";

fn fixed() -> [Value; 2] {
    [
        json!({
            "uri": USER, "name": "user", "title": "User", "mimeType": "application/json",
            "description": "The user whom this connection speaks for.",
        }),
        json!({
            "uri": TAGS, "name": "tags", "title": "Tags", "mimeType": "application/json",
            "description": "All of the user's tags by name, each with its id; the first 10,000 if there are more.",
        }),
    ]
}

fn templates() -> [Value; 3] {
    [
        json!({
            "uriTemplate": "epicme://tags/{id}", "name": "tag", "title": "Tag",
            "description": "One tag with its description.", "mimeType": "application/json",
        }),
        json!({
            "uriTemplate": "epicme://entries/{id}", "name": "entry", "title": "Journal Entry",
            "description": "One journal entry with its tags.", "mimeType": "application/json",
        }),
        json!({
            "uriTemplate": "epicme://exports/{id}", "name": "export", "title": "Journal Export",
            "description": "The whole journal as one document, made by the tool export_journal and kept for an hour.",
        }),
    ]
}

fn shaped(value: Value, revision: &str) -> Value {
    if revision == OLDEST {
        untitled(value)
    } else {
        value
    }
}

/// The contents of a resource as JSON.
async fn read(client: &Client<'_>, uri: &str) -> Value {
    let (result, ttl) = client
        .kept_for("resources/read", json!({ "uri": uri }))
        .await;
    assert_ne!(ttl, Some(300_000), "what may change any time is not kept");
    let contents = result["contents"].as_array().unwrap();
    assert_eq!(contents.len(), 1, "{result}");
    assert_eq!(contents[0]["uri"], uri);
    assert_eq!(contents[0]["mimeType"], "application/json");
    assert_eq!(contents[0].as_object().unwrap().len(), 3, "{result}");
    serde_json::from_str(contents[0]["text"].as_str().unwrap()).unwrap()
}

/// More tags than a page holds, made without a call for each.
async fn many_tags(app: &TestApp, journal: &Journal<'_>, count: usize) {
    journal.tag("first of all").await;
    app.database
        .execute(&format!(
            "INSERT INTO tags (user_id, name, folded_name)
             SELECT user_id, 'Tag ' || n, 'tag ' || n FROM tags, generate_series(2, {count}) n"
        ))
        .unwrap();
}

/// P-20, S-15, D-24.
#[actix_rt::test]
async fn lists_have_the_exact_shape_of_each_revision() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let walk = journal.tag("Walk").await;
    for revision in REVISIONS {
        let client = app.client(revision, &journal.token).await;
        let (list, ttl) = client.kept_for("resources/list", json!({})).await;
        let tag = json!({
            "uri": format!("epicme://tags/{walk}"), "name": "Walk", "title": "Walk",
            "mimeType": "application/json",
        });
        for resource in fixed().into_iter().chain([tag]) {
            let listed = list["resources"].as_array().unwrap();
            assert!(
                listed.contains(&shaped(resource, revision)),
                "{revision}: {list}"
            );
        }
        assert_eq!(list.as_object().unwrap().len(), 1);
        assert_eq!(ttl.unwrap_or_default(), 0);
        let (list, ttl) = client.kept_for("resources/templates/list", json!({})).await;
        for template in templates() {
            let listed = list["resourceTemplates"].as_array().unwrap();
            assert!(
                listed.contains(&shaped(template, revision)),
                "{revision}: {list}"
            );
        }
        assert_eq!(list.as_object().unwrap().len(), 1);
        assert_eq!(ttl, (revision == MODERN).then_some(300_000));
    }
}

/// P-22.
#[actix_rt::test]
async fn a_resource_says_what_the_tool_says() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let (b, a) = (journal.tag("b").await, journal.tag("A").await);
    let entry =
        json!({ "title": "Lake", "content": "\u{1f30a} \"cold\"", "mood": "calm", "tags": [a] });
    let entry = journal.done("create_entry", entry).await["entry"].clone();
    let tag = journal.done("get_tag", json!({ "id": b })).await["tag"].clone();
    let user = journal.done("whoami", json!({})).await["user"].clone();
    for revision in REVISIONS {
        let client = app.client(revision, &journal.token).await;
        let entry_uri = format!("epicme://entries/{}", entry["id"]);
        assert_eq!(read(&client, &entry_uri).await, entry);
        assert_eq!(read(&client, &format!("epicme://tags/{b}")).await, tag);
        assert_eq!(read(&client, USER).await, user);
        let tags = json!([
            { "id": a, "uri": format!("epicme://tags/{a}"), "name": "A" },
            { "id": b, "uri": format!("epicme://tags/{b}"), "name": "b" },
        ]);
        assert_eq!(read(&client, TAGS).await, tags);
    }
    let nobody = app.journal("a stranger");
    let client = app.client(MODERN, &nobody.token).await;
    assert_eq!(read(&client, TAGS).await, json!([]));
    assert_eq!(redacted(read(&client, USER).await)["subject"], "a stranger");
}

/// P-22, A-18.
#[actix_rt::test]
async fn lists_show_what_the_token_may_read() {
    let app = TestApp::spawn();
    let tag = app.journal("ann").tag("mine").await;
    let tag = format!("{TAGS}/{tag}");
    for (scope, has_tags) in [
        (ALL, true),
        ("user:read", false),
        ("tags:read", true),
        ("entries:read", false),
        ("user:read entries:read", false),
        ("entries:write tags:write", false),
    ] {
        for revision in REVISIONS {
            let token = app.token("ann", scope);
            let client = app.client(revision, &token).await;
            let (list, _) = client.kept_for("resources/list", json!({})).await;
            let listed = list["resources"].as_array().unwrap().iter();
            let uris: Vec<&str> = listed.map(|it| it["uri"].as_str().unwrap()).collect();
            let mut expected = names_for(Kind::Resource, scope);
            expected.extend(has_tags.then_some(&*tag));
            assert_eq!(uris, expected, "{scope}");
            assert!(list.get("nextCursor").is_none());
            let (list, ttl) = client.kept_for("resources/templates/list", json!({})).await;
            let listed = list["resourceTemplates"].as_array().unwrap().iter();
            let uris: Vec<&str> = listed
                .map(|it| it["uriTemplate"].as_str().unwrap())
                .collect();
            assert_eq!(uris, names_for(Kind::Template, scope), "{scope}");
            if revision == MODERN && scope != ALL {
                assert_eq!(ttl, Some(0), "a list that a step-up lengthens is not kept");
            }
        }
    }
}

#[actix_rt::test]
async fn a_hidden_resource_is_403_with_what_it_needs_whether_it_is_there_or_not() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let (tag, entry) = (journal.tag("mine").await, journal.entry("mine").await);
    for (uri, needs) in [
        (USER.to_owned(), "user:read"),
        (TAGS.to_owned(), "tags:read"),
        (format!("epicme://tags/{tag}"), "tags:read"),
        ("epicme://tags/999999".to_owned(), "tags:read"),
        (format!("epicme://entries/{entry}"), "entries:read"),
        ("epicme://entries/999999".to_owned(), "entries:read"),
    ] {
        let token = app.token("ann", "entries:write");
        for revision in REVISIONS {
            let client = app.client(revision, &token).await;
            let reply = client
                .ask("resources/read", json!({ "uri": uri }))
                .send()
                .await;
            let expected = match (revision, needs) {
                (MODERN, needs) => needs.to_owned(),
                (_, needs @ "tags:read") => format!("entries:write {needs}"),
                (_, needs) => format!("{needs} entries:write"),
            };
            assert_eq!(asked_for(&reply), expected, "{uri} {revision}");
        }
        let enough = app.token("ann", needs);
        let client = app.client(MODERN, &enough).await;
        let reply = client
            .ask("resources/read", json!({ "uri": uri }))
            .send()
            .await;
        assert_eq!(reply.status, 200, "{uri}");
    }
}

/// B-12, S-12, S-13, S-14, PF-13.
#[actix_rt::test]
async fn what_is_not_there_is_an_error_that_names_it() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("mine").await;
    let long = format!("epicme://entries/{}", "1".repeat(5_000));
    for uri in [
        "epicme://entries/999999".to_owned(),
        "epicme://tags/999999".to_owned(),
        "epicme://entries/9223372036854775807".to_owned(),
        "epicme://entries/9223372036854775808".to_owned(),
        format!("epicme://entries/0{entry}"),
        format!("epicme://entries/{entry}/"),
        format!("epicme://entries/{entry}?x"),
        format!("epicme://entries/%3{entry}"),
        "epicme://entries/-1".to_owned(),
        "epicme://entries".to_owned(),
        "epicme://users/ann".to_owned(),
        "epicme://tags/".to_owned(),
        "epicme://tags/{id}".to_owned(),
        "file:///etc/passwd".to_owned(),
        "not a uri".to_owned(),
        String::new(),
        long,
    ] {
        for revision in REVISIONS {
            let client = app.client(revision, &journal.token).await;
            let reply = client
                .ask("resources/read", json!({ "uri": uri }))
                .send()
                .await;
            let code = if revision == MODERN { -32602 } else { -32002 };
            assert_eq!(reply.error(), (200, code), "{uri}");
            let echo: String = uri.chars().take(256).collect();
            let error = json!({
                "code": code, "message": "Resource not found", "data": { "uri": echo },
            });
            assert_eq!(reply.json()["error"], error);
        }
    }
    let client = app.client(MODERN, &journal.token).await;
    let any_case = json!({ "uri": format!("EPICME://Entries/{entry}") });
    let result = client.result("resources/read", any_case).await;
    assert_eq!(
        result["contents"][0]["uri"],
        format!("epicme://entries/{entry}")
    );
    for params in [json!({}), json!({ "uri": 7 }), json!({ "uri": null })] {
        let reply = client.ask("resources/read", params).send().await;
        assert_eq!(reply.error(), (200, -32602));
    }
}

/// S-14.
#[actix_rt::test]
async fn not_yours_and_not_there_are_the_same_bytes() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let (tag, entry) = (ann.tag("secret").await, ann.entry("secret").await);
    let eve = app.journal("eve");
    for revision in REVISIONS {
        let client = app.client(revision, &eve.token).await;
        for (kind, id) in [("tags", tag), ("entries", entry)] {
            let mut replies = Vec::new();
            for id in [id, id + 1_000] {
                let uri = json!({ "uri": format!("epicme://{kind}/{id}") });
                let reply = client.ask("resources/read", uri).send().await;
                let text = reply.text().replace(&format!("/{id}\""), "/[id]\"");
                assert!(!text.contains("secret"));
                replies.push((reply.status, text));
            }
            assert_eq!(replies[0], replies[1], "{kind}");
        }
        assert_eq!(read(&client, TAGS).await, json!([]));
        let (list, _) = client.kept_for("resources/list", json!({})).await;
        let listed = list["resources"].as_array().unwrap().iter();
        let uris: Vec<&str> = listed.map(|it| it["uri"].as_str().unwrap()).collect();
        assert_eq!(uris, names_for(Kind::Resource, ALL));
    }
}

/// P-21.
#[actix_rt::test]
async fn all_tags_are_reached_page_by_page_and_read_at_once() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    many_tags(&app, &journal, 250).await;
    for revision in [MODERN, OLDEST] {
        let client = app.client(revision, &journal.token).await;
        let mut uris = Vec::new();
        let mut params = json!({});
        let mut pages = 0;
        loop {
            let (list, _) = client.kept_for("resources/list", params).await;
            let listed = list["resources"].as_array().unwrap().iter();
            uris.extend(listed.map(|resource| resource["uri"].as_str().unwrap().to_owned()));
            pages += 1;
            match list.get("nextCursor") {
                Some(cursor) => params = json!({ "cursor": cursor }),
                None => break,
            }
        }
        let fixed = names_for(Kind::Resource, ALL);
        assert_eq!(uris[..fixed.len()], fixed);
        uris.sort();
        uris.dedup();
        assert_eq!((pages, uris.len()), (2, fixed.len() + 250));
        assert_eq!(read(&client, TAGS).await.as_array().unwrap().len(), 250);
    }
}

/// P-23, SEC-03.
#[actix_rt::test]
async fn a_cursor_is_a_place_in_the_callers_own_list_and_nothing_else_is_one() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    many_tags(&app, &journal, 250).await;
    let client = app.client(MODERN, &journal.token).await;
    let (first, _) = client.kept_for("resources/list", json!({})).await;
    let cursor = &first["nextCursor"];
    for scope in ["tags:read", "user:read"] {
        let token = app.token("eve", scope);
        let stranger = app.client(MODERN, &token).await;
        let (list, _) = stranger
            .kept_for("resources/list", json!({ "cursor": cursor }))
            .await;
        assert_eq!(list, json!({ "resources": [] }));
    }
    for revision in REVISIONS {
        let client = app.client(revision, &journal.token).await;
        for bad in [json!(""), json!("x"), json!("!!"), json!(7)] {
            let params = json!({ "cursor": bad });
            let told = client.refused("resources/list", params.clone()).await;
            assert_eq!(told, "Invalid params: unknown cursor");
            client.refused("resources/templates/list", params).await;
        }
        client
            .refused("resources/templates/list", json!({ "cursor": cursor }))
            .await;
    }
}

/// T-13.
#[actix_rt::test]
async fn the_name_header_mirrors_the_uri() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let ask = |uri: &str| app.modern(&journal.token, "resources/read", json!({ "uri": uri }));
    let base64 = "=?base64?ZXBpY21lOi8vdGFncw==?=";
    assert_eq!(ask(TAGS).header("mcp-name", TAGS).send().await.status, 200);
    assert_eq!(
        ask(TAGS).header("mcp-name", base64).send().await.status,
        200
    );
    for header in [
        USER,
        "tags",
        "EPICME://tags",
        "epicme://tags/",
        "=?base64?ZXBpY21lOi8vdGFncw?=",
        "=?base64?////?=",
    ] {
        let reply = ask(TAGS).header("mcp-name", header).send().await;
        assert_eq!(reply.error(), (400, -32020), "{header}");
    }
    assert_eq!(ask(TAGS).send().await.error(), (400, -32020));
    let doubled = ask(TAGS)
        .header("mcp-name", TAGS)
        .also("mcp-name", TAGS.as_bytes());
    assert_eq!(doubled.send().await.error(), (400, -32020));
    // What the method does not name is not compared: `name` is no parameter of it.
    let both = json!({ "uri": TAGS, "name": USER });
    let both = app.modern(&journal.token, "resources/read", both);
    assert_eq!(both.clone().send().await.error(), (400, -32020));
    assert_eq!(both.header("mcp-name", TAGS).send().await.status, 200);
}
