//! PostgreSQL and the authorization server die under load, and come back.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_rt::task::{spawn_blocking, yield_now};
use chrono::TimeDelta;
use diesel::{Connection, RunQueryDsl, sql_query, sql_types::Text};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::support::{
    ALL, Answer, Issuer, MortalCluster, RESOURCE, TestApp, TestDatabase, patiently,
};

/// How long anything may take to come about.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Lets others go on until this holds.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < TIMEOUT, "{what}");
        yield_now().await;
    }
}

/// What the writers have seen.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) acknowledged: RefCell<BTreeSet<String>>,
    pub(super) refused: Cell<usize>,
    pub(super) done: Cell<bool>,
}

/// Writes entries one after the other. One that is insistent sends each again under its idempotency key
/// until it is acknowledged; another takes a refusal for an answer.
pub(super) async fn write(app: &TestApp, seen: &Seen, writer: usize, insistent: bool) {
    let ann = app.journal("ann");
    for number in 0.. {
        let title = format!("{writer}-{number}");
        let mut arguments = json!({ "title": title, "content": "c" });
        if insistent {
            arguments["idempotencyKey"] = json!(title);
        }
        loop {
            if seen.done.get() {
                return;
            }
            let ask = app.tool(&ann.token, "create_entry", &arguments);
            let reply = ask.send().await;
            match reply.status {
                200 => {
                    assert!(reply.result().get("isError").is_none(), "{}", reply.text());
                    seen.acknowledged.borrow_mut().insert(title);
                    break;
                }
                503 => seen.refused.set(seen.refused.get() + 1),
                other => panic!("{other}: {}", reply.text()),
            }
            if !insistent {
                break;
            }
        }
    }
}

/// Watches `/readyz` go red and green.
async fn watch(app: &TestApp, ready: &Cell<bool>, seen: &Seen) {
    while !seen.done.get() {
        let status = app.get("/readyz").await.status;
        assert!([200, 503].contains(&status), "{status}");
        ready.set(status == 200);
    }
}

pub(super) fn titles(url: &SecretString) -> Vec<String> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        title: String,
    }
    let mut connection = diesel::PgConnection::establish(url.expose_secret()).unwrap();
    let rows = sql_query("SELECT title FROM entries").load::<Row>(&mut connection);
    rows.unwrap().into_iter().map(|row| row.title).collect()
}

#[actix_rt::test]
async fn postgresql_dies_under_load_and_no_acknowledged_write_is_lost_or_doubled() {
    let mut cluster = MortalCluster::new("under-load", true);
    let url = cluster.url.clone();
    let app = TestApp::spawn_with(|config| {
        config.database.url = url;
        config.database.pool = 4.try_into().unwrap();
    });
    let (app, seen, ready) = (
        Rc::new(app),
        Rc::new(Seen::default()),
        Rc::new(Cell::new(true)),
    );
    let mut tasks: Vec<_> = (0..8)
        .map(|writer| {
            let (app, seen) = (Rc::clone(&app), Rc::clone(&seen));
            actix_rt::spawn(async move { write(&app, &seen, writer, writer % 2 == 0).await })
        })
        .collect();
    tasks.push(actix_rt::spawn({
        let (app, seen, ready) = (Rc::clone(&app), Rc::clone(&seen), Rc::clone(&ready));
        async move { watch(&app, &ready, &seen).await }
    }));
    for round in 0..2 {
        let before = seen.acknowledged.borrow().len();
        until("entries are written", || {
            seen.acknowledged.borrow().len() > before + 100
        })
        .await;
        let refused = seen.refused.get();
        cluster = spawn_blocking(move || {
            cluster.die();
            cluster
        })
        .await
        .unwrap();
        until("writers are told", || seen.refused.get() > refused + 8).await;
        until("it is not ready", || !ready.get()).await;
        let dead = seen.acknowledged.borrow().len();
        cluster = spawn_blocking(move || {
            cluster.come_back();
            cluster
        })
        .await
        .unwrap();
        until("it is ready again", || ready.get()).await;
        until("entries are written again", || {
            seen.acknowledged.borrow().len() > dead + 100
        })
        .await;
        assert!(round < 2);
    }
    seen.done.set(true);
    for task in tasks {
        task.await.unwrap();
    }
    let written = titles(&cluster.url);
    let distinct: BTreeSet<_> = written.iter().cloned().collect();
    assert_eq!(written.len(), distinct.len(), "an entry is there twice");
    let lost: Vec<_> = seen
        .acknowledged
        .borrow()
        .difference(&distinct)
        .cloned()
        .collect();
    assert_eq!(lost, [""; 0], "acknowledged, and not there");
    drop(Rc::try_unwrap(app).ok().expect("nobody else has it"));
}

/// A token at this authorization server that nobody has seen before.
fn new_token(issuer: &Issuer, app: &TestApp, number: usize) -> String {
    let token = format!("recovery-token-{number}");
    let claims = json!({
        "active": true, "sub": "ann", "client_id": "notebook", "scope": ALL, "aud": RESOURCE,
        "iss": issuer.url(), "token_type": "Bearer",
        "exp": (app.clock.now() + TimeDelta::hours(1)).timestamp(),
    });
    issuer.answer(&token, Answer::json(claims));
    token
}

#[actix_rt::test]
async fn the_authorization_server_dies_under_load_and_nobody_is_turned_away_for_it() {
    let (issuer, server) = Issuer::bystander();
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].url = issuer.url().parse().unwrap();
    });
    let known = new_token(&issuer, &app, 0);
    let ask = |token: String| {
        let app = &app;
        async move {
            let reply = app.modern(&token, "tools/list", json!({})).send().await;
            (reply.status, reply.header("retry-after").map(str::to_owned))
        }
    };
    assert_eq!(ask(known.clone()).await.0, 200);
    assert_eq!(ask(new_token(&issuer, &app, 1)).await.0, 200);

    server.stop(false).await;
    // Connections that are open may be served for a moment longer.
    let mut numbers = 2..;
    let mut ask_anew = || ask(new_token(&issuer, &app, numbers.next().unwrap()));
    patiently(async { while ask_anew().await.0 == 200 {} }).await;
    let began = Instant::now();
    for number in numbers {
        // Whose token is known goes on; whose is not is told that it is not their fault.
        let (old, new) =
            futures_util::join!(ask(known.clone()), ask(new_token(&issuer, &app, number)));
        assert_eq!(old.0, 200);
        assert_eq!(new.0, 503, "never 401 for our own outage");
        assert!(new.1.is_some(), "when to come back");
        let ready = app.get("/readyz").await;
        assert_eq!(ready.status, 200, "{}", ready.text());
        let circuit = ready.json()["issuers"][0]["circuit"]
            .as_str()
            .unwrap()
            .to_owned();
        if circuit == "open" {
            break;
        }
        // A finding may be half a second old.
        assert!(began.elapsed() < TIMEOUT, "it is left alone: {circuit}");
    }

    let server = issuer.come_back();
    // The longest that it is left alone.
    app.clock.advance(TimeDelta::seconds(61));
    for number in 2..6 {
        assert_eq!(ask(new_token(&issuer, &app, number)).await.0, 200);
    }
    assert_eq!(ask(known).await.0, 200);
    server.stop(false).await;
}

#[actix_rt::test]
async fn a_connection_that_a_fail_over_left_with_a_read_only_server_is_let_go() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    ann.entry("before").await;
    let url = app.database.url.expose_secret();
    let name = url.rsplit('/').next().unwrap();
    let elsewhere = TestDatabase::new();
    let set = |what: &str| {
        elsewhere
            .execute(&format!("ALTER DATABASE {name} {what}"))
            .unwrap();
    };
    // Every connection that is made from now on takes no writes.
    set("SET default_transaction_read_only = on");
    let cut =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    elsewhere.execute(&cut).unwrap();
    let write = async |title: &str| {
        let arguments = json!({ "title": title, "content": "c" });
        let reply = app
            .tool(&ann.token, "create_entry", &arguments)
            .send()
            .await;
        assert!([200, 503].contains(&reply.status), "{}", reply.text());
        reply.status == 200
    };
    let began = Instant::now();
    while app.get("/readyz").await.status != 503 {
        assert!(began.elapsed() < TIMEOUT, "it is not ready");
    }
    assert!(!write("refused").await);
    set("RESET default_transaction_read_only");
    // Nobody cuts those connections: they are let go.
    let began = Instant::now();
    while !write("after").await {
        assert!(began.elapsed() < TIMEOUT, "it recovers");
    }
    assert_eq!(app.database.count("entries WHERE title = 'refused'"), 0);
    while app.get("/readyz").await.status != 200 {
        assert!(began.elapsed() < TIMEOUT, "it is ready again");
    }
}
