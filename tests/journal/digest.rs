use chrono::{DateTime, TimeDelta};
use epicme::{
    domain::{
        journal::{EntryDigest, EntryFilter, TagId},
        page::PageLimit,
    },
    journal::{DigestEntries, ListEntries},
};

use super::support::{Journal, new_entry, owner, page};

#[actix_rt::test]
async fn a_digest_counts_what_the_list_lists_and_reads_its_newest() {
    let journal = Journal::start();
    let ann = owner("ann");
    let user = ann.user;
    let (thirds, halves) = (
        journal.tag(&ann, "thirds").await.id,
        journal.tag(&ann, "halves").await.id,
    );
    journal
        .database
        .execute(&format!(
            "WITH made AS (
               INSERT INTO entries (user_id, title, content, created_at)
               SELECT '{user}', 'entry ' || n, 'content', '2026-01-01Z'::timestamptz + n * interval '1 hour'
                 FROM generate_series(1, 120) n RETURNING id, created_at)
             INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
             SELECT '{user}'::uuid, id, {thirds}, created_at FROM made WHERE id % 3 = 0
             UNION ALL
             SELECT '{user}'::uuid, id, {halves}, created_at FROM made WHERE id % 2 = 0"
        ))
        .unwrap();
    let at =
        |hours| Some(DateTime::from_timestamp(1_767_225_600, 0).unwrap() + TimeDelta::hours(hours));
    for tags in [vec![], vec![thirds], vec![thirds, halves], vec![TagId(0)]] {
        for (from, to) in [
            (None, None),
            (at(10), None),
            (None, at(100)),
            (at(10), at(100)),
            (at(10), at(10)),
        ] {
            let filter = EntryFilter {
                tags: tags.clone(),
                from,
                to,
                is_favorite: None,
            };
            let page = page(PageLimit::MAX, None);
            let listed = journal
                .ask(ListEntries { user, filter, page })
                .await
                .unwrap();
            let digest = DigestEntries {
                user,
                tags: tags.clone(),
                from,
                to,
                limit: PageLimit::new(7).unwrap(),
                bytes: 9_999,
            };
            let digest = journal.ask(digest).await.unwrap();
            assert_eq!(
                digest.matching,
                listed.items.len(),
                "{tags:?} {from:?} {to:?}"
            );
            let ids = Vec::from_iter(digest.entries.iter().map(|entry| entry.id));
            let newest = listed.items.iter().take(7).map(|item| item.id);
            assert_eq!(ids, Vec::from_iter(newest));
        }
    }
}

#[actix_rt::test]
async fn a_digest_ends_before_it_grows_too_large_but_not_before_its_first_entry() {
    let journal = Journal::start();
    let ann = owner("ann");
    for (title, letters) in [("oldest", 1), ("old", 30), ("new", 60), ("newest", 40)] {
        let mut entry = new_entry(title);
        entry.content = "é".repeat(letters);
        journal.entry(&ann, entry).await;
    }
    for (bytes, entries) in [
        (0, 1),
        (80, 1),
        (199, 1),
        (200, 2),
        (260, 3),
        (261, 3),
        (262, 4),
    ] {
        let digest = DigestEntries {
            user: ann.user,
            tags: Vec::new(),
            from: None,
            to: None,
            limit: PageLimit::LONGEST,
            bytes,
        };
        let EntryDigest {
            entries: read,
            matching,
        } = journal.ask(digest).await.unwrap();
        assert_eq!((read.len(), matching), (entries, 4), "{bytes}");
        assert_eq!(read[0].title, "newest");
    }
}
