//! How many tags each entry has: counted by the statements that link and unlink them, and by a trigger for the release
//! before, whose programs may run beside this one's.

use std::{sync::Mutex, time::Duration};

use diesel::{PgConnection, QueryResult, RunQueryDsl, connection::SimpleConnection, sql_query};
use epicme::{
    domain::journal::{EntryId, NewEntry, NewTag, TagId},
    journal::{AddTagToEntry, GetEntry},
    storage::{StorageError, entry_creation, entry_tags, tags},
};
use resource_server::principal::UserId;

use super::support::{Journal, MISCOUNTED, create_entry, key, new_entry, owner, soon};

fn tagged(tags: &[TagId]) -> NewEntry {
    NewEntry {
        tags: tags.to_vec(),
        ..new_entry("tagged")
    }
}

#[actix_rt::test]
async fn an_entry_with_tags_is_written_once() {
    let journal = Journal::start();
    let ann = owner("ann");
    let mut tags = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        tags.push(journal.tag(&ann, name).await.id);
    }
    journal.entry(&ann, tagged(&tags)).await;
    let once = create_entry(&ann, tagged(&tags), key("once", 1));
    journal.ask(once).await.unwrap();
    // One version each: the first two rows of the first page.
    let versions = "entries WHERE ctid IN ('(0,1)', '(0,2)') AND tag_count = 5";
    assert_eq!(journal.database.count(versions), 2);
    let entry = journal.entry(&ann, new_entry("plain")).await.id;
    for _ in 0..2 {
        let add = AddTagToEntry {
            user: ann.user,
            entry_id: entry,
            tag_id: tags[0],
        };
        journal.ask(add).await.unwrap();
    }
    // The third row, and its second version. A tag that it has already changes nothing.
    let versions = "entries WHERE ctid = '(0,4)' AND tag_count = 1";
    assert_eq!(journal.database.count(versions), 1);
}

#[actix_rt::test]
async fn a_link_that_is_made_while_its_tag_is_deleted_is_not_counted() {
    let journal = Journal::start();
    let ann = owner("ann");
    let user = ann.user;
    let tag = journal.tag(&ann, "tag").await.id;
    let id = journal.entry(&ann, new_entry("entry")).await.id;
    let mut other = journal.database.connect();
    other.batch_execute("BEGIN").unwrap();
    link_as_before(&mut other, user, id, tag).unwrap();
    let delete = journal.handle.delete_tag(user, tag);
    let commit = async {
        let waits = "pg_locks WHERE NOT granted";
        while journal.database.count(waits) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        other.batch_execute("COMMIT").unwrap();
    };
    let (deleted, ()) = soon(async { tokio::join!(delete, commit) }).await;
    assert!(deleted.unwrap().is_some());
    assert_eq!(journal.database.count("entry_tags"), 0);
    assert_eq!(journal.database.count(MISCOUNTED), 0);
    let entry = journal.ask(GetEntry { user, id }).await.unwrap();
    assert_eq!(entry.tags, []);
}

/// As the release before puts a tag on an entry.
fn link_as_before(
    connection: &mut PgConnection,
    user: UserId,
    entry: EntryId,
    tag: TagId,
) -> QueryResult<usize> {
    sql_query(format!(
        "WITH tag AS MATERIALIZED (
           SELECT id FROM tags WHERE user_id = '{user}' AND id = {tag} FOR KEY SHARE),
         entry AS MATERIALIZED (
           SELECT id, created_at FROM entries
            WHERE user_id = '{user}' AND id = {entry} AND (SELECT count(*) FROM tag) >= 0 FOR NO KEY UPDATE)
         INSERT INTO entry_tags AS l (user_id, entry_id, tag_id, entry_created_at)
         SELECT '{user}', entry.id, tag.id, entry.created_at FROM entry, tag
             ON CONFLICT (user_id, entry_id, tag_id) DO UPDATE SET created_at = l.created_at"
    ))
    .execute(connection)
}

/// As the release before takes it off.
fn unlink_as_before(
    connection: &mut PgConnection,
    user: UserId,
    entry: EntryId,
    tag: TagId,
) -> QueryResult<usize> {
    sql_query(format!(
        "WITH tag AS MATERIALIZED (
           SELECT FROM tags WHERE user_id = '{user}' AND id = {tag} FOR KEY SHARE),
         entry AS MATERIALIZED (
           SELECT id FROM entries
            WHERE user_id = '{user}' AND id = {entry} AND (SELECT count(*) FROM tag) >= 0 FOR NO KEY UPDATE)
         DELETE FROM entry_tags USING entry
          WHERE user_id = '{user}' AND entry_id = {entry} AND tag_id = {tag} AND entry_id = entry.id"
    ))
    .execute(connection)
}

/// As the release before deletes a tag.
fn delete_as_before(connection: &mut PgConnection, user: UserId, tag: TagId) -> QueryResult<usize> {
    sql_query(format!(
        "WITH alone AS MATERIALIZED (SELECT FROM users WHERE id = '{user}' FOR NO KEY UPDATE)
         DELETE FROM tags WHERE user_id = '{user}' AND id = {tag} AND EXISTS (SELECT FROM alone)"
    ))
    .execute(connection)
}

/// Whether a statement did what it could: its tag may have gone.
fn done<T>(result: Result<T, StorageError>) {
    match result {
        Ok(_) | Err(StorageError::NotFound { .. }) => {}
        Err(error) => panic!("{}", error.with_cause()),
    }
}

#[actix_rt::test]
async fn what_the_release_before_links_at_the_same_time_is_counted_once() {
    const ROUNDS: usize = 60;
    let journal = Journal::start();
    let ann = owner("ann");
    let user = ann.user;
    let mut entries = Vec::new();
    let names = ["a", "b", "c", "d"];
    let mut found = Vec::new();
    for name in names {
        found.push(journal.tag(&ann, name).await.id);
        entries.push(journal.entry(&ann, new_entry(name)).await.id);
    }
    let tags_now = Mutex::new(found);
    std::thread::scope(|scope| {
        for seed in 0..4_usize {
            let (database, tags_now, entries, ann) = (&journal.database, &tags_now, &entries, &ann);
            scope.spawn(move || {
                let mut c = database.connect();
                let is_before = seed % 2 == 0;
                if !is_before {
                    c.batch_execute("SET epicme.counts_tags = 'on'").unwrap();
                }
                for round in 0..ROUNDS {
                    // No two threads in the same order.
                    let step = round * (2 * seed + 3) + seed;
                    let place = step / 2 % names.len();
                    let tag = tags_now.lock().unwrap()[place];
                    let entry = entries[step / 3 % entries.len()];
                    match (step % 8, is_before) {
                        (0, _) => {
                            if is_before {
                                delete_as_before(&mut c, user, tag).unwrap();
                            } else {
                                done(tags::delete_tag(&mut c, user, tag));
                            }
                            let again = NewTag {
                                name: format!("{seed} {round}"),
                                description: None,
                            };
                            let again = tags::create_tag(&mut c, ann, again, None).unwrap();
                            tags_now.lock().unwrap()[place] = again.id;
                        }
                        (1, false) => {
                            done(entry_creation::create_entry(
                                &mut c,
                                ann,
                                tagged(&[tag]),
                                None,
                            ));
                        }
                        (2..=5, true) => {
                            link_as_before(&mut c, user, entry, tag).unwrap();
                        }
                        (2..=5, false) => {
                            done(entry_tags::add_tag_to_entry(&mut c, user, entry, tag));
                        }
                        (_, true) => {
                            unlink_as_before(&mut c, user, entry, tag).unwrap();
                        }
                        (_, false) => {
                            done(entry_tags::remove_tag_from_entry(&mut c, user, entry, tag));
                        }
                    }
                }
            });
        }
    });
    assert!(journal.database.count("entry_tags") > 0);
    assert_eq!(journal.database.count(MISCOUNTED), 0);
}
