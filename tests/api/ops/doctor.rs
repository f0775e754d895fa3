//! `epicme doctor`: it finds everything that is wrong, says what to do, and prints no secret.

use std::{
    io::Write,
    net::TcpListener,
    process::{Output, Stdio},
};

use actix_rt::task::spawn_blocking;
use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{ALL, Answer, Issuer, SigningKey, Silence, TestDatabase, epicme, said};

const RESOURCE: &str = "http://127.0.0.1:8787/mcp";
const SECRET: &str = "zq5-secret";
const TOKEN: &str = "zq5-token";

/// The least that the doctor needs to find nothing wrong.
struct Patient {
    issuer: Issuer,
    database: TestDatabase,
    changes: Vec<(&'static str, String)>,
}

impl Patient {
    fn new(issuer: &Issuer) -> Self {
        Self {
            issuer: issuer.clone(),
            database: TestDatabase::new(),
            changes: Vec::new(),
        }
    }

    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.changes.push((key, value.into()));
        self
    }

    fn of_role(self, role: &str) -> Self {
        let mut url = url::Url::parse(self.database.url.expose_secret()).unwrap();
        url.set_username(role).unwrap();
        self.with("DATABASE_URL", url.to_string())
    }

    /// What the command prints, with this text on its standard input.
    async fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut environment = vec![
            ("DATABASE_URL", self.database.url.expose_secret().to_owned()),
            ("EPICME_ISSUER", self.issuer.url().to_owned()),
            ("EPICME_INTROSPECTION_CLIENT_ID", "epicme".to_owned()),
            ("EPICME_INTROSPECTION_CLIENT_SECRET", SECRET.to_owned()),
        ];
        environment.extend(self.changes.iter().cloned());
        let arguments: Vec<_> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let input = input.to_owned();
        // Not on this thread: the issuer runs beside it.
        spawn_blocking(move || {
            let environment: Vec<_> = environment
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let mut child = epicme(&arguments, &environment)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // It may end without having read it.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        })
        .await
        .unwrap()
    }

    /// The report about everything but a token.
    async fn report(&self) -> Report {
        Report::of(&self.run(&["doctor", "--json"], "").await)
    }

    /// The report about this token too.
    async fn about(&self, token: &str) -> Report {
        let arguments = ["doctor", "--json", "--token-file", "-"];
        Report::of(&self.run(&arguments, token).await)
    }
}

struct Report {
    checks: Vec<(String, String)>,
}

impl Report {
    fn of(output: &Output) -> Self {
        let text = said(output);
        for secret in [SECRET, TOKEN] {
            assert!(!text.contains(secret), "{text}");
        }
        let report: Value = serde_json::from_slice(&output.stdout).expect(&text);
        let is_wrong = report["wrong"] != 0;
        assert_eq!(output.status.code(), Some(i32::from(is_wrong)), "{text}");
        let checks = report["checks"].as_array().unwrap().iter();
        let checks = checks.map(|check| {
            let part = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
            (
                part("level"),
                format!("{} -> {}", part("text"), part("advice")),
            )
        });
        Self {
            checks: checks.collect(),
        }
    }

    fn of_level(&self, level: &str) -> Vec<&str> {
        let checks = self.checks.iter();
        let checks = checks.filter(|(its_level, _)| its_level == level);
        checks.map(|(_, text)| text.as_str()).collect()
    }

    /// Asserts that each of these is a part of something wrong, and that nothing else is wrong.
    fn finds_wrong(&self, expected: &[&str]) {
        let wrong = self.of_level("wrong");
        for part in expected {
            assert!(
                wrong.iter().any(|text| text.contains(part)),
                "{part} is not in {wrong:#?}"
            );
        }
        assert_eq!(wrong.len(), expected.len(), "{wrong:#?}");
    }
}

/// The claims of a good token, with these changes; null takes away.
fn claims(issuer: &Issuer, changes: &Value) -> Value {
    let now = Utc::now();
    let mut claims = json!({
        "active": true, "sub": "ann", "client_id": "notebook", "scope": ALL, "aud": RESOURCE,
        "iss": issuer.url(), "token_type": "Bearer", "iat": now.timestamp(),
        "exp": (now + TimeDelta::hours(1)).timestamp(),
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

#[actix_rt::test]
async fn where_nothing_is_wrong_it_says_so_and_asks_for_nothing_else() {
    let (issuer, server) = Issuer::bystander();
    let patient = Patient::new(&issuer);
    issuer.answer(TOKEN, Answer::json(claims(&issuer, &json!({}))));
    let report = patient.about(TOKEN).await;
    report.finds_wrong(&[]);
    for part in [
        "every key is valid",
        "PostgreSQL ",
        "the schema is up to date",
        "connections keep their session",
        "names the issuer",
        "a random string was introspected, and is not active",
        "the server accepts it",
    ] {
        let ok = report.of_level("ok");
        assert!(ok.iter().any(|text| text.contains(part)), "{part}: {ok:#?}");
    }
    let asked = issuer.seen();
    assert_eq!(asked.len(), 2, "a random string and the token");
    assert_ne!(asked[0].said("token"), Some(TOKEN));

    // The same by the other name, and as lines for people.
    let output = patient.run(&["check-config", "--ask"], "").await;
    let text = said(&output);
    assert!(
        text.contains("\n  ok       the schema is up to date\n"),
        "{text}"
    );
    assert!(text.contains("to look at.\n"), "{text}");
    assert_eq!(output.status.code(), Some(0), "{text}");
    server.stop(false).await;
}

#[actix_rt::test]
async fn every_claim_that_is_wrong_is_told_and_not_only_the_first() {
    let (issuer, server) = Issuer::bystander();
    let patient = Patient::new(&issuer);
    let now = Utc::now();
    let changes = json!({
        "iss": format!("{}/", issuer.url()),
        "aud": "http://127.0.0.1:8787",
        "exp": (now - TimeDelta::minutes(2)).timestamp(),
        "nbf": (now + TimeDelta::hours(2)).timestamp(),
        "sub": null,
        "scope": "openid profile",
        "token_type": "refresh_token",
        "cnf": { "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" },
    });
    issuer.answer(TOKEN, Answer::json(claims(&issuer, &changes)));
    patient.about(TOKEN).await.finds_wrong(&[
        "(they differ by the slash at the end, which counts) -> set the issuer exactly",
        "(they differ by the end of the path) -> the audience is this server's public URL",
        "clocks of this machine and of the authorization server differ",
        "nbf is ",
        "sub is missing",
        "found openid profile",
        "token_type is refresh_token",
        "cnf binds it in a way that cannot be verified here",
        "the server refuses it: token of another issuer",
    ]);
    server.stop(false).await;
}

#[actix_rt::test]
async fn each_fault_of_a_token_has_what_to_set() {
    let (issuer, server) = Issuer::bystander();
    let patient = Patient::new(&issuer);
    for (changes, fault, refusal) in [
        (
            json!({ "active": false }),
            "its issuer says that it is not active",
            "inactive token",
        ),
        (
            json!({ "aud": null }),
            "(EPICME_AUDIENCE_OPTIONAL)",
            "another audience",
        ),
        (
            json!({ "aud": ["https://a.example", "x y"] }),
            "aud is https://a.example x\\u{20}y",
            "another audience",
        ),
        (
            json!({ "iss": "https://a.example" }),
            "iss is https://a.example",
            "another issuer",
        ),
        (json!({ "exp": 7 }), "get a new token", "expired"),
        (json!({ "sub": "" }), "sub is empty", "without a subject"),
        (
            json!({ "token_type": "id_token" }),
            "Bearer is expected",
            "not an access token",
        ),
    ] {
        issuer.answer(TOKEN, Answer::json(claims(&issuer, &changes)));
        let report = patient.about(&format!("Bearer {TOKEN}\n")).await;
        let wrong = report.of_level("wrong");
        assert!(wrong.len() == 2 && wrong[0].contains(fault), "{wrong:#?}");
        assert!(
            wrong[1].starts_with("the server refuses it: ") && wrong[1].contains(refusal),
            "{wrong:#?}"
        );
    }
    // Without a known scope it is accepted, and of no use.
    issuer.answer(
        TOKEN,
        Answer::json(claims(&issuer, &json!({ "scope": null }))),
    );
    patient
        .about(TOKEN)
        .await
        .finds_wrong(&["scope is missing, so that every call is refused"]);
    server.stop(false).await;
}

#[actix_rt::test]
async fn a_jwt_is_walked_through_from_its_head_to_its_claims() {
    let (issuer, server) = Issuer::bystander();
    let (key, other) = (SigningKey::new("k1"), SigningKey::new("k2"));
    issuer.keys(&[&key]);
    let patient = Patient::new(&issuer)
        .with("EPICME_JWT", "on")
        .with("EPICME_JWT_ALGORITHMS", "ES256");
    let good = claims(&issuer, &json!({ "active": null, "token_type": null }));
    patient
        .about(&key.sign("at+jwt", &good))
        .await
        .finds_wrong(&[]);

    let bad = claims(
        &issuer,
        &json!({ "client_id": null, "aud": "https://a.example" }),
    );
    patient.about(&other.sign("JWT", &bad)).await.finds_wrong(&[
        "typ is JWT, and at+jwt is expected",
        "kid k2 is not in the key set, which has k1/P256 -> it was signed by another server",
        "client_id is missing",
        "aud is https://a.example",
        "the server refuses it: JWT refused: its type (typ) is wrong",
    ]);
    let header = json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" });
    patient
        .about(&other.sign_with(&header, &good))
        .await
        .finds_wrong(&[
            "its signature is wrong",
            "the server refuses it: JWT refused: its signature is wrong",
        ]);
    let stranger = claims(&issuer, &json!({ "iss": "https://a.example" }));
    patient
        .about(&key.sign("at+jwt", &stranger))
        .await
        .finds_wrong(&[
            "its iss is https://a.example",
            "iss is https://a.example, and ",
            "the server refuses it: token of an unknown issuer",
        ]);
    assert!(
        issuer
            .seen()
            .iter()
            .all(|asked| !asked.said("token").unwrap().contains('.'))
    );
    server.stop(false).await;
}

#[actix_rt::test]
async fn an_authorization_server_that_does_not_fit_is_told_with_the_key() {
    let (issuer, server) = Issuer::bystander();
    let patient = Patient::new(&issuer);
    issuer.lets_in(|_| false);
    patient.report().await.finds_wrong(&[
        "rejects this server's credentials (the authorization server's answer about the token cannot be used: status 401, invalid_client)",
    ]);
    issuer.lets_in(|_| true);
    issuer.answer_others(|_| Answer::text(404, "not here"));
    patient
        .report()
        .await
        .finds_wrong(&["could not be introspected"]);
    issuer.answer_others(|_| Answer::json(json!({ "active": true })));
    patient
        .report()
        .await
        .finds_wrong(&["everybody would be let in"]);
    issuer.answer_others(|_| Answer::json(json!({ "active": false })));
    let mut metadata = issuer.usual_metadata();
    metadata["issuer"] = format!("{}/", issuer.url()).into();
    let place = "/.well-known/oauth-authorization-server";
    issuer.metadata(place, Answer::json(metadata));
    patient.report().await.finds_wrong(&[
        "they differ by the slash at the end, which counts (RFC 8414 §3.3): if that is the authorization server, set the issuer to",
    ]);
    issuer.without_metadata();
    patient
        .report()
        .await
        .finds_wrong(&["there is no metadata at"]);
    server.stop(false).await;

    let silence = Silence::new();
    let away = format!("http://{}", silence.address());
    let patient = Patient::new(&issuer).with("EPICME_ISSUER", away);
    patient.report().await.finds_wrong(&["cannot be fetched"]);
}

#[actix_rt::test]
async fn faults_of_the_configuration_hide_neither_the_database_nor_the_issuer() {
    let (issuer, server) = Issuer::bystander();
    let patient = Patient::new(&issuer)
        .with("EPICME_WORKERS", "many")
        .with("EPICME_PUBLIC_URL", "http://127.0.0.1:8787/mcp")
        .with("EPICME_SESION_IDLE", "5m");
    let report = patient.report().await;
    report.finds_wrong(&[
        "EPICME_WORKERS (environment): must be a whole number",
        "must not end in /mcp, which the server adds to it: write http://127.0.0.1:8787 ",
        "they are not asked, because their configuration is wrong",
    ]);
    assert!(
        report
            .of_level("ok")
            .iter()
            .any(|text| text.contains("the schema is up to date"))
    );
    let warnings = report.of_level("warning");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains("is EPICME_SESSION_IDLE meant?")),
        "{warnings:?}"
    );
    server.stop(false).await;
}

#[actix_rt::test]
async fn what_is_wrong_with_the_database_is_told_in_its_words() {
    let (issuer, server) = Issuer::bystander();
    let patient = Patient::new(&issuer);
    patient.database.execute("DELETE FROM __diesel_schema_migrations WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)").unwrap();
    patient
        .report()
        .await
        .finds_wrong(&["1 migrations are pending"]);

    let nobody = Silence::new();
    // It accepts connections, and never says anything.
    let imposter = TcpListener::bind("127.0.0.1:0").unwrap();
    let imposter = imposter.local_addr().unwrap().to_string();
    let own = patient.database.url.expose_secret();
    let (server_url, _) = own.rsplit_once('/').unwrap();
    for (url, reason) in [
        (
            format!("postgres://ann:zq5@{}/epicme", nobody.address()),
            "Connection refused",
        ),
        (
            format!("postgres://ann:zq5@{imposter}/epicme"),
            "timeout expired",
        ),
        (format!("{server_url}/nowhere"), "does not exist"),
        (
            "postgres://ann:zq5@nowhere.invalid/epicme".to_owned(),
            "could not translate host name",
        ),
    ] {
        let patient = Patient::new(&issuer)
            .with("DATABASE_URL", url)
            .with("EPICME_PLAIN_DATABASE_HOSTS", "nowhere.invalid");
        let report = patient.report().await;
        report.finds_wrong(&[reason]);
        assert!(
            !report.of_level("wrong")[0].ends_with("-> "),
            "it has advice"
        );
    }
    server.stop(false).await;
}

#[actix_rt::test]
async fn whether_row_level_security_is_in_force_is_said() {
    let (issuer, server) = Issuer::bystander();
    let off = Patient::new(&issuer).report().await;
    assert!(
        off.of_level("ok")
            .iter()
            .any(|line| line.starts_with("row-level security is off")),
        "{:?}",
        off.checks
    );
    let owner = Patient::new(&issuer).with("EPICME_ROW_LEVEL_SECURITY", "on");
    owner
        .report()
        .await
        .finds_wrong(&["no policy binds the role"]);
    let serving = Patient::new(&issuer).of_role("serving");
    serving
        .report()
        .await
        .finds_wrong(&["every table would look empty"]);
    let serving = serving.with("EPICME_ROW_LEVEL_SECURITY", "on");
    let in_force = serving.report().await;
    in_force.finds_wrong(&[]);
    assert!(
        in_force
            .of_level("ok")
            .iter()
            .any(|line| line.starts_with("row-level security is in force")),
        "{:?}",
        in_force.checks
    );
    let sql = "ALTER TABLE tags DISABLE ROW LEVEL SECURITY";
    serving.database.execute(sql).unwrap();
    serving
        .report()
        .await
        .finds_wrong(&["row-level security is not on for tags"]);
    server.stop(false).await;
}

#[actix_rt::test]
async fn a_lack_of_the_extension_that_search_needs_is_said_before_a_migration_fails() {
    let (issuer, server) = Issuer::bystander();
    let patient = Patient::new(&issuer)
        .of_role("serving")
        .with("EPICME_ROW_LEVEL_SECURITY", "on");
    let warns = |report: &Report| {
        let warnings = report.of_level("warning");
        warnings.iter().any(|line| line.contains("btree_gin"))
    };
    assert!(!warns(&patient.report().await));
    let sql = "DROP EXTENSION btree_gin CASCADE";
    patient.database.execute(sql).unwrap();
    let report = patient.report().await;
    assert!(warns(&report), "{:?}", report.checks);
    server.stop(false).await;
}
