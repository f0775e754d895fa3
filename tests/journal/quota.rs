use std::time::Duration;

use diesel::{
    QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::BigInt,
};
use epicme::{
    domain::journal::{
        EntryChanges, EntryId, JournalError, JournalOwner, LimitReached, MOST_TAGS,
        MOST_TAGS_OF_AN_ENTRY, NewEntry, Quota, TagId, Usage,
    },
    journal::{
        AddTagToEntry, CreateEntry, DeleteEntry, GetEntry, GetUsage, JournalSettings, UpdateEntry,
    },
};
use futures_util::future::join_all;

use super::{
    shares::until_statements,
    support::{Journal, create_entry, create_tag, key, new_entry, owner, soon, still_waits},
};

fn entry(content: &str) -> NewEntry {
    let mut entry = new_entry("t");
    entry.content = content.to_owned();
    entry
}

fn limited(entries: u64, bytes: u64) -> Journal {
    Journal::start_with(|settings: &mut JournalSettings| {
        settings.pool = 9.try_into().unwrap();
        settings.quota = Quota { entries, bytes };
    })
}

async fn usage(journal: &Journal, owner: &JournalOwner) -> (i64, i64) {
    let Usage { entries, bytes } = journal.ask(GetUsage { user: owner.user }).await.unwrap();
    (entries, bytes)
}

/// What the table itself has.
fn stored(journal: &Journal) -> (i64, i64) {
    let bytes =
        "(SELECT FROM entries e, generate_series(1, octet_length(title) + octet_length(content)
        + coalesce(octet_length(mood), 0) + coalesce(octet_length(location), 0)
        + coalesce(octet_length(weather), 0))) AS bytes";
    (
        journal.database.count("entries"),
        journal.database.count(bytes),
    )
}

#[actix_rt::test]
async fn what_is_written_counts_and_what_is_deleted_does_not() {
    let journal = limited(0, 0);
    let ann = owner("ann");
    assert_eq!(usage(&journal, &ann).await, (0, 0));
    let tag = journal.tag(&ann, "sea").await.id;
    let mut tagged = entry("Łódź");
    tagged.tags = vec![tag];
    tagged.mood = Some("calm".to_owned());
    let plain = journal.entry(&ann, entry("plain")).await.id;
    let tagged = journal.entry(&ann, tagged).await.id;
    let once = create_entry(&ann, entry("keyed"), key("k", 1));
    for _ in 0..3 {
        journal.ask(once.clone()).await.unwrap();
    }
    assert_eq!(usage(&journal, &ann).await, (3, 6 + (1 + 7 + 4) + 6));
    assert_eq!(usage(&journal, &ann).await, stored(&journal));
    let update = |id, changes| UpdateEntry {
        user: ann.user,
        id,
        changes,
    };
    for changes in [
        EntryChanges {
            content: Some("longer than before".to_owned()),
            weather: Some(Some("rain".to_owned())),
            ..EntryChanges::default()
        },
        EntryChanges {
            is_favorite: Some(true),
            ..EntryChanges::default()
        },
        EntryChanges {
            title: Some("title".to_owned()),
            weather: Some(None),
            mood: Some(None),
            ..EntryChanges::default()
        },
    ] {
        journal.ask(update(tagged, changes)).await.unwrap();
        assert_eq!(usage(&journal, &ann).await, stored(&journal));
    }
    for id in [plain, tagged, tagged] {
        let user = ann.user;
        journal.ask(DeleteEntry { user, id }).await.unwrap();
        assert_eq!(usage(&journal, &ann).await, stored(&journal));
    }
    assert_eq!(usage(&journal, &ann).await, (1, 6));
    assert_eq!(usage(&journal, &owner("bob")).await, (0, 0));
}

#[actix_rt::test]
async fn writes_at_once_do_not_exceed_the_limit_of_entries() {
    let journal = limited(10, 0);
    let [ann, bob] = ["ann", "bob"].map(owner);
    let tag = journal.tag(&ann, "sea").await.id;
    // All three ways to write one, in batches and alone, and another user's in the same batches.
    let writes = (0..30).map(|n: u8| {
        let mut entry = entry("content");
        if n % 3 == 1 {
            entry.tags = vec![tag];
        }
        let key = (n % 3 == 2).then(|| key(&n.to_string(), n).unwrap());
        journal.ask(create_entry(&ann, entry, key))
    });
    let others = (0..8).map(|_| journal.ask(create_entry(&bob, entry("his"), None)));
    let (written, others) = futures_util::join!(join_all(writes), join_all(others));
    let full = written.iter().filter(|reply| {
        matches!(
            reply,
            Err(JournalError::LimitReached(LimitReached::Entries {
                most: 10
            }))
        )
    });
    assert_eq!(full.count(), 20, "{written:?}");
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    assert_eq!(usage(&journal, &ann).await.0, 10);
    assert_eq!(journal.database.count("entries"), 18);
    // What was refused has used up no key.
    assert!(journal.database.count("idempotency_keys") <= 10);
    // Room that was freed can be used.
    let id: EntryId = written.into_iter().find_map(Result::ok).unwrap().id;
    journal
        .ask(DeleteEntry { user: ann.user, id })
        .await
        .unwrap();
    journal.entry(&ann, entry("again")).await;
}

#[actix_rt::test]
async fn writes_at_once_do_not_exceed_the_limit_of_bytes() {
    let journal = limited(0, 1_000);
    let ann = owner("ann");
    let writes = (0..25).map(|n: u8| {
        let key = n.is_multiple_of(2).then(|| key(&n.to_string(), n).unwrap());
        journal.ask(create_entry(&ann, entry(&"x".repeat(99)), key))
    });
    let written = join_all(writes).await;
    assert_eq!(written.iter().filter(|reply| reply.is_ok()).count(), 10);
    assert_eq!(usage(&journal, &ann).await, (10, 1_000));
    let id = written.into_iter().find_map(Result::ok).unwrap().id;
    let with = |content: String| UpdateEntry {
        user: ann.user,
        id,
        changes: EntryChanges {
            content: Some(content),
            ..EntryChanges::default()
        },
    };
    let longer = journal.ask(with("x".repeat(100))).await;
    assert!(
        matches!(
            longer,
            Err(JournalError::LimitReached(LimitReached::Bytes {
                has: 1_000,
                more: 1,
                most: 1_000
            }))
        ),
        "{longer:?}"
    );
    let unchanged = journal.ask(GetEntry { user: ann.user, id }).await.unwrap();
    assert_eq!(unchanged.content.len(), 99);
    journal.ask(with("x".to_owned())).await.unwrap();
    journal.ask(with("x".repeat(99))).await.unwrap();
    let missing = UpdateEntry {
        id: EntryId(0),
        ..with("x".repeat(100))
    };
    let missing = journal.ask(missing).await;
    assert!(matches!(missing, Err(JournalError::NoSuchEntry(_))));
}

#[actix_rt::test]
async fn a_repeat_of_a_write_is_answered_even_if_the_journal_is_full() {
    let journal = limited(1, 0);
    let ann = owner("ann");
    let once = create_entry(&ann, entry("keyed"), key("k", 1));
    let first = journal.ask(once.clone()).await.unwrap();
    assert_eq!(journal.ask(once).await.unwrap().id, first.id);
    let other = journal
        .ask(create_entry(&ann, entry("keyed"), key("l", 1)))
        .await;
    assert!(matches!(
        other,
        Err(JournalError::LimitReached(LimitReached::Entries { .. }))
    ));
}

#[actix_rt::test]
async fn a_journal_of_before_there_were_counts_is_counted_with_the_next_write() {
    let journal = limited(3, 0);
    let ann = owner("ann");
    let ids = [
        journal.entry(&ann, entry("one")).await.id,
        journal.entry(&ann, entry("two")).await.id,
    ];
    journal.database.execute("DELETE FROM usage").unwrap();
    assert_eq!(usage(&journal, &ann).await, stored(&journal));
    let longer = UpdateEntry {
        user: ann.user,
        id: ids[0],
        changes: EntryChanges {
            content: Some("longer".to_owned()),
            ..EntryChanges::default()
        },
    };
    journal.ask(longer).await.unwrap();
    assert_eq!(usage(&journal, &ann).await, stored(&journal));
    journal.database.execute("DELETE FROM usage").unwrap();
    journal.entry(&ann, entry("three")).await;
    assert_eq!(usage(&journal, &ann).await, stored(&journal));
    let fourth = journal.ask(create_entry(&ann, entry("four"), None)).await;
    assert!(matches!(
        fourth,
        Err(JournalError::LimitReached(LimitReached::Entries { .. }))
    ));
}

#[actix_rt::test]
async fn a_user_whose_counts_are_locked_delays_nobody_elses_entries() {
    let journal = limited(0, 0);
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(owner);
    for owner in [&ann, &bob, &cid] {
        journal.entry(owner, entry("first")).await;
    }
    let mut blocker = journal.database.connect();
    let user = ann.user.as_uuid();
    blocker
        .batch_execute(&format!(
            "BEGIN; SELECT FROM usage WHERE user_id = '{user}' FOR UPDATE"
        ))
        .unwrap();
    let write = |owner: &JournalOwner| -> CreateEntry { create_entry(owner, entry("next"), None) };
    let mut held = Box::pin(journal.ask(write(&ann)));
    still_waits(&mut held).await;
    let others = (0..20).map(|n| journal.ask(write(if n % 2 == 0 { &bob } else { &cid })));
    let more_of_hers = (0..3).map(|_| journal.ask(write(&ann)));
    let mut hers = Box::pin(join_all(more_of_hers));
    still_waits(&mut hers).await;
    let others = tokio::time::timeout(Duration::from_secs(10), join_all(others)).await;
    assert!(others.unwrap().iter().all(Result::is_ok));
    blocker.batch_execute("COMMIT").unwrap();
    soon(held).await.unwrap();
    assert!(soon(hers).await.iter().all(Result::is_ok));
}

#[actix_rt::test]
async fn tags_and_their_links_are_bounded_in_number() {
    let journal = limited(0, 0);
    let ann = owner("ann");
    let first = journal.tag(&ann, "first").await.id;
    let id = journal.entry(&ann, entry("tagged")).await.id;
    let user = ann.user.as_uuid();
    journal
        .database
        .execute(&format!(
            "INSERT INTO tags (user_id, name, folded_name)
             SELECT '{user}', n::text, n::text FROM generate_series(2, {MOST_TAGS}) AS n"
        ))
        .unwrap();
    for key in [None, key("k", 1)] {
        let refused = journal.ask(create_tag(&ann, "another", key)).await;
        assert!(
            matches!(refused, Err(JournalError::LimitReached(LimitReached::Tags))),
            "{refused:?}"
        );
    }
    journal.tag(&owner("bob"), "his").await;
    journal
        .database
        .execute(&format!(
            "INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
             SELECT e.user_id, e.id, t.id, e.created_at
               FROM entries e, (SELECT id FROM tags WHERE user_id = '{user}' AND id <> {}
                                 ORDER BY id LIMIT {MOST_TAGS_OF_AN_ENTRY}) AS t
              WHERE e.user_id = '{user}'",
            first.0
        ))
        .unwrap();
    let add = |tag_id: TagId| AddTagToEntry {
        user: ann.user,
        entry_id: id,
        tag_id,
    };
    let refused = journal.ask(add(first)).await;
    assert!(
        matches!(
            refused,
            Err(JournalError::LimitReached(LimitReached::TagsOfEntry))
        ),
        "{refused:?}"
    );
    // One that it has can be added again.
    let has = journal
        .ask(GetEntry { user: ann.user, id })
        .await
        .unwrap()
        .tags;
    journal.ask(add(has[0].id)).await.unwrap();
}

#[actix_rt::test]
async fn tags_that_are_made_at_the_same_moment_do_not_exceed_the_limit() {
    let journal = limited(0, 0);
    let ann = owner("ann");
    let id = journal.entry(&ann, entry("tagged")).await.id;
    let user = ann.user;
    journal
        .database
        .execute(&format!(
            "INSERT INTO tags (user_id, name, folded_name)
             SELECT '{user}', n::text, n::text FROM generate_series(2, {MOST_TAGS}) AS n"
        ))
        .unwrap();
    let mut watcher = journal.database.connect();
    let mut other = journal.database.connect();
    let waits = "wait_event_type = 'Lock'";
    for key in [None, key("k", 1)] {
        // Another takes the last place, and has not committed.
        other
            .batch_execute(&format!(
                "BEGIN;
                 SELECT FROM users WHERE id = '{user}' FOR NO KEY UPDATE;
                 INSERT INTO tags (user_id, name, folded_name) VALUES ('{user}', '1', '1')"
            ))
            .unwrap();
        let mut create = Box::pin(journal.ask(create_tag(&ann, "another", key)));
        still_waits(&mut create).await;
        until_statements(&mut watcher, waits, 1).await;
        other.batch_execute("COMMIT").unwrap();
        let refused = soon(create).await;
        assert!(
            matches!(refused, Err(JournalError::LimitReached(LimitReached::Tags))),
            "{refused:?}"
        );
        other
            .batch_execute("DELETE FROM tags WHERE folded_name = '1'")
            .unwrap();
    }
    let link = |tags: &str| {
        format!(
            "INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
             SELECT e.user_id, e.id, t.id, e.created_at
               FROM entries e JOIN tags t ON t.user_id = e.user_id
              WHERE e.user_id = '{user}' AND t.folded_name::int {tags}"
        )
    };
    let all_but_one = link(&format!("BETWEEN 2 AND {MOST_TAGS_OF_AN_ENTRY}"));
    journal.database.execute(&all_but_one).unwrap();
    other
        .batch_execute(&format!("BEGIN; {}", link("= 9000")))
        .unwrap();
    #[derive(QueryableByName)]
    struct Last {
        #[diesel(sql_type = BigInt)]
        id: i64,
    }
    let last = "SELECT id FROM tags WHERE folded_name = '9001'";
    let last: Last = sql_query(last).get_result(&mut watcher).unwrap();
    let mut add = Box::pin(journal.ask(AddTagToEntry {
        user,
        entry_id: id,
        tag_id: TagId(last.id),
    }));
    still_waits(&mut add).await;
    until_statements(&mut watcher, waits, 1).await;
    other.batch_execute("COMMIT").unwrap();
    let refused = soon(add).await;
    assert!(
        matches!(
            refused,
            Err(JournalError::LimitReached(LimitReached::TagsOfEntry))
        ),
        "{refused:?}"
    );
    let links = journal.database.count("entry_tags");
    assert_eq!(links, i64::from(MOST_TAGS_OF_AN_ENTRY));
}
