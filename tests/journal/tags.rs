use std::time::Duration;

use diesel::connection::SimpleConnection;
use epicme::{
    domain::{
        journal::{EntryId, JournalError, JournalOwner, NewEntry, TagChanges, TagId},
        page::NameCursor,
    },
    journal::{
        AddTagToEntry, DeleteEntry, DeleteExpired, DeleteTag, GetEntry, GetTag, ListTags,
        RemoveTagFromEntry, UpdateTag,
    },
};

use resource_server::principal::UserId;

use super::support::{
    Journal, MISCOUNTED, create_entry, create_tag, key, new_entry, owner, page, soon, still_waits,
};

#[actix_rt::test]
async fn a_name_is_taken_without_regard_to_case_in_every_alphabet() {
    let journal = Journal::start();
    let ann = owner("ann");
    for (first, second) in [
        ("Work", "wORK"),
        ("Ärger", "äRGER"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("ЖИЗНЬ", "жизнь"),
        ("Straße", "STRASSE"),
    ] {
        journal.tag(&ann, first).await;
        for key in [None, key(second, 1)] {
            let taken = journal.ask(create_tag(&ann, second, key)).await;
            assert!(matches!(taken, Err(JournalError::TagNameTaken)), "{second}");
        }
    }
    assert_eq!(journal.database.count("idempotency_keys"), 0);
}

#[actix_rt::test]
async fn a_tag_can_be_read_changed_and_deleted() {
    let journal = Journal::start();
    let ann = owner("ann");
    let user = ann.user;
    let tag = journal.tag(&ann, "Work").await;
    let id = tag.id;
    assert_eq!(journal.ask(GetTag { user, id }).await.unwrap(), tag);
    let change = |name: Option<&str>, description: Option<Option<&str>>| UpdateTag {
        user,
        id,
        changes: TagChanges {
            name: name.map(str::to_owned),
            description: description.map(|d| d.map(str::to_owned)),
        },
    };
    let described = journal.ask(change(None, Some(Some("paid")))).await.unwrap();
    assert_eq!(described.name, "Work");
    assert_eq!(described.description.as_deref(), Some("paid"));
    assert!(described.updated_at > tag.updated_at);
    let renamed = journal.ask(change(Some("WORK"), None)).await.unwrap();
    assert_eq!(renamed.name, "WORK");
    assert_eq!(renamed.description.as_deref(), Some("paid"));
    let cleared = journal.ask(change(None, Some(None))).await.unwrap();
    assert_eq!(cleared.description, None);
    assert!(journal.ask(change(None, None)).await.is_ok());
    journal.tag(&ann, "Play").await;
    let taken = journal.ask(change(Some("pLAY"), None)).await;
    assert!(matches!(taken, Err(JournalError::TagNameTaken)));
    let deleted = journal.ask(DeleteTag { user, id }).await.unwrap();
    assert_eq!(deleted.map(|tag| tag.name).as_deref(), Some("WORK"));
    assert_eq!(journal.ask(DeleteTag { user, id }).await.unwrap(), None);
    let gone = journal.ask(GetTag { user, id }).await;
    assert!(matches!(gone, Err(JournalError::NoSuchTag(named)) if named == id));
    let gone = journal.ask(change(Some("x"), None)).await;
    assert!(matches!(gone, Err(JournalError::NoSuchTag(named)) if named == id));
}

#[actix_rt::test]
async fn tags_are_listed_by_name_page_by_page_whatever_changes_meanwhile() {
    let journal = Journal::start();
    let ann = owner("ann");
    let mut names: Vec<String> = ["b", "A", "ä", "Z", "a b", "_", "é", "Ω", "ω2", "1"]
        .map(str::to_owned)
        .to_vec();
    names.extend((0..40).map(|n| format!("tag {n}")));
    for name in &names {
        journal.tag(&ann, name).await;
    }
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = journal
            .ask(ListTags {
                user: ann.user,
                page: page(7, after),
            })
            .await
            .unwrap();
        assert!(page.items.len() <= 7);
        listed.extend(page.items.into_iter().map(|tag| tag.name));
        // A name before the cursor neither repeats nor skips one.
        journal.tag(&ann, &format!("  {}", listed.len())).await;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected = names;
    expected.sort_by_key(|name| name.to_lowercase());
    assert_eq!(listed, expected);
}

#[actix_rt::test]
async fn a_tag_cursor_may_say_anything() {
    let journal = Journal::start();
    let ann = owner("ann");
    journal.tag(&ann, "one").await;
    for (folded_name, id, found) in [
        (String::new(), i64::MIN, 1),
        ("one".to_owned(), i64::MAX, 0),
        ("one".to_owned(), i64::MIN, 1),
        ("\u{10ffff}".repeat(200), 0, 0),
    ] {
        let after = Some(NameCursor { folded_name, id });
        let page = page(5, after);
        let user = ann.user;
        let listed = journal.ask(ListTags { user, page }).await.unwrap();
        assert_eq!(listed.items.len(), found);
    }
}

#[actix_rt::test]
async fn a_tag_is_put_on_twice_and_taken_off_once() {
    let journal = Journal::start();
    let ann = owner("ann");
    let user = ann.user;
    let entry_id = journal.entry(&ann, new_entry("tagged")).await.id;
    let tag = journal.tag(&ann, "later").await;
    let add = AddTagToEntry {
        user,
        entry_id,
        tag_id: tag.id,
    };
    let first = journal.ask(add.clone()).await.unwrap();
    assert_eq!(first.entry_title, "tagged");
    assert_eq!(first.tag.name, "later");
    let adds = (0..8).map(|_| journal.ask(add.clone()));
    for repeat in futures_util::future::join_all(adds).await {
        assert_eq!(repeat.unwrap(), first);
    }
    let entry = journal.ask(GetEntry { user, id: entry_id }).await.unwrap();
    assert_eq!(entry.tags, [first.tag]);
    let remove = RemoveTagFromEntry {
        user,
        entry_id,
        tag_id: tag.id,
    };
    assert!(journal.ask(remove.clone()).await.unwrap());
    assert!(!journal.ask(remove.clone()).await.unwrap());
    let no_entry = journal
        .ask(AddTagToEntry {
            entry_id: EntryId(0),
            ..add.clone()
        })
        .await;
    assert!(matches!(no_entry, Err(JournalError::NoSuchEntry(_))));
    let no_tag = journal
        .ask(AddTagToEntry {
            tag_id: TagId(0),
            ..add
        })
        .await;
    assert!(matches!(no_tag, Err(JournalError::NoSuchTag(_))));
    let no_entry = journal
        .ask(RemoveTagFromEntry {
            entry_id: EntryId(0),
            ..remove.clone()
        })
        .await;
    assert!(matches!(no_entry, Err(JournalError::NoSuchEntry(_))));
    let no_tag = journal
        .ask(RemoveTagFromEntry {
            tag_id: TagId(0),
            ..remove
        })
        .await;
    assert!(matches!(no_tag, Err(JournalError::NoSuchTag(_))));
}

#[actix_rt::test]
async fn an_entry_knows_how_many_tags_it_has_whatever_happens_to_them() {
    let journal = Journal::start();
    let ann = owner("ann");
    let user = ann.user;
    let mut tags = Vec::new();
    for name in ["a", "b", "c"] {
        tags.push(journal.tag(&ann, name).await.id);
    }
    let tagged = |tags: &[TagId]| NewEntry {
        tags: tags.to_vec(),
        ..new_entry("tagged")
    };
    let count = |tags: i32| {
        let counted = format!("entries WHERE tag_count = {tags}");
        assert_eq!(journal.database.count(MISCOUNTED), 0);
        journal.database.count(&counted)
    };
    let first = journal.entry(&ann, tagged(&tags)).await.id;
    let once = create_entry(&ann, tagged(&tags[..2]), key("once", 1));
    let second = journal.ask(once.clone()).await.unwrap().id;
    assert_eq!(journal.ask(once).await.unwrap().id, second);
    let third = journal.entry(&ann, new_entry("bare")).await.id;
    assert_eq!((count(0), count(2), count(3)), (1, 1, 1));

    let add = |entry_id, tag_id| AddTagToEntry {
        user,
        entry_id,
        tag_id,
    };
    for _ in 0..2 {
        journal.ask(add(third, tags[0])).await.unwrap();
    }
    assert_eq!((count(1), count(2), count(3)), (1, 1, 1));
    for _ in 0..2 {
        let remove = RemoveTagFromEntry {
            user,
            entry_id: first,
            tag_id: tags[2],
        };
        journal.ask(remove).await.unwrap();
    }
    assert_eq!((count(1), count(2)), (1, 2));
    let id = tags[0];
    journal.ask(DeleteTag { user, id }).await.unwrap();
    assert_eq!((count(0), count(1)), (1, 2));
    let id = second;
    journal.ask(DeleteEntry { user, id }).await.unwrap();
    assert_eq!((count(0), count(1)), (1, 1));
}

#[actix_rt::test]
async fn of_one_users_tags_one_is_deleted_at_a_time_and_nobody_else_waits() {
    let journal = Journal::start_with(|settings| settings.lock_timeout = Duration::from_millis(50));
    let (ann, bob) = (owner("ann"), owner("bob"));
    let mut tags = Vec::new();
    for (owner, name) in [
        (&ann, "before"),
        (&ann, "meanwhile"),
        (&bob, "meanwhile"),
        (&ann, "kept"),
    ] {
        tags.push((owner.user, journal.tag(owner, name).await.id));
    }
    let delete = async |(user, id): (UserId, TagId)| journal.handle.delete_tag(user, id).await;
    assert!(delete(tags[0]).await.unwrap().is_some());
    // As another deletion of hers does until it ends.
    let mut another = journal.database.connect();
    let hold = format!(
        "BEGIN; SELECT FROM users WHERE id = '{}' FOR NO KEY UPDATE",
        ann.user
    );
    another.batch_execute(&hold).unwrap();
    let waited = delete(tags[1]).await;
    assert!(
        matches!(waited, Err(JournalError::TimedOut { .. })),
        "{waited:?}"
    );
    assert!(delete(tags[2]).await.unwrap().is_some());
    another.batch_execute("ROLLBACK").unwrap();
    assert!(delete(tags[1]).await.unwrap().is_some());
    assert_eq!(journal.database.count("tags"), 1);
}

/// A tag of a user, on so many entries.
async fn common_tag(journal: &Journal, owner: &JournalOwner, entries: u32) -> TagId {
    let id = journal.tag(owner, "common").await.id;
    let (user, tag) = (owner.user, id.0);
    journal
        .database
        .execute(&format!(
            "WITH written AS (
               INSERT INTO entries (user_id, title, content)
               SELECT '{user}', n::text, 'c' FROM generate_series(1, {entries}) AS n
               RETURNING id, created_at)
             INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
             SELECT '{user}', id, {tag}, created_at FROM written"
        ))
        .unwrap();
    id
}

/// Writes down in which transaction each link goes.
const WATCH: &str = "
    CREATE TABLE gone (transaction bigint);
    CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO gone VALUES (txid_current()); RETURN NULL; END $$;
    CREATE TRIGGER watch AFTER DELETE ON entry_tags FOR EACH ROW EXECUTE FUNCTION watch()";

#[actix_rt::test]
async fn a_tag_that_very_many_entries_have_comes_off_them_part_by_part() {
    let journal = Journal::start();
    let (ann, bob) = (owner("ann"), owner("bob"));
    let id = common_tag(&journal, &ann, 2_100).await;
    common_tag(&journal, &bob, 3).await;
    let other = journal.tag(&ann, "other").await.id;
    journal
        .database
        .execute(&format!(
            "INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
             SELECT user_id, id, {}, created_at FROM entries WHERE user_id = '{}' LIMIT 700",
            other.0, ann.user
        ))
        .unwrap();
    journal.database.connect().batch_execute(WATCH).unwrap();
    let deleted = soon(journal.handle.delete_tag(ann.user, id)).await.unwrap();
    assert_eq!(deleted.unwrap().name, "common");
    let again = journal.handle.delete_tag(ann.user, id).await.unwrap();
    assert_eq!(again, None);
    assert_eq!(journal.database.count("gone"), 2_100);
    let largest = "(SELECT FROM gone GROUP BY transaction HAVING count(*) > 500) AS parts";
    assert_eq!(journal.database.count(largest), 0);
    assert_eq!(journal.database.count(MISCOUNTED), 0);
    assert_eq!(journal.database.count("entry_tags"), 703);
    assert_eq!(journal.database.count("tag_deletions"), 0);
}

#[actix_rt::test]
async fn the_deletion_of_a_tag_goes_on_when_its_caller_leaves() {
    let journal = Journal::start();
    let ann = owner("ann");
    let id = common_tag(&journal, &ann, 1_100).await;
    let mut leaves = Box::pin(journal.handle.delete_tag(ann.user, id));
    still_waits(&mut leaves).await;
    drop(leaves);
    soon(async {
        while journal.database.count("tags") > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(journal.database.count("entry_tags"), 0);
    assert_eq!(journal.database.count(MISCOUNTED), 0);
}

#[actix_rt::test]
async fn a_deletion_of_a_tag_that_stopped_on_the_way_is_brought_to_its_end() {
    let journal = Journal::start();
    let (ann, bob) = (owner("ann"), owner("bob"));
    for owner in [&ann, &bob] {
        common_tag(&journal, owner, 1_200).await;
    }
    journal
        .database
        .execute(
            "INSERT INTO tag_deletions (user_id, tag_id, continued_at)
             SELECT t.user_id, t.id, now() - CASE u.subject WHEN 'ann' THEN interval '61 seconds' ELSE interval '5 seconds' END
               FROM tags t JOIN users u ON u.id = t.user_id",
        )
        .unwrap();
    while journal.ask(DeleteExpired).await.unwrap() {}
    // Another process is at his.
    assert_eq!(journal.database.count("tag_deletions"), 1);
    assert_eq!(journal.database.count("tags"), 1);
    assert_eq!(journal.database.count("entry_tags"), 1_200);
    assert_eq!(journal.database.count(MISCOUNTED), 0);
}
