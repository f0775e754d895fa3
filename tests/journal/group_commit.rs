//! Group commit: entries of any users that arrive at the same time are written in one statement.

use std::{future::Future, pin::Pin, time::Duration};

use diesel::connection::SimpleConnection;
use epicme::{
    domain::{
        journal::{Entry, EntryFilter, JournalError, JournalOwner, NewEntry},
        page::PageLimit,
    },
    journal::{GetEntry, ListEntries},
};
use futures_util::future::join_all;

use super::support::{Journal, create_entry, new_entry, owner, page, soon, still_waits};

type Write<'a> = Pin<Box<dyn Future<Output = Result<Entry, JournalError>> + 'a>>;

fn patient_journal() -> Journal {
    Journal::start_with(|settings| settings.max_batch_delay = Duration::from_secs(60))
}

/// Begins a write and lets it come as far as it does by itself.
async fn begin<'a>(journal: &'a Journal, owner: &JournalOwner, entry: NewEntry) -> Write<'a> {
    let mut write: Write<'a> = Box::pin(journal.ask(create_entry(owner, entry, None)));
    still_waits(&mut write).await;
    write
}

#[actix_rt::test]
async fn what_comes_at_the_same_time_is_written_at_once_and_each_for_its_owner() {
    let journal = patient_journal();
    for number in 0..8 {
        let user = owner(&format!("user {number}"));
        journal.entry(&user, new_entry("one before")).await;
    }
    let mut blocker = journal.hold_up();
    let mut writes = Vec::new();
    for number in 0..24 {
        // The last user is new.
        let user = owner(&format!("user {}", number % 9));
        let mut entry = new_entry(&format!("entry {number}"));
        entry.mood = (number % 2 == 0).then(|| format!("mood {number}"));
        entry.weather = (number % 3 == 0).then(|| "\"{,}\\ NULL".to_owned());
        entry.is_private = number % 4 == 0;
        entry.is_favorite = number % 5 == 0;
        let write = begin(&journal, &user, entry.clone()).await;
        writes.push(async move { (user, entry, write.await.unwrap()) });
    }
    blocker.batch_execute("COMMIT").unwrap();
    for (owner, given, written) in soon(join_all(writes)).await {
        let expected = given.written(written.id, written.created_at, Vec::new());
        assert_eq!(written, expected);
        let (user, id) = (owner.user, written.id);
        let stored = journal.ask(GetEntry { user, id }).await.unwrap();
        assert_eq!(stored, expected);
    }
    for number in 0..9 {
        let list = ListEntries {
            user: owner(&format!("user {number}")).user,
            filter: EntryFilter::default(),
            page: page(PageLimit::LONGEST.get(), None),
        };
        let titles = journal.ask(list).await.unwrap().items;
        let mut titles: Vec<_> = titles.into_iter().map(|item| item.title).collect();
        titles.retain(|title| title != "one before");
        titles.sort_unstable();
        let own = (0..24).filter(|entry| entry % 9 == number);
        let mut own = Vec::from_iter(own.map(|n| format!("entry {n}")));
        own.sort_unstable();
        assert_eq!(titles, own);
    }
    // The first may be under way before the others come. Those of the new user are written each by itself.
    let transactions =
        "(SELECT DISTINCT e.xmin::text FROM entries e JOIN users u ON u.id = e.user_id
                          WHERE e.title LIKE 'entry %' AND u.subject <> 'user 8') AS transactions";
    assert!(journal.database.count(transactions) <= 2);
}

#[actix_rt::test]
async fn without_group_commit_no_statement_writes_for_two_users() {
    let journal = Journal::start_with(|settings| {
        settings.group_commit = false;
        settings.max_batch_delay = Duration::from_secs(60);
    });
    let users = ["ann", "bob", "eve", "joe"].map(owner);
    for user in &users {
        journal.entry(user, new_entry("one before")).await;
    }
    let mut blocker = journal.hold_up();
    let mut writes = Vec::new();
    for user in users.iter().cycle().take(12) {
        writes.push(begin(&journal, user, new_entry("at once")).await);
    }
    blocker.batch_execute("COMMIT").unwrap();
    for written in soon(join_all(writes)).await {
        written.unwrap();
    }
    let transactions =
        "(SELECT DISTINCT xmin::text FROM entries WHERE title = 'at once') AS transactions";
    assert_eq!(journal.database.count(transactions), 12);
}

/// Has four entries come at the same time, of which the database refuses Eve's and no other.
async fn refuse_one_among_others(journal: &Journal) {
    let mut blocker = journal.hold_up();
    let first = begin(journal, &owner("ann"), new_entry("first")).await;
    let good = begin(journal, &owner("ann"), new_entry("good")).await;
    // No message of a client comes here with such a title.
    let bad = begin(journal, &owner("eve"), new_entry(&"x".repeat(201))).await;
    let last = begin(journal, &owner("bob"), new_entry("last")).await;
    blocker.batch_execute("COMMIT").unwrap();
    let all = soon(join_all([first, good, bad, last])).await;
    assert!(
        matches!(
            &all[..],
            [Ok(_), Ok(_), Err(JournalError::Corrupt { .. }), Ok(_)]
        ),
        "{all:?}"
    );
}

#[actix_rt::test]
async fn an_entry_that_the_database_refuses_is_refused_alone() {
    let journal = patient_journal();
    refuse_one_among_others(&journal).await;
    assert_eq!(journal.database.count("entries"), 3);
    let eves = "usage JOIN users ON id = user_id WHERE subject = 'eve' AND entries + bytes > 0";
    assert_eq!(journal.database.count(eves), 0);
}

#[actix_rt::test]
async fn an_entry_that_is_refused_among_others_in_one_statement_takes_none_with_it() {
    let journal = patient_journal();
    // New users' entries are not in the statement.
    for user in ["ann", "bob", "eve"] {
        journal.entry(&owner(user), new_entry("before")).await;
    }
    refuse_one_among_others(&journal).await;
    assert_eq!(
        journal.database.count("entries WHERE title <> 'before'"),
        3,
        "each of the others once"
    );
}

#[actix_rt::test]
async fn what_is_held_up_for_one_user_holds_up_another_for_a_moment_at_most() {
    let journal =
        Journal::start_with(|settings| settings.max_batch_delay = Duration::from_millis(20));
    let (ann, eve) = (owner("ann"), owner("eve"));
    let mut blocker = journal.database.connect();
    // A transaction in which Eve becomes a user; her first entry waits for its end.
    blocker
        .batch_execute(&format!(
            "BEGIN; INSERT INTO users (id, issuer, subject) VALUES ('{}', '{}', '{}')",
            eve.user.as_uuid(),
            eve.issuer,
            eve.subject
        ))
        .unwrap();
    let mut held_up = begin(&journal, &eve, new_entry("late")).await;
    let in_time = (0..5).map(|_| journal.ask(create_entry(&ann, new_entry("in time"), None)));
    for written in soon(join_all(in_time)).await {
        written.unwrap();
    }
    still_waits(&mut held_up).await;
    blocker.batch_execute("ROLLBACK").unwrap();
    soon(held_up).await.unwrap();
}

#[actix_rt::test]
async fn entries_whose_callers_leave_while_they_wait_for_others_are_written() {
    let journal = patient_journal();
    let mut blocker = journal.hold_up();
    let mut writes = Vec::new();
    // More than one batch holds.
    for number in 0..40 {
        // One user has a third of the places.
        let owner = owner(if number % 2 == 0 { "ann" } else { "bob" });
        writes.push(begin(&journal, &owner, new_entry(&number.to_string())).await);
    }
    drop(writes);
    blocker.batch_execute("COMMIT").unwrap();
    soon(journal.handle.drained()).await;
    assert_eq!(journal.database.count("entries"), 40);
}
