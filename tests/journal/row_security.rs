//! Row-level security: a statement reaches the rows of the user of its lease, whatever its condition says.

mod mutations;
mod plans;
mod recorded;

use std::time::Duration;

use actix::Message;
use diesel::{
    PgConnection, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::BigInt,
};
use epicme::{
    domain::journal::{Entry, EntryId, JournalError, Quota},
    journal::{
        CreateEntry, DeleteExpired, GetEntry, HasEntries, JournalMessage, JournalSettings, Kind,
        Operation,
    },
    storage::{self, Connection, Pool, PoolSettings, RowsOf, StorageError, entries},
};
use resource_server::principal::UserId;

use crate::support::{Journal, TestDatabase, create_entry, new_entry, nobody, owner};

/// A pool of one connection, so that every lease is of the same.
fn pool(database: &TestDatabase) -> Pool {
    Pool::new(&PoolSettings {
        database_url: database.serving_url(),
        size: 1.try_into().unwrap(),
        hanging: 0,
        connect_timeout: Duration::from_secs(30),
        statement_timeout: Duration::from_secs(30),
        lock_timeout: Duration::from_secs(30),
        quota: Quota::default(),
        row_level_security: true,
    })
}

fn count(connection: &mut PgConnection, from: &str) -> i64 {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    sql_query(format!("SELECT count(*) AS count FROM {from}"))
        .get_result::<Count>(connection)
        .unwrap()
        .count
}

fn guarded() -> Journal {
    Journal::start_guarded(true)
}

async fn two_journals() -> Journal {
    let journal = guarded();
    for (name, entries) in [("ann", 1), ("bob", 2)] {
        for _ in 0..entries {
            journal.entry(&owner(name), new_entry(name)).await;
        }
    }
    journal
}

#[actix_rt::test]
async fn a_lease_reaches_the_rows_of_its_user_and_without_one_none() {
    let journal = two_journals().await;
    let pool = pool(&journal.database);
    let [ann, bob] = ["ann", "bob"].map(|name| owner(name).user);
    let reached = |rows: RowsOf| {
        let mut lease = pool.get().unwrap();
        let connection = lease.reaching(rows).unwrap();
        ["entries", "own_entries", "users", "usage"].map(|table| count(connection, table))
    };
    assert_eq!(reached(RowsOf::Nobody), [0, 0, 0, 0], "a new connection");
    assert_eq!(reached(RowsOf::User(ann)), [1, 1, 1, 1]);
    assert_eq!(reached(RowsOf::User(ann)), [1, 1, 1, 1], "nothing is set");
    assert_eq!(reached(RowsOf::User(bob)), [2, 2, 1, 1]);
    assert_eq!(reached(RowsOf::Nobody), [0, 0, 0, 0], "it was returned");
    // Of several users their counts, which group commit changes, and no entry.
    assert_eq!(reached(RowsOf::Users(vec![ann, bob])), [0, 0, 0, 2]);
    assert_eq!(reached(RowsOf::User(ann)), [1, 1, 1, 1]);
    // The role of housekeeping may not even ask for texts, nor for names of users.
    let mut lease = pool.get().unwrap();
    let connection = lease.reaching(RowsOf::Everybody).unwrap();
    assert_eq!(count(connection, "tag_deletions"), 0);
    for forbidden in ["SELECT content FROM entries", "SELECT subject FROM users"] {
        let refused = sql_query(forbidden).execute(connection).unwrap_err();
        assert!(
            refused.to_string().contains("permission denied"),
            "{forbidden}: {refused}"
        );
    }
    drop(lease);
    assert_eq!(reached(RowsOf::User(bob)), [2, 2, 1, 1]);
}

#[actix_rt::test]
async fn a_lease_writes_for_its_users_alone() {
    let journal = two_journals().await;
    let pool = pool(&journal.database);
    let [ann, bob] = ["ann", "bob"].map(|name| owner(name).user);
    let write = |rows: RowsOf, user: UserId| {
        let mut lease = pool.get().unwrap();
        let connection = lease.reaching(rows).unwrap();
        let sql =
            format!("INSERT INTO entries (user_id, title, content) VALUES ('{user}', 't', 'c')");
        sql_query(sql).execute(connection).is_ok()
    };
    for (rows, user, may) in [
        (RowsOf::User(ann), ann, true),
        (RowsOf::User(ann), bob, false),
        (RowsOf::Users(vec![ann, bob]), bob, true),
        (RowsOf::Users(vec![ann]), bob, false),
        (RowsOf::Nobody, ann, false),
        (RowsOf::Everybody, ann, false),
    ] {
        assert_eq!(write(rows.clone(), user), may, "{rows:?}");
    }
    let mut lease = pool.get().unwrap();
    let connection = lease.reaching(RowsOf::User(ann)).unwrap();
    for forbidden in [
        "UPDATE entries SET title = 'stolen' WHERE title = 'bob'",
        "DELETE FROM entries WHERE title = 'bob'",
        "DELETE FROM users",
    ] {
        // The user's own row of `users` is held by its entries.
        let changed = sql_query(forbidden).execute(connection);
        assert!(
            !matches!(changed, Ok(1..)) || forbidden.contains("users"),
            "{forbidden}"
        );
    }
    assert!(sql_query("TRUNCATE entries").execute(connection).is_err());
    let of_bob = format!("entries WHERE user_id = '{bob}' AND title = 'bob'");
    assert_eq!(journal.database.count(&of_bob), 2);
}

/// A handler with a fault: its lease is that of one user, and it asks for an entry of another.
#[derive(Message)]
#[rtype(result = "Result<Entry, JournalError>")]
struct GetEntryOfAnother {
    user: UserId,
    other: UserId,
    id: EntryId,
}

impl JournalMessage for GetEntryOfAnother {
    type Reply = Entry;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::GetEntry;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Entry, StorageError> {
        entries::get_entry(connection, self.other, self.id)
    }
}

#[actix_rt::test]
async fn a_handler_that_asks_for_another_users_rows_gets_none() {
    let [ann, bob] = ["ann", "bob"].map(owner);
    for (is_guarded, finds) in [(true, false), (false, true)] {
        let journal = Journal::start_guarded(is_guarded);
        let id = journal.entry(&bob, new_entry("secret")).await.id;
        let (user, other) = (ann.user, bob.user);
        let found = journal.ask(GetEntryOfAnother { user, other, id }).await;
        assert_eq!(found.is_ok(), finds);
        assert!(journal.ask(GetEntry { user: other, id }).await.is_ok());
    }
}

/// A role has the policies of the roles whose rights it inherits.
#[actix_rt::test]
async fn a_role_that_inherits_the_rights_of_housekeeping_reaches_no_more_rows() {
    let journal = two_journals().await;
    let mut connection = journal.database.connect();
    connection
        .batch_execute(
            "CREATE ROLE heir INHERIT; GRANT epicme_housekeeping TO heir;
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO heir; SET ROLE heir",
        )
        .unwrap();
    assert_eq!(count(&mut connection, "entries"), 0);
    connection
        .batch_execute("SET ROLE epicme_housekeeping")
        .unwrap();
    assert_eq!(count(&mut connection, "(SELECT id FROM entries) AS e"), 3);
}

/// As the previous release does, which gives its connections no user.
#[actix_rt::test]
async fn until_it_is_turned_on_a_connection_without_a_user_reads_and_writes() {
    let journal = two_journals().await;
    let (database, bob) = (&journal.database, owner("bob").user);
    let turn = |on: bool| {
        database
            .execute(&format!("CALL set_row_level_security({on})"))
            .unwrap()
    };
    let mut connection = database.connect_as_serving();
    let write = format!("INSERT INTO entries (user_id, title, content) VALUES ('{bob}', 't', 'c')");
    turn(false);
    assert_eq!(count(&mut connection, "entries"), 3);
    sql_query(&write).execute(&mut connection).unwrap();
    turn(true);
    assert_eq!(count(&mut connection, "entries"), 0);
    assert!(sql_query(&write).execute(&mut connection).is_err());
    // A second time it changes nothing.
    storage::turn_on_row_level_security(&database.url).unwrap();
    assert_eq!(count(&mut connection, "entries"), 0);
    assert!(journal.ask(HasEntries { user: bob }).await.unwrap());
}

/// Rather no answer than that a journal looks empty.
#[actix_rt::test]
async fn a_server_that_gives_no_users_is_refused_where_it_is_in_force() {
    let journal = two_journals().await;
    let settings = JournalSettings {
        connect_timeout: Duration::from_millis(300),
        ..JournalSettings::new(journal.database.serving_url(), nobody())
    };
    let other = epicme::journal::JournalHandle::start(&settings);
    let user = owner("bob").user;
    let refused = other.ask(HasEntries { user }).await;
    assert!(
        matches!(refused, Err(JournalError::Unavailable { .. })),
        "{refused:?}"
    );
}

#[actix_rt::test]
async fn housekeeping_deletes_the_expired_rows_of_all_users_and_no_others() {
    let journal = two_journals().await;
    for name in ["ann", "bob"] {
        let user = owner(name).user;
        for (nonce, age) in [('a', "1 minute"), ('b', "31 minutes")] {
            let nonce = nonce.to_string().repeat(12);
            let used = format!(
                "INSERT INTO used_request_states VALUES ('{user}', '{nonce}', now() - interval '{age}')"
            );
            journal.database.execute(&used).unwrap();
        }
    }
    assert!(!journal.ask(DeleteExpired).await.unwrap());
    assert_eq!(journal.database.count("used_request_states"), 2);
    assert_eq!(journal.database.count("entries"), 3);
    // The connection that did it serves a user next.
    let entry: CreateEntry = create_entry(&owner("ann"), new_entry("after"), None);
    assert!(journal.ask(entry).await.is_ok());
}
