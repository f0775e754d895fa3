//! Requests that no honest HTTP client sends: ambiguous heads, odd paths, too many headers.

use crate::support::{ALL, TestApp, header_lines, lines_with};

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
