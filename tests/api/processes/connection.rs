//! The connection over which processes hear of each other: cut, forged, and switched off.

use base64::{Engine, engine::general_purpose::STANDARD};
use diesel::{Connection, PgConnection};
use epicme::config::{Config, Options};
use secrecy::ExposeSecret;
use serde_json::json;

use super::changes::{list_changed, next, subscribe, updated};
use crate::support::{ALL, TestApp, lines_with, patiently, scraped};

fn with_metrics(config: &mut Config) {
    config.http.metrics = Some(([127, 0, 0, 1], 0).into());
}

/// The value of a series of this process.
async fn counted(app: &TestApp, series: &str) -> f64 {
    scraped(app).await[&format!("epicme_{series}")]
}

async fn reaches(app: &TestApp, series: &str, least: f64) {
    patiently(async {
        while counted(app, series).await < least {
            actix_rt::task::yield_now().await;
        }
    })
    .await;
}

/// Ends the connections of all processes that listen.
fn cut(app: &TestApp) -> usize {
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'epicme bus' AND datname = current_database()";
    app.database.execute(cut).unwrap()
}

#[actix_rt::test]
async fn a_process_that_was_cut_off_from_the_others_has_its_streams_look_again() {
    let here = TestApp::spawn_with(with_metrics);
    let there = here.beside(with_metrics);
    let token = here.token("ann", ALL);
    let journal = here.journal("ann");
    let entry = journal.entry("mine").await;
    let uri = format!("epicme://entries/{entry}");
    let mut events = subscribe(&there, &token, &["epicme://tags", &uri]).await;
    let session = there.open(&token, "2025-11-25").await;
    let subscribed = there.within(&session, "resources/subscribe", json!({ "uri": uri }));
    assert_eq!(subscribed.send().await.status, 200);
    let mut legacy = there.session_stream(&session).listen().await;
    let series = r#"bus_look_again_total{cause="missed"}"#;
    let before = counted(&there, series).await;
    assert_eq!(cut(&here), 2);
    reaches(&there, series, before + 1.0).await;
    assert!(counted(&there, "bus_connected").await > 0.0);
    for expected in [updated("epicme://tags"), updated(&uri), list_changed()] {
        assert_eq!(next(&mut events).await, expected);
    }
    for expected in [updated(&uri), list_changed()] {
        assert_eq!(next(&mut legacy).await, expected);
    }
    // Once, and then each change again.
    reaches(&here, series, before + 1.0).await;
    journal
        .call("update_entry", json!({ "id": entry, "mood": "calm" }))
        .await;
    assert_eq!(next(&mut events).await, updated(&uri));
    assert_eq!(next(&mut legacy).await, updated(&uri));
}

#[actix_rt::test]
async fn what_was_written_while_a_process_could_not_send_is_told_afterwards() {
    let here = TestApp::spawn_with(with_metrics);
    let there = here.beside(|_| ());
    let token = here.token("ann", ALL);
    let mut events = subscribe(&there, &token, &[]).await;
    let journal = here.journal("ann");
    for round in 0..3 {
        // The first process connected first, and later connects again.
        let order = if round == 0 { "" } else { "DESC" };
        let only_here = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE application_name = 'epicme bus' AND datname = current_database()
              ORDER BY backend_start {order} LIMIT 1"
        );
        assert_eq!(here.database.execute(&only_here).unwrap(), 1);
        journal.tag(&format!("tag {round}")).await;
        assert_eq!(next(&mut events).await, list_changed());
    }
    let series = r#"bus_look_again_total{cause="missed"}"#;
    assert_eq!(counted(&here, series).await.to_bits(), 4_f64.to_bits());
}

#[actix_rt::test]
async fn many_changes_at_once_all_arrive() {
    let here = TestApp::spawn();
    let there = here.beside(|_| ());
    let token = here.token("ann", ALL);
    let mut events = subscribe(&there, &token, &[]).await;
    let journal = here.journal("ann");
    for round in 0..10 {
        let tags = (0..10).map(|number| format!("tag {round} {number}"));
        let tags = Vec::from_iter(tags);
        futures_util::future::join_all(tags.iter().map(|name| journal.tag(name))).await;
        for _ in 0..10 {
            assert_eq!(next(&mut events).await, list_changed());
        }
    }
}

/// Everybody who may connect to the database may notify.
#[actix_rt::test]
async fn what_strangers_send_is_ignored_and_counted() {
    let keys = |config: &mut Config| {
        with_metrics(config);
        let key = STANDARD.encode([7; 32]);
        let options = Options::for_one_machine(
            ([127, 0, 0, 1], 1).into(),
            "http://127.0.0.1:1",
            &"a secret".into(),
            &"postgres://x@127.0.0.1:1/x".into(),
        );
        let options = options.with("EPICME_REQUEST_STATE_KEY", key);
        config.request_state = Config::read(&options).unwrap().request_state;
    };
    let here = TestApp::spawn_with(keys);
    let there = here.beside(keys);
    let keyless = here.beside(|_| ());
    let token = here.token("ann", ALL);
    let mut events = subscribe(&there, &token, &["epicme://tags"]).await;
    here.database
        .execute("DO $$ BEGIN CREATE ROLE stranger LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        .unwrap();
    let url = here.database.url.expose_secret();
    let (before, user) = (
        counted(&there, r#"bus_received_total{outcome="unreadable"}"#).await,
        url.split_once("//")
            .unwrap()
            .1
            .split_once('@')
            .unwrap()
            .0
            .to_owned(),
    );
    let url = url.replacen(&user, "stranger", 1);
    let mut stranger = PgConnection::establish(&url).unwrap();
    let forged = r#"p1.{"from":1,"number":1,"messages":[{"l":null}]}"#;
    let long = "x".repeat(7_999);
    for junk in ["", "p1.", "s1.", "{}", forged, &long] {
        use diesel::{RunQueryDsl, sql_query, sql_types::Text};
        let sent = sql_query("SELECT pg_notify('epicme.public', $1)");
        sent.bind::<Text, _>(junk).execute(&mut stranger).unwrap();
    }
    let series = r#"bus_received_total{outcome="unreadable"}"#;
    reaches(&there, series, before + 6.0).await;
    // A process without the key is a stranger too.
    keyless.journal("ann").tag("unheard").await;
    reaches(&there, series, before + 7.0).await;
    here.journal("ann").tag("heard").await;
    assert_eq!(next(&mut events).await, updated("epicme://tags"));
    assert_eq!(next(&mut events).await, list_changed());
    assert!(!lines_with("from no process with the same sealing keys").is_empty());
}

#[actix_rt::test]
async fn a_process_whose_bus_is_off_neither_tells_nor_hears() {
    let here = TestApp::spawn_with(with_metrics);
    let alone = here.beside(|config| {
        with_metrics(config);
        config.database.bus = false;
    });
    let token = here.token("ann", ALL);
    let mut theirs = subscribe(&alone, &token, &[]).await;
    let entry = here.journal("ann").entry("mine").await;
    let uri = format!("epicme://entries/{entry}");
    let mut ours = subscribe(&here, &token, &[&uri]).await;
    here.journal("ann").tag("here").await;
    assert_eq!(next(&mut ours).await, list_changed());
    reaches(&here, r#"bus_received_total{outcome="own"}"#, 2.0).await;
    let (unheard, change) = (alone.journal("ann"), json!({ "id": entry, "mood": "calm" }));
    unheard.call("update_entry", change).await;
    unheard.tag("there").await;
    assert_eq!(next(&mut theirs).await, list_changed());
    here.journal("ann").tag("last").await;
    assert_eq!(
        next(&mut ours).await,
        list_changed(),
        "nothing of the entry"
    );
    let listening =
        "pg_stat_activity WHERE application_name = 'epicme bus' AND datname = current_database()";
    assert_eq!(here.database.count(listening), 1);
    let metrics = scraped(&alone).await;
    assert!(!metrics.keys().any(|series| series.contains("_bus_")));
}

#[actix_rt::test]
async fn a_bus_that_cannot_connect_stops_nothing_and_is_told_once() {
    let url = "postgres://nobody@127.0.0.1:1/bus-of-this-test";
    let app = TestApp::spawn_with(|config| {
        with_metrics(config);
        config.database.direct_url = Some(url.into());
    });
    let token = app.token("ann", ALL);
    let mut events = subscribe(&app, &token, &[]).await;
    for round in 0..3 {
        app.journal("ann").tag(&format!("tag {round}")).await;
        assert_eq!(next(&mut events).await, list_changed());
    }
    assert_eq!(counted(&app, "bus_connected").await.to_bits(), 0);
    let told = lines_with("the bus to the other processes is not connected");
    let told = told.iter().filter(|line| line.contains("port 1"));
    assert_eq!(told.count(), 1);
}
