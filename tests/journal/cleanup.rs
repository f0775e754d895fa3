use diesel::connection::SimpleConnection;
use epicme::journal::{DeleteExpired, UseRequestState};

use super::support::{Journal, create_tag, key, owner};

/// Keys and states of a user who never comes back, half of them expired.
fn fill(journal: &Journal, of_each: u32) {
    journal
        .database
        .execute(&format!(
            "WITH one AS (
               INSERT INTO users (id, issuer, subject) VALUES (gen_random_uuid(), 'i', 'gone') RETURNING id),
             states AS (
               INSERT INTO used_request_states
               SELECT id, decode(lpad(to_hex(n), 24, '0'), 'hex'),
                      now() - (CASE WHEN n % 2 = 0 THEN 31 ELSE 29 END) * interval '1 minute'
                 FROM one, generate_series(1, {of_each}) AS n)
             INSERT INTO idempotency_keys (user_id, operation, key, arguments, result_id, created_at)
             SELECT id, 'create_tag', n, sha256(''), 1,
                    now() - (CASE WHEN n % 2 = 0 THEN 25 ELSE 23 END) * interval '1 hour'
               FROM one, generate_series(1, {of_each}) AS n"
        ))
        .unwrap();
}

fn left(journal: &Journal) -> [i64; 2] {
    ["used_request_states", "idempotency_keys"].map(|table| journal.database.count(table))
}

#[actix_rt::test]
async fn what_has_expired_is_deleted_batch_by_batch_and_nothing_else() {
    let journal = Journal::start();
    assert!(!journal.ask(DeleteExpired).await.unwrap());
    fill(&journal, 3_000);
    for (kept, more) in [(2_000, true), (1_500, false), (1_500, false)] {
        assert_eq!(journal.ask(DeleteExpired).await.unwrap(), more);
        assert_eq!(left(&journal), [kept, kept]);
    }
}

#[actix_rt::test]
async fn expired_rows_that_another_statement_is_at_are_left_to_it() {
    let journal = Journal::start();
    fill(&journal, 20);
    let mut other = journal.database.connect();
    other
        .batch_execute(
            "BEGIN;
             SELECT FROM used_request_states WHERE used_at < now() - interval '30 minutes' LIMIT 3 FOR UPDATE;
             SELECT FROM idempotency_keys WHERE created_at < now() - interval '24 hours' LIMIT 3 FOR UPDATE",
        )
        .unwrap();
    assert!(!journal.ask(DeleteExpired).await.unwrap());
    assert_eq!(left(&journal), [13, 13]);
    other.batch_execute("COMMIT").unwrap();
    assert!(!journal.ask(DeleteExpired).await.unwrap());
    assert_eq!(left(&journal), [10, 10]);
}

#[actix_rt::test]
async fn what_has_not_expired_still_counts_after_a_deletion() {
    let journal = Journal::start();
    let ann = owner("ann");
    let tag = journal.ask(create_tag(&ann, "a", key("k", 1)));
    let tag = tag.await.unwrap();
    let state = |subject, byte| UseRequestState {
        user: owner(subject).user,
        nonce: [byte; 12],
    };
    assert!(journal.ask(state("ann", 1)).await.unwrap());
    assert!(!journal.ask(DeleteExpired).await.unwrap());
    assert!(!journal.ask(state("ann", 1)).await.unwrap());
    assert!(journal.ask(state("ann", 2)).await.unwrap());
    // Another user's state of the same nonce is another state.
    assert!(journal.ask(state("bob", 1)).await.unwrap());
    let again = journal.ask(create_tag(&ann, "a", key("k", 1)));
    assert_eq!(again.await.unwrap(), tag);
}

#[actix_rt::test]
async fn exports_that_nobody_comes_back_for_are_deleted_with_their_parts() {
    let journal = Journal::start();
    journal
        .database
        .execute(
            "WITH made AS (
               INSERT INTO exports (user_id, id, media_type, parts, expires_at)
               SELECT gen_random_uuid(), n, 'text/markdown', 2,
                      now() + (CASE WHEN n <= 25 THEN -1 ELSE 1 END) * interval '1 minute'
                 FROM generate_series(1, 30) AS n
               RETURNING user_id, id)
             INSERT INTO export_parts
             SELECT user_id, id, number, 'text' FROM made, generate_series(0, 1) AS number",
        )
        .unwrap();
    for (exports, more) in [(10, true), (5, false)] {
        assert_eq!(journal.ask(DeleteExpired).await.unwrap(), more);
        assert_eq!(journal.database.count("exports"), exports);
        assert_eq!(journal.database.count("export_parts"), 2 * exports);
    }
}

#[actix_rt::test]
async fn activity_is_kept_for_ninety_days_and_then_deleted_batch_by_batch() {
    let journal = Journal::start();
    journal
        .database
        .execute(
            "INSERT INTO activity (user_id, client, kind, feature, outcome, hour, writes, count, first_at, last_at)
             SELECT gen_random_uuid(), 'c', 'tool', 'x', 'done', hour, false, 1, hour, hour
               FROM generate_series(1, 1503) AS n,
                    LATERAL (SELECT date_trunc('hour', now()) - CASE WHEN n <= 1500 THEN interval '92 days 1 hour'
                                                 ELSE interval '89 days 23 hours' END) AS ended (hour)",
        )
        .unwrap();
    for (kept, more) in [(503, true), (3, false), (3, false)] {
        assert_eq!(journal.ask(DeleteExpired).await.unwrap(), more);
        assert_eq!(journal.database.count("activity"), kept);
    }
}

#[actix_rt::test]
async fn hours_of_activity_become_days_after_a_week_and_no_call_is_lost() {
    let journal = Journal::start();
    // Of each of three days all hours, of two features: a day of ten days ago, the last that is old enough, the
    // next. `first_at` and `last_at` lie within their hour.
    let hours = "INSERT INTO activity (user_id, client, kind, feature, outcome, hour, writes, count, first_at, last_at)
        SELECT '00000000-0000-4000-8000-000000000001', 'c', 'tool', feature, 'done', hour, true, 2,
               hour + interval '10 minutes', hour + interval '50 minutes'
          FROM unnest(ARRAY[10, 8, 7]) AS ago, generate_series(0, 23) AS h, unnest(ARRAY['x', 'y']) AS feature,
               LATERAL (SELECT date_trunc('day', now(), 'UTC') + (h - 24 * ago) * interval '1 hour') AS at (hour)";
    journal.database.execute(hours).unwrap();
    let days = "activity WHERE by_day AND hour = date_trunc('day', hour, 'UTC') AND count = 48 AND writes
                AND first_at = hour + interval '10 minutes' AND last_at = hour + interval '23 hours 50 minutes'";
    assert!(!journal.ask(DeleteExpired).await.unwrap());
    assert_eq!(journal.database.count(days), 4);
    assert_eq!(journal.database.count("activity WHERE NOT by_day"), 48);
    assert!(!journal.ask(DeleteExpired).await.unwrap());
    assert_eq!(journal.database.count(days), 4);
    // An hour that comes late, as of a process that could not reach the database, and the hour at midnight,
    // whose key is that of its day.
    let late = "INSERT INTO activity AS a
          (user_id, client, kind, feature, outcome, hour, writes, count, first_at, last_at)
        SELECT user_id, client, kind, feature, outcome, hour + h * interval '1 hour', writes, 5, first_at, last_at
          FROM activity, unnest(ARRAY[0, 7]) AS h WHERE by_day
            ON CONFLICT ON CONSTRAINT activity_key DO UPDATE SET count = a.count + excluded.count";
    journal.database.execute(late).unwrap();
    assert!(!journal.ask(DeleteExpired).await.unwrap());
    assert_eq!(
        journal
            .database
            .count("activity WHERE by_day AND count = 58"),
        4
    );
    assert_eq!(journal.database.count("activity WHERE NOT by_day"), 48);
}

#[actix_rt::test]
async fn many_hours_of_activity_become_days_in_batches_that_lose_nothing_in_between() {
    let journal = Journal::start();
    journal
        .database
        .execute(
            "INSERT INTO activity (user_id, client, kind, feature, outcome, hour, writes, count, first_at, last_at)
             SELECT '00000000-0000-4000-8000-000000000001', 'c', 'tool', n, 'done', hour, false, 1, hour, hour
               FROM generate_series(1, 100) AS n, generate_series(0, 23) AS h,
                    LATERAL (SELECT date_trunc('day', now(), 'UTC') + (h - 240) * interval '1 hour') AS at (hour)",
        )
        .unwrap();
    let sum = "generate_series(1, (SELECT sum(count) FROM activity)::int)";
    for more in [true, true, false] {
        assert_eq!(journal.ask(DeleteExpired).await.unwrap(), more);
        assert_eq!(journal.database.count(sum), 2_400);
    }
    assert_eq!(journal.database.count("activity"), 100);
}
