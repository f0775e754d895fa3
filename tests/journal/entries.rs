use epicme::{
    domain::journal::{EntryChanges, EntryId, JournalError, NewEntry, TagId},
    journal::{DeleteEntry, GetEntry, HasEntries, UpdateEntry},
};

use super::support::{Journal, create_entry, new_entry, owner};

fn full_entry() -> NewEntry {
    NewEntry {
        title: "Über 🌧 \"quoted\" \\ %".to_owned(),
        content: "one\r\ntwo\ttabs 'quotes' \u{202e}".to_owned(),
        mood: Some("calm".to_owned()),
        location: Some("Kraków".to_owned()),
        weather: Some("雨".to_owned()),
        is_private: false,
        is_favorite: true,
        tags: Vec::new(),
    }
}

#[actix_rt::test]
async fn what_was_written_is_what_is_read() {
    let journal = Journal::start();
    let ann = owner("ann");
    let zebra = journal.tag(&ann, "zebra").await;
    let apple = journal.tag(&ann, "Apple").await;
    let mut wanted = full_entry();
    wanted.tags = vec![zebra.id, apple.id, zebra.id];
    let written = journal.entry(&ann, wanted.clone()).await;
    assert_eq!(written.title, wanted.title);
    assert_eq!(written.content, wanted.content);
    assert_eq!(written.weather, wanted.weather);
    assert!(written.is_favorite && !written.is_private);
    assert_eq!(written.created_at, written.updated_at);
    let names: Vec<_> = written.tags.iter().map(|tag| tag.name.as_str()).collect();
    assert_eq!(names, ["Apple", "zebra"]);
    let read = journal
        .ask(GetEntry {
            user: ann.user,
            id: written.id,
        })
        .await
        .unwrap();
    assert_eq!(read, written);
}

#[actix_rt::test]
async fn a_user_appears_with_the_first_thing_written_and_once() {
    let journal = Journal::start();
    let ann = owner("ann");
    let user = ann.user;
    assert!(!journal.ask(HasEntries { user }).await.unwrap());
    assert_eq!(journal.database.count("users"), 0);
    let writes = (0..20).map(|n| journal.entry(&ann, new_entry(&format!("entry {n}"))));
    futures_util::future::join_all(writes).await;
    assert_eq!(journal.database.count("users"), 1);
    assert_eq!(journal.database.count("entries"), 20);
    assert!(journal.ask(HasEntries { user }).await.unwrap());
}

#[actix_rt::test]
async fn a_tag_that_is_not_the_owners_stores_nothing_and_is_named() {
    let journal = Journal::start();
    let (ann, bob) = (owner("ann"), owner("bob"));
    let own = journal.tag(&ann, "own").await.id;
    let foreign = journal.tag(&bob, "foreign").await.id;
    for (tags, first_bad) in [
        (vec![own, foreign], foreign),
        (vec![own, TagId(i64::MAX), foreign], TagId(i64::MAX)),
        (vec![foreign, TagId(-1)], foreign),
    ] {
        for key in [None, super::support::key("k", 1)] {
            let mut entry = new_entry("never");
            entry.tags = tags.clone();
            let refused = journal.ask(create_entry(&ann, entry, key)).await;
            assert!(matches!(refused, Err(JournalError::NoSuchTag(id)) if id == first_bad));
        }
    }
    for table in ["entries", "entry_tags", "idempotency_keys"] {
        assert_eq!(journal.database.count(table), 0, "{table}");
    }
}

#[actix_rt::test]
async fn a_change_keeps_what_it_does_not_name_and_clears_what_it_empties() {
    let journal = Journal::start();
    let ann = owner("ann");
    let tag = journal.tag(&ann, "kept").await;
    let mut entry = full_entry();
    entry.tags = vec![tag.id];
    let before = journal.entry(&ann, entry).await;
    let update = |changes| UpdateEntry {
        user: ann.user,
        id: before.id,
        changes,
    };
    let (relabelled, _) = journal
        .ask(update(EntryChanges {
            mood: Some(None),
            location: Some(Some("Gdańsk".to_owned())),
            is_favorite: Some(false),
            ..EntryChanges::default()
        }))
        .await
        .unwrap();
    assert!(relabelled.updated_at > before.updated_at);
    let mut expected = before.clone();
    expected.mood = None;
    expected.location = Some("Gdańsk".to_owned());
    expected.is_favorite = false;
    expected.updated_at = relabelled.updated_at;
    assert_eq!(relabelled, expected);
    let (rewritten, _) = journal
        .ask(update(EntryChanges {
            title: Some("New title".to_owned()),
            content: Some("New content".to_owned()),
            is_private: Some(true),
            ..EntryChanges::default()
        }))
        .await
        .unwrap();
    assert_eq!(rewritten.title, "New title");
    assert_eq!(rewritten.content, "New content");
    assert!(rewritten.is_private);
    assert_eq!(rewritten.weather, before.weather);
    assert_eq!(rewritten.tags, before.tags);
    assert_eq!(rewritten.created_at, before.created_at);
    // What is there already changes nothing, not even the time of the last change.
    let same = EntryChanges {
        title: Some(rewritten.title.clone()),
        content: Some(rewritten.content.clone()),
        mood: Some(None),
        location: Some(rewritten.location.clone()),
        weather: Some(rewritten.weather.clone()),
        is_private: Some(rewritten.is_private),
        is_favorite: Some(rewritten.is_favorite),
    };
    let labels = EntryChanges {
        is_favorite: Some(rewritten.is_favorite),
        ..EntryChanges::default()
    };
    for nothing in [EntryChanges::default(), same, labels] {
        let untouched = journal.ask(update(nothing)).await.unwrap();
        assert_eq!(untouched, (rewritten.clone(), false));
    }
    let one = EntryChanges {
        mood: Some(Some("calm".to_owned())),
        ..EntryChanges::default()
    };
    let (changed, is_different) = journal.ask(update(one)).await.unwrap();
    assert!(is_different && changed.updated_at > rewritten.updated_at);
}

#[actix_rt::test]
async fn deleting_gives_the_entry_back_once() {
    let journal = Journal::start();
    let ann = owner("ann");
    let tag = journal.tag(&ann, "gone with it").await;
    let mut entry = new_entry("short-lived");
    entry.tags = vec![tag.id];
    let written = journal.entry(&ann, entry).await;
    let (user, id) = (ann.user, written.id);
    let deleted = journal.ask(DeleteEntry { user, id }).await.unwrap();
    assert_eq!(deleted, Some(written));
    assert_eq!(journal.ask(DeleteEntry { user, id }).await.unwrap(), None);
    assert_eq!(journal.database.count("entry_tags"), 0);
    assert_eq!(journal.database.count("tags"), 1);
}

#[actix_rt::test]
async fn an_entry_that_is_not_there_is_named() {
    let journal = Journal::start();
    let user = owner("ann").user;
    for id in [0, -1, i64::MIN, i64::MAX].map(EntryId) {
        let read = journal.ask(GetEntry { user, id }).await;
        assert!(matches!(read, Err(JournalError::NoSuchEntry(named)) if named == id));
        let changes = EntryChanges::default();
        let changed = journal.ask(UpdateEntry { user, id, changes }).await;
        assert!(matches!(changed, Err(JournalError::NoSuchEntry(named)) if named == id));
        assert_eq!(journal.ask(DeleteEntry { user, id }).await.unwrap(), None);
    }
}

#[actix_rt::test]
async fn the_longest_content_can_be_stored_whatever_its_words() {
    let journal = Journal::start();
    let ann = owner("ann");
    // Letters of four bytes each, no two alike as far as they go.
    let letters = || (0x2_0000..=0x3_134a).filter_map(char::from_u32).cycle();
    let joined = |size: usize, gap: char| -> String {
        letters()
            .enumerate()
            .flat_map(|(place, letter)| {
                std::iter::once(letter).chain((place % size == size - 1).then_some(gap))
            })
            .take(100_000)
            .collect()
    };
    let hyphenated = |run: usize| -> String {
        joined(2, '-')
            .chars()
            .enumerate()
            .map(|(place, c)| if place % run == run - 1 { ' ' } else { c })
            .collect()
    };
    let contents = [
        letters().take(100_000).collect(),
        joined(1, ' '),
        joined(2, ' '),
        joined(3, ' '),
        joined(2, '-'),
        joined(1, '-'),
        hyphenated(300),
        hyphenated(450),
        "😀".repeat(100_000),
        "a ".repeat(50_000),
        "x".repeat(100_000),
        (0..100_000).map(|n| format!("{n:x} ")).collect::<String>(),
        (0..9_000)
            .map(|n| format!("a{n}@b.io/c "))
            .collect::<String>(),
        (0..9_000)
            .map(|n| format!("h{n}.io/{n}/p "))
            .collect::<String>(),
        (0..9_000)
            .map(|n| format!("a{n}-b{n}-c{n} "))
            .collect::<String>(),
    ];
    for (number, content) in contents.into_iter().enumerate() {
        let mut entry = new_entry("long");
        entry.content = content.chars().take(100_000).collect();
        let characters = entry.content.chars().count();
        let stored = journal.ask(create_entry(&ann, entry, None)).await;
        assert!(
            stored.is_ok(),
            "content {number}, {characters} long: {stored:?}"
        );
    }
}
