//! Long calls: progress notifications and cancellation.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use epicme::app::TimeLimits;
use mcp_protocol::answer::{Content, ToolOutput};
use mcp_server::features::{catalogue::Features, tool::DeclaredTool};
use rmcp::model;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::support::{ALL, Ask, Session, TestApp, patiently};

/// Tells whoever waits for it that the call has gone, when it is dropped.
type Guard = Arc<Mutex<Option<oneshot::Sender<()>>>>;

fn tool(name: &'static str) -> model::Tool {
    let Value::Object(schema) = json!({ "type": "object" }) else {
        unreachable!()
    };
    model::Tool::new(name, name, Arc::new(schema))
}

/// A tool that comes to its end step by step, and one that never does.
fn features(guard: &Guard) -> Features {
    let steps = DeclaredTool::raw(tool("steps"), &[], |context, _| async move {
        for done in [1.0, 1.0, 0.5, 2.0, 3.0] {
            context.conversation().progress(done, Some(3.0), "On it");
        }
        Ok(ToolOutput {
            content: vec![Content::text("Done.")],
            structured: None,
        })
    });
    let guard = Arc::clone(guard);
    let endless = DeclaredTool::raw(tool("endless"), &[], move |context, _| {
        let held = guard.lock().unwrap().take();
        async move {
            let _held = held;
            context.conversation().progress(1.0, None, "It has begun");
            pending().await
        }
    });
    Features {
        tools: vec![steps, endless],
        prompts: Vec::new(),
        resources: Vec::new(),
        templates: Vec::new(),
    }
}

/// Sets a guard for the next endless call; what is given back comes to its end with that call.
fn guarded(guard: &Guard) -> oneshot::Receiver<()> {
    let (held, gone) = oneshot::channel();
    *guard.lock().unwrap() = Some(held);
    gone
}

fn with_token<'a>(ask: Ask<'a>, token: &Value) -> Ask<'a> {
    ask.edit(|body| body["params"]["_meta"]["progressToken"] = token.clone())
}

fn within<'a>(app: &'a TestApp, session: &Session, name: &str) -> Ask<'a> {
    app.within(session, "tools/call", json!({ "name": name }))
}

/// T-07, T-21, P-18.
#[actix_rt::test]
async fn progress_grows_and_is_told_under_the_token_of_who_asked_until_the_answer() {
    let app = TestApp::serving(features(&Guard::default()));
    let token = app.token("ann", ALL);
    let mut asks = vec![app.tool(&token, "steps", &json!({}))];
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let session = app.open(&token, version).await;
        asks.push(within(&app, &session, "steps"));
    }
    for ask in asks {
        for token in [json!("p"), json!(7), json!("7")] {
            let told = with_token(ask.clone(), &token)
                .listen()
                .await
                .messages()
                .await;
            let (answer, told) = told.split_last().unwrap();
            let expected: Vec<_> = [1.0, 2.0, 3.0]
                .map(|done| {
                    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": {
                        "progressToken": token, "progress": done, "total": 3.0, "message": "On it",
                    } })
                })
                .into();
            assert_eq!(told, expected);
            assert_eq!(answer["result"]["content"][0]["text"], "Done.");
        }
        // Who does not ask is told nothing, and so has no stream.
        let reply = ask.send().await;
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.result()["content"][0]["text"], "Done.");
    }
}

/// T-27, D-25.
#[actix_rt::test]
async fn who_closes_a_modern_stream_has_called_off_its_call() {
    let guard = Guard::default();
    let app = TestApp::serving(features(&guard));
    let token = app.token("ann", ALL);
    let gone = guarded(&guard);
    let ask = with_token(app.tool(&token, "endless", &json!({})), &json!("p"));
    let mut stream = ask.listen().await;
    assert!(stream.next().await.unwrap().contains("It has begun"));
    drop(stream);
    patiently(gone).await.unwrap_err();
}

/// L-19, L-24, D-25.
#[actix_rt::test]
async fn who_loses_a_legacy_stream_has_called_off_nothing_and_may_do_so() {
    let guard = Guard::default();
    let app = TestApp::serving(features(&guard));
    let session = app.open(&app.token("ann", ALL), "2025-06-18").await;
    let mut gone = guarded(&guard);
    let ask = with_token(within(&app, &session, "endless"), &json!("p"));
    let mut stream = ask.listen().await;
    let (event, _) = stream.message().await;
    drop(stream);
    // Its stream goes on for whoever comes back.
    let resumed = app.within(&session, "", json!({})).body("").method("GET");
    let mut resumed = resumed
        .without("content-type")
        .header("accept", "text/event-stream")
        .header("last-event-id", &event)
        .listen()
        .await;
    assert!(
        gone.try_recv()
            .is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
    );
    let params = json!({ "requestId": 1 });
    let cancelled =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
    app.tell(&session, cancelled).await;
    patiently(gone).await.unwrap_err();
    assert_eq!(resumed.next().await, None);
}

/// T-25.
#[actix_rt::test]
async fn a_call_that_has_nothing_to_say_keeps_its_stream_alive() {
    let guard = Guard::default();
    let timeouts = TimeLimits {
        heartbeat: Duration::from_millis(50),
        ..TimeLimits::default()
    };
    let app = TestApp::start(|_| (), Some(features(&guard)), timeouts);
    let token = app.token("ann", ALL);
    let gone = guarded(&guard);
    let ask = with_token(app.tool(&token, "endless", &json!({})), &json!("p"));
    let mut stream = ask.listen().await;
    assert!(stream.next().await.unwrap().contains("It has begun"));
    for _ in 0..3 {
        assert_eq!(stream.next().await.unwrap(), ": keep-alive");
    }
    drop(stream);
    patiently(gone).await.unwrap_err();
}
