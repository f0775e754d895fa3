//! What one user's work in the journal costs the others: nothing.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::{TestApp, envelope, header_lines};

pub(super) const SHARE_USED_UP: &str = "You have as much under way in the journal as one user may; \
    wait until some of it is done, and send fewer calls at once";

/// Makes every statement that reads an entry take ten seconds.
const SLOW_ENTRIES: &str = "ALTER TABLE entries RENAME TO real_entries;
    CREATE VIEW entries AS SELECT e.* FROM real_entries e CROSS JOIN LATERAL (
        SELECT pg_sleep(10 + 0 * e.id)) AS slow";

/// Waits until as many statements of the server match a condition on `pg_stat_activity`, at most 20 seconds.
async fn until_statements(app: &TestApp, condition: &str, wanted: u32) -> Duration {
    let began = Instant::now();
    let wait = format!(
        "DO $$ BEGIN FOR i IN 1..2000 LOOP
           PERFORM pg_stat_clear_snapshot();
           IF (SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'epicme'
                  AND state = 'active' AND {condition}) = {wanted} THEN RETURN; END IF;
           PERFORM pg_sleep(0.01);
         END LOOP; RAISE 'it did not come to {wanted} statements'; END $$"
    );
    let mut watcher = app.database.connect();
    let waited = actix_rt::task::spawn_blocking(move || watcher.batch_execute(&wait));
    waited.await.unwrap().unwrap();
    began.elapsed()
}

fn call(token: &str, tool: &str, arguments: &Value) -> String {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "_meta": envelope(), "name": tool, "arguments": arguments,
    } })
    .to_string();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\n{}mcp-protocol-version: 2026-07-28\r\n\
         mcp-method: tools/call\r\nmcp-name: {tool}\r\ncontent-length: {}\r\n\r\n{body}",
        header_lines(token),
        body.len()
    )
}

#[actix_rt::test]
async fn who_takes_more_than_a_third_of_the_connections_is_told_so_and_others_are_served() {
    let app = TestApp::spawn_with(|config| config.database.pool = 9.try_into().unwrap());
    let [ann, bob] = ["ann", "bob"].map(|name| app.journal(name));
    ann.entry("One").await;
    app.database.connect().batch_execute(SLOW_ENTRIES).unwrap();
    let lists = join_all((0..12).map(|_| app.tool(&ann.token, "list_entries", &json!({})).send()));
    let others = async {
        until_statements(&app, "wait_event = 'PgSleep'", 3).await;
        for _ in 0..10 {
            let began = Instant::now();
            bob.done("list_tags", json!({})).await;
            assert!(began.elapsed() < Duration::from_secs(2));
        }
    };
    let (replies, ()) = join(lists, others).await;
    let (refused, stopped): (Vec<_>, Vec<_>) =
        replies.iter().partition(|reply| reply.status == 503);
    assert_eq!((refused.len(), stopped.len()), (9, 3));
    for reply in refused {
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert_eq!(reply.json()["error"]["message"], SHARE_USED_UP);
    }
}

#[actix_rt::test]
async fn what_takes_too_long_says_how_to_ask_for_less_and_not_to_try_again() {
    // A ninth of them is for the heavy calls of a user, of which there are two.
    let app = TestApp::spawn_with(|config| config.database.pool = 18.try_into().unwrap());
    let ann = app.journal("ann");
    let entry = ann.entry("One").await;
    app.database.connect().batch_execute(SLOW_ENTRIES).unwrap();
    let asks = [
        ("list_entries", json!({}), "Narrow it by from and to"),
        (
            "search_entries",
            json!({ "query": "one" }),
            "Search for rarer words",
        ),
        (
            "export_journal",
            json!({}),
            "Read the journal by list_entries",
        ),
    ];
    let asked = asks.iter().map(|(tool, arguments, advice)| {
        let asked = app.tool(&ann.token, tool, arguments).send();
        async move { (*tool, *advice, asked.await) }
    });
    for (tool, advice, reply) in join_all(asked).await {
        assert_eq!(reply.status, 200, "{tool}: {}", reply.text());
        assert_eq!(reply.header("retry-after"), None, "{tool}");
        let result = &reply.json()["result"];
        assert_eq!(result["isError"], true, "{tool}: {result}");
        let said = result["content"][0]["text"].as_str().unwrap();
        assert!(
            said.contains("took too long") && said.contains(advice),
            "{said}"
        );
    }
    // What costs the same in every journal took too long by the database's fault.
    let get = app
        .tool(&ann.token, "get_entry", &json!({ "id": entry }))
        .send()
        .await;
    assert_eq!(get.status, 503, "{}", get.text());
    assert_eq!(get.header("retry-after"), Some("5"));
    ann.done("list_tags", json!({})).await;
}

#[actix_rt::test]
async fn a_read_ends_within_a_second_after_its_client_has_gone_and_no_others() {
    let app = TestApp::spawn_with(|config| config.database.pool = 9.try_into().unwrap());
    let [ann, bob] = ["ann", "bob"].map(|name| app.journal(name));
    ann.entry("One").await;
    bob.entry("Two").await;
    app.database.connect().batch_execute(SLOW_ENTRIES).unwrap();
    let asleep = "wait_event = 'PgSleep'";
    let stays = app.tool(&bob.token, "list_entries", &json!({})).send();
    let leave = async {
        until_statements(&app, asleep, 1).await;
        for _ in 0..2 {
            let mut wire = app.wire();
            wire.send(call(
                &ann.token,
                "search_entries",
                &json!({ "query": "one" }),
            ));
            until_statements(&app, asleep, 2).await;
            wire.cut();
            let took = until_statements(&app, asleep, 1).await;
            assert!(took < Duration::from_secs(1), "{took:?}");
        }
    };
    let (reply, ()) = join(stays, leave).await;
    // It ran into its own time limit: if it had been cancelled for another's leaving, this were an outage.
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().contains("took too long"), "{}", reply.text());
}

#[actix_rt::test]
async fn a_full_journal_says_so_and_whoami_tells_what_is_used() {
    let app = TestApp::spawn_with(|config| {
        config.database.quota_entries = 3;
        config.database.quota_bytes = 1_000;
    });
    let [ann, bob] = ["ann", "bob"].map(|name| app.journal(name));
    let one = ann.entry("One").await;
    ann.entry("Two").await;
    let said = ann
        .failed(
            "update_entry",
            json!({ "id": one, "content": "x".repeat(2_000) }),
        )
        .await;
    assert!(
        said.contains("of 1000 bytes") && said.contains("Delete or shorten"),
        "{said}"
    );
    ann.entry("Three").await;
    let said = ann
        .failed("create_entry", json!({ "title": "Four", "content": "c" }))
        .await;
    assert!(
        said.contains("has 3 entries, as many as it may have. Delete entries"),
        "{said}"
    );
    let storage = ann.done("whoami", json!({})).await["storage"].clone();
    assert_eq!(storage["entries"], 3);
    assert_eq!(storage["mostEntries"], 3);
    assert_eq!(storage["mostBytes"], 1_000);
    assert!(storage["bytes"].as_i64().unwrap() > 11, "{storage}");
    ann.done("delete_entry", json!({ "id": one })).await;
    ann.entry("Four").await;
    bob.entry("One").await;
    let storage = bob.done("whoami", json!({})).await["storage"].clone();
    assert_eq!(storage["entries"], 1);
}
