//! States of modern rounds over several processes: whoever has the key accepts one, and it counts once
//! in all of them.

use std::{sync::Arc, time::Duration};

use epicme::config::{RequestStateConfig, SealingKey};
use futures_util::future::join;
use secrecy::SecretBox;
use serde_json::{Value, json};

use crate::support::{
    Ask, TestApp, again, asked, deletion, entry_question, is_there, log_contains, refused, yes,
};

fn key(byte: u8) -> SealingKey {
    Arc::new(SecretBox::new(Box::new([byte; 32])))
}

fn keys(current: u8, previous: Option<u8>) -> RequestStateConfig {
    RequestStateConfig {
        key: Some(key(current)),
        previous_key: previous.map(key),
    }
}

fn with(keys: RequestStateConfig) -> TestApp {
    TestApp::spawn_with(|config| config.request_state = keys)
}

/// Another process on the same database, in front of the same authorization server.
fn beside(app: &TestApp, keys: RequestStateConfig) -> TestApp {
    TestApp::spawn_with(|config| {
        config.database.url = app.database.url.clone();
        config.issuers[0].url = app.issuer.url().parse().unwrap();
        config.request_state = keys;
    })
}

fn confirmed() -> Value {
    json!({ "confirm": yes() })
}

async fn confirms(ask: Ask<'_>) {
    let result = ask.send().await.result();
    assert_eq!(result["structuredContent"]["success"], true, "{result}");
}

#[actix_rt::test]
async fn a_state_of_one_process_counts_once_in_all_that_have_the_key() {
    let one = with(keys(1, None));
    let two = beside(&one, keys(1, None));
    let journal = one.journal("ann");
    let entry = journal.entry("Rain").await;
    let [here, there] = [&one, &two].map(|app| deletion(app, &journal.token, entry));
    let state = asked(&here, &entry_question(entry, "Rain")).await;
    assert_eq!(one.database.count("used_request_states"), 0);
    confirms(again(&there, &state, confirmed())).await;
    assert!(!is_there(&journal, entry).await);
    for ask in [&here, &there] {
        refused(again(ask, &state, confirmed()), "used").await;
    }
    assert_eq!(one.database.count("used_request_states"), 1);
}

/// P-08.
#[actix_rt::test]
async fn a_state_that_is_used_in_two_processes_at_once_counts_in_one() {
    let one = with(keys(1, None));
    let two = beside(&one, keys(1, None));
    let journal = one.journal("ann");
    for _ in 0..8 {
        let entry = journal.entry("Rain").await;
        let [here, there] = [&one, &two].map(|app| deletion(app, &journal.token, entry));
        let state = asked(&here, &entry_question(entry, "Rain")).await;
        let (here, there) = join(
            again(&here, &state, confirmed()).send(),
            again(&there, &state, confirmed()).send(),
        )
        .await;
        let mut said = [here.json(), there.json()].map(|reply| {
            (
                reply["error"]["code"].clone(),
                reply["result"]["structuredContent"]["success"].clone(),
            )
        });
        said.sort_by_key(|(code, _)| code.is_null());
        assert_eq!(
            said,
            [(json!(-32602), Value::Null), (Value::Null, json!(true))]
        );
        assert!(!is_there(&journal, entry).await);
    }
}

#[actix_rt::test]
async fn a_state_counts_where_its_key_is_the_current_or_the_previous_one() {
    let old = with(keys(1, None));
    let rotated = beside(&old, keys(2, Some(1)));
    let new = beside(&old, keys(2, None));
    let random = beside(&old, RequestStateConfig::default());
    let journal = old.journal("ann");
    for (from, to, counts) in [
        (&old, &rotated, true),
        (&rotated, &new, true),
        (&new, &rotated, true),
        (&rotated, &old, false),
        (&old, &new, false),
        (&old, &random, false),
        (&random, &old, false),
        (&random, &random, true),
    ] {
        let entry = journal.entry("Rain").await;
        let [from, to] = [from, to].map(|app| deletion(app, &journal.token, entry));
        let state = asked(&from, &entry_question(entry, "Rain")).await;
        let ask = again(&to, &state, confirmed());
        if counts {
            confirms(ask).await;
        } else {
            refused(ask, "sealed with a key that is not known there").await;
        }
        assert_eq!(is_there(&journal, entry).await, !counts);
    }
    assert!(log_contains("not accepted by other processes"));
}

#[actix_rt::test]
async fn nothing_is_done_while_nobody_can_tell_whether_a_state_was_used() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let ask = deletion(&app, &journal.token, entry);
    let state = asked(&ask, &entry_question(entry, "Rain")).await;
    // As a database does that is being shut down.
    let sql = [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'shutting down' USING ERRCODE = '57P01'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON used_request_states EXECUTE FUNCTION refuse()",
    ];
    for sql in sql {
        app.database.execute(sql).unwrap();
    }
    let reply = again(&ask, &state, confirmed()).send().await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(
        reply.json()["error"]["message"],
        "The journal cannot be reached at the moment; try again later"
    );
    assert!(is_there(&journal, entry).await);
    app.database
        .execute("DROP TRIGGER refuse ON used_request_states")
        .unwrap();
    confirms(again(&ask, &state, confirmed())).await;
}

#[actix_rt::test]
async fn only_what_brings_an_answer_is_used_up() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let ask = deletion(&app, &journal.token, entry);
    let question = entry_question(entry, "Rain");
    let state = asked(&ask, &question).await;
    asked(&again(&ask, &state, json!({})), &question).await;
    assert_eq!(app.database.count("used_request_states"), 0);
    confirms(again(&ask, &state, confirmed())).await;
    assert_eq!(app.database.count("used_request_states"), 1);
}

/// P-09.
#[actix_rt::test]
async fn who_uses_a_thousand_states_is_refused_the_next_and_nobody_else_is() {
    let app = TestApp::spawn();
    let [ann, bob] = ["ann", "bob"].map(|subject| app.journal(subject));
    for (journal, title) in [(&ann, "Rain"), (&bob, "Sun")] {
        let entry = journal.entry(title).await;
        let ask = deletion(&app, &journal.token, entry);
        let state = asked(&ask, &entry_question(entry, title)).await;
        confirms(again(&ask, &state, confirmed())).await;
    }
    // Ann's one becomes 999, with the nonces that states cannot have had so far.
    app.database
        .execute(
            "INSERT INTO used_request_states (user_id, nonce)
             SELECT id, decode(lpad(to_hex(n), 24, '0'), 'hex')
               FROM users, generate_series(1, 998) AS n WHERE subject = 'ann'",
        )
        .unwrap();
    let mut last = None;
    for (journal, counts) in [(&ann, true), (&ann, false), (&bob, true)] {
        let entry = journal.entry("Snow").await;
        let ask = deletion(&app, &journal.token, entry);
        let state = asked(&ask, &entry_question(entry, "Snow")).await;
        let ask = again(&ask, &state, confirmed());
        if counts {
            confirms(ask).await;
        } else {
            refused(ask.clone(), "one too many").await;
            last = Some(ask);
        }
        assert_eq!(is_there(journal, entry).await, !counts);
    }
    let last = last.unwrap();
    // A state that is good for ten minutes is remembered for longer.
    for (age, counts) in [("10 minutes", false), ("20 minutes", true)] {
        app.database
            .execute(&format!(
                "UPDATE used_request_states SET used_at = used_at - interval '{age}'"
            ))
            .unwrap();
        if counts {
            confirms(last.clone()).await;
        } else {
            refused(last.clone(), "still one too many").await;
        }
    }
    // Of what is over, a hundred went with it; Bob's are left to Bob.
    assert_eq!(
        app.database.count("used_request_states"),
        1_000 - 100 + 1 + 2
    );
}

#[actix_rt::test]
async fn a_server_that_starts_deletes_what_has_expired_whosever_it_is() {
    let one = TestApp::spawn();
    one.database
        .execute(
            "INSERT INTO used_request_states
             SELECT gen_random_uuid(), decode(lpad(to_hex(n), 24, '0'), 'hex'),
                    now() - CASE WHEN n % 2 = 0 THEN interval '31 minutes' ELSE interval '29 minutes' END
               FROM generate_series(1, 4400) AS n",
        )
        .unwrap();
    let _two = beside(&one, keys(1, None));
    let all_gone = async {
        while one.database.count("used_request_states") > 2_200 {
            actix_rt::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all_gone)
        .await
        .unwrap();
    assert_eq!(one.database.count("used_request_states"), 2_200);
}
