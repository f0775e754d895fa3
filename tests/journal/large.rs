//! What is asked of a large journal reads no more than a part of it. How much is counted in blocks, which is the same
//! on every machine.

use diesel::{QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types};
use epicme::{
    domain::{
        journal::{EntryFilter, TagId},
        page::PageLimit,
        search::{SearchCursor, SearchPage, SearchRequest},
    },
    storage::{
        Connection,
        activity::list_activity,
        entry_lists::{count_entries, list_entries},
        search::{SearchBudget, search_entries},
        suggestions::suggest_entries,
        tags::take_tag_off_some,
    },
};
use resource_server::principal::UserId;

use super::support::{Journal, found, owner, page, query};

/// Entries of one user. Others have as many.
const ENTRIES: i64 = 40_000;

/// Fills a journal whose words and labels are where a planner that knows averages does not expect them: a word that
/// others have often and the user rarely, one that only old entries have, a tag that no favourite has.
fn fill(journal: &Journal, user: UserId) {
    let user = user.as_uuid();
    let sql = format!(
        "SET synchronous_commit = off;
         INSERT INTO users (id, issuer, subject) VALUES ('{user}', 'i', 'big');
         INSERT INTO users (id, issuer, subject) SELECT md5(u::text)::uuid, 'i', u FROM generate_series(0, 99) AS u;
         INSERT INTO entries (id, user_id, title, content, is_favorite, created_at)
         OVERRIDING SYSTEM VALUE
         SELECT n, CASE WHEN n % 2 = 0 THEN '{user}' ELSE md5((n / 2 % 100)::text)::uuid END, 'Entry ' || n,
                'walk' || repeat(' and so on', 20) || CASE
                  WHEN n % 2 = 0 AND n % 16000 = 8000 THEN ' quokka garden'
                  WHEN n % 2 = 0 AND n < {ENTRIES} / 2 THEN ' thesis'
                  WHEN n % 2 = 1 THEN ' garden'
                  WHEN n % 1000 = 500 THEN ' silver moon'
                  ELSE ' moon of silver' END,
                n % 100 = 4, timestamptz '2020-01-01 00:00:00+00' + n * interval '1 minute'
           FROM generate_series(0, 2 * {ENTRIES} - 1) AS n ORDER BY n;
         INSERT INTO tags (id, user_id, name, folded_name)
         OVERRIDING SYSTEM VALUE SELECT t, '{user}', t, t FROM generate_series(1, 2) AS t;
         ALTER TABLE entry_tags DISABLE TRIGGER USER;
         INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
         SELECT user_id, id, 1, created_at FROM entries WHERE user_id = '{user}' AND NOT is_favorite;
         INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
         SELECT user_id, id, 2, created_at FROM entries WHERE user_id = '{user}' AND id < {ENTRIES} / 10;
         ALTER TABLE entry_tags ENABLE TRIGGER USER;
         UPDATE entries SET tag_count = 2 WHERE id < {ENTRIES} / 10;
         INSERT INTO activity (user_id, client, kind, feature, outcome, hour, writes, count, first_at, last_at)
         SELECT '{user}', 'c', 'tool', n, 'done', hour, false, 1, hour, hour
           FROM generate_series(1, 10) AS n,
                generate_series(now() - interval '40 days', now(), interval '1 hour') AS hour"
    );
    let mut connection = journal.database.connect();
    connection.batch_execute(&sql).unwrap();
    cut_all_words(&mut connection);
    for table in ["entries", "entry_tags", "activity"] {
        connection
            .batch_execute(&format!("VACUUM ANALYZE {table}"))
            .unwrap();
    }
}

/// As the program writes the words of these texts, which are their own stems but for one.
fn cut_all_words(connection: &mut Connection) {
    let sql = "UPDATE entries
                  SET search = strip(to_tsvector('simple', title || ' ' || content)) || CASE WHEN content LIKE '%thesis' THEN array_to_tsvector(ARRAY['entri', 'thesi'])
                                  ELSE array_to_tsvector(ARRAY['entri']) END,
                      search_form = 1";
    connection.batch_execute(sql).unwrap();
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = sql_types::BigInt)]
    number: i64,
}

fn number(connection: &mut Connection, sql: &str) -> i64 {
    sql_query(sql)
        .get_result::<Number>(connection)
        .unwrap()
        .number
}

/// How many blocks of tables and indexes a call looks at. A session tells at its end what it has read.
fn blocks(journal: &Journal, call: impl FnOnce(&mut Connection)) -> i64 {
    let mut watcher = journal.database.connect();
    let read =
        "SELECT sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0)
                           + coalesce(toast_blks_read + toast_blks_hit, 0))::bigint AS number
                  FROM pg_statio_user_tables";
    let before = number(&mut watcher, read);
    let mut connection = journal.database.connect_for(owner("big").user);
    let session = number(&mut connection, "SELECT pg_backend_pid()::bigint AS number");
    call(&mut connection);
    drop(connection);
    watcher
        .batch_execute(&format!(
            "DO $$ BEGIN
               WHILE EXISTS (SELECT FROM pg_stat_activity WHERE pid = {session})
               LOOP PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01); END LOOP; END $$"
        ))
        .unwrap();
    number(&mut watcher, read) - before
}

#[actix_rt::test]
async fn no_search_list_or_suggestion_reads_a_large_journal_to_its_end() {
    let journal = Journal::start();
    let user = owner("big").user;
    fill(&journal, user);
    let mut table = journal.database.connect();
    let all = number(
        &mut table,
        "SELECT (coalesce(sum(pg_relation_size(relid)), pg_relation_size('entries')) / 8192)::bigint AS number
           FROM pg_partition_tree('entries')",
    );
    assert!(all > 3_000, "the table is too small to tell: {all} blocks");

    let budget = SearchBudget {
        entries: 4_000,
        ..SearchBudget::default()
    };
    for (text, count, most) in [
        ("quokka", Some(5), 700),
        ("garden", Some(5), 900),
        ("xylophone", Some(0), 700),
        ("walk", Some(50), 300),
        ("thesis", None, 1_500),
        // The texts of all that the index names are compared, each found by its id.
        ("\"silver moon\"", None, 20_000),
        ("walk -quokka", Some(50), 300),
    ] {
        let read = blocks(&journal, |connection| {
            let page =
                search_entries(connection, user, &query(text), &found(50, None), budget).unwrap();
            if let Some(count) = count {
                assert_eq!(page.items.len(), count, "{text}");
            }
        });
        assert!(
            read <= most,
            "a search for {text} reads {read} blocks of {all}"
        );
    }

    for (name, tag, is_favorite, most) in [
        ("all", None, None, 100),
        ("favourites", None, Some(true), 200),
        ("of a tag", Some(1), None, 300),
        ("favourites of a tag of none", Some(1), Some(true), 3_000),
        (
            "favourites of a tag of old entries",
            Some(2),
            Some(true),
            3_000,
        ),
        ("no favourites of a tag", Some(1), Some(false), 3_000),
    ] {
        let filter = EntryFilter {
            tags: tag.map(TagId).into_iter().collect(),
            is_favorite,
            ..EntryFilter::default()
        };
        let read = blocks(&journal, |connection| {
            list_entries(connection, user, &filter, &page(50, None)).unwrap();
        });
        assert!(read <= most, "a list of {name} reads {read} blocks");
    }

    type Call = fn(&mut Connection, UserId);
    let others: [(&str, Call, i64); 4] = [
        (
            "a count",
            |connection, user| {
                count_entries(connection, user, &[TagId(1)], None, None, 1_000)
                    .map(drop)
                    .unwrap();
            },
            5_000,
        ),
        (
            "a suggestion",
            |connection, user| {
                suggest_entries(connection, user, "entry")
                    .map(drop)
                    .unwrap();
            },
            500,
        ),
        (
            "a list of activity",
            |connection, user| {
                list_activity(connection, user, None, &page(50, None))
                    .map(drop)
                    .unwrap();
            },
            100,
        ),
        (
            "a part of the deletion of a tag",
            |connection, user| {
                assert!(take_tag_off_some(connection, user, TagId(1)).unwrap());
            },
            60_000,
        ),
    ];
    for (name, call, most) in others {
        let read = blocks(&journal, |connection| call(connection, user));
        assert!(read <= most, "{name} reads {read} blocks");
    }
}

#[actix_rt::test]
async fn what_a_large_journal_has_is_found_whole_by_going_from_page_to_page() {
    let journal = Journal::start();
    let user = owner("big").user;
    fill(&journal, user);
    let mut connection = journal.database.connect_for(user);
    let budget = SearchBudget {
        entries: 6_000,
        ..SearchBudget::default()
    };
    // `thesis` has more entries than are taken from the index, the phrase fewer than the words in it.
    for (text, expected) in [
        ("quokka", ENTRIES / 8_000),
        ("thesis", ENTRIES / 4 - 1),
        ("\"silver moon\"", ENTRIES * 2 / 1_000 - 20 * 2 / 2),
    ] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let request = SearchRequest {
                limit: PageLimit::LONGEST,
                page: SearchPage::NewestFirst(after),
            };
            let page =
                search_entries(&mut connection, user, &query(text), &request, budget).unwrap();
            seen.extend(page.items.into_iter().map(|hit| hit.entry.id.0));
            after = match page.next {
                Some(SearchCursor::NewestFirst(after)) => Some(after),
                Some(SearchCursor::ByRelevance(_)) => panic!("{text}: of another order"),
                None => break,
            };
        }
        assert!(seen.is_sorted_by(|a, b| a > b), "{text}");
        let count = i64::try_from(seen.len()).unwrap();
        assert_eq!(count, expected, "{text}");
    }
}
