//! Sessions that outlive their process, and go on in another one that has the same key and database.

use chrono::TimeDelta;
use epicme::config::Config;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    sessions::REVISIONS,
    streams::{deletion, resume, success, waiting, yes},
};
use crate::support::{ALL, Reply, Session, TestApp, is_there, scraped};

const SECRET: &str = "a secret: for operators";

/// A process with this key.
pub(super) fn with_key(key: u8) -> impl FnOnce(&mut Config) {
    with_keys(key, None)
}

fn with_keys(key: u8, previous: Option<u8>) -> impl FnOnce(&mut Config) {
    let sealing = |byte: u8| std::sync::Arc::new(secrecy::SecretBox::new(Box::new([byte; 32])));
    move |config| {
        config.request_state.key = Some(sealing(key));
        config.request_state.previous_key = previous.map(sealing);
        config.http.metrics = Some(([127, 0, 0, 1], 0).into());
        config.http.revocation_secret = Some(SECRET.into());
    }
}

pub(super) async fn ping(app: &TestApp, session: &Session) -> u16 {
    app.within(session, "ping", json!({})).send().await.status
}

pub(super) async fn delete(app: &TestApp, session: &Session) -> Reply {
    let ask = app.within(session, "", json!({})).body("").method("DELETE");
    ask.send().await
}

pub(super) async fn done(app: &TestApp, session: &Session, method: &str, params: Value) -> Value {
    app.within(session, method, params).send().await.result()
}

/// How many statements about sessions a process has executed.
async fn statements(app: &TestApp) -> f64 {
    let series = scraped(app).await;
    let name = r#"epicme_journal_duration_seconds_count{operation="sessions""#;
    let of_sessions = series.iter().filter(|(series, _)| series.starts_with(name));
    of_sessions.map(|(_, count)| count).sum()
}

/// L-05, L-08.
#[actix_rt::test]
async fn a_session_goes_on_in_every_process_that_has_the_key() {
    let one = TestApp::spawn_with(with_key(7));
    let other = one.beside(with_key(7));
    let journal = one.journal("ann");
    for version in REVISIONS {
        let capabilities = json!({ "elicitation": {} });
        let session = one.open_with(&journal.token, version, capabilities).await;
        assert!(session.id.len() <= 160);
        for app in [&other, &one, &other] {
            let whoami = done(app, &session, "tools/call", json!({ "name": "whoami" })).await;
            let text = whoami["content"].to_string();
            assert!(text.contains("ann"), "{text}");
        }
        // It has the revision and the capabilities with which it began.
        let wrong = other
            .within(&session, "ping", json!({}))
            .header("mcp-protocol-version", "2024-11-05");
        assert_eq!(wrong.send().await.status, 400);
        if version == "2025-03-26" {
            // There is no elicitation in it.
            continue;
        }
        let entry = journal.entry("Rain").await;
        let mut call = deletion(&other, &session, json!("x"), entry).listen().await;
        if version == "2025-11-25" {
            call.next().await.unwrap();
        }
        let (_, question) = call.message().await;
        other.tell(&session, yes(&question["id"])).await;
        assert_eq!(success(&call.message().await.1), true);
        assert!(!is_there(&journal, entry).await);
    }
}

/// L-05.
#[actix_rt::test]
async fn a_session_outlives_its_process_and_one_without_a_key_does_not() {
    let one = TestApp::spawn_with(with_key(7));
    let token = one.token("ann", ALL);
    let first = one.beside(with_key(7));
    let session = first.open(&token, "2025-06-18").await;
    let keyless = one.beside(|_| ());
    let lost = keyless.open(&token, "2025-06-18").await;
    assert_eq!(ping(&keyless, &lost).await, 200);
    assert_eq!(ping(&keyless, &session).await, 404);
    drop((first, keyless));
    let (next, keyless) = (one.beside(with_key(7)), one.beside(|_| ()));
    assert_eq!(ping(&next, &session).await, 200);
    assert_eq!(ping(&keyless, &lost).await, 404);
}

/// L-08, A-16, SEC-01, D-12.
#[actix_rt::test]
async fn a_stranger_learns_nothing_of_a_session_in_any_process() {
    let one = TestApp::spawn_with(with_key(7));
    let other = one.beside(with_key(7));
    let session = one.open(&one.token("ann", ALL), "2025-11-25").await;
    let under = |token: String, id: &str| Session {
        id: id.to_owned(),
        token,
        ..session.clone()
    };
    let ann = one.token("ann", ALL);
    let mut changed = session.id.clone().into_bytes();
    changed[40] = if changed[40] == b'x' { b'y' } else { b'x' };
    let changed = String::from_utf8(changed).unwrap();
    let ended = one.open(&ann, "2025-11-25").await;
    assert_eq!(delete(&one, &ended).await.status, 204);
    for app in [&one, &other] {
        let unknown = under(ann.clone(), &"A".repeat(76));
        let names = |reply: &Reply| {
            let mut names: Vec<_> = reply.headers.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        let expected = [
            app.within(&unknown, "ping", json!({})).send().await,
            delete(app, &unknown).await,
        ];
        for (why, stranger) in [
            ("another user's", under(one.token("bob", ALL), &session.id)),
            (
                "another client's",
                under(one.token_with(json!({ "client_id": "other" })), &session.id),
            ),
            (
                "a nameless client's",
                under(one.token_with(json!({ "client_id": null })), &session.id),
            ),
            ("changed", under(ann.clone(), &changed)),
            ("shortened", under(ann.clone(), &session.id[..75])),
            (
                "lengthened",
                under(ann.clone(), &format!("{}A", session.id)),
            ),
            ("of old", under(ann.clone(), &"A".repeat(32))),
            ("ended", under(ann.clone(), &ended.id)),
        ] {
            let replies = [
                app.within(&stranger, "ping", json!({})).send().await,
                delete(app, &stranger).await,
            ];
            for (reply, expected) in replies.iter().zip(&expected) {
                assert_eq!((reply.status, &reply.body), (404, &expected.body), "{why}");
                assert_eq!(names(reply), names(expected), "{why}");
            }
        }
    }
    // None of it was adopted, and the store was asked for no stranger: of the one that had ended alone.
    assert_eq!(statements(&other).await, 2.0);
    assert_eq!(ping(&other, &session).await, 200);
}

#[actix_rt::test]
async fn a_session_lives_through_a_change_of_the_key_and_no_longer_than_the_previous_one_is_kept() {
    let one = TestApp::spawn_with(with_key(7));
    let session = one.open(&one.token("ann", ALL), "2025-11-25").await;
    let about_to = one.beside(with_keys(7, Some(8)));
    let changed = one.beside(with_keys(8, Some(7)));
    let new = changed.open(&session.token, "2025-11-25").await;
    for app in [&about_to, &changed] {
        assert_eq!(
            (ping(app, &session).await, ping(app, &new).await),
            (200, 200)
        );
    }
    let after = one.beside(with_key(8));
    assert_eq!(
        (ping(&after, &session).await, ping(&after, &new).await),
        (404, 200)
    );
}

/// SEC-02.
#[actix_rt::test]
async fn a_session_ends_with_its_lifetime_wherever_it_is_and_idleness_frees_a_process_alone() {
    let one = TestApp::spawn_with(with_key(7));
    let other = one.beside(with_key(7));
    let token = one.token_with(json!({ "exp": null }));
    let session = one.open(&token, "2025-11-25").await;
    for hours in [1, 22] {
        one.clock.advance(TimeDelta::hours(hours));
        for app in [&other, &one] {
            assert_eq!(ping(app, &session).await, 200, "{hours}");
        }
    }
    one.clock.advance(TimeDelta::minutes(59));
    assert_eq!(ping(&other, &session).await, 200);
    one.clock.advance(TimeDelta::minutes(1));
    for app in [&other, &one, &one.beside(with_key(7))] {
        assert_eq!(ping(app, &session).await, 404);
    }
}

/// SEC-11.
#[actix_rt::test]
async fn sessions_from_elsewhere_count_like_any_other() {
    let one = TestApp::spawn_with(with_key(7));
    let small = one.beside(|config| {
        with_key(7)(config);
        let sessions = config.sessions.as_mut().unwrap();
        sessions.per_user = 2.try_into().unwrap();
        sessions.in_all = 3.try_into().unwrap();
    });
    let (ann, bob) = (one.token("ann", ALL), one.token("bob", ALL));
    let mut anns = Vec::new();
    for _ in 0..3 {
        anns.push(one.open(&ann, "2025-11-25").await);
    }
    let open = async || scraped(&small).await["epicme_sessions_open"];
    for session in &anns {
        one.clock.advance(TimeDelta::seconds(1));
        assert_eq!(ping(&small, session).await, 200);
    }
    assert_eq!(open().await, 2.0, "the longest idle gave way");
    // It comes back, and another gives way.
    one.clock.advance(TimeDelta::seconds(1));
    assert_eq!(ping(&small, &anns[0]).await, 200);
    assert_eq!(open().await, 2.0);
    let bobs = [
        one.open(&bob, "2025-11-25").await,
        one.open(&bob, "2025-11-25").await,
    ];
    assert_eq!(ping(&small, &bobs[0]).await, 200);
    let full = small.within(&bobs[1], "ping", json!({})).send().await;
    assert_eq!(full.error(), (503, -32603));
    assert_eq!(full.header("retry-after"), Some("1"));
    assert_eq!(ping(&small, &bobs[0]).await, 200);
    assert_eq!(ping(&one, &bobs[1]).await, 200);
}

#[actix_rt::test]
async fn requests_that_come_together_continue_a_session_once() {
    let one = TestApp::spawn_with(with_key(7));
    let other = one.beside(|config| {
        with_key(7)(config);
        config.http.workers = 2.try_into().unwrap();
    });
    let session = one.open(&one.token("ann", ALL), "2025-11-25").await;
    let pings = (0..16).map(|id| {
        let ask = other.within(&session, "ping", json!({}));
        ask.edit(|body| body["id"] = json!(id)).send()
    });
    let replies = join_all(pings).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(scraped(&other).await["epicme_sessions_open"], 1.0);
}

/// A session that stays where it began, and sets nothing, asks the database for nothing.
#[actix_rt::test]
async fn a_session_costs_a_statement_where_it_is_continued_and_where_it_sets_something() {
    let one = TestApp::spawn_with(with_key(7));
    let other = one.beside(with_key(7));
    let session = one.open(&one.token("ann", ALL), "2025-11-25").await;
    for _ in 0..3 {
        assert_eq!(ping(&one, &session).await, 200);
    }
    assert_eq!(statements(&one).await, 0.0);
    for _ in 0..3 {
        assert_eq!(ping(&other, &session).await, 200);
    }
    assert_eq!(statements(&other).await, 1.0);
    done(
        &other,
        &session,
        "logging/setLevel",
        json!({ "level": "debug" }),
    )
    .await;
    assert_eq!(ping(&other, &session).await, 200);
    assert_eq!(statements(&other).await, 2.0);
}

/// L-23.
#[actix_rt::test]
async fn a_session_that_its_client_ended_is_over_in_every_process() {
    let one = TestApp::spawn_with(with_key(7));
    let other = one.beside(with_key(7));
    let token = one.token("ann", ALL);
    let session = one.open(&token, "2025-11-25").await;
    assert_eq!(delete(&one, &session).await.status, 204);
    for app in [&one, &other, &one.beside(with_key(7))] {
        assert_eq!(ping(app, &session).await, 404);
        assert_eq!(delete(app, &session).await.status, 404);
    }
    // In a process that it was not used in before, too.
    let session = one.open(&token, "2025-11-25").await;
    let third = one.beside(with_key(7));
    assert_eq!(delete(&third, &session).await.status, 204);
    assert_eq!(ping(&third, &session).await, 404);
    assert_eq!(ping(&one.beside(with_key(7)), &session).await, 404);
}

#[actix_rt::test]
async fn a_process_that_cannot_tell_whether_a_session_has_ended_says_so() {
    let one = TestApp::spawn_with(with_key(7));
    let other = one.beside(with_key(7));
    let session = one.open(&one.token("ann", ALL), "2025-11-25").await;
    one.database
        .execute("ALTER TABLE sessions RENAME TO elsewhere")
        .unwrap();
    let reply = other.within(&session, "ping", json!({})).send().await;
    assert_eq!(reply.error(), (503, -32603));
    assert_eq!(delete(&one, &session).await.status, 503);
    assert_eq!(ping(&one, &session).await, 200, "it goes on where it is");
    one.database
        .execute("ALTER TABLE elsewhere RENAME TO sessions")
        .unwrap();
    assert_eq!(ping(&other, &session).await, 200);
    assert_eq!(delete(&one, &session).await.status, 204);
}

/// SEC-05.
#[actix_rt::test]
async fn a_session_that_began_before_a_revocation_is_over_in_a_process_that_starts_later() {
    let one = TestApp::spawn_with(with_key(7));
    let token = |subject: &str, client: &str| {
        one.token_with(json!({ "sub": subject, "client_id": client }))
    };
    let issuer = one.issuer.url();
    for (whom, hits, spares) in [
        (
            json!({ "issuer": issuer, "subject": "ann" }),
            token("ann", "notebook"),
            token("bob", "notebook"),
        ),
        (
            json!({ "issuer": issuer, "client": "pen" }),
            token("ann", "pen"),
            token("ann", "pencil"),
        ),
    ] {
        let hit = one.open(&hits, "2025-11-25").await;
        let spared = one.open(&spares, "2025-11-25").await;
        one.clock.advance(TimeDelta::seconds(1));
        let ask = one
            .ask("POST", "/admin/revocations")
            .header("authorization", &format!("Bearer {SECRET}"))
            .header("content-type", "application/json");
        assert_eq!(ask.body(whom.to_string()).send().await.status, 204);
        one.clock.advance(TimeDelta::seconds(1));
        // The issuer says that the token is good, and the user has begun anew.
        let new = one.open(&hits, "2025-11-25").await;
        for app in [&one, &one.beside(with_key(7))] {
            assert_eq!(ping(app, &hit).await, 404, "{whom}");
            assert_eq!(ping(app, &new).await, 200, "{whom}");
            assert_eq!(ping(app, &spared).await, 200, "{whom}");
        }
    }
}

/// L-26.
#[actix_rt::test]
async fn what_a_session_has_set_is_there_where_it_goes_on() {
    let one = TestApp::spawn_with(with_key(7));
    let journal = one.journal("ann");
    let (entry, left) = (journal.entry("Rain").await, journal.entry("Snow").await);
    let uri = |entry: i64| json!({ "uri": format!("epicme://entries/{entry}") });
    let session = one.open(&journal.token, "2025-06-18").await;
    for entry in [entry, left] {
        done(&one, &session, "resources/subscribe", uri(entry)).await;
    }
    done(&one, &session, "resources/unsubscribe", uri(left)).await;
    done(
        &one,
        &session,
        "logging/setLevel",
        json!({ "level": "debug" }),
    )
    .await;
    let other = one.beside(with_key(7));
    let mut events = other.session_stream(&session).listen().await;
    let journal = other.journal("ann");
    for entry in [left, entry] {
        let changes = json!({ "id": entry, "mood": "calm" });
        journal.done("update_entry", changes).await;
    }
    let (_, message) = events.message().await;
    assert_eq!(message["method"], "notifications/resources/updated");
    assert_eq!(message["params"], uri(entry));
    let level = "SELECT FROM sessions WHERE log_level = 'debug' AND cardinality(subscriptions) = 1";
    assert_eq!(one.database.count(&format!("({level}) AS s")), 1);
    // With the session they are gone.
    assert_eq!(delete(&other, &session).await.status, 204);
    let gone = "sessions WHERE ended AND log_level IS NULL AND subscriptions = '{}'";
    assert_eq!(one.database.count(gone), 1);
}

/// L-22.
#[actix_rt::test]
async fn an_event_of_another_process_is_not_taken_for_one_of_this() {
    let one = TestApp::spawn_with(with_key(7));
    let journal = one.journal("ann");
    let entries = [journal.entry("Rain").await, journal.entry("Snow").await];
    let capabilities = json!({ "elicitation": {} });
    let token = &journal.token;
    let session = one.open_with(token, "2025-11-25", capabilities).await;
    let uri = json!({ "uri": format!("epicme://entries/{}", entries[0]) });
    done(&one, &session, "resources/subscribe", uri.clone()).await;
    let mut general = one.session_stream(&session).listen().await;
    let primer = general.next().await.unwrap();
    let seen = primer.lines().next().unwrap().strip_prefix("id: ").unwrap();
    let other = one.beside(with_key(7));
    // Two streams of calls with the same numbers, one in each process.
    let here = waiting(&one, &session, json!("a"), entries[0]).await;
    let there = waiting(&other, &session, json!("b"), entries[1]).await;
    assert_ne!(here.event, there.event);
    assert_ne!(here.question, there.question);
    for (app, event) in [(&one, &there.event), (&other, &here.event)] {
        let reply = resume(app, &session, event).send().await;
        assert_eq!(reply.error(), (400, -32600));
    }
    // The general stream goes on elsewhere: the client is told of the gap, and to look at what it watches.
    let mut elsewhere = resume(&other, &session, seen).listen().await;
    let primer = elsewhere.next().await.unwrap();
    assert!(primer.contains("retry: "), "{primer}");
    let gap = elsewhere.next().await.unwrap();
    assert_eq!(gap, ": events before this are no longer kept");
    let (_, updated) = elsewhere.message().await;
    assert_eq!(updated["params"], uri);
    let (_, list) = elsewhere.message().await;
    assert_eq!(list["method"], "notifications/resources/list_changed");
}

/// Whatever is done to an id, it is the same unknown session.
#[actix_rt::test]
async fn an_id_that_was_changed_anywhere_is_unknown() {
    let one = TestApp::spawn_with(with_key(7));
    let other = one.beside(with_key(7));
    let session = one.open(&one.token("ann", ALL), "2025-11-25").await;
    for place in 0..session.id.len() {
        let mut id = session.id.clone().into_bytes();
        id[place] = if id[place] == b'A' { b'B' } else { b'A' };
        let changed = Session {
            id: String::from_utf8(id).unwrap(),
            ..session.clone()
        };
        let app = if place % 2 == 0 { &one } else { &other };
        assert_eq!(ping(app, &changed).await, 404, "{place}");
    }
    assert_eq!(statements(&other).await, 0.0);
}
