use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use epicme::{
    domain::{
        journal::{EntryFilter, EntryListItem, TagId},
        page::TimeCursor,
    },
    journal::ListEntries,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use resource_server::principal::UserId;

use super::support::{Journal, new_entry, owner, page};

async fn walk(
    journal: &Journal,
    user: UserId,
    filter: &EntryFilter,
    limit: u16,
) -> Vec<EntryListItem> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let filter = filter.clone();
        let page = page(limit, after);
        let page = journal.ask(ListEntries { user, filter, page }).await;
        let page = page.unwrap();
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            return items;
        }
    }
}

fn is_newest_first(items: &[EntryListItem]) -> bool {
    items.is_sorted_by_key(|item| std::cmp::Reverse((item.created_at, item.id)))
}

#[actix_rt::test]
async fn a_thousand_entries_of_one_instant_are_paged_without_loss_or_repeat() {
    let journal = Journal::start();
    let ann = owner("ann");
    let tag = journal.tag(&ann, "all of them").await.id;
    let user = ann.user;
    journal
        .database
        .execute(&format!(
            "WITH made AS (
               INSERT INTO entries (user_id, title, content, created_at)
               SELECT '{user}', 'entry ' || n, 'content', '2026-01-01 00:00:00.123456Z'
                 FROM generate_series(1, 1000) n RETURNING id, created_at)
             INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
             SELECT '{user}', id, {tag}, created_at FROM made"
        ))
        .unwrap();
    let tagged = EntryFilter {
        tags: vec![tag, TagId(0), tag],
        ..EntryFilter::default()
    };
    for filter in [EntryFilter::default(), tagged] {
        for limit in [7, 100, 200] {
            let items = walk(&journal, user, &filter, limit).await;
            assert_eq!(items.len(), 1_000);
            assert!(is_newest_first(&items));
            let ids: HashSet<_> = items.iter().map(|item| item.id).collect();
            assert_eq!(ids.len(), 1_000);
            assert!(items.iter().all(|item| item.tag_count == 1));
        }
    }
}

/// What the database lists is what a plain filter over everything lists.
#[actix_rt::test]
async fn filters_hold_together_and_dates_are_half_open() {
    let journal = Journal::start();
    let ann = owner("ann");
    let user = ann.user;
    let mut tags = Vec::new();
    for name in ["one", "two", "three"] {
        tags.push(journal.tag(&ann, name).await.id);
    }
    let start: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    let mut all = Vec::new();
    for n in 0..40_i64 {
        let mut entry = new_entry(&format!("entry {n}"));
        entry.is_favorite = n % 3 == 0;
        entry.tags = tags
            .iter()
            .enumerate()
            .filter(|(place, _)| (n >> place) & 1 == 1)
            .map(|(_, tag)| *tag)
            .collect();
        let own_tags = entry.tags.clone();
        let id = journal.entry(&ann, entry).await.id;
        all.push((
            id,
            start + TimeDelta::microseconds(n / 2),
            n % 3 == 0,
            own_tags,
        ));
    }
    // The foreign key pins an entry's time, so the links make way and come back.
    let mut move_times =
        String::from("CREATE TEMP TABLE links AS TABLE entry_tags; DELETE FROM entry_tags;");
    for (id, at, ..) in &all {
        move_times.push_str(&format!(
            "UPDATE entries SET created_at = '{}' WHERE id = {id};",
            at.to_rfc3339()
        ));
    }
    move_times.push_str(
        "INSERT INTO entry_tags SELECT l.user_id, l.entry_id, l.tag_id, e.created_at
           FROM links l JOIN entries e ON e.id = l.entry_id",
    );
    diesel::connection::SimpleConnection::batch_execute(
        &mut journal.database.connect(),
        &move_times,
    )
    .unwrap();

    let times =
        prop::option::of((-2_i64..25).prop_map(move |n| start + TimeDelta::microseconds(n)));
    let filters = (
        prop::collection::vec(prop::sample::select(tags), 0..3),
        times.clone(),
        times,
        prop::option::of(any::<bool>()),
        1_u16..12,
    );
    let mut runner = TestRunner::deterministic();
    for _ in 0..60 {
        let (tags, from, to, is_favorite, limit) = filters.new_tree(&mut runner).unwrap().current();
        let filter = EntryFilter {
            tags,
            from,
            to,
            is_favorite,
        };
        let mut expected: Vec<_> = all
            .iter()
            .filter(|(_, at, favorite, own)| {
                filter.from.is_none_or(|from| *at >= from)
                    && filter.to.is_none_or(|to| *at < to)
                    && filter.is_favorite.is_none_or(|wanted| wanted == *favorite)
                    && (filter.tags.is_empty() || filter.tags.iter().any(|tag| own.contains(tag)))
            })
            .map(|(id, at, _, own)| (*at, *id, own.len()))
            .collect();
        expected.sort_by(|a, b| b.cmp(a));
        let listed: Vec<_> = walk(&journal, user, &filter, limit)
            .await
            .into_iter()
            .map(|item| {
                (
                    item.created_at,
                    item.id,
                    usize::try_from(item.tag_count).unwrap(),
                )
            })
            .collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
}

#[actix_rt::test]
async fn cursors_and_dates_at_the_ends_of_time_are_empty_or_whole_pages() {
    let journal = Journal::start();
    let ann = owner("ann");
    let user = ann.user;
    journal.entry(&ann, new_entry("only")).await;
    for (micros, found) in [(i64::MIN, 0), (-1, 0), (0, 0), (i64::MAX, 1)] {
        for id in [i64::MIN, -1, 0, i64::MAX] {
            let after = Some(TimeCursor { micros, id });
            let filter = EntryFilter::default();
            let page = page(5, after);
            let page = journal.ask(ListEntries { user, filter, page }).await;
            assert_eq!(page.unwrap().items.len(), found, "{micros} {id}");
        }
    }
    let (past, future) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
    for (from, to, found) in [(past, future, 1), (future, past, 0), (past, past, 0)] {
        let filter = EntryFilter {
            from: Some(from),
            to: Some(to),
            ..EntryFilter::default()
        };
        assert_eq!(walk(&journal, user, &filter, 5).await.len(), found);
    }
}
