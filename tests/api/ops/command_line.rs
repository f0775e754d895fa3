//! The program from the command line: what it needs, what it says, and how it ends.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use epicme::config::{
    key::Heading,
    keys::{KEYS, LOG, LOG_FORMAT},
};
use secrecy::ExposeSecret;

use crate::support::{Program, TestDatabase, epicme, new_cluster, said};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    epicme(arguments, environment).output().unwrap()
}

const COMPLETE: [(&str, &str); 4] = [
    (
        "DATABASE_URL",
        "postgres://epicme:zq5-password@localhost:1/epicme",
    ),
    ("EPICME_ISSUER", "https://issuer.example"),
    ("EPICME_INTROSPECTION_CLIENT_ID", "epicme"),
    ("EPICME_INTROSPECTION_CLIENT_SECRET", "zq5-secret"),
];

#[test]
fn with_nothing_configured_every_missing_key_is_named_at_once() {
    insta::assert_snapshot!("serve_without_anything", said(&run(&["serve"], &[])));
}

#[test]
fn every_fault_is_reported_at_once_with_its_key_and_where_it_came_from() {
    let mut environment = COMPLETE.to_vec();
    environment.extend([
        ("EPICME_BIND", "here"),
        ("EPICME_PUBLIC_URL", "http://journal.example"),
        ("EPICME_DATABASE_POOL", "0"),
        ("EPICME_MIGRATE", "yes"),
        ("EPICME_ISSUER_METADATA_URL", "http://issuer.example/"),
        (
            "EPICME_INTROSPECTION_URL",
            "http://issuer.example/introspect",
        ),
        (
            "EPICME_INTROSPECTION_CLIENT_SECRET_FILE",
            "/nonexistent/zq5",
        ),
        ("EPICME_INTROSPECTION_CACHE", "2h"),
        ("EPICME_INTROSPECTION_TIMEOUT", "3"),
        ("EPICME_AUDIENCE_OPTIONAL", "maybe"),
        ("EPICME_PLAIN_HTTP_HOSTS", "mock-auth:7788"),
        ("EPICME_BASELINE_SCOPES", "everything"),
        ("EPICME_WORKERS", "0"),
        ("EPICME_METRICS_BIND", "9464"),
        ("EPICME_ALLOWED_ORIGINS", "https://app.example/"),
        ("EPICME_LEGACY", "no"),
        ("EPICME_REQUEST_STATE_KEY", "zq5-secret"),
        ("EPICME_REQUEST_STATE_KEY_FILE", "/nonexistent/zq5"),
        ("EPICME_REQUEST_STATE_PREVIOUS_KEY", "zq5-secret"),
        ("EPICME_STREAMS", "0"),
        ("EPICME_SESSIONS", "-1"),
        ("EPICME_SESSION_IDLE", "0s"),
        ("EPICME_DRAIN_TIMEOUT", "5s"),
        ("EPICME_DRAIN_DELAY", "5s"),
    ]);
    let output = run(
        &["serve", "--introspection-cache-entries", "many"],
        &environment,
    );
    let said = said(&output);
    assert!(
        !said.contains("zq5-password") && !said.contains("zq5-secret"),
        "{said}"
    );
    insta::assert_snapshot!("serve_with_faults", said);
}

#[test]
fn check_config_shows_what_is_in_effect_and_no_secret() {
    let mut environment = COMPLETE.to_vec();
    environment.extend([
        ("EPICME_WORKERS", "2"),
        ("EPICME_PUBLIC_URL", "https://journal.example/"),
    ]);
    let output = run(&["check-config", "--bind", "127.0.0.1:1234"], &environment);
    let said = said(&output);
    assert!(!said.contains("zq5"), "{said}");
    insta::assert_snapshot!("check_config", said);
}

#[test]
fn hosts_without_tls_are_named_and_warned_of() {
    let database = TestDatabase::new();
    let mut environment = COMPLETE.to_vec();
    environment[0].1 = database.url.expose_secret();
    environment[1].1 = "http://127.0.0.1:7788";
    environment.extend([
        (
            "EPICME_ISSUER_METADATA_URL",
            "http://mock-auth:7788/metadata",
        ),
        (
            "EPICME_INTROSPECTION_URL",
            "http://mock-auth:7788/introspection",
        ),
        ("EPICME_JWKS_URL", "http://keys.internal/jwks"),
    ]);
    let told = |hosts| {
        let mut environment = environment.clone();
        environment.push(("EPICME_PLAIN_HTTP_HOSTS", hosts));
        said(&run(&["check-config"], &environment))
    };
    let refused = told("mock-auth");
    assert!(refused.contains("has 1 fault:"), "{refused}");
    assert!(
        refused.contains("  EPICME_JWKS_URL (environment): must use https"),
        "{refused}"
    );
    let shown = told("mock-auth keys.internal");
    assert!(shown.starts_with("exit 0"), "{shown}");
    assert!(
        shown.contains("http://mock-auth:7788/metadata\n"),
        "{shown}"
    );

    environment.push(("EPICME_PLAIN_HTTP_HOSTS", "mock-auth,keys.internal"));
    let program = Program::start(&environment);
    let warnings: Vec<_> = program
        .said
        .iter()
        .filter(|line| line.contains("WARN") && line.contains("without TLS"))
        .collect();
    assert_eq!(warnings.len(), 1, "{:?}", program.said);
    assert!(
        warnings[0].contains("tokens and secrets are sent without TLS to mock-auth, keys.internal"),
        "{warnings:?}"
    );
}

#[test]
fn a_secret_can_come_from_a_file() {
    let path = std::env::temp_dir().join(format!("epicme-secret-{}", std::process::id()));
    std::fs::write(&path, "postgres://zq5-from-file@localhost/epicme\n").unwrap();
    let file = path.to_str().unwrap();
    let environment = [
        COMPLETE[1],
        COMPLETE[2],
        ("DATABASE_URL_FILE", file),
        ("EPICME_INTROSPECTION_CLIENT_SECRET_FILE", file),
    ];
    let output = run(&["check-config"], &environment);
    std::fs::remove_file(&path).unwrap();
    let said = said(&output);
    assert!(
        output.status.success() && !said.contains("zq5-from-file"),
        "{said}"
    );
    for key in ["DATABASE_URL", "EPICME_INTROSPECTION_CLIENT_SECRET"] {
        let line = said
            .lines()
            .find(|line| line.starts_with(&format!("  {key} ")))
            .unwrap();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            [key, "file", "***"]
        );
    }
}

#[test]
fn request_state_keys_are_read_and_not_shown() {
    let keys = [
        ("EPICME_REQUEST_STATE_KEY", [b'a'; 32]),
        ("EPICME_REQUEST_STATE_PREVIOUS_KEY", [b'b'; 32]),
    ]
    .map(|(name, key)| (name, STANDARD.encode(key)));
    let set = |count: usize| {
        let mut environment = COMPLETE.to_vec();
        environment.extend(
            keys[..count]
                .iter()
                .map(|(name, key)| (*name, key.as_str())),
        );
        let output = run(&["check-config"], &environment);
        let said = said(&output);
        assert!(keys.iter().all(|(_, key)| !said.contains(key)), "{said}");
        keys.clone().map(|(name, _)| {
            let line = said
                .lines()
                .find(|line| line.starts_with(&format!("  {name} ")));
            let words: Vec<_> = line.unwrap().split_whitespace().skip(1).collect();
            words.join(" ")
        })
    };
    let drawn = "default (drawn at start: states and sessions of other processes are not accepted)";
    assert_eq!(set(0), [drawn, "default (not set)"]);
    assert_eq!(set(1), ["environment ***", "default (not set)"]);
    assert_eq!(set(2), ["environment ***", "environment ***"]);
}

#[test]
fn help_is_the_reference_of_every_key_and_shows_no_secret() {
    let output = run(&["serve", "--help"], &COMPLETE);
    let said = said(&output);
    assert!(output.status.success() && !said.contains("zq5"), "{said}");
    // Long lines are wrapped.
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let keys = KEYS.iter().copied().chain([&LOG, &LOG_FORMAT]);
    for key in keys.filter(|key| !key.is_member_only) {
        for name in [Some(key.name.to_owned()), key.file_name()] {
            let Some(name) = name else { continue };
            assert!(words.contains(&format!("[env: {name}")), "{name}");
        }
    }
    let headings: Vec<_> = Heading::ALL
        .into_iter()
        .map(|heading| said.find(&format!("\n{}:\n", heading.title())))
        .collect();
    assert!(
        headings.is_sorted() && headings.iter().all(Option::is_some),
        "{headings:?}"
    );
}

/// The page is generated; `src/config/reference.rs` holds that it is up to date.
#[test]
fn the_page_of_keys_is_printed() {
    let output = run(&["config-keys"], &[]);
    let page = include_str!("../../../docs/CONFIGURATION.md");
    assert!(
        output.stdout == page.as_bytes(),
        "docs/CONFIGURATION.md is out of date"
    );
}

#[test]
fn a_wrong_command_line_is_a_usage_error_and_a_question_is_none() {
    for arguments in [
        &["serve", "--no-such-flag"][..],
        &["no-such-command"],
        &["serve", "--log-format", "x"],
    ] {
        assert_eq!(
            run(arguments, &COMPLETE).status.code(),
            Some(64),
            "{arguments:?}"
        );
    }
    for arguments in [&["--help"][..], &["--version"], &["help", "serve"]] {
        assert_eq!(run(arguments, &[]).status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_database_that_cannot_be_used_is_told_and_its_url_stays_secret() {
    const UNUSABLE: &str = "epicme: the database cannot be used";
    for (url, commands, code, reason) in [
        (COMPLETE[0].1, &["migrate"][..], 69, UNUSABLE),
        (
            "postgres://epicme:zq5-password@127.0.0.1:1/epicme",
            &["migrate"],
            69,
            UNUSABLE,
        ),
        (
            "postgres://epicme:zq5-password@[broken/epicme",
            &["serve", "migrate"],
            64,
            "DATABASE_URL (environment): must be a libpq URL",
        ),
        (
            "zq5-password",
            &["serve", "migrate"],
            64,
            "DATABASE_URL (environment): must be a libpq URL",
        ),
    ] {
        let mut environment = COMPLETE.to_vec();
        environment[0].1 = url;
        for command in commands {
            let output = run(&[command], &environment);
            let said = said(&output);
            assert_eq!(output.status.code(), Some(code), "{said}");
            assert!(said.contains(reason), "{said}");
            assert!(!said.contains("zq5"), "{command} {url}: {said}");
        }
    }
}

#[test]
fn pending_migrations_stop_the_start_until_they_are_run() {
    let cluster = new_cluster();
    cluster.create_database("epicme").unwrap();
    let url = cluster.url("epicme");
    let mut environment = COMPLETE.to_vec();
    environment[0].1 = url.expose_secret();
    let refused = run(&["serve"], &environment);
    assert_eq!(refused.status.code(), Some(69));
    assert!(
        said(&refused).contains("run `epicme migrate`, or set EPICME_MIGRATE=on"),
        "{}",
        said(&refused)
    );
    let migrated = run(&["migrate"], &environment[..1]);
    assert!(migrated.status.success(), "{}", said(&migrated));
    let again = run(&["migrate"], &environment[..1]);
    assert_eq!(
        str::from_utf8(&again.stdout).unwrap(),
        "0 migrations run; the schema is up to date\n"
    );
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let database = TestDatabase::new();
    let mut environment = COMPLETE.to_vec();
    environment[0].1 = database.url.expose_secret();
    environment.extend([("EPICME_WORKERS", "1"), ("EPICME_METRICS_BIND", "off")]);
    for format in ["text", "json"] {
        let mut child = epicme(
            &["serve", "--bind", "127.0.0.1:0", "--log-format", format],
            &environment,
        )
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = log.find(|line| {
            line.as_ref()
                .unwrap()
                .contains("serving http://127.0.0.1:8787/mcp on 127.0.0.1:")
        });
        let line = line.unwrap().unwrap();
        if format == "json" {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(
                (line["level"].as_str(), line["target"].as_str()),
                (Some("INFO"), Some("epicme"))
            );
        }
        let told = Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap();
        assert!(told.success());
        assert!(child.wait().unwrap().success());
        assert!(log.any(|line| line.unwrap().contains("stopping")));
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let database = TestDatabase::new();
    let mut environment = COMPLETE.to_vec();
    environment[0].1 = database.url.expose_secret();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["serve", "--bind", &address], &environment);
    assert_eq!(output.status.code(), Some(69));
    assert!(
        said(&output).contains(&format!("cannot listen on {address}")),
        "{}",
        said(&output)
    );
}
