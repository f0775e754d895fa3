//! What an attacker would try who is a user, or has a token that reaches less far than another of the
//! same user, or who can say anything at all.

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    ALL, Answer, Ask, Session, TestApp, entry_question, is_there, lines_with, yes,
};

/// The same session, by another token of its owner's.
fn under(session: &Session, token: String) -> Session {
    Session {
        token,
        ..session.clone()
    }
}

/// A legacy answer to a question.
fn answer<'a>(app: &'a TestApp, session: &Session, question: &Value) -> Ask<'a> {
    let answer = json!({ "jsonrpc": "2.0", "id": question, "result": yes() });
    app.within(session, "", json!({})).body(answer.to_string())
}

/// SEC-13.
#[actix_rt::test]
async fn who_may_not_do_it_does_not_confirm_it_either() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].stale = std::time::Duration::from_secs(300);
    });
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let capabilities = json!({ "elicitation": {} });
    let session = app
        .open_with(&journal.token, "2025-06-18", capabilities)
        .await;
    let params = json!({ "name": "delete_entry", "arguments": { "id": entry } });
    let mut stream = app.within(&session, "tools/call", params).listen().await;
    let (_, question) = stream.message().await;
    assert_eq!(question["params"], entry_question(entry, "Rain")["params"]);
    let id = &question["id"];

    // A token of the same user and client that only reads.
    let narrow = under(&session, app.token("ann", "entries:read"));
    let reply = answer(&app, &narrow, id).send().await;
    assert_eq!(reply.error(), (403, -32600));
    assert_eq!(reply.json().get("id"), None, "it is no answer to a request");

    // The same token, while its issuer cannot be asked: it may read on, and no more.
    app.clock.advance(TimeDelta::seconds(61));
    app.issuer.answer(&journal.token, Answer::text(404, "{}"));
    let reply = answer(&app, &session, id).send().await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(is_there(&journal, entry).await);

    // The question is open all the while.
    let wide = under(&session, app.token("ann", ALL));
    assert_eq!(answer(&app, &wide, id).send().await.status, 202);
    let (_, response) = stream.message().await;
    assert_eq!(response["result"]["structuredContent"]["success"], true);
}

/// SEC-04.
#[actix_rt::test]
async fn what_was_said_to_one_token_is_not_said_again_to_one_that_reaches_less_far() {
    let app = TestApp::spawn();
    let capabilities = json!({ "sampling": {} });
    let token = app.token("ann", ALL);
    let session = app.open_with(&token, "2025-11-25", capabilities).await;
    let mut stream = app.session_stream(&session).listen().await;
    let first = stream.next().await.unwrap();
    assert!(first.starts_with("id: s0-0\n"), "{first}");
    let arguments = json!({ "title": "Rain", "content": "What happened." });
    let params = json!({ "name": "create_entry", "arguments": arguments });
    let call = app.within(&session, "tools/call", params);
    assert_eq!(call.send().await.status, 200);
    let (_, question) = stream.message().await;
    assert_eq!(question["method"], "sampling/createMessage");
    drop(stream);

    let narrow = under(&session, app.token("ann", "user:read"));
    let resumed = app.session_stream(&narrow).header("last-event-id", "s0-0");
    assert_eq!(resumed.send().await.error(), (400, -32600));
    // Nor by way of a stream of its own.
    let own = app.session_stream(&narrow).listen().await;
    let resumed = app.session_stream(&narrow).header("last-event-id", "s0-0");
    assert_eq!(resumed.send().await.error(), (400, -32600));
    drop(own);
    // Who was told may hear it again.
    let mut resumed = app
        .session_stream(&session)
        .header("last-event-id", "s0-0")
        .listen()
        .await;
    assert_eq!(resumed.message().await.1, question);
}

#[actix_rt::test]
async fn who_is_refused_a_stream_takes_nothing_from_who_has_it() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let session = app.open(&journal.token, "2025-06-18").await;
    let uri = json!({ "uri": format!("epicme://entries/{entry}") });
    let ask = app.within(&session, "resources/subscribe", uri.clone());
    assert_eq!(ask.send().await.result(), json!({}));
    let mut stream = app.session_stream(&session).listen().await;
    let narrow = under(&session, app.token("ann", "user:read"));
    for event in ["s0-0", "s0-7", "nonsense"] {
        let ask = app.session_stream(&narrow).header("last-event-id", event);
        assert_eq!(ask.send().await.error(), (400, -32600), "{event}");
    }
    let change = json!({ "id": entry, "title": "Snow" });
    journal.done("update_entry", change).await;
    let (_, told) = stream.message().await;
    assert_eq!(told["method"], "notifications/resources/updated");
    assert_eq!(told["params"], uri);
}

/// Two readers of one request must not see two requests: what the scopes are told from and what is done.
#[actix_rt::test]
async fn no_way_of_writing_an_argument_leads_around_the_scope_that_it_needs() {
    let app = TestApp::spawn();
    let tag = app.journal("ann").tag("Walk").await;
    let token = app.token("ann", "entries:write");
    let base = "\"title\":\"t\",\"content\":\"c\"";
    for arguments in [
        format!("{{{base},\"tags\":[{tag}]}}"),
        format!("{{{base},\"t\\u0061gs\":[{tag}]}}"),
        format!("{{{base},\"tags\":[{tag}],\"tags\":null}}"),
        format!("{{{base},\"tags\":null,\"tags\":[{tag}]}}"),
        format!("{{{base},\"tags\":[{tag}],\"t\\u0061gs\":null}}"),
        format!("{{{base},\"tags\":[{tag}],\"x\":1e999}}"),
        format!(
            "{{{base},\"tags\":[{tag}],\"x\":{}}}",
            "[".repeat(200) + &"]".repeat(200)
        ),
        format!("{{{base},\"tags\":[{tag}],\"mood\":\"\\ud800\"}}"),
        format!("{{{base},\"Tags\":[{tag}]}}"),
        format!("{{{base},\"tags \":[{tag}]}}"),
        format!("{{{base},\"__proto__\":{{\"tags\":[{tag}]}}}}"),
        format!("{{{base},\"tags\":{{\"0\":{tag}}}}}"),
        format!("[\"t\",\"c\",[{tag}]]"),
        format!("{{{base}}},\"arguments\":{{{base},\"tags\":[{tag}]}}"),
    ] {
        let reply = app
            .tool(&token, "create_entry", &json!({ "here": 1 }))
            .edit_text(|body| *body = body.replace("{\"here\":1}", &arguments))
            .send()
            .await;
        let refused = reply.status != 200
            || reply.json().get("error").is_some()
            || reply.json()["result"]["isError"] == true;
        assert!(refused, "{arguments}: {}", reply.text());
        assert_eq!(app.database.count("entries"), 0, "{arguments}");
    }
    // Names that mean something to other languages mean nothing here.
    for name in ["__proto__", "constructor", "toString", "hasOwnProperty"] {
        let reply = app.tool(&token, name, &json!({})).send().await;
        assert_eq!(reply.error(), (200, -32602), "{name}");
    }
    let arguments = json!({ "title": "t", "content": "c" });
    let reply = app.tool(&token, "create_entry", &arguments).send().await;
    assert_eq!(reply.status, 200, "without a tag it may");
}

#[actix_rt::test]
async fn a_name_that_only_looks_the_same_is_another() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    // The header by which a gateway may have let it pass, and the name that the body calls: composed
    // and decomposed, wide and narrow, Cyrillic and Latin, encoded and not.
    for (header, name) in [
        ("=?base64?Y2Fmw6k=?=", "cafe\u{301}"),
        ("=?base64?d2hvYW1p?= ", "wh\u{43e}ami"),
        ("=?base64?772XaG9hbWk=?=", "whoami"),
        ("whoami%20", "whoami"),
        ("WHOAMI", "whoami"),
        ("=?BASE64?d2hvYW1p?=", "whoami"),
        ("=?base64?=?base64?d2hvYW1p?=?=", "whoami"),
        ("=?base64?d2hvYW1pAA==?=", "whoami"),
    ] {
        let reply = app
            .tool(&token, name, &json!({}))
            .header("mcp-name", header)
            .send()
            .await;
        assert_eq!(reply.error(), (400, -32020), "{header} {name}");
    }
}

#[actix_rt::test]
async fn no_answer_repeats_more_than_a_little_of_what_was_sent() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-06-18").await;
    let long = "zx".repeat(200_000);
    let modern = |method: &str, params: Value| {
        app.modern(&token, method, params)
            .without("mcp-name")
            .header("x-what", method)
    };
    let mut asks = Vec::new();
    for (method, params) in [
        ("tools/call", json!({ "name": long })),
        (
            "tools/call",
            json!({ "name": "whoami", "arguments": { &long: 1 } }),
        ),
        (
            "tools/call",
            json!({ "name": "get_entry", "arguments": { "id": long } }),
        ),
        (
            "tools/call",
            json!({ "name": "list_entries", "arguments": { "cursor": long, "timeZone": long } }),
        ),
        ("tools/list", json!({ "cursor": long })),
        ("prompts/get", json!({ "name": long })),
        (
            "prompts/get",
            json!({ "name": "suggest_tags", "arguments": { &long: "1" } }),
        ),
        ("resources/read", json!({ "uri": long })),
        (
            "resources/read",
            json!({ "uri": format!("epicme://entries/{long}") }),
        ),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": long }, "argument": { "name": "x", "value": "" } }),
        ),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "suggest_tags" }, "argument": { "name": long, "value": "" } }),
        ),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "suggest_tags" }, "argument": { "name": "entryId", "value": long } }),
        ),
        (
            "completion/complete",
            json!({ "ref": { "type": long }, "argument": { "name": "x", "value": "" } }),
        ),
    ] {
        let legacy = app.within(&session, method, params.clone());
        asks.push((format!("legacy {method}"), legacy));
        // The name would not fit into a header; what does not agree is told before it is looked at.
        asks.push((format!("modern {method}"), modern(method, params)));
    }
    asks.push((
        "an unknown version".to_owned(),
        modern("tools/list", json!({})).edit(|body| {
            body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] =
                long.clone().into();
        }),
    ));
    asks.push((
        "another unknown version".to_owned(),
        app.initialize(&token, &long),
    ));
    for (method, params) in [
        ("logging/setLevel", json!({ "level": long })),
        ("resources/subscribe", json!({ "uri": long })),
        (&long, json!({})),
    ] {
        let what: String = method.chars().take(20).collect();
        asks.push((what, app.within(&session, method, params)));
    }
    for (what, ask) in asks {
        let reply = ask.send().await;
        assert!(
            reply.body.len() < 4_096,
            "{what}: {} bytes",
            reply.body.len()
        );
    }
}

/// What proxies say of others, and what frameworks elsewhere believe.
const FORGED: [(&str, &str); 14] = [
    ("forwarded", "for=127.0.0.1;host=evil.example;proto=http"),
    ("x-forwarded-for", "127.0.0.1"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-user", "bob"),
    ("x-remote-user", "bob"),
    ("x-auth-request-user", "bob"),
    ("x-original-url", "/healthcheck"),
    ("x-rewrite-url", "/healthcheck"),
    ("x-http-method-override", "DELETE"),
    ("x-request-id", "zqa-forged-request"),
    (
        "x-amzn-oidc-data",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJib2IifQ.",
    ),
    ("cookie", "session=bob; access_token=bob"),
    ("proxy-authorization", "Bearer bob"),
];

#[actix_rt::test]
async fn what_a_header_says_of_the_request_or_its_user_is_not_believed() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let whoami = || app.tool(&token, "whoami", &json!({}));
    for ask in [whoami(), whoami().without("authorization")] {
        let plain = ask.clone().send().await;
        for (name, value) in FORGED {
            let reply = ask.clone().header(name, value).send().await;
            assert_eq!(reply.shown(), plain.shown(), "{name}");
        }
    }
    assert_eq!(lines_with("zqa-forged"), [""; 0]);
    assert_eq!(lines_with("evil.example").len(), 0);
}

/// What differs for a stranger between a session that is there and one that never was: nothing.
#[actix_rt::test]
async fn no_method_tells_a_stranger_that_a_session_is_there() {
    let app = TestApp::spawn();
    let ann = app.open(&app.token("ann", ALL), "2025-11-25").await;
    let bob = app.token("bob", ALL);
    let there = under(&ann, bob.clone());
    let never = Session {
        id: "A".repeat(32),
        ..there.clone()
    };
    for method in [
        "GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH", "TRACE",
    ] {
        let asked = |session: &Session| {
            let ask = app.within(session, "tools/list", json!({})).method(method);
            if matches!(method, "GET" | "HEAD") {
                ask.header("accept", "text/event-stream")
            } else {
                ask
            }
        };
        let (foreign, unknown) = (asked(&there).send().await, asked(&never).send().await);
        assert_eq!(foreign.shown(), unknown.shown(), "{method}");
        assert_eq!(
            foreign.status,
            match method {
                "GET" | "HEAD" | "POST" | "DELETE" => 404,
                "OPTIONS" => 204,
                _ => 405,
            },
            "{method}"
        );
    }
    // It is there all the while.
    let reply = app.within(&ann, "tools/list", json!({})).send().await;
    assert_eq!(reply.status, 200);
}

#[actix_rt::test]
async fn a_page_whose_origin_is_hidden_is_let_in_nowhere() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for method in ["OPTIONS", "POST", "GET", "DELETE"] {
        let reply = app
            .tool(&token, "whoami", &json!({}))
            .method(method)
            .header("origin", "null")
            .header("access-control-request-method", "POST")
            .send()
            .await;
        assert_eq!(reply.status, 403, "{method}");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    assert_eq!(app.issuer.calls(), 0, "nobody was asked about the token");
}

/// While an issuer cannot be asked, a token may read on where the operator says so; and nothing that
/// writes passes for a read, alone or among reads.
#[actix_rt::test]
async fn in_an_outage_no_write_passes_for_a_read() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].stale = std::time::Duration::from_secs(300);
    });
    let ann = app.journal("ann");
    let (entry, tag) = (ann.entry("Rain").await, ann.tag("rain").await);
    let session = app.open(&ann.token, "2025-03-26").await;
    app.clock.advance(TimeDelta::seconds(61));
    app.issuer.answer(&ann.token, Answer::text(404, "{}"));
    for (tool, arguments) in [
        ("create_entry", json!({ "title": "t", "content": "c" })),
        (
            "create_entry",
            json!({ "title": "t", "content": "c", "tags": [tag] }),
        ),
        ("update_entry", json!({ "id": entry, "title": "other" })),
        ("delete_entry", json!({ "id": entry })),
        ("create_tag", json!({ "name": "t" })),
        ("update_tag", json!({ "id": tag, "name": "other" })),
        ("delete_tag", json!({ "id": tag })),
        (
            "add_tag_to_entry",
            json!({ "entryId": entry, "tagId": tag }),
        ),
        (
            "remove_tag_from_entry",
            json!({ "entryId": entry, "tagId": tag }),
        ),
    ] {
        let call = json!({ "name": tool, "arguments": arguments });
        let batch = json!([
            { "jsonrpc": "2.0", "id": 1, "method": "tools/list" },
            { "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call },
        ]);
        for ask in [
            app.tool(&ann.token, tool, &arguments),
            app.within(&session, "tools/call", call.clone()),
            app.within(&session, "", json!({})).body(batch.to_string()),
        ] {
            let reply = ask.send().await;
            assert_eq!(reply.status, 503, "{tool}: {}", reply.text());
        }
    }
    let kept = ann.done("get_entry", json!({ "id": entry })).await;
    assert_eq!(
        (&kept["entry"]["title"], &kept["entry"]["tags"]),
        (&json!("Rain"), &json!([]))
    );
    let counts = ["entries", "tags", "entry_tags"].map(|table| app.database.count(table));
    assert_eq!(counts, [1, 1, 0]);
}

#[actix_rt::test]
async fn who_is_first_is_one_user_however_many_come_at_once() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let writes = (0..16).map(|i| {
        let arguments = json!({ "title": format!("{i}"), "content": "c" });
        let ask = app.tool(&ann.token, "create_entry", &arguments);
        async move { ask.send().await.status }
    });
    assert_eq!(join_all(writes).await, [200; 16]);
    assert_eq!(
        (app.database.count("users"), app.database.count("entries")),
        (1, 16)
    );
}

#[actix_rt::test]
async fn of_many_who_delete_at_once_one_has_deleted() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let entry = ann.entry("Rain").await;
    let deletions = (0..16).map(|_| {
        let ask = app.tool(&ann.token, "delete_entry", &json!({ "id": entry }));
        async move { ask.send().await.result()["structuredContent"]["success"] == true }
    });
    let deleted = join_all(deletions).await;
    assert_eq!(deleted.into_iter().filter(|deleted| *deleted).count(), 1);
}
