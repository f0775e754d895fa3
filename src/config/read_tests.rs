use std::{fs, path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::*;
use crate::{config::options::Source, scopes};

const KEY: &str = "EPICME_REQUEST_STATE_KEY";
const PREVIOUS_KEY: &str = "EPICME_REQUEST_STATE_PREVIOUS_KEY";

fn complete() -> Options {
    Options::default()
        .with("DATABASE_URL", "postgres://localhost/epicme")
        .with("EPICME_ISSUER", "https://issuer.example")
        .with("EPICME_INTROSPECTION_CLIENT_ID", "epicme")
        .with("EPICME_INTROSPECTION_CLIENT_SECRET", "hunter2")
}

/// The keys that have faults, none of which contains the secret.
fn faulty(options: &Options) -> Vec<String> {
    match Config::read(options) {
        Ok(_) => Vec::new(),
        Err(errors) => {
            assert!(!errors.to_string().contains("hunter2"), "{errors}");
            errors.0.into_iter().map(|fault| fault.key).collect()
        }
    }
}

fn reason(options: &Options) -> String {
    Config::read(options).unwrap_err().0[0].reason.clone()
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("epicme-{name}-{}", std::process::id()))
}

/// T-03.
#[test]
fn database_issuer_and_introspection_client_are_all_that_is_needed() {
    let config = Config::read(&complete()).unwrap();
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:8787");
    assert_eq!(config.issuers[0].cache_lifetime, Duration::from_secs(60));
    assert_eq!(config.http.baseline.0, scopes::declared().all());
    assert!(config.http.limits.unknown_tokens.is_some());
    assert!(config.sessions.is_some());
    assert_eq!(
        faulty(&Options::default()),
        [
            "DATABASE_URL",
            "EPICME_ISSUER",
            "EPICME_INTROSPECTION_CLIENT_ID",
            "EPICME_INTROSPECTION_CLIENT_SECRET"
        ]
    );
}

#[test]
fn all_faults_are_reported_at_once_and_no_secret() {
    let options = complete()
        .with("EPICME_BIND", "here")
        .with("EPICME_PUBLIC_URL", "http://journal.example")
        .with("EPICME_DATABASE_POOL", "0")
        .with("EPICME_MIGRATE", "yes")
        .with("EPICME_INTROSPECTION_CACHE", "2h")
        .with("EPICME_INTROSPECTION_TIMEOUT", "0s")
        .with("EPICME_BASELINE_SCOPES", "entries:read everything")
        .with(
            "EPICME_ALLOWED_ORIGINS",
            "https://a.example/ https://b.example",
        )
        .with("EPICME_INTROSPECTION_CLIENT_SECRET_FILE", "/nonexistent")
        .with("EPICME_SESSION_IDLE", "5")
        .with("EPICME_LEGACY", "off");
    assert_eq!(
        faulty(&options),
        [
            "EPICME_BIND",
            "EPICME_PUBLIC_URL",
            "EPICME_ALLOWED_ORIGINS",
            "EPICME_DATABASE_POOL",
            "EPICME_MIGRATE",
            "EPICME_INTROSPECTION_TIMEOUT",
            "EPICME_INTROSPECTION_CLIENT_SECRET",
            "EPICME_INTROSPECTION_CACHE",
            "EPICME_BASELINE_SCOPES",
            "EPICME_SESSION_IDLE"
        ]
    );
}

#[test]
fn every_key_is_shown_once_and_secrets_are_masked() {
    let options = complete()
        .with("EPICME_JWT", "introspected")
        .with("EPICME_REVOCATION_SECRET", "0123456789abcdef");
    let shown = Config::effective(&options).unwrap();
    let mut names: Vec<_> = shown.iter().map(|value| value.key.as_str()).collect();
    let mut keys: Vec<_> = KEYS.iter().filter(|key| !key.is_member_only).collect();
    keys.sort_by_key(|key| key.heading);
    assert_eq!(
        names,
        keys.iter().map(|key| key.name).collect::<Vec<_>>(),
        "in the order of the help"
    );
    names.dedup();
    assert_eq!(names.len(), keys.len());
    let text = format!("{shown:?} {options:?} {:?}", Config::read(&options));
    assert!(
        !text.contains("hunter2") && !text.contains("0123456789abcdef"),
        "{text}"
    );
    for value in &shown {
        let is_set = options.source(&value.key) != Source::Default;
        let is_secret = KEYS
            .iter()
            .any(|key| key.name == value.key && key.is_secret);
        assert!(!is_set || !is_secret || value.value == "***", "{value:?}");
    }
}

#[test]
fn keys_without_effect_are_not_shown() {
    let shows = |options: &Options, name: &str| {
        let shown = Config::effective(options).unwrap();
        shown.iter().any(|value| value.key == name)
    };
    assert!(shows(&complete(), "EPICME_SESSIONS"));
    assert!(!shows(
        &complete().with("EPICME_LEGACY", "off"),
        "EPICME_SESSIONS"
    ));
    assert!(!shows(&complete(), "EPICME_JWT_ALGORITHMS"));
    assert!(shows(
        &complete().with("EPICME_JWT", "on"),
        "EPICME_JWT_ALGORITHMS"
    ));
}

#[test]
fn proxies_are_addresses_and_ranges() {
    for (proxies, faults) in [
        ("", &[][..]),
        ("10.0.0.7 10.1.0.0/16,fd00::/8", &[]),
        ("10.0.0.7 proxy.example", &["EPICME_TRUSTED_PROXIES"]),
        ("10.0.0.7/8", &["EPICME_TRUSTED_PROXIES"]),
    ] {
        let options = complete().with("EPICME_TRUSTED_PROXIES", proxies);
        assert_eq!(faulty(&options), faults, "{proxies}");
    }
}

#[test]
fn a_shutdown_is_longer_than_its_delay() {
    let options = |timeout: &str, delay: &str| {
        complete()
            .with("EPICME_DRAIN_TIMEOUT", timeout)
            .with("EPICME_DRAIN_DELAY", delay)
    };
    assert_eq!(faulty(&options("5s", "4s")), [""; 0]);
    assert_eq!(faulty(&options("5s", "5s")), ["EPICME_DRAIN_DELAY"]);
    assert_eq!(faulty(&options("61m", "0")), ["EPICME_DRAIN_TIMEOUT"]);
    assert_eq!(faulty(&options("0s", "0s")), ["EPICME_DRAIN_TIMEOUT"]);
}

#[test]
fn a_value_that_is_not_utf8_is_a_fault_of_its_key() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    let bytes = || OsString::from_vec(vec![b'o', 0xff]);
    assert_eq!(
        faulty(&complete().with("EPICME_LEGACY", bytes())),
        ["EPICME_LEGACY"]
    );
    let issuers = complete().with("EPICME_ISSUERS_FILE", bytes());
    assert!(faulty(&issuers).contains(&"EPICME_ISSUERS_FILE".to_owned()));
}

#[test]
fn a_previous_key_needs_a_different_current_one() {
    let (one, two) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
    let both = complete().with(KEY, &one).with(PREVIOUS_KEY, &two);
    let both = Config::read(&both).unwrap().request_state;
    assert_eq!(both.key.unwrap().expose_secret(), &[1; 32]);
    assert_eq!(both.previous_key.unwrap().expose_secret(), &[2; 32]);
    let neither = Config::read(&complete()).unwrap().request_state;
    assert!(neither.key.is_none() && neither.previous_key.is_none());
    let same = complete().with(KEY, &one).with(PREVIOUS_KEY, &one);
    assert_eq!(faulty(&same), [PREVIOUS_KEY]);
    assert_eq!(faulty(&complete().with(PREVIOUS_KEY, &two)), [PREVIOUS_KEY]);
    // Whether it would be the same is unknown.
    let unreadable = complete().with(KEY, "x").with(PREVIOUS_KEY, &two);
    assert_eq!(faulty(&unreadable), [KEY]);
}

#[test]
fn the_content_of_a_file_is_a_fault_of_the_file() {
    let path = file("state-key");
    let from_file = complete().with("EPICME_REQUEST_STATE_KEY_FILE", &path);
    assert_eq!(faulty(&from_file), ["EPICME_REQUEST_STATE_KEY_FILE"]);
    fs::write(&path, "short\n").unwrap();
    let short = faulty(&from_file);
    fs::write(&path, STANDARD.encode([1; 32]) + "\r\n").unwrap();
    let good = Config::read(&from_file).unwrap().request_state;
    let shown = Config::effective(&from_file).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(short, ["EPICME_REQUEST_STATE_KEY_FILE"]);
    assert_eq!(good.key.unwrap().expose_secret(), &[1; 32]);
    assert_eq!(faulty(&from_file.with(KEY, "x")), [KEY]);
    let shown: Vec<_> = shown
        .iter()
        .filter(|value| value.key.starts_with(KEY))
        .map(|value| (value.key.as_str(), value.value.as_str(), value.source))
        .collect();
    let path = path.display().to_string();
    assert_eq!(
        shown,
        [
            (KEY, "***", Source::File),
            (
                "EPICME_REQUEST_STATE_KEY_FILE",
                path.as_str(),
                Source::Environment
            )
        ]
    );
}

/// The rule is that by which they are read again while the server runs.
#[test]
fn every_file_of_a_secret_is_read_by_one_rule() {
    let path = file("database-url");
    let options = Options::default().with("DATABASE_URL_FILE", &path);
    let database_url = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Config::database_url(&options)
            .map(|url| url.expose_secret().to_owned())
            .map_err(|errors| errors.0[0].reason.clone())
    };
    let results = [
        database_url(b"postgres://localhost/epicme \t\r\n"),
        database_url(b" \n"),
        database_url(&[b'x'; 64 * 1024 + 1]),
    ];
    fs::remove_file(&path).unwrap();
    let refused = |why: &str| Err(format!("{} cannot be read: {why}", path.display()));
    assert_eq!(
        results,
        [
            Ok("postgres://localhost/epicme".to_owned()),
            refused("it is empty"),
            refused("it is longer than 64 KiB"),
        ]
    );
}

#[test]
fn a_revocation_secret_is_long_or_absent() {
    let with = |secret: &str| complete().with("EPICME_REVOCATION_SECRET", secret);
    let secret = |options: &Options| Config::read(options).unwrap().http.revocation_secret;
    assert!(secret(&complete()).is_none());
    assert!(secret(&with("0123456789abcdef")).is_some());
    for short in ["", "0123456789abcde"] {
        assert_eq!(faulty(&with(short)), ["EPICME_REVOCATION_SECRET"]);
        assert!(short.is_empty() || !reason(&with(short)).contains(short));
    }
}

proptest! {
    #[test]
    fn a_sealing_key_has_32_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let options = complete().with(KEY, STANDARD.encode(&bytes));
        match Config::read(&options) {
            Ok(config) => {
                let key = config.request_state.key.unwrap();
                prop_assert_eq!(&key.expose_secret()[..], &bytes[..]);
            }
            Err(_) => prop_assert_ne!(bytes.len(), 32),
        }
    }

    #[test]
    fn a_wrong_sealing_key_is_not_repeated(text in "[g-z!_-]{4,60}") {
        let options = complete().with(KEY, &text);
        prop_assert_eq!(faulty(&options), [KEY]);
        prop_assert_eq!(
            reason(&options),
            "must be 32 bytes in Base64; `openssl rand -base64 32` makes such a key"
        );
    }
}

#[test]
fn what_parses_and_cannot_work_is_refused_with_the_right_spelling() {
    for (key, value, right) in [
        (
            "EPICME_PUBLIC_URL",
            "https://journal.example/mcp",
            ": write https://journal.example",
        ),
        (
            "EPICME_PUBLIC_URL",
            "https://journal.example/a/mcp/",
            ": write https://journal.example/a",
        ),
        (
            "EPICME_ISSUER",
            "https://issuer.example/t/.well-known/openid-configuration",
            ": write https://issuer.example/t,",
        ),
        (
            "EPICME_ALLOWED_HOSTS",
            "journal.example https://other.example:8443/mcp",
            ": write other.example:8443",
        ),
        (
            "EPICME_ALLOWED_HOSTS",
            "*.example",
            "without a scheme, a path or a wildcard",
        ),
        (
            "EPICME_ALLOWED_ORIGINS",
            "https://App.example/page",
            ": write https://app.example",
        ),
        ("EPICME_ALLOWED_ORIGINS", "*", "must be origins"),
        (
            "EPICME_PLAIN_HTTP_HOSTS",
            "http://auth.internal:8080/",
            ": write auth.internal",
        ),
        (
            "EPICME_OTLP_ENDPOINT",
            "http://127.0.0.1:4318/v1/traces",
            ": write http://127.0.0.1:4318",
        ),
        (
            "EPICME_METRICS_BIND",
            "127.0.0.1:8787",
            "needs another port than EPICME_BIND",
        ),
        (
            "EPICME_METRICS_BIND",
            "0.0.0.0:8787",
            "needs another port than EPICME_BIND",
        ),
        ("EPICME_INTROSPECTION_CLIENT_ID", "epicme ", "white space"),
        (
            "EPICME_INTROSPECTION_CLIENT_SECRET",
            "one\ntwo",
            "line break",
        ),
        ("EPICME_INTROSPECTION_TIMEOUT", "1ns", "at least 50ms"),
        ("EPICME_DRAIN_TIMEOUT", "1ms", "at least 100ms"),
        ("EPICME_SESSION_IDLE", "1ms", "at least 1s"),
        (
            "EPICME_SESSION_LIFETIME",
            "99999999999h",
            "must not be longer than",
        ),
    ] {
        let options = complete().with(key, value);
        assert_eq!(faulty(&options), [key], "{value}");
        let reason = reason(&options);
        assert!(reason.contains(right), "{key}={value}: {reason}");
    }
    let apart = complete()
        .with("EPICME_BIND", "127.0.0.1:9000")
        .with("EPICME_METRICS_BIND", "127.0.0.2:9000");
    assert_eq!(faulty(&apart), [""; 0]);
}

#[test]
fn what_works_and_is_hardly_meant_is_warned_of() {
    for (key, value, warning) in [
        (
            "EPICME_BIND",
            "0.0.0.0:9000",
            "clients are told http://127.0.0.1:8787",
        ),
        ("EPICME_TRUSTED_PROXIES", "0.0.0.0/0", "has every address"),
        (
            "EPICME_TRUSTED_PROXIES",
            "10.0.0.0/8 ::/0",
            "has every address",
        ),
    ] {
        let warnings = Config::read(&complete().with(key, value))
            .unwrap()
            .warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains(warning),
            "{warnings:?}"
        );
    }
    assert_eq!(Config::read(&complete()).unwrap().warnings(), [""; 0]);
}
