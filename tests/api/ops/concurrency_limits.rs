//! What there is at most of, and for how long, and what a client hears that wants more. Bounds that
//! stand beside the subject they belong to are in its file.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use futures_util::{
    StreamExt,
    future::{Either, join, join_all, select},
    stream::FuturesUnordered,
};
use mcp_protocol::{
    answer::{Content, PromptOutput, ToolOutput},
    outgoing::{ClientCapability, ServerRequest},
};
use mcp_server::features::{catalogue::Features, prompt::DeclaredPrompt, tool::DeclaredTool};
use rmcp::model;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{ALL, Answer, Ask, Events, Reply, Session, TestApp, asked_about, patiently};

/// A session of a client that shows forms.
async fn asking(app: &TestApp) -> Session {
    let capabilities = json!({ "elicitation": {}, "sampling": {} });
    app.open_with(&app.token("ann", ALL), "2025-06-18", capabilities)
        .await
}

/// A call within a session, under an id of its own.
fn call<'a>(app: &'a TestApp, session: &Session, id: i64, tool: &str, arguments: Value) -> Ask<'a> {
    let params = json!({ "name": tool, "arguments": arguments });
    app.within(session, "tools/call", params)
        .edit(|body| body["id"] = id.into())
}

/// The stream of a call that asks, and the id of the question.
async fn asked(ask: Ask<'_>) -> (Events, Value) {
    let mut stream = ask.listen().await;
    let (_, question) = stream.message().await;
    assert_eq!(question["method"], "elicitation/create");
    (stream, question["id"].clone())
}

fn yes(question: &Value) -> Value {
    let answer = json!({ "action": "accept", "content": { "confirmed": true } });
    json!({ "jsonrpc": "2.0", "id": question, "result": answer })
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

/// B-17, E-05.
#[actix_rt::test]
async fn a_question_has_five_minutes_and_then_its_call_ends_and_its_place_is_free() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let (rain, sun) = (journal.entry("Rain").await, journal.entry("Sun").await);
    let session = asking(&app).await;
    let delete = |id, entry| call(&app, &session, id, "delete_entry", json!({ "id": entry }));
    let mut early = Vec::new();
    for id in 1..=15 {
        early.push(asked(delete(id, rain)).await);
    }
    app.clock.advance(TimeDelta::seconds(1));
    let (mut late, late_question) = asked(delete(16, sun)).await;
    assert!(text(&delete(17, rain).send().await.result()).contains("too many questions"));
    app.clock.advance(TimeDelta::seconds(299));
    for (stream, question) in &mut early {
        let (_, response) = stream.message().await;
        assert_eq!(response["result"]["structuredContent"]["success"], false);
        assert_eq!(
            text(&response["result"]),
            format!("Entry {rain} was not deleted: the user did not confirm it.")
        );
        assert_eq!(stream.next().await, None);
        // A change of mind comes too late.
        app.tell(&session, yes(question)).await;
    }
    // Fifteen places are free, and one is not.
    let mut again = Vec::new();
    for id in 1..=15 {
        again.push(asked(delete(id, rain)).await);
    }
    assert!(text(&delete(17, rain).send().await.result()).contains("too many questions"));
    app.tell(&session, yes(&late_question)).await;
    let (_, response) = late.message().await;
    assert_eq!(response["result"]["structuredContent"]["success"], true);
    journal.done("get_entry", json!({ "id": rain })).await;
}

#[actix_rt::test]
async fn what_cannot_be_asked_any_more_says_so_and_does_nothing() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let (entry, tag) = (journal.entry("Rain").await, journal.tag("rain").await);
    let session = asking(&app).await;
    let level = json!({ "level": "debug" });
    let ask = app.within(&session, "logging/setLevel", level);
    ask.send().await.result();
    let mut general = app.session_stream(&session).listen().await;
    let mut open = Vec::new();
    for id in 1..=16 {
        open.push(asked(call(&app, &session, id, "delete_tag", json!({ "id": tag }))).await);
    }
    for (tool, id, what) in [("delete_entry", entry, "Entry"), ("delete_tag", tag, "Tag")] {
        let reply = call(&app, &session, 20, tool, json!({ "id": id }))
            .send()
            .await;
        let result = reply.result();
        assert_eq!(result["structuredContent"]["success"], false);
        assert_eq!(
            text(&result),
            format!(
                "{what} {id} was not deleted: the user was not asked, because too many questions to them \
                 are open in this session; call again when one of them has been answered."
            )
        );
        journal
            .done(&tool.replace("delete", "get"), json!({ "id": id }))
            .await;
    }
    // Nor is the client's model asked.
    let arguments = json!({ "title": "Sun", "content": "It shone." });
    let written = call(&app, &session, 20, "create_entry", arguments);
    assert!(written.send().await.result().get("isError").is_none());
    let (_, told) = general.message().await;
    assert_eq!(
        told["params"]["data"]["message"],
        "No tags suggested: too many questions to the client are open in this session"
    );
}

fn question() -> ServerRequest {
    ServerRequest {
        needs: ClientCapability::ElicitForm,
        method: "elicitation/create",
        params: json!({ "message": "Who?", "requestedSchema": { "type": "object", "properties": {} } }),
    }
}

fn done() -> ToolOutput {
    ToolOutput {
        content: vec![Content::text("Done.")],
        structured: None,
    }
}

fn tool(name: &'static str) -> model::Tool {
    let schema = json!({ "type": "object" });
    model::Tool::new(name, name, Arc::new(schema.as_object().unwrap().clone()))
}

/// Calls of the tool `hold` that have begun, and how many of them may end.
struct Held {
    begun: Semaphore,
    may_end: Semaphore,
}

/// A server with a tool that ends when it is let, and a tool and a prompt that ask.
fn holding() -> (TestApp, Arc<Held>) {
    let held = Arc::new(Held {
        begun: Semaphore::new(0),
        may_end: Semaphore::new(0),
    });
    let hold = DeclaredTool::raw(tool("hold"), &[], {
        let held = Arc::clone(&held);
        move |_, _| {
            let held = Arc::clone(&held);
            async move {
                held.begun.add_permits(1);
                held.may_end.acquire().await.unwrap().forget();
                Ok(done())
            }
        }
    });
    let asks = DeclaredTool::raw(tool("asks"), &[], |context, _| async move {
        context
            .conversation()
            .ask([("who", question())], "")
            .await?;
        Ok(done())
    });
    let prompt = DeclaredPrompt::raw(
        model::Prompt::new("asks", Some("Asks."), None),
        &[],
        |context, _| async move {
            context
                .conversation()
                .ask([("who", question())], "")
                .await?;
            Ok(PromptOutput {
                description: "Asks.".into(),
                messages: Vec::new(),
            })
        },
    );
    let app = TestApp::serving(Features {
        tools: vec![hold, asks],
        prompts: vec![prompt],
        resources: Vec::new(),
        templates: Vec::new(),
    });
    (app, held)
}

#[actix_rt::test]
async fn a_feature_that_cannot_ask_any_more_ends_with_words_for_it() {
    let (app, _) = holding();
    let session = asking(&app).await;
    let mut open = Vec::new();
    for id in 1..=16 {
        open.push(asked(call(&app, &session, id, "asks", json!({}))).await);
    }
    let words = "Too many questions to the client are open in this session; \
                 call again when one of them has been answered.";
    let result = call(&app, &session, 20, "asks", json!({}))
        .send()
        .await
        .result();
    assert_eq!((text(&result), &result["isError"]), (words, &json!(true)));
    let prompt = app.within(&session, "prompts/get", json!({ "name": "asks" }));
    let prompt = prompt.edit(|body| body["id"] = json!(20));
    let reply = prompt.send().await;
    assert_eq!(reply.error(), (400, -32600));
    assert_eq!(reply.json()["error"]["message"], words);
}

fn assert_busy(reply: &Reply) {
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("1")),
        "{}",
        reply.text()
    );
}

#[actix_rt::test]
async fn thirty_two_calls_of_a_session_are_under_way_at_once() {
    let (app, held) = holding();
    let session = asking(&app).await;
    let calls = (1..=32).map(|id| call(&app, &session, id, "hold", json!({})).send());
    let one_more = async {
        held.begun.acquire_many(32).await.unwrap().forget();
        let one_more = call(&app, &session, 33, "hold", json!({})).send();
        assert_busy(&patiently(one_more).await);
        // Other sessions have places of their own.
        let ping = app.within(&asking(&app).await, "ping", json!({}));
        ping.send().await.result();
        held.may_end.add_permits(33);
    };
    let (replies, ()) = patiently(join(join_all(calls), one_more)).await;
    for reply in replies {
        assert_eq!(text(&reply.result()), "Done.");
    }
    let reply = call(&app, &session, 33, "hold", json!({})).send().await;
    assert_eq!(text(&reply.result()), "Done.");
}

#[actix_rt::test]
async fn eight_batches_of_a_session_are_under_way_at_once_though_their_clients_leave() {
    let (app, held) = holding();
    let session = app.open(&app.token("ann", ALL), "2025-03-26").await;
    let batch = |id: i64| {
        let params = json!({ "name": "hold", "arguments": {} });
        let request =
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        let ask = app.within(&session, "", json!({}));
        ask.body(json!([request]).to_string()).send()
    };
    let batches = Box::pin(join_all((1..=8).map(batch)));
    let begun = pin!(held.begun.acquire_many(8));
    let Either::Right((begun, batches)) = patiently(select(batches, begun)).await else {
        panic!("none of them may end");
    };
    begun.unwrap().forget();
    drop(batches);
    let ping = app.within(&session, "ping", json!({}));
    let ping = ping.edit(|body| body["id"] = json!(20));
    ping.send().await.result();
    assert_busy(&patiently(batch(9)).await);
    // One that ends makes place for another.
    held.may_end.add_permits(1);
    let another = async { while batch(9).await.status == 503 {} };
    let begun = async {
        held.begun.acquire().await.unwrap().forget();
        held.may_end.add_permits(8);
    };
    patiently(join(another, begun)).await;
}

#[actix_rt::test]
async fn four_messages_of_a_batch_are_under_way_at_once() {
    let (app, held) = holding();
    let session = app.open(&app.token("ann", ALL), "2025-03-26").await;
    let messages: Vec<_> = (1..=6)
        .map(|id| {
            let params = json!({ "name": "hold", "arguments": {} });
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
        })
        .collect();
    let ask = app.within(&session, "", json!({}));
    let batch = ask.body(json!(messages).to_string()).send();
    let others = async {
        held.begun.acquire_many(4).await.unwrap().forget();
        let ping = app.within(&session, "ping", json!({}));
        ping.edit(|body| body["id"] = json!(20))
            .send()
            .await
            .result();
        assert_eq!(held.begun.available_permits(), 0);
        held.may_end.add_permits(6);
    };
    let (reply, ()) = patiently(join(batch, others)).await;
    assert_eq!(reply.json().as_array().unwrap().len(), 6);
}

#[actix_rt::test]
async fn two_hundred_and_fifty_six_introspections_are_under_way_at_once() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].timeout = Duration::from_secs(60);
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let tokens = Vec::from_iter((0..300).map(|n: i64| {
        let usual = app.usual(json!({ "sub": n.to_string() }));
        (app.token_for(usual.clone()), usual)
    }));
    // Each source has 60 of them: fewer than its share.
    let ask = |n: usize| {
        let ask = app.modern(&tokens[n].0, "tools/list", json!({}));
        let source = format!("203.0.113.{}", n / 60);
        ask.header("x-forwarded-for", &source).send()
    };
    // A quarter is for tokens that were good before.
    for reply in patiently(join_all((0..80).map(ask))).await {
        reply.result();
    }
    app.clock.advance(TimeDelta::seconds(61));
    for (token, usual) in &tokens {
        app.issuer
            .answer(token, Answer::Hang(Box::new(usual.clone())));
    }
    let before = app.issuer.calls();
    let mut waiting: FuturesUnordered<_> = (80..300).map(ask).collect();
    asked_about(&app, &mut waiting, before + 192).await;
    waiting.extend((0..80).map(ask));
    asked_about(&app, &mut waiting, before + 256).await;
    // The others wait for their turn.
    assert_eq!(app.issuer.calls(), before + 256);
    app.issuer.release();
    let rest: Vec<Reply> = patiently(waiting.collect()).await;
    assert_eq!((rest.len(), app.issuer.calls()), (300, before + 300));
    for reply in rest {
        reply.result();
    }
}

/// SEC-11.
#[actix_rt::test]
async fn no_client_of_a_user_ends_a_session_of_another_client() {
    let app = TestApp::spawn_with(|config| {
        config.sessions.as_mut().unwrap().per_user = 2.try_into().unwrap();
    });
    let of = |client: &str| app.token_with(json!({ "client_id": client }));
    let notebook = app.open(&of("notebook"), "2025-11-25").await;
    app.clock.advance(TimeDelta::seconds(1));
    for client in 0..4 {
        // However many each opens: the others are its own.
        for _ in 0..5 {
            app.open(&of(&format!("hostile-{client}")), "2025-11-25")
                .await;
        }
    }
    let ping = || app.within(&notebook, "ping", json!({}));
    assert_eq!(ping().send().await.status, 200);
    // With all clients together the user may have five times as many.
    app.open(&of("another"), "2025-11-25").await;
    let one_more = app.initialize(&of("one more"), "2025-11-25").send().await;
    assert_eq!(one_more.status, 503);
    assert_eq!(ping().send().await.status, 200);
    app.open(&app.token("bob", ALL), "2025-11-25").await;
}

#[actix_rt::test]
async fn what_does_not_come_is_not_waited_for() {
    let app = TestApp::spawn();
    for (part, status) in [
        // A body that nobody wants.
        (
            "POST /mcp HTTP/1.1\r\nhost: journal.example\r\ncontent-length: 100\r\n\r\n{"
                .to_owned(),
            401,
        ),
        // A head that is longer than the 128 KiB that actix reads.
        (
            format!(
                "GET / HTTP/1.1\r\nhost: journal.example\r\nx: {}",
                "x".repeat(131_072)
            ),
            431,
        ),
        // A head without an end.
        ("POST /mcp HTTP/1.1\r\nhost: journal".to_owned(), 408),
    ] {
        let began = Instant::now();
        let answer = app.exchange(&part);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{status}: {answer}"
        );
        assert!(began.elapsed() < Duration::from_secs(15), "{status}");
    }
}
