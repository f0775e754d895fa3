use std::{sync::mpsc, time::Duration};

use actix::Message;
use diesel::connection::{Connection, SimpleConnection};
use epicme::{
    domain::journal::{EntryFilter, JournalError},
    journal::Operation,
    journal::{GetEntry, JournalHandle, JournalMessage, JournalSettings, Kind, ListEntries, Ping},
    storage::{Connection as Session, StorageError},
};
use resource_server::principal::UserId;
use secrecy::SecretString;

use super::support::{
    Journal, create_entry, key, new_cluster, new_entry, nobody, owner, page, soon, still_waits,
};

#[actix_rt::test]
async fn a_write_is_done_even_if_its_caller_leaves() {
    let journal = Journal::start();
    let ann = owner("ann");
    journal.entry(&ann, new_entry("warm")).await;
    // The table is held, so that the write cannot be over before its caller leaves.
    let mut blocker = journal.hold_up();
    let mut write = Box::pin(journal.ask(create_entry(&ann, new_entry("kept"), None)));
    still_waits(&mut write).await;
    drop(write);
    assert_eq!(journal.handle.under_way(), 1);
    blocker.batch_execute("COMMIT").unwrap();
    soon(journal.handle.drained()).await;
    assert_eq!(journal.database.count("entries WHERE title = 'kept'"), 1);
}

#[actix_rt::test]
async fn a_full_gate_says_busy_and_gives_its_places_back() {
    let journal = Journal::start_with(|settings| {
        settings.pool = 1.try_into().unwrap();
        settings.queue = 1;
        settings.failfast = Duration::from_millis(5);
    });
    let [ann, bob] = ["ann", "bob"].map(owner);
    journal.entry(&ann, new_entry("warm")).await;
    let mut blocker = journal.hold_up();
    // Another user, for one has a third of the places.
    let mut writes = [
        Box::pin(journal.ask(create_entry(&ann, new_entry("one"), None))),
        Box::pin(journal.ask(create_entry(&bob, new_entry("two"), None))),
    ];
    for write in &mut writes {
        still_waits(write).await;
    }
    assert!(matches!(journal.ask(Ping).await, Err(JournalError::Busy)));
    blocker.batch_execute("ROLLBACK").unwrap();
    for write in writes {
        soon(write).await.unwrap();
    }
    soon(journal.handle.drained()).await;
    assert_eq!(journal.handle.under_way(), 0);
    journal.ask(Ping).await.unwrap();
}

#[actix_rt::test]
async fn a_lock_that_is_waited_for_too_long_is_an_error_of_its_own() {
    let journal = Journal::start_with(|settings| {
        settings.lock_timeout = Duration::from_millis(20);
    });
    let ann = owner("ann");
    let mut blocker = journal.hold_up();
    let refused = journal
        .ask(create_entry(&ann, new_entry("late"), None))
        .await;
    assert!(
        matches!(refused, Err(JournalError::TimedOut { .. })),
        "{refused:?}"
    );
    blocker.batch_execute("ROLLBACK").unwrap();
    journal
        .ask(create_entry(&ann, new_entry("now"), None))
        .await
        .unwrap();
}

#[actix_rt::test]
async fn a_statement_that_the_database_does_not_understand_is_a_fault() {
    let journal = Journal::start();
    let broken = "ALTER TABLE entries RENAME COLUMN tag_count TO renamed";
    journal.database.execute(broken).unwrap();
    let list = ListEntries {
        user: owner("ann").user,
        filter: EntryFilter::default(),
        page: page(5, None),
    };
    let fault = journal.ask(list).await.unwrap_err();
    assert!(matches!(fault, JournalError::Corrupt { .. }), "{fault:?}");
    let said = fault.to_string();
    assert!(
        !said.contains("SELECT") && !said.contains("tag_count"),
        "{said}"
    );
}

#[actix_rt::test]
async fn a_journal_starts_while_its_database_is_down_and_says_so() {
    let settings = JournalSettings {
        connect_timeout: Duration::from_millis(50),
        ..JournalSettings::new(
            SecretString::from("postgresql://nobody@%2Fnowhere/none"),
            nobody(),
        )
    };
    let handle = JournalHandle::start(&settings);
    let answer = soon(handle.ask(Ping)).await;
    assert!(matches!(answer, Err(JournalError::Unavailable { .. })));
}

#[actix_rt::test]
async fn connections_that_were_cut_are_replaced_without_a_read_noticing() {
    let journal = Journal::start();
    let ann = owner("ann");
    let id = journal.entry(&ann, new_entry("there")).await.id;
    let user = ann.user;
    // Several connections, all of them cut at once.
    let reads = (0..8).map(|_| journal.ask(GetEntry { user, id }));
    futures_util::future::join_all(reads).await;
    journal
        .database
        .execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
              WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .unwrap();
    for _ in 0..8 {
        journal.ask(GetEntry { user, id }).await.unwrap();
    }
}

#[actix_rt::test]
async fn a_database_that_goes_away_is_unavailable_and_comes_back() {
    use epicme::storage;
    use private_postgres::{Cluster, ClusterOptions};

    let directory = std::env::temp_dir().join(format!("epicme-restart-{}", std::process::id()));
    let start = || {
        Cluster::start(ClusterOptions {
            directory: directory.clone(),
            durable: true,
            name: "epicme",
        })
        .unwrap()
    };
    let cluster = start();
    cluster.create_database("journal").unwrap();
    let url = cluster.url("journal");
    storage::migrate(&url).unwrap();
    let settings = JournalSettings {
        connect_timeout: Duration::from_millis(200),
        ..JournalSettings::new(url, nobody())
    };
    let handle = JournalHandle::start(&settings);
    let ann = owner("ann");
    let write = |title| create_entry(&ann, new_entry(title), None);
    handle.ask(write("before")).await.unwrap();
    cluster.stop().unwrap();
    for _ in 0..3 {
        let answer = soon(handle.ask(Ping)).await;
        assert!(
            matches!(answer, Err(JournalError::Unavailable { .. })),
            "{answer:?}"
        );
        let answer = soon(handle.ask(write("during"))).await;
        assert!(
            matches!(answer, Err(JournalError::Unavailable { .. })),
            "{answer:?}"
        );
    }
    let cluster = start();
    // The pool tries again by itself; each attempt here waits for one of its own.
    soon(async { while handle.ask(Ping).await.is_err() {} }).await;
    handle.ask(write("after")).await.unwrap();
    drop(handle);
    cluster.stop().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}

#[actix_rt::test]
async fn two_clusters_run_side_by_side() {
    let clusters = [new_cluster(), new_cluster()];
    for cluster in &clusters {
        use secrecy::ExposeSecret;
        diesel::PgConnection::establish(cluster.url("postgres").expose_secret()).unwrap();
    }
}

#[derive(Message)]
#[rtype(result = "Result<(), JournalError>")]
struct Panic;

impl JournalMessage for Panic {
    type Reply = ();
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Ping;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn run(&self, _: &mut Session) -> Result<(), StorageError> {
        panic!("on purpose")
    }
}

#[actix_rt::test]
async fn a_query_that_panics_is_an_error_and_the_journal_goes_on() {
    let journal = Journal::start_with(|settings| settings.pool = 1.try_into().unwrap());
    for _ in 0..3 {
        let answer = journal.ask(Panic).await;
        assert!(
            matches!(answer, Err(JournalError::Corrupt { .. })),
            "{answer:?}"
        );
        journal.ask(Ping).await.unwrap();
    }
    assert_eq!(journal.handle.under_way(), 0);
}

#[derive(Message)]
#[rtype(result = "Result<(), JournalError>")]
struct Sleep;

impl JournalMessage for Sleep {
    type Reply = ();
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Ping;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn run(&self, connection: &mut Session) -> Result<(), StorageError> {
        Ok(connection.batch_execute("SELECT pg_sleep(60)")?)
    }
}

#[actix_rt::test]
async fn a_statement_is_given_its_time_and_no_more() {
    let journal = Journal::start_with(|settings| {
        settings.pool = 1.try_into().unwrap();
        settings.statement_timeout = Duration::from_millis(20);
    });
    let answer = soon(journal.ask(Sleep)).await;
    assert!(
        matches!(answer, Err(JournalError::TimedOut { .. })),
        "{answer:?}"
    );
    journal.ask(Ping).await.unwrap();
}

#[actix_rt::test]
async fn a_pool_that_is_used_up_is_an_outage_and_not_a_wait_without_end() {
    let journal = Journal::start_with(|settings| {
        settings.pool = 1.try_into().unwrap();
        settings.connect_timeout = Duration::from_millis(500);
    });
    journal.ask(Ping).await.unwrap();
    let ann = owner("ann");
    let mut blocker = journal.hold_up();
    let mut write = Box::pin(journal.ask(create_entry(&ann, new_entry("slow"), None)));
    still_waits(&mut write).await;
    // It answers until the write has taken the connection.
    let answer = soon(async {
        loop {
            if let Err(error) = journal.ask(Ping).await {
                break error;
            }
        }
    })
    .await;
    assert!(
        matches!(answer, JournalError::Unavailable { .. }),
        "{answer:?}"
    );
    blocker.batch_execute("ROLLBACK").unwrap();
    soon(write).await.unwrap();
}

#[actix_rt::test]
async fn a_write_that_waits_for_a_connection_is_done_even_if_its_caller_leaves() {
    let journal = Journal::start_with(|settings| settings.pool = 1.try_into().unwrap());
    let ann = owner("ann");
    let mut blocker = journal.hold_up();
    let mut first = Box::pin(journal.ask(create_entry(&ann, new_entry("first"), None)));
    still_waits(&mut first).await;
    // An entry with a key is written by itself, so this one waits for the connection.
    let mut second = Box::pin(journal.ask(create_entry(&ann, new_entry("kept"), key("k", 1))));
    still_waits(&mut second).await;
    drop(second);
    blocker.batch_execute("COMMIT").unwrap();
    soon(first).await.unwrap();
    soon(journal.handle.drained()).await;
    assert_eq!(journal.database.count("entries WHERE title = 'kept'"), 1);
}

/// Reports that it was executed.
#[derive(Message)]
#[rtype(result = "Result<(), JournalError>")]
struct Observed(mpsc::Sender<()>);

impl JournalMessage for Observed {
    type Reply = ();
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Ping;

    fn user(&self) -> Option<UserId> {
        None
    }

    fn run(&self, _: &mut Session) -> Result<(), StorageError> {
        self.0.send(()).unwrap();
        Ok(())
    }
}

#[actix_rt::test]
async fn a_read_that_waits_for_a_connection_is_cancelled_when_its_caller_leaves() {
    let journal = Journal::start_with(|settings| settings.pool = 1.try_into().unwrap());
    let ann = owner("ann");
    let (observed, executed) = mpsc::channel();
    let mut blocker = journal.hold_up();
    let mut write = Box::pin(journal.ask(create_entry(&ann, new_entry("slow"), None)));
    still_waits(&mut write).await;
    let mut left = Box::pin(journal.ask(Observed(observed.clone())));
    let mut stays = Box::pin(journal.ask(Observed(observed)));
    still_waits(&mut left).await;
    still_waits(&mut stays).await;
    drop(left);
    blocker.batch_execute("COMMIT").unwrap();
    soon(write).await.unwrap();
    soon(stays).await.unwrap();
    soon(journal.handle.drained()).await;
    assert_eq!(executed.iter().count(), 1);
}

#[actix_rt::test]
async fn a_slow_query_of_one_user_delays_nobody_while_a_connection_is_free() {
    let journal = Journal::start_with(|settings| settings.pool = 2.try_into().unwrap());
    let ann = owner("ann");
    let mut blocker = journal.hold_up();
    let mut slow = Box::pin(journal.ask(create_entry(&ann, new_entry("slow"), None)));
    still_waits(&mut slow).await;
    for _ in 0..20 {
        soon(journal.ask(Ping)).await.unwrap();
        still_waits(&mut slow).await;
    }
    blocker.batch_execute("COMMIT").unwrap();
    soon(slow).await.unwrap();
}
