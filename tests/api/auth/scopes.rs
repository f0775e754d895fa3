//! The scopes of every feature: with exactly these a call is allowed, without any one of them it is refused.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{
    ALL, Client, ERAS, Feature, Kind, MODERN, Sample, TestApp, asked_for, names_for, samples,
    scope_table,
};

/// Every scope but this one.
fn all_but(missing: &str) -> String {
    let others: Vec<_> = ALL.split(' ').filter(|scope| *scope != missing).collect();
    others.join(" ")
}

/// The scopes that a refusal asks for: in a session also those that the token has, so that a client which
/// asks for exactly these loses none (MCP 2025-11-25, Authorization, Step-Up Authorization Flow).
fn challenged(client: &Client<'_>, granted: &str, needed: &[&str]) -> String {
    let kept = client.revision != MODERN;
    let scopes: Vec<_> = ALL
        .split(' ')
        .filter(|scope| needed.contains(scope) || kept && granted.split(' ').any(|it| it == *scope))
        .collect();
    scopes.join(" ")
}

#[actix_rt::test]
async fn the_tests_know_every_scope_that_the_server_supports() {
    let app = TestApp::spawn();
    let metadata = app.get("/.well-known/oauth-protected-resource/mcp").await;
    let supported = metadata.json()["scopes_supported"].clone();
    let known: Vec<_> = ALL.split(' ').collect();
    assert_eq!(
        supported,
        json!(known),
        "`ALL` in tests/api/support/journal.rs is out of date"
    );
}

/// S-09, SEC-06.
#[actix_rt::test]
async fn each_call_needs_each_of_its_scopes_before_its_arguments_are_looked_at() {
    let app = TestApp::spawn();
    for revision in ERAS {
        for (number, sample) in samples(&app).await.iter().enumerate() {
            let user = format!("ann {number} of {revision}");
            let rows = app.journal(&user).rows("ann").await;
            let arguments = (sample.arguments)(&rows);
            let needed = sample.feature.scopes(&arguments);
            let mut broken = arguments.clone();
            if sample.feature.kind != Kind::Template {
                broken["nonsense"] = true.into();
            }
            for missing in &needed {
                let granted = all_but(missing);
                let client = app.client(revision, &app.token(&user, &granted)).await;
                for arguments in [&arguments, &broken] {
                    let ask = client.ask(sample.feature.method(), sample.params(arguments));
                    let asked = asked_for(&ask.send().await);
                    assert_eq!(
                        asked,
                        challenged(&client, &granted, &needed),
                        "{revision}: {} without {missing}",
                        sample.feature
                    );
                }
            }
            // Nothing was done by what was refused, and exactly these scopes are enough.
            let client = app
                .client(revision, &app.token(&user, &needed.join(" ")))
                .await;
            client.succeed(sample, &rows).await;
        }
    }
}

/// S-17.
#[actix_rt::test]
async fn each_completion_needs_each_of_its_scopes() {
    let app = TestApp::spawn();
    for revision in ERAS {
        let client = app.client(revision, &app.token("ann", ALL)).await;
        for (reference, argument) in client.completions().await {
            let needed = completion_scopes(&reference, &argument);
            let params = json!({ "ref": reference, "argument": { "name": argument, "value": "" } });
            for missing in &needed {
                let granted = all_but(missing);
                let client = app.client(revision, &app.token("ann", &granted)).await;
                let ask = client.ask("completion/complete", params.clone());
                let asked = asked_for(&ask.send().await);
                assert_eq!(
                    asked,
                    challenged(&client, &granted, &needed),
                    "{revision}: {params}"
                );
            }
            let client = app
                .client(revision, &app.token("ann", &needed.join(" ")))
                .await;
            client.result("completion/complete", params).await;
        }
    }
}

/// What docs/SCOPES.md says of the completion, or of what it belongs to if nothing is ever suggested.
fn completion_scopes(reference: &Value, argument: &str) -> Vec<&'static str> {
    let (kind, name) = match reference["type"].as_str() {
        Some("ref/prompt") => (Kind::Prompt, &reference["name"]),
        _ => (Kind::Template, &reference["uri"]),
    };
    let name = name.as_str().unwrap().to_owned();
    let rows = scope_table().into_iter();
    let mut own = rows
        .filter(|row| row.kind == "completion" && row.name == name && row.with == Some(argument));
    match own.next() {
        Some(row) => row.scopes,
        None => Feature { kind, name }.scopes(&json!({})),
    }
}

/// S-01, S-02, P-22, A-18.
#[actix_rt::test]
async fn each_list_shows_what_the_token_may_use() {
    let app = TestApp::spawn();
    let scopes: Vec<&str> = ALL.split(' ').collect();
    for bits in 1..1_u32 << scopes.len() {
        let granted: Vec<&str> = (0..scopes.len())
            .filter(|i| bits & (1 << i) != 0)
            .map(|i| scopes[i])
            .collect();
        let granted = granted.join(" ");
        for revision in ERAS {
            let client = app.client(revision, &app.token("ann", &granted)).await;
            for kind in Kind::ALL {
                // The order is that of the declarations, and the same for everybody.
                let names = client.names(kind).await;
                assert_eq!(
                    names,
                    names_for(kind, &granted),
                    "{revision}: {kind:?} for {granted}"
                );
            }
        }
    }
}

/// A sample of everything that docs/SCOPES.md has a row for, also of what an argument makes different.
#[actix_rt::test]
async fn each_row_of_the_table_of_scopes_has_a_sample_call() {
    let app = TestApp::spawn();
    let samples = samples(&app).await;
    let rows = app.journal("ann").rows("ann").await;
    let covers = |sample: &Sample| {
        let arguments = (sample.arguments)(&rows);
        (
            sample.feature.name.clone(),
            sample.feature.scopes(&arguments),
        )
    };
    let covered: BTreeSet<_> = samples.iter().map(covers).collect();
    for row in scope_table() {
        if row.kind != "completion" {
            let with = row
                .with
                .map(|name| format!(" with `{name}`"))
                .unwrap_or_default();
            assert!(
                covered.contains(&(row.name.to_owned(), row.scopes)),
                "no sample call of the {} `{}`{with}: add a row in tests/api/support/samples.rs",
                row.kind,
                row.name
            );
        }
    }
}
