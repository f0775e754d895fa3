//! Authorization servers behind HTTP servers that frame their replies in another way than actix does: without a
//! length, up to the end of the connection (RFC 9112 §6.3), and some that break off.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use serde_json::json;

use super::introspection::{assert_outage, list};
use crate::support::{ALL, RESOURCE, TestApp};

/// What a server sends to a request with this head and body.
type Replies = Arc<dyn Fn(&str, SocketAddr) -> String + Send + Sync>;

/// A server that ends the connection after each reply. It ends with the process.
fn serve(replies: impl Fn(&str, SocketAddr) -> String + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let replies: Replies = Arc::new(replies);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, replies) = (stream.unwrap(), Arc::clone(&replies));
            thread::spawn(move || answer(stream, &replies, address));
        }
    });
    address
}

fn answer(mut stream: TcpStream, replies: &Replies, address: SocketAddr) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let text = String::from_utf8_lossy(&request);
        let is_form = text.contains("token_type_hint=access_token");
        if text.starts_with("GET ") && text.ends_with("\r\n\r\n") || is_form {
            let _ = stream.write_all(replies(&text, address).as_bytes());
            return;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&buffer[..length]),
        }
    }
}

/// A reply without a length and without a word about the connection, as uWSGI and Django's server send it.
fn unframed(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{body}")
}

fn metadata(address: SocketAddr) -> String {
    json!({
        "issuer": format!("http://{address}"),
        "introspection_endpoint": format!("http://{address}/introspect"),
    })
    .to_string()
}

fn active() -> String {
    json!({ "active": true, "sub": "ann", "scope": ALL, "aud": RESOURCE }).to_string()
}

fn spawn(address: SocketAddr) -> TestApp {
    TestApp::spawn_with(|config| {
        config.issuers[0].url = format!("http://{address}").parse().unwrap();
    })
}

#[actix_rt::test]
async fn an_issuer_that_sends_no_lengths_is_understood() {
    let address = serve(|request, address| {
        if request.starts_with("GET /.well-known/oauth-authorization-server ") {
            unframed(&metadata(address))
        } else {
            unframed(&active())
        }
    });
    let app = spawn(address);
    for n in 0..5 {
        assert_eq!(list(&app, &format!("unframed-{n}")).await.status, 200);
    }
}

#[actix_rt::test]
async fn a_reply_that_breaks_off_is_not_believed_even_if_what_came_is_whole_json() {
    let address = serve(|request, address| {
        let body = active();
        let (length, size) = (body.len() + 1, body.len());
        match request {
            _ if request.starts_with("GET ") => unframed(&metadata(address)),
            _ if request.contains("token=short") => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
            }
            _ if request.contains("token=chunk") => format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n"
            ),
            _ => format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
            ),
        }
    });
    let app = spawn(address);
    for token in ["short-of-a-byte", "chunks-without-a-last-one"] {
        assert_outage(&list(&app, token).await, "5", token);
    }
    assert_eq!(list(&app, "whole-and-in-chunks").await.status, 200);
}
