//! Tags that the release before kept apart and this one does not, and the other way round.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use epicme::{
    domain::journal::{JournalError, TagChanges, TagId},
    journal::{
        DeleteExpired, FindOlderTagNames, GetEntry, GetTag, ListEntries, MergeTags, UpdateTag,
    },
};

use super::support::{Journal, MISCOUNTED, create_tag, new_entry, owner, page, soon};

impl Journal {
    /// Tags as the release before makes them, whose ids follow each other.
    fn write_as_before(&self, user: impl std::fmt::Display, tags: &[(&str, &str)]) {
        for (name, folded) in tags {
            self.database
                .execute(&format!(
                    "INSERT INTO tags (user_id, name, folded_name, description)
                     VALUES ('{user}', '{name}', '{folded}', 'about {name}')"
                ))
                .unwrap();
        }
    }

    fn id_of(&self, name: &str) -> TagId {
        let id = self.database.count(&format!(
            "(SELECT generate_series(1, id) FROM tags WHERE name = '{name}') AS n"
        ));
        TagId(id)
    }

    async fn merge(&self, user: resource_server::principal::UserId) -> usize {
        let mut merged = 0;
        loop {
            let done = self.ask(MergeTags { user }).await.unwrap();
            merged += usize::from(done.merged.is_some());
            if !done.more {
                return merged;
            }
        }
    }
}

const TWINS: [(&str, &str); 6] = [
    ("Café", "café"),
    ("Cafe\u{301}", "cafe\u{301}"),
    ("other", "other"),
    ("ＣＡＦÉ", "ｃａｆé"),
    ("sınır", "sinir"),
    ("Office", "office"),
];

#[actix_rt::test]
async fn tags_that_became_one_are_merged_into_the_oldest_and_an_entry_keeps_one() {
    let journal = Journal::start();
    let (ann, bob) = (owner("ann"), owner("bob"));
    journal.entry(&bob, new_entry("his")).await;
    let entries = [
        journal.entry(&ann, new_entry("both")).await.id,
        journal.entry(&ann, new_entry("second")).await.id,
        journal.entry(&ann, new_entry("none")).await.id,
    ];
    journal.write_as_before(ann.user, &TWINS);
    journal.write_as_before(bob.user, &[("cafe\u{301}", "cafe\u{301}")]);
    let link = |entry: usize, name: &str| {
        let link = format!(
            "INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
             SELECT e.user_id, e.id, t.id, e.created_at FROM entries e JOIN tags t ON t.user_id = e.user_id
              WHERE e.id = {} AND t.name = '{name}'",
            entries[entry].0
        );
        assert_eq!(journal.database.execute(&link).unwrap(), 1);
    };
    for name in ["Café", "Cafe\u{301}", "ＣＡＦÉ", "other"] {
        link(0, name);
    }
    link(1, "ＣＡＦÉ");
    let stays = journal.id_of("Café");
    // Before it is merged no second one can be made, and what became two can.
    for taken in ["CAFÉ", "ｏｆｆｉｃｅ"] {
        let refused = journal.ask(create_tag(&ann, taken, None)).await;
        assert!(
            matches!(refused, Err(JournalError::TagNameTaken)),
            "{refused:?}"
        );
    }
    let sinir = journal.tag(&ann, "sinir").await;
    assert_eq!(sinir.name, "sinir");

    assert_eq!(journal.merge(ann.user).await, 2);
    let names = |index: usize| {
        let journal = &journal;
        async move {
            let (user, id) = (ann_user(), entries[index]);
            let entry = journal.ask(GetEntry { user, id }).await.unwrap();
            entry
                .tags
                .into_iter()
                .map(|tag| tag.name)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(names(0).await, ["Café", "other"]);
    assert_eq!(names(1).await, ["Café"]);
    assert_eq!(names(2).await, [""; 0]);
    assert_eq!(journal.database.count(MISCOUNTED), 0);
    let tag = journal
        .ask(GetTag {
            user: ann.user,
            id: stays,
        })
        .await
        .unwrap();
    assert_eq!(tag.name, "Café");
    // Nothing that was written is lost.
    let described = "about Café\nabout Cafe\u{301}\nabout ＣＡＦÉ";
    assert_eq!(tag.description.as_deref(), Some(described));
    let filter = epicme::domain::journal::EntryFilter {
        tags: vec![stays],
        ..Default::default()
    };
    let list = ListEntries {
        user: ann.user,
        filter,
        page: page(10, None),
    };
    assert_eq!(journal.ask(list).await.unwrap().items.len(), 2);
    // Of another user nothing has changed yet.
    let of_bob = format!("tags WHERE user_id = '{}' AND name_version = 0", bob.user);
    assert_eq!(journal.database.count(&of_bob), 1);
    assert_eq!(journal.ask(FindOlderTagNames).await.unwrap(), [bob.user]);
    assert_eq!(journal.merge(bob.user).await, 0);
    assert_eq!(journal.ask(FindOlderTagNames).await.unwrap(), []);
    // Nor is there anything to do a second time.
    assert_eq!(journal.merge(ann.user).await, 0);
}

fn ann_user() -> resource_server::principal::UserId {
    owner("ann").user
}

#[actix_rt::test]
async fn a_tag_of_very_many_entries_is_merged_part_by_part() {
    let journal = Journal::start();
    let ann = owner("ann");
    journal.entry(&ann, new_entry("first")).await;
    journal.write_as_before(
        ann.user,
        &[("Café", "café"), ("cafe\u{301}", "cafe\u{301}")],
    );
    journal
        .database
        .execute(&format!(
            "INSERT INTO entries (user_id, title, content) SELECT '{}', n, 'c' FROM generate_series(1, 1200) AS n",
            ann.user
        ))
        .unwrap();
    // A third of them has both.
    journal
        .database
        .execute(
            "INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
             SELECT e.user_id, e.id, t.id, e.created_at FROM entries e JOIN tags t ON t.user_id = e.user_id
              WHERE t.name <> 'Café' OR e.id % 3 = 0",
        )
        .unwrap();
    let mut parts = 0;
    let mut links = 0;
    loop {
        let done = journal.ask(MergeTags { user: ann.user }).await.unwrap();
        assert_eq!(journal.database.count(MISCOUNTED), 0);
        (parts, links) = (parts + 1, links + done.links);
        if !done.more {
            break;
        }
    }
    assert_eq!((parts, links), (3, 1_201));
    assert_eq!(journal.database.count("entries WHERE tag_count = 1"), 1_201);
    assert_eq!(journal.database.count("entry_tags"), 1_201);
    assert_eq!(journal.database.count("tags"), 1);
}

#[actix_rt::test]
async fn a_name_that_the_release_before_writes_is_brought_up_to_date() {
    let journal = Journal::start();
    let ann = owner("ann");
    let tag = journal.tag(&ann, "ＷＯＲＫ").await;
    let key = "tags WHERE folded_name = 'work' AND name_version = 1";
    assert_eq!(journal.database.count(key), 1);
    // It renames by its own rule, and does not say that it knows another.
    let rename = format!(
        "UPDATE tags SET name = 'ＨＯＭＥ', folded_name = 'ｈｏｍｅ' WHERE id = {}",
        tag.id.0
    );
    journal.database.execute(&rename).unwrap();
    assert_eq!(journal.database.count("tags WHERE name_version = 0"), 1);
    let mut blocker = journal.database.connect();
    blocker.batch_execute("BEGIN").unwrap();
    journal.handle.start_cleanup();
    let renewed = async {
        while journal
            .database
            .count("tags WHERE folded_name = 'home' AND name_version = 1")
            == 0
        {
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(renewed).await;
    let refused = journal.ask(create_tag(&ann, "Home", None)).await;
    assert!(matches!(refused, Err(JournalError::TagNameTaken)));
}

#[actix_rt::test]
async fn a_tag_that_is_being_deleted_is_not_merged() {
    let journal = Journal::start();
    let ann = owner("ann");
    journal.entry(&ann, new_entry("first")).await;
    journal.write_as_before(
        ann.user,
        &[("Café", "café"), ("cafe\u{301}", "cafe\u{301}")],
    );
    journal
        .database
        .execute("INSERT INTO tag_deletions (user_id, tag_id) SELECT user_id, id FROM tags WHERE name = 'Café'")
        .unwrap();
    assert_eq!(journal.merge(ann.user).await, 0);
    assert_eq!(journal.ask(FindOlderTagNames).await.unwrap(), []);
    journal
        .database
        .execute("UPDATE tag_deletions SET continued_at = now() - interval '2 minutes'")
        .unwrap();
    while journal.ask(DeleteExpired).await.unwrap() {}
    assert_eq!(journal.database.count("tags WHERE folded_name = 'café'"), 1);
}

#[actix_rt::test]
async fn a_tag_can_be_renamed_to_another_spelling_of_its_own_name() {
    let journal = Journal::start();
    let ann = owner("ann");
    let tag = journal.tag(&ann, "cafe").await;
    journal.write_as_before(ann.user, &[("ＨＯＭＥ", "ｈｏｍｅ")]);
    let rename = |name: &str| UpdateTag {
        user: ann.user,
        id: tag.id,
        changes: TagChanges {
            name: Some(name.to_owned()),
            description: None,
        },
    };
    assert_eq!(
        journal.ask(rename(" ＣＡＦＥ ")).await.unwrap().name,
        "ＣＡＦＥ"
    );
    let refused = journal.ask(rename("home")).await;
    assert!(matches!(refused, Err(JournalError::TagNameTaken)));
}
