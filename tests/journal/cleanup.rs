use diesel::connection::SimpleConnection;
use epicme::actors::journal::{DeleteExpired, UseRequestState};

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
                    LATERAL (SELECT now() - CASE WHEN n <= 1500 THEN interval '90 days 1 minute'
                                                 ELSE interval '89 days 23 hours' END) AS ended (hour)",
        )
        .unwrap();
    for (kept, more) in [(503, true), (3, false), (3, false)] {
        assert_eq!(journal.ask(DeleteExpired).await.unwrap(), more);
        assert_eq!(journal.database.count("activity"), kept);
    }
}
