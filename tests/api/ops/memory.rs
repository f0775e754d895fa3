//! How much memory clients can make the server use: bodies, answers, requests in flight; and that who uses it up is
//! told so, and nobody else.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use epicme::{
    app::TimeLimits,
    config::{Config, MemoryConfig, Options},
};
use futures_util::future::{join, join_all};
use mcp_protocol::answer::{Content, ToolOutput};
use mcp_server::{
    features::{catalogue::Features, tool::DeclaredTool},
    server::MemoryLimits,
};
use rmcp::model;
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::sync::Semaphore;

use crate::support::{ALL, PUBLIC_HOST, Reply, TestApp, header_lines, patiently, scraped};

const MIB: usize = 1_024 * 1_024;

fn server(edit: impl FnOnce(&mut MemoryConfig), features: Option<Features>) -> TestApp {
    TestApp::start(
        |config| {
            config.http.metrics = Some(([127, 0, 0, 1], 0).into());
            edit(&mut config.http.memory);
        },
        features,
        TimeLimits::default(),
    )
}

async fn used(app: &TestApp, of: &str) -> usize {
    scraped(app).await[&format!("epicme_memory_used_bytes{{use=\"{of}\"}}")] as usize
}

/// Waits until so much is used.
async fn uses(app: &TestApp, of: &str, is: impl Fn(usize) -> bool) {
    patiently(async { while !is(used(app, of).await) {} }).await;
}

fn said(reply: &Reply) -> (u16, Value) {
    assert_eq!(reply.header("retry-after"), Some("1"), "{}", reply.text());
    (reply.status, reply.json()["error"]["message"].clone())
}

/// The head of a request with a body of this length, and its first byte.
fn begun(token: &str, length: usize) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {PUBLIC_HOST}\r\n{}content-length: {length}\r\n\r\n{{",
        header_lines(token)
    )
}

#[actix_rt::test]
async fn bodies_of_a_user_take_a_quarter_of_the_memory_for_them_and_none_of_another_users() {
    let app = server(|memory| memory.bodies_mib = 8.try_into().unwrap(), None);
    let (ann, bob) = (app.token("ann", ALL), app.token("bob", ALL));
    let mut held = Vec::new();
    for count in 1..=2 {
        let mut wire = app.wire();
        wire.send(begun(&ann, 900_000));
        held.push(wire);
        uses(&app, "bodies", |used| used == count * 900_000).await;
    }
    let long = |token: &str| {
        let ask = app.modern(token, "tools/list", json!({}));
        ask.and_then(&" ".repeat(500_000)).send()
    };
    let refused = long(&ann).await;
    assert_eq!(
        said(&refused),
        (
            429,
            json!(
                "The bodies that are being received from this user or address take too much memory; send fewer at once"
            )
        )
    );
    long(&bob).await.result();
    // What is short is no part of it.
    app.modern(&ann, "tools/list", json!({}))
        .send()
        .await
        .result();
    drop(held);
    uses(&app, "bodies", |used| used == 0).await;
    long(&ann).await.result();
}

#[actix_rt::test]
async fn a_body_whose_length_is_not_announced_is_counted_as_it_comes() {
    let app = server(|memory| memory.bodies_mib = 1.try_into().unwrap(), None);
    let token = app.token("ann", ALL);
    let mut wire = app.wire();
    let lines = header_lines(&token);
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nhost: {PUBLIC_HOST}\r\n{lines}transfer-encoding: chunked\r\n\r\n"
    ));
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(65_536));
    for _ in 0..16 {
        wire.send(&chunk);
    }
    let answer = wire.read();
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
}

#[actix_rt::test]
async fn what_the_server_has_no_memory_for_is_503_for_who_has_nothing() {
    let app = server(|memory| memory.bodies_mib = 1.try_into().unwrap(), None);
    let token = app.token("ann", ALL);
    let ask = app.modern(&token, "tools/list", json!({}));
    let refused = ask.and_then(&" ".repeat(600_000)).send().await;
    assert_eq!(
        said(&refused),
        (
            503,
            json!("The server has no memory for bodies of this length now; try again later")
        )
    );
}

/// Before anybody knows whose it is, no byte of it is kept.
#[actix_rt::test]
async fn a_body_without_a_good_token_takes_no_memory() {
    let app = server(|_| (), None);
    let mut wires: Vec<_> = (0..20).map(|_| app.wire()).collect();
    for wire in &mut wires {
        wire.send(begun("never-issued", 2_000_000));
        wire.send(" ".repeat(100_000));
    }
    assert_eq!(used(&app, "bodies").await, 0);
    for wire in &mut wires {
        assert!(wire.read().starts_with("HTTP/1.1 401 "));
    }
}

#[actix_rt::test]
async fn a_body_that_trickles_is_given_up_long_before_a_slow_one_must_be_whole() {
    let app = TestApp::waiting(TimeLimits {
        body_begin: Duration::from_millis(300),
        ..TimeLimits::default()
    });
    let token = app.token("ann", ALL);
    let mut wire = app.wire();
    wire.send(begun(&token, 1_000_000));
    let began = Instant::now();
    // A byte at a time, for as long as it is taken.
    assert!(wire.ends_while_trickling());
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "and not after 30 s"
    );
    let answer = wire.read();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
        "{answer}"
    );
    // One that comes fast enough is read to its end, however long that takes.
    let mut wire = app.wire();
    let body = app.modern(&token, "tools/list", json!({})).text();
    let padding = 64 * 1_024;
    let head = begun(&token, body.len() + padding).replace("\r\n\r\n{", "\r\n\r\n");
    let head = head.replace(
        "connection: close\r\n",
        "connection: close\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\n",
    );
    wire.send(head);
    wire.send(" ".repeat(padding));
    let waited = Instant::now();
    while waited.elapsed() < Duration::from_secs(1) {
        std::thread::yield_now();
    }
    wire.send(body);
    assert!(wire.read().starts_with("HTTP/1.1 200 "));
}

fn tool(name: &'static str) -> model::Tool {
    let schema = json!({ "type": "object" });
    model::Tool::new(name, name, Arc::new(schema.as_object().unwrap().clone()))
}

fn text(text: String) -> ToolOutput {
    ToolOutput {
        content: vec![Content::text(text)],
        structured: None,
    }
}

/// A tool with a long answer.
fn long(length: usize) -> Features {
    Features {
        tools: vec![DeclaredTool::raw(
            tool("long"),
            &[],
            move |_, _| async move { Ok(text("x".repeat(length))) },
        )],
        ..Features::default()
    }
}

/// A tool that ends when it is let: calls that have begun, and how many of them may end.
fn holding() -> (Features, Arc<(Semaphore, Semaphore)>) {
    let held = Arc::new((Semaphore::new(0), Semaphore::new(0)));
    let hold = {
        let held = Arc::clone(&held);
        DeclaredTool::raw(tool("hold"), &[], move |_, _| {
            let held = Arc::clone(&held);
            async move {
                held.0.add_permits(1);
                held.1.acquire().await.unwrap().forget();
                Ok(text("Done.".to_owned()))
            }
        })
    };
    let features = Features {
        tools: vec![hold],
        ..Features::default()
    };
    (features, held)
}

#[actix_rt::test]
async fn answers_that_a_user_does_not_read_take_a_quarter_of_the_memory_and_none_of_another_users()
{
    let app = server(
        |memory| memory.answers_mib = 16.try_into().unwrap(),
        Some(long(3 * MIB)),
    );
    let (ann, bob) = (app.token("ann", ALL), app.token("bob", ALL));
    let call = |token: &str| app.tool(token, "long", &json!({}));
    let (_, unread) = patiently(call(&ann).begin()).await;
    uses(&app, "answers", |used| used >= 3 * MIB).await;
    let refused = call(&ann).send().await;
    assert_eq!(
        said(&refused),
        (
            429,
            json!(
                "The answers that this user has not read take too much memory; read them first. What this request \
                 was to do may have been done"
            )
        )
    );
    assert_eq!(refused.json()["id"], 1);
    assert_eq!(call(&bob).send().await.status, 200);
    // A short answer is sent all the same.
    app.modern(&ann, "tools/list", json!({}))
        .send()
        .await
        .result();
    drop(unread);
    uses(&app, "answers", |used| used == 0).await;
    assert_eq!(call(&ann).send().await.status, 200);
}

#[actix_rt::test]
async fn a_user_has_so_many_requests_in_flight_and_another_user_as_many() {
    let (features, held) = holding();
    let app = server(
        |memory| memory.requests_per_user = 2.try_into().unwrap(),
        Some(features),
    );
    let (ann, bob) = (app.token("ann", ALL), app.token("bob", ALL));
    let calls = join_all((0..2).map(|_| app.tool(&ann, "hold", &json!({})).send()));
    let others = async {
        held.0.acquire_many(2).await.unwrap().forget();
        let refused = app.modern(&ann, "tools/list", json!({})).send().await;
        assert_eq!(
            said(&refused),
            (
                429,
                json!(
                    "This user has 2 requests under way, which is the limit; wait until some have been answered"
                )
            )
        );
        app.modern(&bob, "tools/list", json!({}))
            .send()
            .await
            .result();
        held.1.add_permits(2);
    };
    let (replies, ()) = patiently(join(calls, others)).await;
    for reply in replies {
        reply.result();
    }
    app.modern(&ann, "tools/list", json!({}))
        .send()
        .await
        .result();
}

/// actix reads up to sixteen requests ahead, each with a head of up to 128 KiB.
#[actix_rt::test]
async fn requests_that_are_sent_before_the_answer_wait_at_the_operating_system() {
    let (features, held) = holding();
    let app = server(|_| (), Some(features));
    let token = app.token("ann", ALL);
    let call = app.tool(&token, "hold", &json!({})).text();
    let lines = header_lines(&token).replace("connection: close\r\n", "");
    let lines = format!(
        "{lines}mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: hold\r\n"
    );
    let mut stream = TcpStream::connect(app.address).unwrap();
    SockRef::from(&stream).set_send_buffer_size(65_536).unwrap();
    let length = call.len();
    let first = format!(
        "POST /mcp HTTP/1.1\r\nhost: {PUBLIC_HOST}\r\n{lines}content-length: {length}\r\n\r\n{call}"
    );
    stream.write_all(first.as_bytes()).unwrap();
    held.0.acquire().await.unwrap().forget();
    let next = format!(
        "GET /livez HTTP/1.1\r\nhost: {PUBLIC_HOST}\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let all = next.repeat(40);
    stream.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let fills = async {
        while used(&app, "heads").await < 64 * 1_024 {
            sent += stream.write(&all.as_bytes()[sent..]).unwrap_or(0);
        }
    };
    patiently(fills).await;
    assert!(sent < all.len() / 2, "{sent} bytes were taken");
    // And none of them is lost.
    held.1.add_permits(1);
    stream.set_nonblocking(false).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut writer = stream.try_clone().unwrap();
    let rest = std::thread::spawn(move || writer.write_all(&all.as_bytes()[sent..]).unwrap());
    let (mut answers, mut buffer) = (String::new(), vec![0; 65_536]);
    while answers.matches("HTTP/1.1 200 ").count() < 41 {
        let length = stream.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "it ended: {answers}");
        answers.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    rest.join().unwrap();
    uses(&app, "heads", |used| used == 0).await;
}

/// The table of docs/BOUNDS.md: what the process needs by itself and what clients can make it use at most, with the
/// defaults of all keys, is less than the memory of its container.
#[test]
fn all_budgets_together_fit_into_the_container() {
    let root = env!("CARGO_MANIFEST_DIR");
    let compose = fs::read_to_string(format!("{root}/docker-compose.yml")).unwrap();
    let (_, service) = compose.split_once("x-epicme: &epicme\n").unwrap();
    let limit = service.split_once("mem_limit: ").unwrap().1;
    let limit: usize = limit.split_once('m').unwrap().0.parse().unwrap();
    let options = Options::for_one_machine(
        ([127, 0, 0, 1], 8787).into(),
        "http://127.0.0.1:7788",
        &"secret".into(),
        &"postgres://localhost/epicme".into(),
    );
    let config = Config::read(&options).unwrap();
    let memory = config.http.memory;
    let page = fs::read_to_string(format!("{root}/docs/BOUNDS.md")).unwrap();
    let (_, table) = page.split_once("## Memory\n").unwrap();
    // The last column of each row, in MiB.
    let rows: Vec<(&str, usize)> = table
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with(" MiB |"))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let mib = cells[cells.len() - 1].strip_suffix(" MiB").unwrap();
            (cells[0], mib.parse().unwrap())
        })
        .collect();
    let of = |name: &str| {
        let row = rows.iter().find(|(row, _)| *row == name);
        row.unwrap_or_else(|| panic!("{name} in {rows:?}")).1
    };
    assert_eq!(of("bodies of requests"), memory.bodies_mib.get());
    assert_eq!(of("answers"), memory.answers_mib.get());
    assert_eq!(of("events of sessions"), memory.events_mib.get());
    assert_eq!(of("heads of requests"), MemoryLimits::default().heads / MIB);
    let kib = |count: usize, each: usize| (count * each).div_ceil(1_024);
    let connections = config.http.connections.in_all.get();
    assert_eq!(of("connections"), kib(connections, 20));
    let sessions = config.sessions.unwrap().in_all.get();
    assert_eq!(of("sessions"), kib(sessions, 3));
    let sum = of("the sum");
    let parts: usize = rows.iter().map(|(_, mib)| mib).sum::<usize>() - sum;
    assert_eq!(parts, sum);
    assert!(sum < limit, "{sum} of {limit} MiB");
}
