//! Revocation: the streams and sessions of a revoked token, client or user end, whether the server is
//! notified or finds out by introspection.

use std::process::Command;
use std::time::Duration;

use base64::Engine;
use chrono::TimeDelta;
use epicme::app::TimeLimits;
use futures_util::future::join_all;
use resource_server::{fingerprint::fingerprint, principal::UserId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    ALL, Answer, Ask, Events, PUBLIC_URL, Reply, Session, TestApp, lines_with, patiently,
};

const SECRET: &str = "a secret: for +% cut-offs";

/// Soon enough not to be waited for by a test.
const SOON: Duration = Duration::from_millis(100);

fn spawn() -> TestApp {
    TestApp::spawn_with(|config| {
        config.http.revocation_secret = Some(SECRET.into());
        config.http.streams.per_user = 300.try_into().unwrap();
        config.http.memory.requests_per_user = 300.try_into().unwrap();
    })
}

/// A server whose streams are seldom silent, and are looked at as often.
fn spawn_impatient() -> TestApp {
    let timeouts = TimeLimits {
        heartbeat: SOON,
        ..TimeLimits::default()
    };
    TestApp::start(|_| (), None, timeouts)
}

fn told<'a>(app: &'a TestApp, path: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Ask<'a> {
    app.ask("POST", path)
        .header("authorization", &format!("Bearer {SECRET}"))
        .header("content-type", media_type)
        .body(body)
}

pub(super) fn form<'a>(app: &'a TestApp, path: &str, body: impl Into<Vec<u8>>) -> Ask<'a> {
    told(app, path, "application/x-www-form-urlencoded", body)
}

async fn revoke(app: &TestApp, token: &str) {
    app.issuer
        .answer(token, Answer::json(json!({ "active": false })));
    let reply = form(app, "/oauth/revoked", format!("token={token}"))
        .send()
        .await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

fn cut_off<'a>(app: &'a TestApp, whom: &Value) -> Ask<'a> {
    told(app, "/admin/cut-offs", "application/json", whom.to_string())
}

/// A subscription to the lists, its acknowledgement read.
pub(super) async fn subscribe(app: &TestApp, token: &str) -> Events {
    let params = json!({ "notifications": { "resourcesListChanged": true } });
    let mut events = app
        .modern(token, "subscriptions/listen", params)
        .listen()
        .await;
    let first = events.next().await.unwrap();
    assert!(first.contains("acknowledged"), "{first}");
    events
}

/// The GET of a session.
fn get<'a>(app: &'a TestApp, session: &Session, token: &str) -> Ask<'a> {
    app.session_stream(session)
        .header("authorization", &format!("Bearer {token}"))
}

pub(super) async fn ping(app: &TestApp, session: &Session, token: &str) -> Reply {
    app.within(session, "ping", json!({}))
        .header("authorization", &format!("Bearer {token}"))
        .send()
        .await
}

/// Reads the rest of a subscription, which ends in order and says nothing else.
pub(super) async fn ends_in_order(mut events: Events) {
    let ended = async {
        let mut event = events.next().await.unwrap();
        while event == ": keep-alive" {
            event = events.next().await.unwrap();
        }
        let result: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(result["result"]["resultType"], "complete", "{result}");
        assert_eq!(events.next().await, None);
    };
    // However many comments there are.
    patiently(ended).await;
}

/// The next event that is no comment has this in it.
pub(super) async fn goes_on(events: &mut Events, expected: &str) {
    loop {
        let event = events.next().await.expect("the stream goes on");
        if event != ": keep-alive" {
            assert!(event.contains(expected), "{event}");
            return;
        }
    }
}

/// D-22.
#[actix_rt::test]
async fn a_revoked_token_ends_the_streams_that_it_opened_and_no_others() {
    let app = spawn();
    let (one, two) = (app.token("ann", ALL), app.token("ann", ALL));
    let session = app.open(&one, "2025-06-18").await;
    let subscription = subscribe(&app, &one).await;
    let mut stream = get(&app, &session, &one).listen().await;
    let mut other = subscribe(&app, &two).await;
    revoke(&app, &one).await;
    ends_in_order(subscription).await;
    assert_eq!(stream.next().await, None);
    assert_eq!(ping(&app, &session, &one).await.status, 401);
    assert_eq!(ping(&app, &session, &two).await.status, 200);
    app.journal("ann").tag("work").await;
    goes_on(&mut other, "list_changed").await;
    let mut stream = get(&app, &session, &two).listen().await;
    app.journal("ann").tag("home").await;
    goes_on(&mut stream, "list_changed").await;
}

#[actix_rt::test]
async fn what_an_operator_cuts_off_ends_and_its_sessions_are_gone() {
    let app = spawn();
    let issuer = app.issuer.url().to_owned();
    for (whom, ends) in [
        (
            json!({ "issuer": issuer, "subject": "ann" }),
            [true, true, false],
        ),
        (
            json!({ "issuer": issuer, "client": "notebook" }),
            [true, false, true],
        ),
        (json!({ "everybody": true }), [true, true, true]),
    ] {
        let tokens = [
            app.token("ann", ALL),
            app.token_with(json!({ "client_id": "phone" })),
            app.token("bob", ALL),
        ];
        let mut open = Vec::new();
        for token in &tokens {
            let session = app.open(token, "2025-11-25").await;
            let mut stream = get(&app, &session, token).listen().await;
            stream.next().await.expect("a place to resume from");
            open.push((token, subscribe(&app, token).await, stream, session));
        }
        let calls = app.issuer.calls();
        let reply = cut_off(&app, &whom).send().await;
        assert_eq!((reply.status, reply.body.len()), (204, 0), "{whom}");
        for ((token, mut subscription, mut stream, session), ends) in open.into_iter().zip(ends) {
            if ends {
                ends_in_order(subscription).await;
                assert_eq!(stream.next().await, None, "{whom}");
                // Until the session has heard of it as well.
                let gone = async { while ping(&app, &session, token).await.status != 404 {} };
                patiently(gone).await;
            } else {
                assert_eq!(ping(&app, &session, token).await.status, 200, "{whom}");
                let done = app
                    .tool(
                        token,
                        "create_tag",
                        &json!({ "name": whom.to_string()[..40] }),
                    )
                    .send()
                    .await;
                assert_eq!(done.status, 200);
                goes_on(&mut subscription, "list_changed").await;
                goes_on(&mut stream, "list_changed").await;
            }
        }
        // The authorization server is asked, and lets them in again.
        subscribe(&app, &tokens[0]).await;
        assert!(app.issuer.calls() > calls, "{whom}");
    }
}

/// SEC-13.
#[actix_rt::test]
async fn a_yes_under_a_token_that_was_revoked_meanwhile_is_none() {
    let app = spawn();
    let (one, two) = (app.token("ann", ALL), app.token("ann", ALL));
    let entry = app.journal("ann").entry("mine").await;
    let mut session = app
        .open_with(&one, "2025-06-18", json!({ "elicitation": {} }))
        .await;
    let arguments = json!({ "name": "delete_entry", "arguments": { "id": entry } });
    let mut call = app.within(&session, "tools/call", arguments).listen().await;
    let (_, question) = call.message().await;
    revoke(&app, &one).await;
    assert_eq!(call.next().await, None, "without an answer");
    session.token = two;
    let answer = json!({ "action": "accept", "content": { "confirmed": true } });
    app.tell(
        &session,
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }),
    )
    .await;
    let found = app
        .journal("ann")
        .call("get_entry", json!({ "id": entry }))
        .await;
    assert!(found.get("isError").is_none(), "{found}");
}

/// D-22.
#[actix_rt::test]
async fn a_token_that_is_found_to_be_revoked_ends_its_streams() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-06-18").await;
    let subscription = subscribe(&app, &token).await;
    let mut stream = get(&app, &session, &token).listen().await;
    app.issuer
        .answer(&token, Answer::json(json!({ "active": false })));
    app.clock.advance(TimeDelta::seconds(61));
    assert_eq!(ping(&app, &session, &token).await.status, 401);
    ends_in_order(subscription).await;
    assert_eq!(stream.next().await, None);
}

/// D-22.
#[actix_rt::test]
async fn a_stream_on_which_nothing_happens_does_not_outlive_its_token() {
    let app = spawn_impatient();
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-06-18").await;
    let mut subscription = subscribe(&app, &token).await;
    let mut stream = get(&app, &session, &token).listen().await;
    app.issuer
        .answer(&token, Answer::json(json!({ "active": false })));
    let calls = app.issuer.calls();
    app.clock.advance(TimeDelta::seconds(59));
    for events in [&mut subscription, &mut stream] {
        assert_eq!(events.next().await.unwrap(), ": keep-alive");
    }
    assert_eq!(app.issuer.calls(), calls, "what was said is believed");
    app.clock.advance(TimeDelta::seconds(1));
    ends_in_order(subscription).await;
    let ended = async {
        while let Some(event) = stream.next().await {
            assert_eq!(event, ": keep-alive");
        }
    };
    patiently(ended).await;
    assert_eq!(app.issuer.calls(), calls + 1, "both at once");
}

/// D-22.
#[actix_rt::test]
async fn nothing_is_told_on_a_stream_whose_token_is_no_longer_good() {
    let app = TestApp::spawn();
    let (writer, reader) = (app.journal("ann"), app.token("ann", ALL));
    let narrowed = app.token("ann", ALL);
    let session = app.open(&reader, "2025-06-18").await;
    let subscription = subscribe(&app, &reader).await;
    let other = subscribe(&app, &narrowed).await;
    let mut stream = get(&app, &session, &reader).listen().await;
    app.issuer
        .answer(&reader, Answer::json(json!({ "active": false })));
    let fewer = json!({
        "active": true, "sub": "ann", "client_id": "notebook", "iss": app.issuer.url(),
        "scope": "entries:read tags:read", "aud": crate::support::RESOURCE,
    });
    app.issuer.answer(&narrowed, Answer::json(fewer));
    app.clock.advance(TimeDelta::seconds(61));
    writer.tag("secret").await;
    ends_in_order(subscription).await;
    ends_in_order(other).await;
    assert_eq!(stream.next().await, None);
}

/// D-22.
#[actix_rt::test]
async fn an_outage_ends_a_stream_only_when_it_lasts() {
    let app = TestApp::spawn();
    let (writer, reader) = (app.journal("ann"), app.token("ann", ALL));
    let mut subscription = subscribe(&app, &reader).await;
    app.issuer.answer(&reader, Answer::text(500, "{}"));
    app.clock.advance(TimeDelta::seconds(61));
    writer.tag("one").await;
    goes_on(&mut subscription, "list_changed").await;
    app.clock.advance(TimeDelta::seconds(59));
    writer.tag("two").await;
    goes_on(&mut subscription, "list_changed").await;
    app.clock.advance(TimeDelta::seconds(1));
    writer.tag("three").await;
    ends_in_order(subscription).await;
}

#[actix_rt::test]
async fn hundreds_of_streams_end_as_one_does() {
    let app = spawn();
    let token = app.token("ann", ALL);
    let streams = join_all((0..300).map(|_| subscribe(&app, &token))).await;
    revoke(&app, &token).await;
    join_all(streams.into_iter().map(ends_in_order)).await;
}

#[actix_rt::test]
async fn who_does_not_have_the_secret_cuts_nobody_off() {
    let app = spawn();
    let token = app.token("ann", ALL);
    let digest = Sha256::digest(&token);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut subscription = subscribe(&app, &token).await;
    for ask in [
        form(&app, "/oauth/revoked", format!("token={token}")),
        cut_off(&app, &json!({ "tokenSha256": digest })),
    ] {
        for reply in [
            ask.clone().without("authorization").send().await,
            ask.clone().header("authorization", "Bearer x").send().await,
            ask.clone()
                .header("authorization", &format!("Bearer {token}"))
                .send()
                .await,
        ] {
            assert_eq!(reply.status, 401);
            assert_eq!(reply.json()["error"], "invalid_client");
            assert_eq!(
                reply.header("www-authenticate"),
                Some(r#"Basic realm="revocations""#)
            );
        }
        let elsewhere = ask.clone().header("host", "evil.example").send().await;
        assert_eq!(elsewhere.status, 421);
        let page = ask.clone().header("origin", "https://evil.example");
        assert_eq!(page.send().await.status, 403);
        let other = ask.clone().method("GET").body("").send().await;
        assert_eq!((other.status, other.header("allow")), (405, Some("POST")));
    }
    app.journal("ann").tag("work").await;
    goes_on(&mut subscription, "list_changed").await;
    let reply = cut_off(&app, &json!({ "tokenSha256": digest.to_uppercase() }));
    assert_eq!(reply.send().await.status, 204);
    ends_in_order(subscription).await;

    let app = TestApp::spawn();
    for ask in [
        form(&app, "/oauth/revoked", "token=x"),
        cut_off(&app, &json!({ "everybody": true })),
    ] {
        assert_eq!(ask.send().await.status, 404, "there is no secret");
    }
}

#[actix_rt::test]
async fn a_cut_off_is_well_formed_or_refused() {
    let app = spawn();
    let revoked = |body: String| form(&app, "/oauth/revoked", body);
    for (body, status) in [
        ("token=unknown&token_type_hint=refresh_token", 200),
        ("token=unknown&more=1", 200),
        ("", 400),
        ("token=", 400),
        ("tokens=x", 400),
        ("token=a&token=b", 400),
    ] {
        let reply = revoked(body.to_owned()).send().await;
        assert_eq!(reply.status, status, "{body}");
        if status == 400 {
            assert_eq!(reply.json()["error"], "invalid_request");
        }
    }
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("issuer:{SECRET}"));
    let reply = revoked("token=x".to_owned()).header("authorization", &format!("Basic {basic}"));
    assert_eq!(reply.send().await.status, 200);
    let json = revoked("token=x".to_owned()).header("content-type", "application/json");
    assert_eq!(json.send().await.status, 415);
    let long = |length: usize| format!("token={}", "x".repeat(length - 6));
    assert_eq!(revoked(long(16 * 1024)).send().await.status, 200);
    assert_eq!(revoked(long(16 * 1024 + 1)).send().await.status, 413);

    let issuer = app.issuer.url();
    for whom in [
        json!({}),
        json!([]),
        json!({ "everybody": false }),
        json!({ "everybody": true, "issuer": issuer }),
        json!({ "issuer": issuer }),
        json!({ "subject": "ann" }),
        json!({ "client": "notebook" }),
        json!({ "issuer": issuer, "subject": "ann", "client": "notebook" }),
        json!({ "issuer": "https://other.example", "subject": "ann" }),
        json!({ "tokenSha256": "ab" }),
        json!({ "tokenSha256": "x".repeat(64) }),
        json!({ "tokenSha256": "é".repeat(32) }),
        json!({ "token": "x" }),
    ] {
        let reply = cut_off(&app, &whom).send().await;
        assert_eq!(reply.status, 400, "{whom}");
        assert_eq!(reply.json()["error"], "invalid_request");
    }
}

#[actix_rt::test]
async fn an_operator_cuts_off_from_the_command_line() {
    let app = spawn();
    let file = std::env::temp_dir().join(format!("epicme-cut-off-{}", std::process::id()));
    let server = format!("http://{}", app.address);
    let run_as = |command: &str, secret: &str, whom: &[&str]| {
        std::fs::write(&file, secret).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_epicme"))
            .args([command, "--server", &server, "--public-url", PUBLIC_URL])
            .args(["--issuer", app.issuer.url(), "--secret-file"])
            .arg(&file)
            .args(whom)
            .env_clear()
            .output()
            .unwrap();
        std::fs::remove_file(&file).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains(SECRET), "{said}");
        (output.status.code().unwrap(), said)
    };
    let run = |secret: &str, whom: &[&str]| run_as("revoke", secret, whom);
    let revoked = app.token("ann", ALL);
    let digest: String = Sha256::digest(&revoked)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let subscription = subscribe(&app, &revoked).await;
    assert_eq!(
        run(SECRET, &["--token-sha256", &digest]),
        (0, String::new())
    );
    ends_in_order(subscription).await;
    let token = app.token("ann", ALL);
    for whom in [
        &["--subject", "ann"][..],
        &["--client", "notebook"],
        &["--everybody"],
    ] {
        let subscription = subscribe(&app, &token).await;
        assert_eq!(run(SECRET, whom), (0, String::new()), "{whom:?}");
        ends_in_order(subscription).await;
    }
    let (code, said) = run_as("cut-off", SECRET, &["--everybody"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("is now called `revoke`"), "{said}");
    let (code, said) = run("another secret of that length", &["--everybody"]);
    assert_eq!(code, 69);
    assert!(said.contains("the server answers 401"), "{said}");
    assert_eq!(run(SECRET, &[]).0, 64);
    assert_eq!(run(SECRET, &["--everybody", "--subject", "ann"]).0, 64);
}

#[actix_rt::test]
async fn each_cut_off_is_a_line_of_the_audit_log_without_a_name() {
    let app = spawn();
    let issuer = app.issuer.url().to_owned();
    let subject = json!({ "issuer": issuer, "subject": "somebody-zq5" });
    let client = json!({ "issuer": issuer, "client": "some-app" });
    let token = json!({ "tokenSha256": "0".repeat(64) });
    // The id that `whoami` returns, and the fingerprint that the token's other lines have.
    let user = UserId::derive(&issuer, "somebody-zq5");
    let of_user = format!("done kind=user revoked={user} by=operator address=127.0.0.0/24");
    let of_token = format!(
        "done kind=token revoked={} by=revoker",
        fingerprint("somebody-zq5")
    );
    for (ask, line) in [
        (cut_off(&app, &subject), &*of_user),
        (
            cut_off(&app, &client),
            "done kind=client revoked=some-app by=operator",
        ),
        (
            cut_off(&app, &token),
            "done kind=token revoked=00000000 by=operator",
        ),
        (
            cut_off(&app, &json!({ "everybody": true })),
            "done kind=everybody by=operator",
        ),
        (
            form(&app, "/oauth/revoked", "token=somebody-zq5"),
            &*of_token,
        ),
        (
            cut_off(&app, &subject).header("authorization", "Bearer wrong"),
            "refused",
        ),
    ] {
        let reply = ask.send().await;
        let lines = lines_with(reply.header("x-request-id").unwrap());
        let audit: Vec<_> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("INFO audit cut_off "))
            .collect();
        assert_eq!(audit.len(), 1, "{lines:?}");
        let words: Vec<&str> = line.split(' ').collect();
        assert!(audit[0].starts_with(words[0]), "{audit:?}");
        for word in &words[1..] {
            assert!(audit[0].split(' ').any(|said| said == *word), "{audit:?}");
        }
    }
    assert_eq!(lines_with("somebody-zq5"), [""; 0]);
}
