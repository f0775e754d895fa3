//! Two users: nothing of one user's journal is shown, counted, found or changed for another.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::support::{ALL, Client, ERAS, Kind, Reply, Rows, Sample, TestApp, samples};

/// Where the ids of Ann's and Bob's rows begin, and an id that no row has.
const ANNS: i64 = 6_000_001;
const BOBS: i64 = 7_000_001;
const UNKNOWN: i64 = 7_999_999;

/// A response without what differs from run to run: times, random ids, cursors, lengths in bytes, and the
/// address of the authorization server.
fn shown(app: &TestApp, reply: &Reply) -> String {
    let body = settled(app.issuer.url(), reply.json());
    format!("{} {body}", reply.status)
}

fn settled(issuer: &str, value: Value) -> Value {
    match value {
        Value::Array(items) => items
            .into_iter()
            .map(|item| settled(issuer, item))
            .collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| match &*name {
                "nextCursor" | "bytes" => (name, "…".into()),
                _ => (name, settled(issuer, value)),
            })
            .collect(),
        // Text that is JSON: of a resource, or of a tool's structured content said again.
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => settled(issuer, inner),
            _ => settled_text(&text.replace(issuer, "[issuer]")).into(),
        },
        other => other,
    }
}

fn settled_text(text: &str) -> String {
    let words: Vec<&str> = text
        .split_inclusive(|c: char| !c.is_ascii_alphanumeric() && !"-:.+".contains(c))
        .collect();
    let word = |number: usize| words.get(number).copied().unwrap_or_default();
    let settled = (0..words.len()).map(|number| {
        let word_here = word(number);
        let bare = word_here.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_export = number > 0 && word(number - 1) == "exports/";
        if DateTime::parse_from_rfc3339(bare).is_ok() {
            word_here.replace(bare, "[time]")
        } else if bare.len() == 36 && bare.matches('-').count() == 4 {
            word_here.replace(bare, "[user id]")
        } else if is_export || word(number + 1).starts_with("bytes") {
            word_here.replace(bare, "[number]")
        } else {
            word_here.to_owned()
        }
    });
    settled.collect()
}

/// What Bob is answered to every sample, list and completion, with what he asked; and that none of it has
/// a text of Ann's. With Ann, she does the same before him.
async fn answers_to_bob(with_ann: bool) -> Vec<(String, String)> {
    let app = TestApp::spawn();
    let samples = samples(&app).await;
    let mut answers = Vec::new();
    let mut keep = |asked: String, reply: &Reply| {
        let answer = shown(&app, reply);
        assert!(!answer.contains("ann thought"), "{asked}: {answer}");
        answers.push((asked, answer));
    };
    // Bob's rows have the same ids in both cases.
    let mut ids = (BOBS..UNKNOWN).step_by(1_000);
    let mut renumber = || app.database.number_from(ids.next().unwrap());
    for revision in ERAS {
        for (number, sample) in samples.iter().enumerate() {
            // The same users in both cases, and users of their own for each sample.
            let [ann, bob] = ["ann", "bob"].map(|name| format!("{name} {number} of {revision}"));
            if with_ann {
                let ann = app.journal(&ann);
                let rows = ann.rows_of(format!("ann thought {number}")).await;
                let client = app.client(revision, &ann.token).await;
                client.succeed(sample, &rows).await;
                ann.rows_of(format!("ann thought again {number}")).await;
            }
            renumber();
            let bob = app.journal(&bob);
            let rows = bob.rows_of(format!("bob thought {number}")).await;
            let client = app.client(revision, &bob.token).await;
            let params = sample.params(&(sample.arguments)(&rows));
            let asked = format!(
                "{revision}: {} {}",
                sample.feature,
                (sample.arguments)(&Rows { export: 0, ..rows })
            );
            let reply = client.ask(sample.feature.method(), params).send().await;
            keep(asked, &reply);
        }
        let bob = app.journal(&format!("bob of {revision}"));
        renumber();
        bob.rows_of("bob thought".to_owned()).await;
        let client = app.client(revision, &bob.token).await;
        for kind in Kind::ALL {
            let [method, ..] = kind.list();
            let reply = client.ask(method, json!({})).send().await;
            keep(format!("{revision}: {method}"), &reply);
        }
        for (reference, argument) in client.completions().await {
            for value in ["", "ann", "bob", "6", "7"] {
                let params =
                    json!({ "ref": reference, "argument": { "name": argument, "value": value } });
                let reply = client
                    .ask("completion/complete", params.clone())
                    .send()
                    .await;
                keep(format!("{revision}: {params}"), &reply);
            }
        }
    }
    answers
}

/// Whatever a feature shows, counts or finds: it is the same as if the others were not there.
#[actix_rt::test]
async fn no_answer_depends_on_what_another_user_has() {
    let alone = answers_to_bob(false).await;
    let beside_ann = answers_to_bob(true).await;
    assert_eq!(alone.len(), beside_ann.len());
    for ((asked, alone), (_, beside_ann)) in alone.iter().zip(&beside_ann) {
        assert_eq!(
            beside_ann, alone,
            "another user's rows change the answer: {asked}"
        );
    }
}

/// What a client is answered to a call with this id, which is taken out.
async fn answer_without_id(
    app: &TestApp,
    client: &Client<'_>,
    sample: &Sample,
    (rows, id): &(Rows, i64),
) -> String {
    let params = sample.params(&(sample.arguments)(rows));
    let reply = client.ask(sample.feature.method(), params).send().await;
    shown(app, &reply).replace(&id.to_string(), "[id]")
}

/// S-14.
#[actix_rt::test]
async fn an_id_of_another_users_is_answered_like_one_that_does_not_exist() {
    let app = TestApp::spawn();
    let samples = samples(&app).await;
    app.database.number_from(ANNS);
    let ann = app.journal("ann");
    let anns = ann.rows("ann").await;
    let user = ann.done("whoami", json!({})).await["user"]["id"].clone();
    let stored = || app.database.rows_of(user.as_str().unwrap());
    let before = stored();
    app.database.number_from(BOBS);
    let unknown = Rows {
        entry: UNKNOWN,
        tag: UNKNOWN,
        export: UNKNOWN,
        text: String::new(),
    };
    let mut ids = 0;
    for revision in ERAS {
        for (number, sample) in samples.iter().enumerate() {
            let bob = app.journal(&format!("bob {number} of {revision}"));
            let client = app.client(revision, &bob.token).await;
            let own = bob.rows("bob").await;
            let foreign = sample.with_other_ids(&own, &anns);
            for (foreign, unknown) in foreign.iter().zip(&sample.with_other_ids(&own, &unknown)) {
                let theirs = answer_without_id(&app, &client, sample, foreign).await;
                let nobodys = answer_without_id(&app, &client, sample, unknown).await;
                assert_eq!(theirs, nobodys, "{revision}: {}", sample.feature);
                assert!(!theirs.contains("ann thought"), "{theirs}");
                ids += 1;
            }
            client.succeed(sample, &own).await;
            assert_eq!(
                stored(),
                before,
                "{revision}: {} changed them",
                sample.feature
            );
        }
    }
    assert!(ids > 0, "some samples take ids");
}

/// A name that the caller has already is no reason to say so before the tag is looked for.
#[actix_rt::test]
async fn a_tag_of_another_users_is_not_found_whatever_its_new_name_would_be() {
    let app = TestApp::spawn();
    let tag = app.journal("ann").tag("Ann's").await;
    let bob = app.journal("bob");
    bob.tag("Bob's").await;
    for id in [tag, UNKNOWN] {
        let said = bob
            .failed("update_tag", json!({ "id": id, "name": "Bob's" }))
            .await;
        assert_eq!(said, format!("There is no tag {id}."));
    }
}

/// A cursor is a place in a list, not a permission to read it.
#[actix_rt::test]
async fn another_users_cursor_leads_into_ones_own_list() {
    let app = TestApp::spawn();
    let (ann, bob) = (app.journal("ann"), app.journal("bob"));
    for i in 0..3 {
        ann.entry(&format!("apple {i}")).await;
        ann.tag(&format!("apple {i}")).await;
    }
    for (tool, arguments, items) in [
        ("list_entries", json!({}), "entries"),
        ("search_entries", json!({ "query": "apple" }), "entries"),
        ("list_tags", json!({}), "tags"),
    ] {
        let mut page = arguments.clone();
        page["limit"] = 1.into();
        let mut stolen = arguments;
        stolen["cursor"] = ann.done(tool, page).await["nextCursor"].clone();
        assert_eq!(bob.done(tool, stolen).await[items], json!([]), "{tool}");
    }
    // The same name is free for everybody.
    bob.tag("apple 0").await;
}

///
#[actix_rt::test]
async fn a_user_is_an_issuer_and_a_subject_whatever_the_client() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let entry = ann.entry("One").await;
    for client in [json!("another"), Value::Null] {
        let token = app.token_with(json!({ "client_id": client }));
        let reply = app
            .tool(&token, "get_entry", &json!({ "id": entry }))
            .send()
            .await;
        assert_eq!(reply.result()["structuredContent"]["entry"]["id"], entry);
    }
    for subject in ["Ann", "ann ", "ann\n", "an", "annn", "1"] {
        let token = app.token(subject, ALL);
        let reply = app
            .tool(&token, "get_entry", &json!({ "id": entry }))
            .send()
            .await;
        assert_eq!(reply.result()["isError"], true, "{subject:?}");
    }
}

#[actix_rt::test]
async fn a_user_is_stored_with_the_first_write() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    ann.done("whoami", json!({})).await;
    ann.done("list_entries", json!({})).await;
    assert_eq!(app.database.count("users"), 0);
    ann.entry("One").await;
    assert_eq!(app.database.count("users"), 1);
}
