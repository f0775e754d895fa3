//! Connections: how many there may be, which give way, and which end because their client keeps the server waiting.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};

use epicme::app::TimeLimits;
use mcp_protocol::answer::{Content, ToolOutput};
use mcp_server::features::{catalogue::Features, tool::DeclaredTool};
use rmcp::model;
use secrecy::ExposeSecret;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio::time::timeout;

use crate::support::{
    ALL, Answer, Issuer, PUBLIC_HOST, Program, TestApp, TestDatabase, envelope, patiently, scraped,
};

/// Short enough for a test.
const SOON: Duration = Duration::from_millis(300);

/// Long enough for a busy machine, and no promise.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long before a silent connection ends by itself, after ten seconds.
const AT_ONCE: Duration = Duration::from_secs(6);

/// A connection from this loopback address, each of which is a source of its own.
fn connect_from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((IpAddr::from(source), 0)).into())
        .unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A modern request, whole, which leaves the connection open.
fn modern(token: &str, method: &str, name: Option<&str>) -> String {
    let mut params = json!({ "_meta": envelope() });
    let mut name_line = String::new();
    if let Some(name) = name {
        params["name"] = name.into();
        name_line = format!("mcp-name: {name}\r\n");
    }
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {PUBLIC_HOST}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name_line}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The status of a `tools/list` over this connection, which stays open; 0 if it is closed.
fn status(stream: &mut TcpStream, token: &str) -> u16 {
    if stream
        .write_all(modern(token, "tools/list", None).as_bytes())
        .is_err()
    {
        return 0;
    }
    let (mut answer, mut buffer) = (Vec::new(), [0; 65_536]);
    loop {
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => answer.extend_from_slice(&buffer[..length]),
            _ => return 0,
        }
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return head.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
}

/// Whether the server has closed a connection, once it had the time to.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match stream.read(&mut [0]) {
        Ok(length) => length == 0,
        // A reset is an end like any other, and a wait is none.
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// A server with few connections, which tells its metrics.
fn with_few(in_all: usize, per_source: usize) -> TestApp {
    TestApp::spawn_with(|config| {
        config.http.metrics = Some(([127, 0, 0, 1], 0).into());
        config.http.connections.in_all = in_all.try_into().unwrap();
        config.http.connections.per_source = per_source.try_into().unwrap();
    })
}

/// Waits until so many connections were closed for this reason.
async fn closed(app: &TestApp, reason: &str, count: f64) {
    let series = format!("epicme_connections_closed_total{{reason=\"{reason}\"}}");
    let counted = async { while scraped(app).await[&series] < count {} };
    patiently(counted).await;
}

/// Before the limit of open files was raised and minded, these left the server without a file to accept with.
#[actix_rt::test]
async fn with_1024_open_files_1100_silent_connections_from_one_address_keep_nobody_out() {
    let (issuer, _handle) = Issuer::bystander();
    let claims = json!({
        "active": true, "sub": "ann", "scope": ALL, "aud": "http://127.0.0.1:8787/mcp",
    });
    issuer.answer("good-token", Answer::json(claims));
    let database = TestDatabase::new();
    let program = Program::start_within(
        1_024,
        &[
            ("DATABASE_URL", database.url.expose_secret()),
            ("EPICME_ISSUER", issuer.url()),
            ("EPICME_INTROSPECTION_CLIENT_ID", "epicme"),
            ("EPICME_INTROSPECTION_CLIENT_SECRET", "zq5-secret"),
            ("EPICME_WORKERS", "2"),
            ("EPICME_ALLOWED_HOSTS", PUBLIC_HOST),
        ],
    );
    let warning = "the limit of open files is 1024 (hard limit 1024): ";
    let warned = program.said.iter().find(|line| line.contains(warning));
    let warned = warned.unwrap_or_else(|| panic!("{:?}", program.said));
    assert!(
        warned.contains(" of 8000 connections can be served; raise"),
        "{warned}"
    );
    let address = program.address;
    let silent: Vec<_> = (0..1_100)
        .map(|_| connect_from([127, 0, 0, 1], address))
        .collect();
    // From the same address, and from another.
    for source in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        let mut user = connect_from(source, address);
        let token = "good-token".to_owned();
        let served = actix_web::web::block(move || [(); 3].map(|()| status(&mut user, &token)));
        let served = timeout(AT_ONCE, served).await.expect("at once");
        assert_eq!(served.unwrap(), [200; 3], "{source:?}");
    }
    assert_eq!(patiently(program.get("/livez")).await.0, 200);
    // The same from as many addresses as there are connections.
    let many: Vec<_> = (0..1_100u16)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            connect_from([127, 1, high, low + u8::from(low == 0)], address)
        })
        .collect();
    let mut user = connect_from([127, 0, 0, 3], address);
    let served = actix_web::web::block(move || status(&mut user, "good-token"));
    let served = timeout(AT_ONCE, served).await.expect("at once");
    assert_eq!(served.unwrap(), 200);
    let livez = timeout(AT_ONCE, program.get("/livez")).await;
    assert_eq!(livez.expect("at once").0, 200);
    drop((silent, many));
}

#[actix_rt::test]
async fn what_never_brought_a_good_token_gives_way_when_a_source_or_the_server_is_full() {
    let app = with_few(32, 8);
    let token = app.token("ann", ALL);
    let mut user = connect_from([127, 0, 0, 9], app.address);
    assert_eq!(status(&mut user, &token), 200);
    let silent: Vec<_> = (0..10)
        .map(|_| connect_from([127, 0, 0, 9], app.address))
        .collect();
    assert!(
        silent[..2].iter().all(is_closed),
        "the oldest of the source"
    );
    assert!(silent[2..].iter().all(is_open));
    assert_eq!(status(&mut user, &token), 200, "and not the user's");
    let many: Vec<_> = (20..50)
        .map(|number| connect_from([127, 0, 0, number], app.address))
        .collect();
    closed(&app, "source", 2.0).await;
    closed(&app, "full", 7.0).await;
    assert!(
        silent[2..9].iter().all(is_closed),
        "of the source with most"
    );
    assert!(many.iter().all(is_open));
    assert_eq!(status(&mut user, &token), 200);
    // A token that is not good changes nothing.
    let mut stranger = connect_from([127, 0, 0, 60], app.address);
    assert_eq!(status(&mut stranger, "never-issued"), 401);
    let more: Vec<_> = (61..93)
        .map(|number| connect_from([127, 0, 0, number], app.address))
        .collect();
    assert!(is_closed(&stranger));
    assert_eq!(status(&mut user, &token), 200);
    drop((many, more));
}

#[actix_rt::test]
async fn a_user_with_every_connection_that_it_may_have_keeps_no_other_out() {
    let app = with_few(32, 8);
    let (ann, bob) = (app.token("ann", ALL), app.token("bob", ALL));
    let mut bobs = connect_from([127, 0, 0, 2], app.address);
    assert_eq!(status(&mut bobs, &bob), 200);
    let mut anns = Vec::new();
    for _ in 0..40 {
        let mut stream = connect_from([127, 0, 0, 1], app.address);
        assert_eq!(status(&mut stream, &ann), 200);
        anns.push(stream);
    }
    // A quarter of all, and the oldest give way.
    closed(&app, "user", 32.0).await;
    assert!(anns[..32].iter().all(is_closed));
    assert_eq!(status(&mut bobs, &bob), 200);
    let mut newcomer = connect_from([127, 0, 0, 3], app.address);
    assert_eq!(status(&mut newcomer, &bob), 200);
}

#[actix_rt::test]
async fn a_trusted_proxy_has_as_many_connections_as_it_needs() {
    let app = TestApp::spawn_with(|config| {
        config.http.connections.per_source = 2.try_into().unwrap();
        config.http.trusted_proxies = vec!["127.0.0.7".parse().unwrap()];
    });
    let proxied: Vec<_> = (0..20)
        .map(|_| connect_from([127, 0, 0, 7], app.address))
        .collect();
    assert_eq!(app.get("/livez").await.status, 200);
    assert!(proxied.iter().all(is_open));
}

/// actix limits the time for the head of the first request on a connection alone.
#[actix_rt::test]
async fn the_head_of_a_later_request_is_not_waited_for_without_end() {
    let app = TestApp::waiting(TimeLimits {
        head: SOON,
        ..TimeLimits::default()
    });
    let token = app.token("ann", ALL);
    for good in [true, false] {
        let token = if good { &token } else { "never-issued" };
        let mut stream = connect_from([127, 0, 0, 1], app.address);
        let expected = if good { 200 } else { 401 };
        assert_eq!(status(&mut stream, token), expected);
        stream.write_all(b"GET /livez HTTP/1.1\r\nho").unwrap();
        assert!(is_closed(&stream), "{good}");
    }
}

const MIB: usize = 1_024 * 1_024;

/// A server with a tool whose answer is four MiB long.
fn with_a_long_answer(write: Duration) -> TestApp {
    let schema = json!({ "type": "object" });
    let tool = model::Tool::new(
        "long",
        "Long.",
        std::sync::Arc::new(schema.as_object().unwrap().clone()),
    );
    let long = DeclaredTool::raw(tool, &[], |_, _| async {
        Ok(ToolOutput {
            content: vec![Content::text("x".repeat(4 * MIB))],
            structured: None,
        })
    });
    let features = Features {
        tools: vec![long],
        ..Features::default()
    };
    TestApp::start(
        |config| config.http.metrics = Some(([127, 0, 0, 1], 0).into()),
        Some(features),
        TimeLimits {
            write,
            ..TimeLimits::default()
        },
    )
}

#[actix_rt::test]
async fn a_client_that_does_not_take_its_answer_loses_the_connection() {
    let app = with_a_long_answer(SOON);
    let token = app.token("ann", ALL);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&app.address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let request = modern(&token, "tools/call", Some("long"));
    stream.write_all(request.as_bytes()).unwrap();
    closed(&app, "write_stalled", 1.0).await;
    let mut came = Vec::new();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let end = stream.read_to_end(&mut came);
    assert!(came.len() < 4 * MIB, "{} bytes, {end:?}", came.len());
    // What the connection held is free.
    let open = async { while scraped(&app).await["epicme_connections_open"] > 0.0 {} };
    patiently(open).await;
    assert_eq!(
        scraped(&app).await["epicme_memory_used_bytes{use=\"answers\"}"],
        0.0
    );
}

#[actix_rt::test]
async fn a_client_that_is_slow_and_takes_something_now_and_then_gets_all_of_its_answer() {
    let app = with_a_long_answer(SOON);
    let token = app.token("ann", ALL);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(65_536).unwrap();
    socket.connect(&app.address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = modern(&token, "tools/call", Some("long"));
    stream.write_all(request.as_bytes()).unwrap();
    let read = actix_web::web::block(move || {
        let (mut length, mut buffer) = (0, vec![0; 65_536]);
        let began = std::time::Instant::now();
        while length < 4 * MIB {
            let read = stream.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "it ended after {length} bytes");
            length += read;
            // Slower than the limit for taking nothing allows for all of it.
            let due = began + SOON.mul_f64(3.0 * length as f64 / (4 * MIB) as f64);
            while std::time::Instant::now() < due {
                std::thread::yield_now();
            }
        }
        began.elapsed()
    });
    assert!(patiently(read).await.unwrap() > SOON);
}
