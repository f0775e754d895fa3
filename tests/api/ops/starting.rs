//! What an operator sees of a start that does not succeed: the database's reason, the key of a taken port, and a signal
//! that is obeyed at once.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use secrecy::ExposeSecret;

use crate::support::{Program, Silence, TestDatabase, epicme, said};

/// How long a program may take to end that was told to.
const AT_ONCE: Duration = Duration::from_secs(5);

const ISSUER: [(&str, &str); 3] = [
    ("EPICME_ISSUER", "https://issuer.example"),
    ("EPICME_INTROSPECTION_CLIENT_ID", "epicme"),
    ("EPICME_INTROSPECTION_CLIENT_SECRET", "zq5-secret"),
];

fn run(arguments: &[&str], url: &str) -> Output {
    let mut environment = ISSUER.to_vec();
    environment.extend([
        ("DATABASE_URL", url),
        // Another machine, as any name is.
        ("EPICME_PLAIN_DATABASE_HOSTS", "nowhere.invalid"),
    ]);
    epicme(arguments, &environment).output().unwrap()
}

/// The URL of another database on the server of this one.
fn beside(database: &TestDatabase, name: &str) -> String {
    let (server, _) = database.url.expose_secret().rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

#[test]
fn migrate_prints_the_databases_own_reason_and_what_to_do() {
    let database = TestDatabase::new();
    let nobody = Silence::new();
    let imposter = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = imposter.local_addr().unwrap();
    for (url, reason, place, advice) in [
        (
            format!("postgres://ann:zq5@{}/epicme", nobody.address()),
            "Connection refused",
            format!("(postgresql://ann@{}/epicme)", nobody.address()),
            "nobody listens there",
        ),
        (
            beside(&database, "nowhere"),
            "database \"nowhere\" does not exist",
            "/nowhere)".to_owned(),
            "create it",
        ),
        (
            "postgres://ann:zq5@nowhere.invalid/epicme".to_owned(),
            "could not translate host name \"nowhere.invalid\"",
            "(postgresql://ann@nowhere.invalid/epicme)".to_owned(),
            "no such host",
        ),
        (
            format!("postgres://ann:zq5@{silent}/epicme?connect_timeout=2"),
            "timeout expired",
            format!("(postgresql://ann@{silent}/epicme)"),
            "does not answer as PostgreSQL does",
        ),
    ] {
        let output = run(&["migrate"], &url);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(69), "{said}");
        for part in [
            "epicme: the database cannot be used: ",
            reason,
            &place,
            advice,
        ] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
        assert!(!said.contains("zq5"), "{said}");
    }
    drop(imposter);
}

#[test]
fn a_role_without_rights_is_told_what_it_lacks() {
    let database = TestDatabase::new();
    database.execute("CREATE ROLE powerless LOGIN").unwrap();
    database
        .execute("GRANT SELECT ON __diesel_schema_migrations TO powerless")
        .unwrap();
    database
        .execute("DELETE FROM __diesel_schema_migrations")
        .unwrap();
    let own = database.url.expose_secret();
    let url = own.replace("://epicme@", "://powerless@");
    let output = run(&["migrate"], &url);
    let said = said(&output);
    database.execute("DROP OWNED BY powerless").unwrap();
    database.execute("DROP ROLE powerless").unwrap();
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(
        said.contains("permission denied") && said.contains("has to own"),
        "{said}"
    );
}

#[test]
fn a_url_that_libpq_would_misread_is_a_usage_error_that_quotes_nothing() {
    for url in [
        "postgres://ann:z@zq5@db/epicme",
        "postgres://ann:z/zq5@db/epicme",
        "postgres://ann:zq5%@db/epicme",
        "postgres://ann:zq5@db/epicme?sslmode=require",
    ] {
        for command in ["serve", "migrate", "check-config"] {
            let output = run(&[command], url);
            let said = said(&output);
            assert_eq!(output.status.code(), Some(64), "{said}");
            assert!(
                said.contains("DATABASE_URL (environment): must ") && !said.contains("zq5"),
                "{said}"
            );
        }
    }
}

/// 127.1 is this machine to whoever looks it up, so that what is sent there would arrive here.
#[test]
fn a_database_on_another_machine_is_refused_without_tls_before_anything_is_sent() {
    let imposter = TcpListener::bind("127.0.0.1:0").unwrap();
    imposter.set_nonblocking(true).unwrap();
    let port = imposter.local_addr().unwrap().port().to_string();
    let url = format!("postgres://ann:zq5@127.1:{port}/epicme");
    let pairs = format!("user=ann password=zq5 port={port}");
    for (url, variables) in [
        (format!("{url}?sslmode=prefer"), &[][..]),
        (format!("{url}?sslmode=disable"), &[]),
        (format!("{url}?sslmode=require&sslmode=allow"), &[]),
        (url.clone(), &[("PGSSLMODE", "prefer")]),
        (format!("{url}?host=localhost,127%2E1&sslmode=disable"), &[]),
        (format!("{pairs} host = '127\\.1' sslmode=prefer"), &[]),
        (pairs, &[("PGHOST", "127.1"), ("PGSSLMODE", "prefer")]),
    ] {
        for command in ["serve", "migrate", "check-config", "doctor"] {
            for key in ["DATABASE_URL", "EPICME_DATABASE_DIRECT_URL"] {
                let mut environment = ISSUER.to_vec();
                environment.extend([("DATABASE_URL", "host=/nowhere"), (key, &url)]);
                environment.extend_from_slice(variables);
                let output = epicme(&[command], &environment).output().unwrap();
                let said = said(&output);
                let code = if command == "doctor" { 1 } else { 64 };
                assert_eq!(output.status.code(), Some(code), "{said}");
                let fault = format!("{key} (environment): must not lead to 127.1, another machine");
                assert!(said.contains(&fault) && !said.contains("zq5"), "{said}");
                assert!(imposter.accept().is_err(), "{command} {url}");
            }
        }
    }
}

#[test]
fn a_listener_whose_port_is_taken_names_its_key() {
    let database = TestDatabase::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["EPICME_BIND", "EPICME_METRICS_BIND", "EPICME_ADMIN_BIND"] {
        let mut environment = ISSUER.to_vec();
        environment.extend([
            ("DATABASE_URL", database.url.expose_secret()),
            ("EPICME_REVOCATION_SECRET", "sixteen letters, or more"),
        ]);
        let free = [
            ("EPICME_BIND", "127.0.0.1:0"),
            ("EPICME_METRICS_BIND", "off"),
        ];
        environment.extend(free.into_iter().filter(|(name, _)| *name != key));
        environment.push((key, &address));
        let output = epicme(&["serve"], &environment).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(69), "{said}");
        let told = format!("cannot listen on {address}");
        assert!(
            said.contains(&told) && said.contains(&format!("{key} ")),
            "{said}"
        );
        assert!(said.contains("takes another address"), "{said}");
    }
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap()
            .success()
    );
}

/// Waits for the end of a program that was told to stop.
fn ends(mut child: Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.signal(), None, "it ended by itself");
            return status.code();
        }
        if began.elapsed() > AT_ONCE {
            child.kill().unwrap();
            panic!("it did not end at once");
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_stops_a_start_that_waits_for_the_database() {
    // It accepts connections, and never says anything.
    let imposter = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://ann@{}/epicme?connect_timeout=600",
        imposter.local_addr().unwrap()
    );
    for command in ["serve", "migrate"] {
        for name in ["INT", "TERM"] {
            let mut environment = ISSUER.to_vec();
            environment.push(("DATABASE_URL", &url));
            let child = epicme(&[command], &environment)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // When it has connected, it listens to signals and waits.
            let (mut connection, _) = imposter.accept().unwrap();
            assert!(connection.read(&mut [0; 8]).unwrap() > 0);
            signal(&child, name);
            assert_eq!(ends(child), Some(0), "{command} {name}");
        }
    }
}

#[test]
fn nobody_who_reads_is_no_panic() {
    let database = TestDatabase::new();
    let mut environment = ISSUER.to_vec();
    environment.push(("DATABASE_URL", database.url.expose_secret()));
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["config-keys"],
        &["scopes"],
        &["check-config"],
        &["migrate"],
        &["doctor"],
        &["audit", "verify", "/nonexistent"],
        &["serve", "--bind", "nowhere"],
        &["no-such-command"],
    ] {
        for (out, err) in [(true, false), (false, true), (true, true)] {
            let mut child = epicme(arguments, &environment)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // Whoever would read is gone before anything is written.
            let stdout = child.stdout.take().filter(|_| !out);
            let stderr = child.stderr.take().filter(|_| !err);
            let mut said = String::new();
            for mut pipe in [
                stdout.map(|pipe| Box::new(pipe) as Box<dyn Read>),
                stderr.map(|pipe| Box::new(pipe) as Box<dyn Read>),
            ]
            .into_iter()
            .flatten()
            {
                pipe.read_to_string(&mut said).unwrap();
            }
            let code = child.wait().unwrap().code();
            assert!(
                code.is_some_and(|code| code != 101),
                "{arguments:?}: {code:?}"
            );
            assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        }
    }
}

/// The log goes to a pipe, and its reader leaves: the server goes on.
#[actix_rt::test]
async fn a_server_whose_log_nobody_reads_goes_on() {
    let database = TestDatabase::new();
    let mut environment = ISSUER.to_vec();
    environment.extend([
        ("DATABASE_URL", database.url.expose_secret()),
        ("EPICME_BIND", "127.0.0.1:0"),
        ("EPICME_METRICS_BIND", "off"),
    ]);
    let mut child = epicme(&["serve"], &environment)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.find(|line| line.as_ref().unwrap().contains(" on 127.0.0.1:"));
    let line = line.unwrap().unwrap();
    drop(lines);
    let (_, address) = line.split_once(" on ").unwrap();
    let url = format!("http://{}/livez", address.split(';').next().unwrap());
    for _ in 0..3 {
        let reply = reqwest::get(&url).await.unwrap();
        assert_eq!(reply.status(), 200);
    }
    signal(&child, "TERM");
    assert_eq!(ends(child), Some(0));
}

#[test]
fn a_mistyped_key_is_warned_of_at_the_start() {
    let database = TestDatabase::new();
    let mut environment = ISSUER.to_vec();
    environment.extend([
        ("DATABASE_URL", database.url.expose_secret()),
        ("EPICME_PUBIC_URL", "https://zq5.example"),
        ("EPICME_SERVICE_HOST", "10.0.0.7"),
    ]);
    let program = Program::start(&environment);
    let told: Vec<_> = program
        .said
        .iter()
        .filter(|line| line.contains("is not a key"))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains(
            "EPICME_PUBIC_URL is not a key and has no effect; is EPICME_PUBLIC_URL meant?"
        ),
        "{told:?}"
    );
    assert!(!told[0].contains("zq5"), "{told:?}");
}
