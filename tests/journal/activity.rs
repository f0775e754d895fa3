//! Who used what of a journal: counted, kept, forgotten.

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use epicme::{
    domain::activity::EndedCall,
    journal::{ListActivity, ListClients},
};
use mcp_server::features::call_record::{Feature, FeatureKind, Outcome};
use resource_server::principal::UserId;

use crate::support::{Journal, owner, page, soon};

fn call(user: UserId, name: &str, at: DateTime<Utc>) -> EndedCall {
    EndedCall {
        user,
        client: Some("notebook".to_owned()),
        feature: Feature {
            kind: FeatureKind::Tool,
            name: name.to_owned().into(),
            writes: true,
        },
        outcome: Outcome::Done,
        at,
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

async fn listed(journal: &Journal, user: UserId) -> Vec<(String, i64, i64, i64)> {
    let list = ListActivity {
        user,
        client: None,
        page: page(200, None),
    };
    let page = journal.ask(list).await.unwrap();
    let lines = page.items.into_iter().map(|line| {
        let [first, last] = [line.tally.first_at, line.tally.last_at].map(|at| at.timestamp());
        (line.feature, line.tally.count, first, last)
    });
    lines.collect()
}

#[actix_rt::test]
async fn what_is_written_down_later_is_added_to_the_same_hour() {
    let journal = Journal::start();
    let user = owner("ann").user;
    // In no order: calls end as they end.
    for round in [[7_300, 7_400, 10_000], [7_250, 9_000, 10_900]] {
        for seconds in round {
            journal.handle.record(call(user, "x", at(seconds)));
        }
        journal.handle.flush_activity().await;
    }
    let expected = [
        ("x".to_owned(), 1, 10_900, 10_900),
        ("x".to_owned(), 5, 7_250, 10_000),
    ];
    assert_eq!(listed(&journal, user).await, expected);
    let clients = journal.ask(ListClients { user }).await.unwrap();
    assert_eq!(clients.len(), 1);
    assert_eq!((clients[0].calls.count, clients[0].writes), (6, 6));
    let other = owner("bob").user;
    assert_eq!(listed(&journal, other).await, []);
    let none = journal.ask(ListClients { user: other }).await.unwrap();
    assert_eq!(none, []);
}

#[actix_rt::test]
async fn counts_of_several_users_share_a_statement_unless_group_commit_is_off() {
    for (group_commit, statements) in [(true, 1), (false, 3)] {
        let journal = Journal::start_with(|settings| settings.group_commit = group_commit);
        for feature in ["x", "y"] {
            for name in ["ann", "bob", "eve"] {
                let user = owner(name).user;
                journal.handle.record(call(user, feature, at(0)));
            }
        }
        journal.handle.flush_activity().await;
        assert_eq!(journal.database.count("activity"), 6);
        let written = "(SELECT DISTINCT xmin::text FROM activity) AS statements";
        assert_eq!(journal.database.count(written), statements);
        let mixed = "(SELECT FROM activity GROUP BY xmin::text HAVING count(DISTINCT user_id) > 1) AS mixed";
        assert_eq!(journal.database.count(mixed) == 0, !group_commit);
    }
}

#[actix_rt::test]
async fn more_than_one_statement_takes_is_written_down_all_the_same() {
    let journal = Journal::start();
    let user = owner("ann").user;
    for n in 0..2_500 {
        journal.handle.record(call(user, &n.to_string(), at(0)));
    }
    journal.handle.flush_activity().await;
    assert_eq!(journal.database.count("activity"), 2_500);
}

#[actix_rt::test]
async fn what_the_database_never_takes_keeps_nothing_else_from_it() {
    let journal = Journal::start();
    let user = owner("ann").user;
    journal
        .database
        .execute("ALTER TABLE activity ADD CHECK (feature <> 'refused')")
        .unwrap();
    journal.handle.record(call(user, "refused", at(0)));
    journal.handle.flush_activity().await;
    journal.handle.record(call(user, "taken", at(0)));
    journal.handle.flush_activity().await;
    assert_eq!(
        listed(&journal, user).await,
        [("taken".to_owned(), 1, 0, 0)]
    );
}

#[actix_rt::test]
async fn what_a_locked_table_does_not_take_is_kept_within_a_bound() {
    let journal = Journal::start_with(|settings| {
        settings.lock_timeout = std::time::Duration::from_millis(50);
    });
    let user = owner("ann").user;
    let mut blocker = journal.database.connect();
    blocker
        .batch_execute("BEGIN; LOCK TABLE activity IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    for round in 0..3 {
        for n in 0..15_000 {
            let name = format!("{round}-{n}");
            journal.handle.record(call(user, &name, at(0)));
        }
        soon(journal.handle.flush_activity()).await;
    }
    blocker.batch_execute("COMMIT").unwrap();
    soon(journal.handle.flush_activity()).await;
    assert_eq!(journal.database.count("activity"), 40_000);
}

#[actix_rt::test]
async fn who_asks_for_a_flush_and_leaves_loses_nothing() {
    let journal = Journal::start();
    let user = owner("ann").user;
    journal.handle.record(call(user, "x", at(0)));
    let mut blocker = journal.database.connect();
    blocker
        .batch_execute("BEGIN; LOCK TABLE activity IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    {
        let flush = std::pin::pin!(journal.handle.flush_activity());
        let waits = "DO $$ BEGIN \
            WHILE NOT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database \
            WHERE NOT granted AND datname = current_database()) \
            LOOP PERFORM pg_sleep(0.01); END LOOP; END $$";
        let mut watcher = journal.database.connect();
        let waiting = actix_rt::task::spawn_blocking(move || watcher.batch_execute(waits));
        let left = futures_util::future::select(flush, waiting).await;
        assert!(matches!(left, futures_util::future::Either::Right(_)));
    }
    blocker.batch_execute("COMMIT").unwrap();
    soon(journal.handle.flush_activity()).await;
    assert_eq!(listed(&journal, user).await, [("x".to_owned(), 1, 0, 0)]);
}

#[actix_rt::test]
async fn who_reads_their_activity_stores_no_other_users_calls() {
    let journal = Journal::start();
    let [ann, bob] = ["ann", "bob"].map(|name| owner(name).user);
    for user in [ann, bob, ann] {
        journal.handle.record(call(user, "x", at(0)));
    }
    journal.handle.flush_activity_of(ann).await;
    assert_eq!(listed(&journal, ann).await, [("x".to_owned(), 2, 0, 0)]);
    assert_eq!(journal.database.count("activity"), 1);
    journal.handle.flush_activity().await;
    assert_eq!(listed(&journal, bob).await, [("x".to_owned(), 1, 0, 0)]);
}

#[actix_rt::test]
async fn many_calls_that_differ_are_stored_before_it_is_time() {
    let journal = Journal::start();
    let user = owner("ann").user;
    for n in 0..20_000 {
        journal.handle.record(call(user, &n.to_string(), at(0)));
    }
    // Within less time than passes between two flushes.
    let stored = "SET statement_timeout = '25s'; DO $$ BEGIN \
        WHILE (SELECT count(*) FROM activity) < 20000 \
        LOOP PERFORM pg_sleep(0.01); END LOOP; END $$";
    let mut watcher = journal.database.connect();
    let stored = actix_rt::task::spawn_blocking(move || watcher.batch_execute(stored));
    stored.await.unwrap().unwrap();
}

#[actix_rt::test]
async fn a_page_of_activity_repeats_and_skips_nothing_while_calls_go_on() {
    let journal = Journal::start();
    let user = owner("ann").user;
    for n in 0..7 {
        for hour in 0..3 {
            let seconds = hour * 3_600 + 10 * n;
            journal
                .handle
                .record(call(user, &n.to_string(), at(seconds)));
        }
    }
    journal.handle.flush_activity().await;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let list = ListActivity {
            user,
            client: None,
            page: page(4, after),
        };
        let page = journal.ask(list).await.unwrap();
        seen.extend(
            page.items
                .into_iter()
                .map(|line| (line.hour.timestamp(), line.feature)),
        );
        after = page.next;
        if after.is_none() {
            break;
        }
        // Changes when each of the last hour's was used last.
        for n in 0..7 {
            journal
                .handle
                .record(call(user, &n.to_string(), at(2 * 3_600 + 1_000 - n)));
        }
        journal.handle.flush_activity().await;
    }
    let hours = Vec::from_iter(seen.iter().map(|(hour, _)| *hour));
    assert!(hours.is_sorted_by(|a, b| a >= b), "{hours:?}");
    seen.sort();
    let count = seen.len();
    seen.dedup();
    assert_eq!((count, seen.len()), (21, 21));
}
