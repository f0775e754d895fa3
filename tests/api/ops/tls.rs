//! TLS on our own listener: what is served, what is refused, and a certificate that changes meanwhile.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use mcp_server::tls::{Identity, TlsFault};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::{
    ALL, Issuer, PUBLIC_HOST, Program, SecretFile, SigningKey, TestApp, TestDatabase, envelope,
    epicme, lines_with, log_contains, said, scraped,
};

/// A certificate for the public host, and its key.
struct Pair {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
}

impl Pair {
    fn new() -> Self {
        Self::until(4096)
    }

    /// A certificate that ends when this year begins.
    fn until(year: i32) -> Self {
        let mut wanted = rcgen::CertificateParams::new([PUBLIC_HOST.to_owned()]).unwrap();
        wanted.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = wanted.self_signed(&key).unwrap();
        Self {
            certificate: made.pem(),
            key: key.serialize_pem(),
            der: made.der().clone(),
        }
    }
}

/// The two files of a server.
struct Files {
    certificate: SecretFile,
    key: SecretFile,
}

impl Files {
    fn new(pair: &Pair) -> Self {
        Self {
            certificate: SecretFile::new(&pair.certificate),
            key: SecretFile::new(&pair.key),
        }
    }

    fn write(&self, pair: &Pair) {
        self.certificate.write(&pair.certificate);
        self.key.write(&pair.key);
    }

    fn read(&self) -> Result<Identity, TlsFault> {
        Identity::read(self.certificate.path(), self.key.path())
    }

    fn environment(&self) -> [(&'static str, &str); 2] {
        [
            (
                "EPICME_TLS_CERTIFICATE_FILE",
                self.certificate.path().to_str().unwrap(),
            ),
            ("EPICME_TLS_KEY_FILE", self.key.path().to_str().unwrap()),
        ]
    }
}

fn spawn(files: &Files) -> TestApp {
    let identity = files.read().unwrap();
    TestApp::spawn_with(|config| config.http.tls = Some(identity))
}

/// A connection over TLS, of a client that trusts these certificates and no others.
struct Client(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    fn connect(address: SocketAddr, trusted: &[&Pair]) -> Result<Self, String> {
        Self::connect_by(address, trusted, &[&TLS12, &TLS13])
    }

    fn connect_by(
        address: SocketAddr,
        trusted: &[&Pair],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for pair in trusted {
            roots.add(pair.der.clone()).unwrap();
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from(PUBLIC_HOST).unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        // So that a broken promise fails instead of hanging.
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut stream = StreamOwned::new(tls, stream);
        while stream.conn.is_handshaking() {
            stream
                .conn
                .complete_io(&mut stream.sock)
                .map_err(|error| error.to_string())?;
        }
        Ok(Self(stream))
    }

    /// Sends a request, and reads the answer up to this text in it.
    fn ask(&mut self, request: &str, until: &str) -> String {
        self.0.write_all(request.as_bytes()).unwrap();
        self.read_up_to(until)
    }

    fn read_up_to(&mut self, until: &str) -> String {
        let mut answer = Vec::new();
        let mut buffer = [0; 4_096];
        while !String::from_utf8_lossy(&answer).contains(until) {
            let length = self.0.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "it ended: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(answer).unwrap()
    }

    fn is_healthy(&mut self) -> bool {
        let request = format!("GET /healthcheck HTTP/1.1\r\nhost: {PUBLIC_HOST}\r\n\r\n");
        self.ask(&request, "\r\n\r\n").starts_with("HTTP/1.1 200")
    }

    fn was_shown(&self) -> &CertificateDer<'static> {
        &self.0.conn.peer_certificates().unwrap()[0]
    }
}

/// A modern request, whole.
fn modern(token: &str, method: &str, params: serde_json::Value) -> String {
    let mut params = params;
    params["_meta"] = envelope();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let name = params["name"].as_str();
    let name = name.map_or_else(String::new, |name| format!("mcp-name: {name}\r\n"));
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {PUBLIC_HOST}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[actix_rt::test]
async fn with_a_certificate_the_server_speaks_tls_of_both_versions() {
    let pair = Pair::new();
    let app = spawn(&Files::new(&pair));
    let token = app.token("ann", ALL);
    for (version, spoken) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let mut client = Client::connect_by(app.address, &[&pair], &[version]).unwrap();
        assert_eq!(client.0.conn.protocol_version(), Some(spoken));
        assert_eq!(client.0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = client.ask(&modern(&token, "tools/list", json!({})), "list_entries");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let stranger = Client::connect(app.address, &[&Pair::new()]);
    assert!(
        stranger.is_err(),
        "a client that trusts another certificate"
    );
}

#[actix_rt::test]
async fn an_event_stream_comes_as_it_is_said_over_tls() {
    let pair = Pair::new();
    let app = spawn(&Files::new(&pair));
    let token = app.token("ann", ALL);
    let mut stream = Client::connect(app.address, &[&pair]).unwrap();
    let filter = json!({ "notifications": { "resourcesListChanged": true } });
    let listen = modern(&token, "subscriptions/listen", filter);
    stream.ask(&listen, "notifications/subscriptions/acknowledged");
    let mut writer = Client::connect(app.address, &[&pair]).unwrap();
    let tag = json!({ "name": "create_tag", "arguments": { "name": "home" } });
    let written = writer.ask(&modern(&token, "tools/call", tag), "structuredContent");
    assert!(written.starts_with("HTTP/1.1 200"), "{written}");
    stream.read_up_to("notifications/resources/list_changed");
}

#[actix_rt::test]
async fn what_is_not_tls_is_closed_without_an_answer() {
    let app = spawn(&Files::new(&Pair::new()));
    let request = format!("GET /healthcheck HTTP/1.1\r\nhost: {PUBLIC_HOST}\r\n\r\n");
    let answer = app.exchange(&request);
    assert!(!answer.contains("HTTP"), "{answer}");
    let began = Instant::now();
    let mut silent = app.wire();
    assert_eq!(silent.read(), "", "it is closed");
    let waited = began.elapsed();
    assert!(
        (Duration::from_secs(2)..Duration::from_secs(15)).contains(&waited),
        "{waited:?}"
    );
}

/// actix-tls accepts nothing while 256 handshakes are under way, and gives each of them three seconds.
#[actix_rt::test]
async fn silent_connections_do_not_keep_a_handshake_waiting() {
    let pair = Pair::new();
    let app = spawn(&Files::new(&pair));
    let silent: Vec<_> = (0..600)
        .map(|_| TcpStream::connect(app.address).unwrap())
        .collect();
    let began = Instant::now();
    let mut client = Client::connect(app.address, &[&pair]).unwrap();
    assert!(client.is_healthy());
    let waited = began.elapsed();
    assert!(waited < Duration::from_millis(1_500), "{waited:?}");
    drop(silent);
}

#[actix_rt::test]
async fn a_new_certificate_is_shown_to_new_connections_and_no_old_one_is_closed() {
    let (old, new) = (Pair::new(), Pair::new());
    let files = Files::new(&old);
    let app = spawn(&files);
    let connect = || Client::connect(app.address, &[&old, &new]).unwrap();
    let mut before = connect();
    assert!(before.is_healthy());
    files.write(&new);
    assert_eq!(connect().was_shown(), &old.der, "looked at a moment ago");
    app.clock.advance(TimeDelta::seconds(2));
    assert_eq!(connect().was_shown(), &new.der);
    assert!(before.is_healthy());
    assert!(connect().is_healthy());
}

#[actix_rt::test]
async fn the_metrics_say_when_the_first_certificate_of_the_chain_ends() {
    let (own, issuing) = (Pair::until(2040), Pair::until(2035));
    let files = Files::new(&own);
    let identity = files.read().unwrap();
    let app = TestApp::spawn_with(|config| {
        config.http.metrics = Some(([127, 0, 0, 1], 0).into());
        config.http.tls = Some(identity);
    });
    let end = async || scraped(&app).await["epicme_tls_certificate_not_after_seconds"];
    let begin_of = |year| {
        let day = chrono::NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp() as f64
    };
    assert_eq!(end().await, begin_of(2040));
    // Nobody has to connect for a new one to be seen.
    files
        .certificate
        .write(&format!("{}{}", own.certificate, issuing.certificate));
    app.clock.advance(TimeDelta::seconds(2));
    assert_eq!(end().await, begin_of(2035));
}

#[actix_rt::test]
async fn a_pair_that_is_broken_or_half_written_leaves_the_one_before_in_use() {
    let (old, new) = (Pair::new(), Pair::new());
    let files = Files::new(&old);
    let app = spawn(&files);
    let certificate = files.certificate.path().display().to_string();
    let key = files.key.path().display().to_string();
    let shown = || {
        app.clock.advance(TimeDelta::seconds(2));
        let client = Client::connect(app.address, &[&old, &new]).unwrap();
        client.was_shown().clone()
    };
    files.certificate.write(&new.certificate[..200]);
    assert_eq!(shown(), old.der);
    assert!(log_contains(&format!(
        "the TLS certificate before stays in use: {certificate}: "
    )));
    assert_eq!(shown(), old.der);
    let told = lines_with(&certificate);
    assert_eq!(told.len(), 1, "once for each change: {told:?}");
    files.certificate.write(&new.certificate);
    assert_eq!(shown(), old.der);
    assert!(log_contains(&format!(
        "the TLS certificate before stays in use: {key}: it is not the key of the certificate"
    )));
    files.key.write(&new.key);
    assert_eq!(shown(), new.der);
    std::fs::remove_file(files.key.path()).unwrap();
    assert_eq!(shown(), new.der);
    for secret in [&old.key, &new.key] {
        let line = secret.lines().nth(1).unwrap();
        assert_eq!(lines_with(line), [""; 0]);
    }
}

#[actix_rt::test]
async fn a_hangup_has_the_certificate_read_again_and_closes_nothing() {
    let (issuer, server) = Issuer::bystander();
    issuer.serves().await;
    let (old, new) = (Pair::new(), Pair::new());
    let files = Files::new(&old);
    let database = TestDatabase::new();
    let mut environment = vec![
        ("DATABASE_URL", database.url.expose_secret()),
        ("EPICME_ISSUER", issuer.url()),
        ("EPICME_WORKERS", "1"),
        ("EPICME_ALLOWED_HOSTS", PUBLIC_HOST),
    ];
    environment.extend(files.environment());
    let mut program = Program::serve(&environment);
    let warning =
        "the listener uses TLS, but EPICME_PUBLIC_URL (http://127.0.0.1:8787) begins with http";
    let warned = program.said.iter().any(|line| line.contains(warning));
    assert!(warned, "{:?}", program.said);
    program.says("the authorization server answers");
    let address = program.address;
    let connect = || Client::connect(address, &[&old, &new]).unwrap();
    let mut before = connect();
    assert_eq!(before.was_shown(), &old.der);
    assert!(before.is_healthy());
    let healthy = program.healthcheck(&files.environment());
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
    files.write(&new);
    program.signal("HUP");
    program.says_next("secret files will be read again");
    assert_eq!(connect().was_shown(), &new.der);
    assert!(before.is_healthy());
    files.key.write("no key");
    program.signal("HUP");
    program.says_next("the TLS certificate before stays in use: ");
    assert_eq!(connect().was_shown(), &new.der);
    assert!(before.is_healthy());
    program.signal("TERM");
    assert_eq!(program.ends().0, 0);
    server.stop(false).await;
}

#[test]
fn a_pair_that_cannot_be_served_with_stops_the_start_and_is_told_by_its_key() {
    let (pair, other) = (Pair::new(), Pair::new());
    let chain = format!("{}{}", pair.certificate, other.certificate);
    let told = |command, certificate: Option<&str>, key: Option<&str>| {
        let certificate = certificate.map(SecretFile::new);
        let key = key.map(SecretFile::new);
        let mut environment = vec![
            ("DATABASE_URL", "postgres://localhost:1/epicme"),
            ("EPICME_ISSUER", "https://issuer.example"),
            ("EPICME_JWT", "on"),
        ];
        for (name, file) in [
            ("EPICME_TLS_CERTIFICATE_FILE", &certificate),
            ("EPICME_TLS_KEY_FILE", &key),
        ] {
            let path = file.as_ref().map(|file| file.path().to_str().unwrap());
            environment.extend(path.map(|path| (name, path)));
        }
        let said = said(&epicme(&[command], &environment).output().unwrap());
        let secret = pair.key.lines().nth(1).unwrap();
        assert!(!said.contains(secret), "{said}");
        said
    };
    let (certificate, key) = (pair.certificate.as_str(), pair.key.as_str());
    for good in [certificate, chain.as_str()] {
        let said = told("check-config", Some(good), Some(key));
        assert!(said.starts_with("exit 0"), "{said}");
    }
    let foreign = SigningKey::new("k").pem();
    for (certificate, key, name, why) in [
        (
            Some(certificate),
            None,
            "CERTIFICATE",
            "is set, and EPICME_TLS_KEY_FILE is not",
        ),
        (
            None,
            Some(key),
            "KEY",
            "is set, and EPICME_TLS_CERTIFICATE_FILE is not",
        ),
        (
            Some("x"),
            Some(key),
            "CERTIFICATE",
            ": there is no certificate in it (PEM)",
        ),
        (
            Some(key),
            Some(key),
            "CERTIFICATE",
            ": there is no certificate in it (PEM)",
        ),
        (
            Some(&certificate[..200]),
            Some(key),
            "CERTIFICATE",
            ": it is no PEM",
        ),
        (
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            Some(key),
            "CERTIFICATE",
            ": its first certificate cannot be used: ",
        ),
        (
            Some(certificate),
            Some(certificate),
            "KEY",
            ": there is no private key in it (PEM)",
        ),
        (
            Some(certificate),
            Some(""),
            "KEY",
            ": it cannot be read: it is empty",
        ),
        (
            Some(certificate),
            Some(&foreign),
            "KEY",
            ": it is not the key of the certificate",
        ),
        (
            Some(certificate),
            Some(&other.key),
            "KEY",
            ": it is not the key of the certificate",
        ),
    ] {
        let said = told("serve", certificate, key);
        assert!(
            said.starts_with("exit 64") && said.contains("has 1 fault:"),
            "{said}"
        );
        let fault = said
            .lines()
            .find(|line| line.starts_with("  EPICME_TLS_"))
            .unwrap();
        let begin = format!("  EPICME_TLS_{name}_FILE (environment): ");
        assert!(fault.starts_with(&begin) && fault.contains(why), "{fault}");
    }
}
