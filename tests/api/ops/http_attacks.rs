//! Requests that no honest HTTP client sends: ambiguous heads, odd paths, too many headers.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::support::{ALL, Program, TestApp, header_lines, lines_with};

/// Bytes that two readers of HTTP may take apart differently are refused, and what stands behind them
/// is nobody's request.
#[actix_rt::test]
async fn nothing_is_smuggled_behind_a_head_that_can_be_read_in_two_ways() {
    let app = TestApp::spawn();
    let lines = header_lines(&app.token("ann", ALL)).replace("connection: close\r\n", "");
    for head in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "content-length: 5, 5\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 0x5\r\n",
        "content-length: 99999999999999999999\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding : chunked\r\n",
        " transfer-encoding: chunked\r\n",
        "x: y\rcontent-length: 5\r\n",
        "x: y\0z\r\n",
    ] {
        let answer = app.exchange(format!(
            "POST /mcp HTTP/1.1\r\nhost: journal.example\r\n{lines}{head}\r\n0\r\n\r\n\
             GET /zqa-smuggled HTTP/1.1\r\nhost: journal.example\r\nconnection: close\r\n\r\n"
        ));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head:?}: {answer}");
    }
    // A size of a chunk that no number holds ends the connection.
    let answer = app.exchange(format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\n{lines}transfer-encoding: chunked\r\n\r\n\
         fffffffffffffffff\r\nGET /zqa-smuggled HTTP/1.1\r\nhost: journal.example\r\n\r\n"
    ));
    assert!(!answer.contains("HTTP/1.1 2"), "{answer}");
    assert_eq!(lines_with("zqa-smuggled"), [""; 0]);
}

#[actix_rt::test]
async fn no_path_writes_anything_but_itself_into_the_log() {
    let app = TestApp::spawn();
    for path in [
        "/zqb\u{1b}[31m",
        "/zqb\u{85}x",
        "/zqb\u{202e}x",
        "/zqb\tx",
        "/zqb\u{7f}",
        "/zqb%0a2026%20ERROR%1b%5b31m",
        "/zqb\"x",
        "/zqb#x",
    ] {
        app.exchange(format!(
            "GET {path} HTTP/1.1\r\nhost: journal.example\r\nuser-agent: zqb\r\nconnection: close\r\n\r\n"
        ));
    }
    let lines = lines_with("zqb");
    assert!(!lines.is_empty());
    for line in lines {
        assert!(
            line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line:?}"
        );
    }
}

#[actix_rt::test]
async fn more_headers_than_anybody_needs_are_refused() {
    let app = TestApp::spawn();
    let many: String = (0..200).map(|i| format!("x-{i}: y\r\n")).collect();
    let answer = app.exchange(format!(
        "GET / HTTP/1.1\r\nhost: journal.example\r\n{many}connection: close\r\n\r\n"
    ));
    let status = answer.split(' ').nth(1).unwrap_or_default();
    assert!(["400", "431"].contains(&status), "{answer}");
    assert_eq!(app.get("/").await.status, 200, "and nothing else happens");
}

/// RFC 9112 §3.2.2: the host of the request line counts, and `Host` does not.
#[actix_rt::test]
async fn a_request_is_for_the_host_that_its_line_names() {
    let app = TestApp::spawn();
    let status = |method: &str, target: &str, host: &str| {
        let answer = app.exchange(format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        ));
        let status = answer.split(' ').nth(1).unwrap_or_default();
        status
            .parse::<u16>()
            .unwrap_or_else(|_| panic!("{target}: {answer}"))
    };
    let (ours, page) = ("journal.example", "/.well-known/oauth-protected-resource");
    for (target, host) in [
        (page.to_owned(), ours),
        (format!("http://{ours}{page}"), ours),
        (format!("https://{ours}{page}"), ours),
        (format!("http://Journal.EXAMPLE{page}"), ours),
        // The field is ignored.
        (format!("http://{ours}{page}"), "evil.example"),
    ] {
        assert_eq!(status("GET", &target, host), 200, "{target} {host}");
    }
    for (target, host) in [
        (page.to_owned(), "evil.example"),
        (format!("http://evil.example{page}"), ours),
        (format!("https://evil.example{page}"), ours),
        (format!("HTTP://evil.example{page}"), ours),
        (format!("http://evil.example:80{page}"), ours),
        (format!("http://{ours}:1{page}"), ours),
        (format!("http://{ours}.{page}"), ours),
        (format!("http://{ours}.evil.example{page}"), ours),
        (format!("http://user@{ours}{page}"), ours),
        (format!("http://{ours}@evil.example{page}"), ours),
        (format!("http://{ours}:x@evil.example{page}"), ours),
        (format!("ftp://{ours}{page}"), ours),
        (format!("http://[::1]{page}"), ours),
        (format!("http://127.1{page}"), ours),
    ] {
        let status = status("GET", &target, host);
        assert!(matches!(status, 400 | 421), "{target} {host}: {status}");
    }
    // The other forms: authority (§3.2.3) and asterisk (§3.2.4).
    for (method, target, host) in [
        ("CONNECT", "evil.example:443", ours),
        ("CONNECT", "journal.example:443", ours),
        ("GET", "evil.example:443", ours),
        ("OPTIONS", "*", "evil.example"),
        ("OPTIONS", "*", ours),
    ] {
        let status = status(method, target, host);
        assert!((400..500).contains(&status), "{method} {target}: {status}");
    }
    // Tools of the token's user are behind another host as little as pages.
    let lines = header_lines(&app.token("ann", ALL));
    let answer = app.exchange(format!(
        "POST http://evil.example/mcp HTTP/1.1\r\nhost: {ours}\r\n{lines}content-length: 2\r\n\r\n{{}}"
    ));
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
}

#[test]
fn a_flood_of_heads_that_are_none_is_a_line_and_not_a_line_each() {
    let url = "postgres://nobody@127.0.0.1:1/nothing";
    let program = Program::serve(&[("DATABASE_URL", url)]);
    for head in [
        "\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /\r\n\r\n",
        "G\u{1}T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost x\r\n\r\n",
        "GET / HTTP/1.1\r\nx: \u{0}\r\n\r\n",
    ] {
        for _ in 0..30 {
            let mut connection = TcpStream::connect(program.address).unwrap();
            connection.write_all(head.as_bytes()).unwrap();
            // Until it is closed: the head was refused.
            let _ = connection.read_to_end(&mut Vec::new());
        }
    }
    program.signal("TERM");
    let (code, log) = program.ends();
    assert_eq!(code, 0, "{log}");
    let lines = log.lines().filter(|line| line.contains("actix_http"));
    // One in ten seconds for each place that writes some, on a machine that is slower than that too.
    assert!(lines.count() <= 12, "{log}");
}
