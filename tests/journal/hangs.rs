//! A database that hangs without dying: every message ends in time, and the next one has a connection that works.

use std::time::{Duration, Instant};

use diesel::{RunQueryDsl, sql_query, sql_types::Integer};
use epicme::{
    domain::{journal::JournalError, outage::Outage},
    journal::{JournalSettings, Ping},
};
use futures_util::future::join_all;

use super::{
    frozen::Frozen,
    relay::Relay,
    support::{Journal, TestDatabase, create_entry, key, new_entry, owner, soon},
};

const STATEMENT: Duration = Duration::from_millis(400);

/// What every message has to end within: two seconds more, and one for a machine that does much else.
const LONGEST: Duration = Duration::from_millis(3_400);

/// The processes that serve a program's connections to a database.
fn backends(database: &TestDatabase, application: &str) -> Vec<i32> {
    #[derive(diesel::QueryableByName)]
    struct Backend {
        #[diesel(sql_type = Integer)]
        pid: i32,
    }
    let found = sql_query(format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{application}'"
    ));
    let found = found.load::<Backend>(&mut database.connect()).unwrap();
    found.into_iter().map(|backend| backend.pid).collect()
}

fn hurried(settings: &mut JournalSettings) {
    settings.statement_timeout = STATEMENT;
    settings.lock_timeout = Duration::from_millis(200);
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let result = soon(work).await;
    let took = began.elapsed();
    assert!(took < LONGEST, "it took {took:?}");
    result
}

fn is_silence<T: std::fmt::Debug>(reply: &Result<T, JournalError>) {
    assert!(
        matches!(
            reply,
            Err(JournalError::Unavailable {
                why: Outage::Silent,
                ..
            })
        ),
        "{reply:?}"
    );
}

/// Waits until nothing hangs any more.
async fn until_nothing_hangs(journal: &Journal) {
    soon(async {
        while journal.handle.connections().2 > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_backend_that_hangs_costs_one_call_and_its_connection() {
    let journal = Journal::start_with(|settings| {
        hurried(settings);
        settings.pool = 2.try_into().unwrap();
    });
    let ann = owner("ann");
    journal.entry(&ann, new_entry("before")).await;
    let hung = backends(&journal.database, "epicme");
    let frozen = Frozen::these(&hung);
    // A read, a write, a batch of entries: whatever meets it.
    let (read, tag, entry) = in_time(async {
        futures_util::join!(
            journal.ask(Ping),
            journal.ask(create_entry(&ann, new_entry("keyed"), key("k", 1))),
            journal.ask(create_entry(&ann, new_entry("plain"), None)),
        )
    })
    .await;
    let silent = [read.is_err(), tag.is_err(), entry.is_err()];
    assert!(silent.contains(&true), "something met what hangs");
    // The actor is free again, and on a connection that works, while the old one still hangs.
    in_time(journal.ask(Ping)).await.unwrap();
    in_time(journal.ask(create_entry(&ann, new_entry("after"), None)))
        .await
        .unwrap();
    let (_, _, hanging) = journal.handle.connections();
    assert!(hanging >= 1, "its thread is counted");
    assert_eq!(journal.handle.under_way(), 0, "its place is free");
    let used = backends(&journal.database, "epicme");
    assert!(used.iter().any(|pid| !hung.contains(pid)));
    drop(frozen);
    // The thread ends with the statement.
    until_nothing_hangs(&journal).await;
    in_time(journal.ask(Ping)).await.unwrap();
}

#[actix_rt::test]
async fn a_way_that_swallows_everything_ends_every_call_in_time() {
    let elsewhere = Journal::start();
    let relay = Relay::to(&elsewhere.database.url);
    let url = relay.url(&elsewhere.database.url);
    let journal = Journal::start_with(|settings| {
        hurried(settings);
        settings.pool = 3.try_into().unwrap();
        settings.database_url = url;
    });
    let users = ["ann", "bob", "cid", "dan", "eve", "fay"].map(owner);
    in_time(join_all(users.iter().map(|user| {
        journal.ask(create_entry(user, new_entry("before"), None))
    })))
    .await
    .into_iter()
    .for_each(|reply| drop(reply.unwrap()));
    relay.swallows(true);
    for _ in 0..3 {
        let calls = users
            .iter()
            .map(|user| in_time(journal.ask(create_entry(user, new_entry("lost"), key("k", 1)))));
        for reply in join_all(calls).await {
            assert!(
                matches!(reply, Err(JournalError::Unavailable { .. })),
                "{reply:?}"
            );
        }
        is_silence_or_none(&in_time(journal.ask(Ping)).await);
    }
    assert_eq!(journal.handle.under_way(), 0);
    // Connections that are new pass; those that were swallowed hang for as long as the relay keeps them.
    relay.swallows(false);
    soon(async { while journal.ask(Ping).await.is_err() {} }).await;
    for user in &users {
        let entry = create_entry(user, new_entry("after"), None);
        in_time(journal.ask(entry)).await.unwrap();
    }
}

fn is_silence_or_none(reply: &Result<(), JournalError>) {
    assert!(
        matches!(
            reply,
            Err(JournalError::Unavailable {
                why: Outage::Silent | Outage::NoConnection,
                ..
            })
        ),
        "{reply:?}"
    );
}

#[actix_rt::test]
async fn a_server_that_admits_everybody_and_answers_nobody_is_bounded() {
    let elsewhere = Journal::start();
    let relay = Relay::to(&elsewhere.database.url);
    let url = relay.url(&elsewhere.database.url);
    let journal = Journal::start_with(|settings| {
        hurried(settings);
        settings.pool = 1.try_into().unwrap();
        settings.database_url = url;
    });
    in_time(journal.ask(Ping)).await.unwrap();
    // As many hang as there are connections, and as many again in their place.
    for hanging in [1, 2] {
        relay.swallows(true);
        is_silence(&in_time(journal.ask(Ping)).await);
        let connections = journal.handle.connections();
        assert_eq!(connections.2, hanging, "{connections:?}");
        relay.swallows(false);
        if hanging == 1 {
            soon(async { while journal.ask(Ping).await.is_err() {} }).await;
        }
    }
    assert!(journal.handle.is_stuck(), "which is said");
    for _ in 0..2 {
        let refused = in_time(journal.ask(Ping)).await;
        assert!(
            matches!(
                refused,
                Err(JournalError::Unavailable {
                    why: Outage::NoConnection,
                    ..
                })
            ),
            "{refused:?}"
        );
    }
    assert_eq!(journal.handle.connections().2, 2, "no more hang than may");
}

#[actix_rt::test]
async fn a_server_that_stops_answering_while_a_connection_is_set_up_keeps_nobody() {
    let elsewhere = Journal::start();
    let relay = Relay::to(&elsewhere.database.url);
    let url = relay.url(&elsewhere.database.url);
    // libpq has connected when so much has come, and its own time limit has ended.
    for most in [0, 300, 500, 700] {
        relay.passes_on(most);
        let journal = Journal::start_with(|settings| {
            hurried(settings);
            settings.database_url = url.clone();
        });
        for _ in 0..2 {
            let refused = in_time(journal.ask(Ping)).await;
            assert!(
                matches!(refused, Err(JournalError::Unavailable { .. })),
                "{refused:?}"
            );
        }
    }
}

#[actix_rt::test]
async fn a_statement_that_timed_out_is_not_a_database_that_cannot_be_reached() {
    let journal = Journal::start_with(hurried);
    let ann = owner("ann");
    journal.entry(&ann, new_entry("before")).await;
    let blocker = journal.hold_up();
    let backends_before = backends(&journal.database, "epicme");
    let late = in_time(journal.ask(create_entry(&ann, new_entry("late"), None))).await;
    assert!(
        matches!(late, Err(JournalError::TimedOut { .. })),
        "{late:?}"
    );
    // A lock that is waited for by a keyed write too.
    let late = in_time(journal.ask(create_entry(&ann, new_entry("late"), key("k", 1)))).await;
    assert!(
        matches!(late, Err(JournalError::TimedOut { .. })),
        "{late:?}"
    );
    drop(blocker);
    in_time(journal.ask(create_entry(&ann, new_entry("now"), None)))
        .await
        .unwrap();
    // Its connection is as good as before.
    let kept = backends(&journal.database, "epicme");
    assert!(backends_before.iter().all(|pid| kept.contains(pid)));
    assert_eq!(journal.database.count("entries WHERE title = 'late'"), 0);
}
