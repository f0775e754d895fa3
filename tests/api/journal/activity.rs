//! What a user can find out about who used their journal.

use chrono::TimeDelta;
use diesel::connection::SimpleConnection;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{
    ERAS, Journal, TestApp, TestDatabase, envelope, header_lines, patiently, samples,
};

/// The lines of a user's activity, each as `client kind feature outcome ×count`, sorted.
async fn lines(journal: &Journal<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut arguments = json!({ "limit": 200 });
    loop {
        let page = journal.done("list_activity", arguments.clone()).await;
        lines.extend(page["activity"].as_array().unwrap().iter().map(|line| {
            let word = |key: &str| line[key].as_str().unwrap_or("null");
            let [client, kind, feature, outcome] =
                ["clientId", "kind", "feature", "outcome"].map(word);
            format!("{client} {kind} {feature} {outcome} ×{}", line["count"])
        }));
        match page.get("nextCursor") {
            Some(cursor) => arguments["cursor"] = cursor.clone(),
            None => break,
        }
    }
    lines.sort();
    lines
}

/// The same, without the calls by which it is found out.
async fn others(journal: &Journal<'_>) -> Vec<String> {
    let mut lines = lines(journal).await;
    lines.retain(|line| !line.contains("tool list_activity"));
    lines
}

/// Every feature of the server: a call of it is one line of the user's activity.
#[actix_rt::test]
async fn a_call_of_any_feature_is_in_the_users_activity() {
    let app = TestApp::spawn();
    for revision in ERAS {
        for (number, sample) in samples(&app).await.iter().enumerate() {
            let user = format!("ann {number} of {revision}");
            let journal = app.journal(&user);
            let rows = journal.rows("ann").await;
            let token = app.token_with(json!({ "sub": user, "client_id": "sampler" }));
            app.client(revision, &token)
                .await
                .succeed(sample, &rows)
                .await;
            let (kind, name) = (sample.feature.kind.in_activity(), &sample.feature.name);
            let mut found = lines(&journal).await;
            found.retain(|line| line.starts_with("sampler "));
            assert_eq!(
                found,
                [format!("sampler {kind} {name} done ×1")],
                "{revision}"
            );
        }
    }
}

#[actix_rt::test]
async fn a_user_sees_which_client_did_what_in_both_eras() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let entry = ann.entry("One").await;
    ann.entry("Two").await;
    ann.failed("get_entry", json!({ "id": 99 })).await;
    let narrow = app.token("ann", "user:read");
    let reply = app
        .tool(&narrow, "get_entry", &json!({ "id": entry }))
        .send()
        .await;
    assert_eq!(reply.status, 403);
    // What touches no journal is not counted.
    for method in ["tools/list", "prompts/list", "server/discover"] {
        app.modern(&ann.token, method, json!({})).send().await;
    }
    let other = app.token_with(json!({ "client_id": "other" }));
    let session = app.open(&other, "2025-11-25").await;
    let uri = format!("epicme://entries/{entry}");
    for (method, params) in [
        ("tools/call", json!({ "name": "list_tags" })),
        ("resources/read", json!({ "uri": uri })),
        ("resources/read", json!({ "uri": "epicme://tags" })),
        ("resources/list", json!({})),
        ("prompts/get", json!({ "name": "summarize_entries" })),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/resource", "uri": "epicme://entries/{id}" },
                    "argument": { "name": "id", "value": "" } }),
        ),
        ("tools/list", json!({})),
        ("ping", json!({})),
    ] {
        let reply = app.within(&session, method, params).send().await;
        reply.result();
    }
    let unnamed = app.token_with(json!({ "client_id": null }));
    app.tool(&unnamed, "whoami", &json!({})).send().await;
    assert_eq!(
        others(&ann).await,
        [
            "notebook tool create_entry done ×2",
            "notebook tool get_entry failed ×1",
            "notebook tool get_entry refused ×1",
            "null tool whoami done ×1",
            "other completion epicme://entries/{id} done ×1",
            "other list resources done ×1",
            "other prompt summarize_entries done ×1",
            "other resource epicme://entries/{id} done ×1",
            "other resource epicme://tags done ×1",
            "other tool list_tags done ×1",
        ]
    );
    // Its own last call is there at once, and counted on.
    let own = lines(&ann).await;
    assert!(own.contains(&"notebook tool list_activity done ×1".to_owned()));
}

#[actix_rt::test]
async fn a_question_and_its_refusal_are_no_write() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let id = ann.entry("Rain").await;
    let ask = app
        .tool(&ann.token, "delete_entry", &json!({ "id": id }))
        .edit(|body| {
            body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
                json!({ "elicitation": {} });
        });
    let state = ask.clone().send().await.result()["requestState"].clone();
    let again = ask.edit(|body| {
        body["id"] = json!(2);
        body["params"]["requestState"] = state;
        body["params"]["inputResponses"] = json!({ "confirm": { "action": "decline" } });
    });
    again.send().await.result();
    assert_eq!(
        others(&ann).await,
        [
            "notebook tool create_entry done ×1",
            "notebook tool delete_entry asked ×1",
            "notebook tool delete_entry declined ×1",
        ]
    );
    let found = ann.done("list_connected_clients", json!({})).await;
    assert_eq!(found["clients"][0]["writes"], 1);
}

#[actix_rt::test]
async fn the_clients_of_a_user_are_listed_with_what_they_did() {
    let app = TestApp::spawn();
    let first = app.journal("ann");
    first.entry("One").await;
    first.failed("update_entry", json!({ "id": 99 })).await;
    app.clock.advance(TimeDelta::minutes(90));
    let narrow = app.token_with(json!({ "client_id": "other", "scope": "user:read" }));
    for _ in 0..2 {
        let reply = app.tool(&narrow, "list_tags", &json!({})).send().await;
        assert_eq!(reply.status, 403);
    }
    app.clock.advance(TimeDelta::minutes(10));
    let unnamed = app.token_with(json!({ "client_id": null }));
    let ask = app.tool(&unnamed, "list_connected_clients", &json!({}));
    let result = ask.send().await.result();
    assert_eq!(result["content"][0]["text"], "Found 2 clients.");
    let expected = |own: Option<Value>| {
        let mut clients = Vec::from_iter(own);
        clients.extend([
            json!({ "clientId": "other", "firstSeenAt": "2030-07-31T13:30:00Z",
                    "lastSeenAt": "2030-07-31T13:30:00Z", "calls": 2, "writes": 0, "refusals": 2 }),
            json!({ "clientId": "notebook", "firstSeenAt": "2030-07-31T12:00:00Z",
                    "lastSeenAt": "2030-07-31T12:00:00Z", "calls": 2, "writes": 1, "refusals": 0 }),
        ]);
        json!({ "clients": clients })
    };
    assert_eq!(result["structuredContent"], expected(None));
    let ask = app.tool(&unnamed, "list_connected_clients", &json!({}));
    let result = ask.send().await.result();
    let own = json!({ "clientId": null, "firstSeenAt": "2030-07-31T13:40:00Z",
                      "lastSeenAt": "2030-07-31T13:40:00Z", "calls": 1, "writes": 0, "refusals": 0 });
    assert_eq!(result["structuredContent"], expected(Some(own)));
}

#[actix_rt::test]
async fn nobody_sees_anothers_activity() {
    let app = TestApp::spawn();
    let (ann, bob) = (app.journal("ann"), app.journal("bob"));
    ann.entry("One").await;
    assert_eq!(others(&ann).await.len(), 1);
    // Neither by the client that both use, nor by a cursor of the other's.
    let page = ann.done("list_activity", json!({ "limit": 1 })).await;
    let cursor = &page["nextCursor"];
    assert!(cursor.is_string());
    for arguments in [
        json!({}),
        json!({ "clientId": "notebook" }),
        json!({ "cursor": cursor }),
    ] {
        let theirs = bob.done("list_activity", arguments.clone()).await;
        assert!(!theirs.to_string().contains("create_entry"), "{arguments}");
    }
    let clients = bob.done("list_connected_clients", json!({})).await;
    assert_eq!(clients["clients"][0]["writes"], 0);
}

#[actix_rt::test]
async fn activity_is_paged_newest_first_and_by_client() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let user = ann.done("whoami", json!({})).await["user"]["id"].clone();
    let user = user.as_str().unwrap();
    others(&ann).await;
    app.database.execute("DELETE FROM activity").unwrap();
    app.database
        .execute(&format!(
            "INSERT INTO activity (user_id, client, kind, feature, outcome, hour, writes, count, first_at, last_at)
             SELECT '{user}', 'client ' || n % 2, 'tool', 'get_entry', 'done', at, false, n, at, at + n % 3 * interval '1 minute'
               FROM (SELECT n, timestamptz '2030-07-01T00:00:00Z' + n * interval '1 hour' AS at FROM generate_series(1, 250) n) AS hours"
        ))
        .unwrap();
    let of_seeds = |page: &Value| -> Vec<i64> {
        let lines = page["activity"].as_array().unwrap().iter();
        lines
            .filter(|line| line["feature"] == "get_entry")
            .map(|line| line["count"].as_i64().unwrap())
            .collect()
    };
    for (filter, expected) in [
        (json!({}), (1..=250).rev().collect::<Vec<_>>()),
        (
            json!({ "clientId": "client 1" }),
            (1..=250).rev().filter(|n| n % 2 == 1).collect(),
        ),
        (json!({ "clientId": "nobody" }), vec![]),
    ] {
        for limit in [7, 200] {
            let mut arguments = filter.clone();
            arguments["limit"] = limit.into();
            let mut found = Vec::new();
            loop {
                let page = ann.done("list_activity", arguments.clone()).await;
                assert!(page["activity"].as_array().unwrap().len() <= limit);
                found.extend(of_seeds(&page));
                match page.get("nextCursor") {
                    Some(cursor) => arguments["cursor"] = cursor.clone(),
                    None => break,
                }
            }
            assert_eq!(found, expected, "{filter} by {limit}");
        }
    }
    let page = ann.done("list_activity", json!({})).await;
    assert_eq!(page["activity"].as_array().unwrap().len(), 50);
}

#[actix_rt::test]
async fn no_client_adds_names_to_what_is_kept() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    for n in 0..20 {
        let name = format!("zq3-{n}");
        let uri = format!("epicme://{name}");
        for (method, params) in [
            ("tools/call", json!({ "name": name })),
            ("prompts/get", json!({ "name": name })),
            ("resources/read", json!({ "uri": uri })),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/prompt", "name": name },
                        "argument": { "name": "x", "value": "" } }),
            ),
        ] {
            let ask = app.modern(&ann.token, method, params);
            let ask = match method {
                "resources/read" => ask.header("mcp-name", &uri),
                _ => ask,
            };
            assert_eq!(ask.send().await.error().1, -32602);
        }
        // Those of one template are one.
        let uri = format!("epicme://entries/{}", n + 1);
        app.modern(&ann.token, "resources/read", json!({ "uri": uri }))
            .header("mcp-name", &uri)
            .send()
            .await;
    }
    assert_eq!(
        others(&ann).await,
        ["notebook resource epicme://entries/{id} failed ×20"]
    );
}

#[actix_rt::test]
async fn more_than_two_hundred_clients_within_an_hour_are_counted_under_one_name() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    ann.done("whoami", json!({})).await;
    for n in 0..201 {
        let token = app.token_with(json!({ "client_id": format!("client-{n:03}") }));
        app.tool(&token, "whoami", &json!({})).send().await;
    }
    let found = others(&ann).await;
    assert_eq!(found.len(), 201);
    assert!(found.contains(&"client-198 tool whoami done ×1".to_owned()));
    assert!(found.contains(&"… tool whoami done ×2".to_owned()));
    // A list of clients has two hundred at most.
    let clients = ann.done("list_connected_clients", json!({})).await;
    assert_eq!(clients["clients"].as_array().unwrap().len(), 200);
}

#[actix_rt::test]
async fn what_was_counted_survives_a_database_that_goes_away() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    ann.entry("One").await;
    let url = app.database.url.expose_secret();
    let name = url.rsplit('/').next().unwrap();
    let elsewhere = TestDatabase::new();
    let allow = |yes: bool| {
        let sql = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {yes}");
        elsewhere.execute(&sql).unwrap();
    };
    allow(false);
    let cut =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    elsewhere.execute(&cut).unwrap();
    for _ in 0..5 {
        ann.done("whoami", json!({})).await;
    }
    let arguments = json!({});
    let ask = || app.tool(&ann.token, "list_activity", &arguments).send();
    // It is tried, and fails, and nothing is lost.
    assert_eq!(ask().await.status, 503);
    allow(true);
    for attempt in 0.. {
        if ask().await.status == 200 {
            break;
        }
        assert!(attempt < 10, "it recovers");
    }
    let found = others(&ann).await;
    assert!(
        found.contains(&"notebook tool whoami done ×5".to_owned()),
        "{found:?}"
    );
    assert!(
        found.contains(&"notebook tool create_entry done ×1".to_owned()),
        "{found:?}"
    );
}

#[actix_rt::test]
async fn what_was_counted_is_written_down_when_the_server_stops() {
    let database = TestDatabase::new();
    let url = database.url.clone();
    let app = TestApp::spawn_with(|config| config.database.url = url);
    app.journal("ann").done("whoami", json!({})).await;
    drop(app);
    assert_eq!(database.count("activity WHERE feature = 'whoami'"), 1);
}

#[actix_rt::test]
async fn what_was_counted_is_written_down_by_itself() {
    let app = TestApp::spawn();
    app.journal("ann").done("whoami", json!({})).await;
    let mut connection = app.database.connect();
    let found = "SET statement_timeout = '90s'; DO $$ BEGIN \
        WHILE NOT EXISTS (SELECT FROM activity) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$";
    connection.batch_execute(found).unwrap();
}

#[actix_rt::test]
async fn a_call_whose_client_leaves_is_told_apart() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    ann.entry("One").await;
    let mut blocker = app.database.connect();
    blocker
        .batch_execute("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "_meta": envelope(), "name": "list_entries", "arguments": {},
    } })
    .to_string();
    let mut wire = app.wire();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\n{}mcp-protocol-version: 2026-07-28\r\n\
         mcp-method: tools/call\r\nmcp-name: list_entries\r\ncontent-length: {}\r\n\r\n{body}",
        header_lines(&ann.token),
        body.len()
    ));
    let waits = "DO $$ BEGIN \
        WHILE NOT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database \
        WHERE NOT granted AND datname = current_database()) \
        LOOP PERFORM pg_sleep(0.01); END LOOP; END $$";
    app.database.connect().batch_execute(waits).unwrap();
    wire.cut();
    let cancelled = "notebook tool list_entries cancelled ×1".to_owned();
    let told = async { while !others(&ann).await.contains(&cancelled) {} };
    patiently(told).await;
    blocker.batch_execute("COMMIT").unwrap();
}
