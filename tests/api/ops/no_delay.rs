//! Nothing waits for an acknowledgement: what is written is sent at once, although the client acknowledges what it got
//! 40 ms later, as Linux does by default. Measured by the time between bytes, over connections that are kept.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use mcp_protocol::answer::{Content, ToolOutput};
use mcp_server::features::{catalogue::Features, tool::DeclaredTool};
use rmcp::model;
use serde_json::{Value, json};

use crate::support::{ALL, MODERN, PUBLIC_HOST, TestApp, envelope};

/// Shorter than an acknowledgement is delayed.
const AT_ONCE: Duration = Duration::from_millis(35);

/// How often it is measured. The first acknowledgements of a connection are not delayed.
const TIMES: usize = 60;

/// What most of them took at most: a busy machine may be slow now and then, but an acknowledgement that is waited for is
/// waited for nearly always.
fn usual(mut times: Vec<Duration>) -> Duration {
    times.drain(..TIMES / 3);
    times.sort();
    times[times.len() / 3]
}

fn request(token: &str, method: &str, mut params: Value) -> Vec<u8> {
    let name = params["name"].as_str().map(str::to_owned);
    let mut meta = envelope();
    if let Some(progress) = params["_meta"].get("progressToken") {
        meta["progressToken"] = progress.clone();
    }
    params["_meta"] = meta;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let name = name.map_or_else(String::new, |name| format!("mcp-name: {name}\r\n"));
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {PUBLIC_HOST}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: {MODERN}\r\nmcp-method: {method}\r\n{name}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn connect(app: &TestApp) -> TcpStream {
    let stream = TcpStream::connect(app.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// Reads until the bytes so far are enough, and returns how long it took from the first to the last.
fn read_until(stream: &mut TcpStream, is_enough: impl Fn(&[u8]) -> bool) -> Duration {
    let (mut answer, mut buffer) = (Vec::new(), vec![0; 65_536]);
    let mut first = None;
    while !is_enough(&answer) {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
        first.get_or_insert_with(Instant::now);
        answer.extend_from_slice(&buffer[..length]);
    }
    first.unwrap().elapsed()
}

/// Whether the whole answer has come.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return false;
    };
    let text = str::from_utf8(&answer[..head])
        .unwrap()
        .to_ascii_lowercase();
    let length = text.split("content-length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    assert!(length > 40_000, "a long answer: {length}");
    answer.len() == head + 4 + length
}

#[actix_rt::test]
async fn a_long_answer_comes_at_once_over_a_connection_that_is_kept() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let arguments = json!({ "title": "long", "content": "x".repeat(30_000) });
    let written = app.tool(&token, "create_entry", &arguments).send().await;
    let id = &written.result()["structuredContent"]["entry"]["id"];
    let params = json!({ "name": "get_entry", "arguments": { "id": id } });
    let ask = request(&token, "tools/call", params);
    let mut stream = connect(&app);
    let times = (0..TIMES).map(|_| {
        stream.write_all(&ask).unwrap();
        read_until(&mut stream, is_whole)
    });
    let usual = usual(times.collect());
    assert!(usual < AT_ONCE, "{usual:?}");
}

/// A tool that tells of its progress twice, and ends.
fn steps() -> Features {
    let schema = json!({ "type": "object" });
    let schema = Arc::new(schema.as_object().unwrap().clone());
    let tool = model::Tool::new("steps", "steps", schema);
    let steps = DeclaredTool::raw(tool, &[], |context, _| async move {
        for done in [1.0, 2.0] {
            context.conversation().progress(done, None, "On it");
            actix_rt::time::sleep(Duration::from_millis(3)).await;
        }
        Ok(ToolOutput {
            content: vec![Content::text("Done.")],
            structured: None,
        })
    });
    Features {
        tools: vec![steps],
        prompts: Vec::new(),
        resources: Vec::new(),
        templates: Vec::new(),
    }
}

#[actix_rt::test]
async fn an_event_comes_at_once_after_another() {
    let app = TestApp::serving(steps());
    let params = json!({ "name": "steps", "arguments": {}, "_meta": { "progressToken": 1 } });
    let ask = request(&app.token("ann", ALL), "tools/call", params);
    let mut stream = connect(&app);
    let times = (0..TIMES).map(|_| {
        stream.write_all(&ask).unwrap();
        read_until(&mut stream, |answer| answer.ends_with(b"\r\n0\r\n\r\n"))
    });
    let usual = usual(times.collect());
    assert!(usual < AT_ONCE, "{usual:?}");
}
