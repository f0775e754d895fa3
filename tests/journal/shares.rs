use std::time::{Duration, Instant};

use actix::Message;
use diesel::{PgConnection, RunQueryDsl, connection::SimpleConnection, sql_types::BigInt};
use epicme::{
    domain::journal::{Costly, EntryFilter, JournalError},
    journal::{GetEntry, JournalMessage, Kind, ListEntries, ListTags, Operation},
    storage::{Connection as Session, StorageError},
};
use futures_util::future::join_all;
use resource_server::principal::UserId;

use super::support::{Journal, create_entry, key, new_entry, owner, page, soon, still_waits};

fn list(user: UserId) -> ListEntries {
    ListEntries {
        user,
        filter: EntryFilter::default(),
        page: page(5, None),
    }
}

/// How many statements of the journal match a condition on `pg_stat_activity`.
fn statements(watcher: &mut PgConnection, condition: &str) -> i64 {
    let sql = format!(
        "SELECT count(*) AS count FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'epicme'
            AND state = 'active' AND {condition}"
    );
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    diesel::sql_query(sql)
        .get_result::<Count>(watcher)
        .unwrap()
        .count
}

/// Polls until as many statements match.
pub(crate) async fn until_statements(watcher: &mut PgConnection, condition: &str, wanted: i64) {
    soon(async {
        while statements(watcher, condition) != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_user_takes_a_third_of_the_connections_and_the_others_go_on() {
    let journal = Journal::start_with(|settings| {
        settings.pool = 9.try_into().unwrap();
        settings.connect_timeout = Duration::from_millis(500);
        settings.lock_timeout = Duration::from_secs(20);
        settings.statement_timeout = Duration::from_secs(20);
    });
    let [ann, bob] = ["ann", "bob"].map(owner);
    journal.entry(&ann, new_entry("there")).await;
    let mut watcher = journal.database.connect();
    let mut blocker = journal.hold_up();
    let mut lists = Box::pin(join_all((0..12).map(|_| journal.ask(list(ann.user)))));
    still_waits(&mut lists).await;
    until_statements(&mut watcher, "wait_event_type = 'Lock'", 3).await;
    for _ in 0..20 {
        let tags = ListTags {
            user: bob.user,
            page: page(5, None),
        };
        soon(journal.ask(tags)).await.unwrap();
    }
    assert_eq!(statements(&mut watcher, "wait_event_type = 'Lock'"), 3);
    // Those that got no connection are told why while the three still wait.
    tokio::select! {
        _ = &mut lists => panic!("three wait for the lock"),
        () = tokio::time::sleep(Duration::from_millis(1_000)) => {}
    }
    blocker.batch_execute("ROLLBACK").unwrap();
    let replies = soon(lists).await;
    let refused = replies
        .iter()
        .filter(|reply| matches!(reply, Err(JournalError::ShareUsedUp)));
    assert_eq!(refused.count(), 9);
    assert_eq!(replies.iter().filter(|reply| reply.is_ok()).count(), 3);
    journal.ask(list(ann.user)).await.unwrap();
}

#[actix_rt::test]
async fn a_user_takes_a_third_of_the_places_and_the_others_find_theirs() {
    let journal = Journal::start_with(|settings| {
        settings.pool = 3.try_into().unwrap();
        settings.queue = 6;
        settings.failfast = Duration::from_millis(5);
    });
    let [ann, bob] = ["ann", "bob"].map(owner);
    journal.entry(&ann, new_entry("there")).await;
    let mut blocker = journal.hold_up();
    let mut lists = Vec::from_iter((0..3).map(|_| Box::pin(journal.ask(list(ann.user)))));
    for list in &mut lists {
        still_waits(list).await;
    }
    let fourth = soon(journal.ask(list(ann.user))).await;
    assert!(
        matches!(fourth, Err(JournalError::ShareUsedUp)),
        "{fourth:?}"
    );
    let tags = ListTags {
        user: bob.user,
        page: page(5, None),
    };
    soon(journal.ask(tags)).await.unwrap();
    blocker.batch_execute("ROLLBACK").unwrap();
    for list in lists {
        soon(list).await.unwrap();
    }
}

#[actix_rt::test]
async fn long_entries_are_written_on_their_users_share() {
    let journal = Journal::start_with(|settings| {
        settings.pool = 6.try_into().unwrap();
        settings.lock_timeout = Duration::from_secs(20);
        settings.statement_timeout = Duration::from_secs(20);
        settings.connect_timeout = Duration::from_secs(20);
    });
    let ann = owner("ann");
    journal.entry(&ann, new_entry("there")).await;
    let mut watcher = journal.database.connect();
    let mut blocker = journal.hold_up();
    let long = || {
        let mut entry = new_entry("long");
        entry.content = "word ".repeat(2_000);
        create_entry(&ann, entry, None)
    };
    let mut writes = Box::pin(join_all((0..8).map(|_| journal.ask(long()))));
    still_waits(&mut writes).await;
    until_statements(&mut watcher, "wait_event_type = 'Lock'", 2).await;
    blocker.batch_execute("COMMIT").unwrap();
    for written in soon(writes).await {
        written.unwrap();
    }
}

/// Sleeps in the database.
#[derive(Message)]
#[rtype(result = "Result<(), JournalError>")]
struct Slow {
    user: UserId,
    statements: usize,
}

impl JournalMessage for Slow {
    type Reply = ();
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::SearchEntries;
    const COSTLY: Option<Costly> = Some(Costly::Search);

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Session) -> Result<(), StorageError> {
        for _ in 0..self.statements {
            // One that is cancelled does not keep the others from running.
            let _ = connection.batch_execute("SELECT pg_sleep(10)");
        }
        Ok(connection.batch_execute("SELECT pg_sleep(60)")?)
    }
}

/// The process of PostgreSQL behind the connection.
#[derive(Message)]
#[rtype(result = "Result<i32, JournalError>")]
struct BackendPid;

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    pid: i32,
}

impl JournalMessage for BackendPid {
    type Reply = i32;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::GetEntry;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn run(&self, connection: &mut Session) -> Result<i32, StorageError> {
        let row: Row =
            diesel::sql_query("SELECT pg_backend_pid() AS pid").get_result(&mut *connection)?;
        Ok(row.pid)
    }
}

#[actix_rt::test]
async fn a_statement_that_takes_too_long_for_what_was_asked_says_so_and_leaves_its_connection_good()
{
    let journal = Journal::start_with(|settings| {
        settings.pool = 1.try_into().unwrap();
        settings.statement_timeout = Duration::from_millis(500);
    });
    let ann = owner("ann");
    let id = journal.entry(&ann, new_entry("there")).await.id;
    let before = journal.ask(BackendPid).await.unwrap();
    for _ in 0..3 {
        let user = ann.user;
        let slow = soon(journal.ask(Slow {
            user,
            statements: 0,
        }))
        .await;
        assert!(
            matches!(slow, Err(JournalError::TookTooLong(Costly::Search))),
            "{slow:?}"
        );
        journal.ask(GetEntry { user, id }).await.unwrap();
    }
    let after = journal.ask(BackendPid).await.unwrap();
    assert_eq!(after, before, "the pool has one connection, which was kept");
}

#[actix_rt::test]
async fn a_read_whose_caller_has_left_is_cancelled_and_nobody_elses() {
    let journal = Journal::start_with(|settings| {
        settings.pool = 9.try_into().unwrap();
        settings.statement_timeout = Duration::from_secs(120);
    });
    let [ann, bob] = ["ann", "bob"].map(owner);
    let mut watcher = journal.database.connect();
    let sleeps = "wait_event = 'PgSleep'";
    let slow = |user, statements| Box::pin(journal.ask(Slow { user, statements }));
    let mut stays = slow(bob.user, 0);
    still_waits(&mut stays).await;
    // Of one that has several statements, each is.
    for statements in [0, 2] {
        // Spawned, because the second waits for the end of the first.
        let (handle, user) = (journal.handle.clone(), ann.user);
        let leaves = actix_rt::spawn(async move { handle.ask(Slow { user, statements }).await });
        until_statements(&mut watcher, sleeps, 2).await;
        leaves.abort();
        let within = Duration::from_secs(5);
        tokio::time::timeout(within, until_statements(&mut watcher, sleeps, 1))
            .await
            .unwrap();
    }
    // What comes next on the connection is not cancelled.
    let id = journal.entry(&ann, new_entry("there")).await.id;
    let user = ann.user;
    for _ in 0..50 {
        drop(futures_util::poll!(Box::pin(
            journal.ask(GetEntry { user, id })
        )));
        journal.ask(GetEntry { user, id }).await.unwrap();
    }
    still_waits(&mut stays).await;
    drop(stays);
    until_statements(&mut watcher, sleeps, 0).await;
    soon(journal.handle.drained()).await;
}

#[actix_rt::test]
async fn a_users_next_search_waits_while_others_use_the_journal() {
    let limit = Duration::from_millis(40);
    let journal = Journal::start_with(|settings| settings.statement_timeout = limit);
    let [ann, bob] = ["ann", "bob"].map(owner);
    let id = journal.entry(&ann, new_entry("hers")).await.id;
    journal.entry(&bob, new_entry("his")).await;
    let user = ann.user;
    let began = Instant::now();
    for _ in 0..2 {
        let statements = 0;
        let slow = soon(journal.ask(Slow { user, statements })).await;
        assert!(slow.is_err(), "it took its whole time");
    }
    // The pause is four times as long as the first took.
    assert!(began.elapsed() >= 6 * limit, "{:?}", began.elapsed());
    // Another message of hers does not wait behind a search that does.
    let search = actix_rt::spawn({
        let handle = journal.handle.clone();
        let statements = 0;
        async move { handle.ask(Slow { user, statements }).await }
    });
    journal.ask(GetEntry { user, id }).await.unwrap();
    assert!(soon(search).await.unwrap().is_err());
}

#[actix_rt::test]
async fn a_write_whose_caller_has_left_is_not_cancelled() {
    let journal = Journal::start();
    let ann = owner("ann");
    journal.entry(&ann, new_entry("warm")).await;
    let mut watcher = journal.database.connect();
    let mut blocker = journal.hold_up();
    let mut write = Box::pin(journal.ask(create_entry(&ann, new_entry("kept"), key("k", 1))));
    let mut read = Box::pin(journal.ask(list(owner("bob").user)));
    still_waits(&mut write).await;
    still_waits(&mut read).await;
    until_statements(&mut watcher, "wait_event_type = 'Lock'", 2).await;
    drop(write);
    drop(read);
    until_statements(&mut watcher, "wait_event_type = 'Lock'", 1).await;
    blocker.batch_execute("COMMIT").unwrap();
    soon(journal.handle.drained()).await;
    assert_eq!(journal.database.count("entries WHERE title = 'kept'"), 1);
}
