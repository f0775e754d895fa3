//! Against servers that write bytes: what the HTTP client makes of their framing.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::*;
use crate::{fair_gate::Shares, issuer::settings::IssuerSettings};

/// How a server ends a connection after its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It waits for the next request.
    Stays,
    /// In order, with TLS as well.
    Closes,
    /// Without the message by which TLS ends.
    Breaks,
}

/// A server that answers every request with these bytes, and the number of connections made to it.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    trust: Option<Arc<rustls::ClientConfig>>,
}

impl Server {
    fn new(reply: &[u8], end: End, is_secure: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (tls, trust) = if is_secure { tls() } else { Default::default() };
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::clone(&connections),
            trust,
        };
        let reply = reply.to_vec();
        // It ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::Relaxed);
                let (reply, tls) = (reply.clone(), tls.clone());
                thread::spawn(move || serve(stream.unwrap(), &reply, end, tls));
            }
        });
        server
    }

    fn client(&self) -> IssuerHttpClient {
        let shares = Shares {
            all: 1,
            strangers: 1,
            source: 1,
        };
        let long_replies = FairGate::new(shares, Duration::from_millis(10));
        let settings = IssuerSettings::new("http://localhost".parse().unwrap());
        let destinations = Destinations::of(&settings);
        let timeout = Duration::from_secs(10);
        IssuerHttpClient::new(timeout, self.trust.clone(), &destinations, long_replies)
    }

    fn uri(&self) -> Uri {
        let scheme = if self.trust.is_some() {
            "https"
        } else {
            "http"
        };
        let uri = format!("{scheme}://localhost:{}/introspect", self.port);
        uri.parse().unwrap()
    }

    async fn ask(&self, client: &IssuerHttpClient) -> Result<Reply, CallError> {
        let request = client.post(&self.uri()).unwrap();
        client.send(request, "token=a".to_owned(), None).await
    }
}

fn tls() -> (Option<Arc<ServerConfig>>, Option<Arc<rustls::ClientConfig>>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    (Some(Arc::new(server)), Some(Arc::new(client)))
}

fn serve(stream: TcpStream, reply: &[u8], end: End, tls: Option<Arc<ServerConfig>>) {
    match tls {
        None => {
            let mut plain = stream;
            while answer(&mut plain, reply) && end == End::Stays {}
            let _ = plain.shutdown(Shutdown::Both);
        }
        Some(tls) => {
            let session = ServerConnection::new(tls).unwrap();
            let mut secure = StreamOwned::new(session, stream);
            while answer(&mut secure, reply) && end == End::Stays {}
            if end == End::Closes {
                secure.conn.send_close_notify();
                let _ = secure.flush();
            }
            let _ = secure.sock.shutdown(Shutdown::Both);
        }
    }
}

/// Reads a request and answers it, unless the client has gone.
fn answer(stream: &mut (impl Read + Write), reply: &[u8]) -> bool {
    let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
    while !request.ends_with(b"\r\n\r\ntoken=a") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(length) => request.extend_from_slice(&buffer[..length]),
        }
    }
    stream
        .write_all(reply)
        .and_then(|()| stream.flush())
        .is_ok()
}

const BODY: &str = "{\"active\":true}";

fn with(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}")
}

#[actix_rt::test]
async fn a_whole_reply_is_read_however_it_is_framed() {
    for is_secure in [false, true] {
        for (reply, end) in [
            // As uWSGI and the server of Django send it.
            (with("", BODY), End::Closes),
            (with("Connection: close\r\n", BODY), End::Closes),
            (with("", BODY).replace("HTTP/1.1", "HTTP/1.0"), End::Closes),
            (with("content-length: 15\r\n", BODY), End::Stays),
            (with("content-length: 15\r\n", BODY), End::Breaks),
            (
                with(
                    "transfer-encoding: chunked\r\n",
                    "f\r\n{\"active\":true}\r\n0\r\n\r\n",
                ),
                End::Stays,
            ),
            (
                format!(
                    "HTTP/1.1 103 Early Hints\r\n\r\n{}",
                    with("content-length: 15\r\n", BODY)
                ),
                End::Stays,
            ),
        ] {
            let server = Server::new(reply.as_bytes(), end, is_secure);
            let client = server.client();
            for _ in 0..3 {
                let read = match server.ask(&client).await {
                    // The client had not seen the end of the last connection yet.
                    Err(error) if error.is_retryable => server.ask(&client).await,
                    outcome => outcome,
                };
                let read = read.unwrap_or_else(|error| panic!("{error:?}: {reply}"));
                assert_eq!(read.body, BODY, "{reply}");
            }
            let connections = server.connections.load(Ordering::Relaxed);
            let expected = if end == End::Stays { 1 } else { 3 };
            assert_eq!(connections, expected, "{reply}");
        }
    }
}

#[actix_rt::test]
async fn a_reply_that_breaks_off_is_no_answer_even_if_what_came_is_whole_json() {
    for is_secure in [false, true] {
        for (reply, end) in [
            (with("content-length: 500\r\n", BODY), End::Closes),
            (with("content-length: 16\r\n", BODY), End::Closes),
            (
                with("content-length: 16\r\n", BODY).replace("HTTP/1.1", "HTTP/1.0"),
                End::Closes,
            ),
            (
                with(
                    "transfer-encoding: chunked\r\n",
                    "f\r\n{\"active\":true}\r\n",
                ),
                End::Closes,
            ),
            (
                with(
                    "transfer-encoding: chunked\r\n",
                    "f\r\n{\"active\":true}\r\n0\r\n",
                ),
                End::Closes,
            ),
            (
                with("transfer-encoding: chunked\r\n", "ff\r\n{\"active\":true}"),
                End::Closes,
            ),
            (
                with("transfer-encoding: chunked\r\n", "f\r\n{\"active\":true}"),
                End::Closes,
            ),
        ] {
            let server = Server::new(reply.as_bytes(), end, is_secure);
            let error = server.ask(&server.client()).await.err().expect("no answer");
            assert_eq!(
                (error.finding, error.is_retryable),
                (Finding::Token, true),
                "{reply}"
            );
        }
    }
    // Without a length, the end of TLS is the only sign that nothing is missing.
    let server = Server::new(with("", BODY).as_bytes(), End::Breaks, true);
    let error = server.ask(&server.client()).await.err().expect("no answer");
    assert_eq!(error.finding, Finding::Token);
}

#[actix_rt::test]
async fn a_failure_is_the_endpoints_up_to_the_head_of_a_reply() {
    for (reply, finding) in [
        ("", Finding::Unanswered),
        ("HTTP/1.1 200 OK\r\ncontent-", Finding::Unanswered),
        ("nonsense\r\n\r\n", Finding::Token),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            Finding::Token,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            Finding::Token,
        ),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Finding::Token),
    ] {
        let server = Server::new(reply.as_bytes(), End::Closes, false);
        let error = server.ask(&server.client()).await.err().expect("no answer");
        assert_eq!(error.finding, finding, "{reply}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = Server::new(b"", End::Closes, false);
    server.port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let error = server.ask(&server.client()).await.err().expect("no answer");
    assert_eq!(error.finding, Finding::Unreachable);
    // A certificate that nobody trusts.
    let (_, other) = tls();
    let mut server = Server::new(b"", End::Closes, true);
    server.trust = other;
    let error = server.ask(&server.client()).await.err().expect("no answer");
    assert_eq!(error.finding, Finding::Unreachable);
}

#[actix_rt::test]
async fn a_reply_is_read_up_to_a_mebibyte_and_few_long_ones_at_once() {
    let body = |length: usize| {
        let ends = ["{\"active\":true,\"groups\":\"", "\"}"];
        let groups = "x".repeat(length - ends.concat().len());
        ends.join(&groups)
    };
    let framed = |length: usize| with(&format!("content-length: {length}\r\n"), &body(length));
    let unframed = |length: usize| with("", &body(length));
    for (reply, is_read) in [
        (framed(LONGEST_REPLY), true),
        (unframed(LONGEST_REPLY), true),
        (framed(LONGEST_REPLY + 1), false),
        (unframed(LONGEST_REPLY + 1), false),
    ] {
        let server = Server::new(reply.as_bytes(), End::Closes, false);
        let outcome = server.ask(&server.client()).await;
        assert_eq!(outcome.is_ok(), is_read, "{}", reply.len());
        if let Err(error) = outcome {
            assert_eq!(error.finding, Finding::Token);
        }
    }
    let long = Server::new(framed(SHORT_REPLY + 1).as_bytes(), End::Stays, false);
    let short = Server::new(framed(SHORT_REPLY).as_bytes(), End::Stays, false);
    let client = long.client();
    let held = long.ask(&client).await.expect("a slot is free");
    let busy = long.ask(&client).await.err().expect("no slot is free");
    assert!(matches!(busy.error, AuthError::Busy));
    assert_eq!(busy.finding, Finding::Nothing);
    assert!(short.ask(&client).await.is_ok());
    drop(held);
    assert!(long.ask(&client).await.is_ok());
}

#[actix_rt::test]
async fn the_body_of_an_error_may_be_long_or_break_off() {
    let long = format!("HTTP/1.1 403 No\r\n\r\n{}", "x".repeat(SHORT_REPLY + 1));
    let cut = "HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nx".to_owned();
    for (reply, status) in [(long, 403), (cut, 500)] {
        let server = Server::new(reply.as_bytes(), End::Closes, false);
        let reply = server.ask(&server.client()).await.expect("its status came");
        assert_eq!((reply.status.as_u16(), reply.body.len()), (status, 0));
    }
}

#[test]
fn a_url_within_tls_keeps_its_host_its_port_and_its_path() {
    for (url, within) in [
        ("https://a.example/x?y=z", "http://a.example:443/x?y=z"),
        ("https://a.example:8443", "http://a.example:8443/"),
        ("https://[2001:db8::1]/x", "http://[2001:db8::1]:443/x"),
    ] {
        assert_eq!(within_tls(&url.parse().unwrap()).unwrap(), within);
    }
}
