//! A PostgreSQL that hangs without dying: everything ends in time and says so, and goes on when it goes on.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::{
    ALL, Frozen, TestApp, epicme, lines_with, metrics_at, new_cluster, patiently, said,
};

/// The time limit of a statement, and two seconds.
const LONGEST: Duration = Duration::from_secs(7);

/// The processes of a cluster.
fn processes(cluster: &private_postgres::Cluster) -> Vec<String> {
    let file = cluster.directory().join("data/postmaster.pid");
    let file = fs::read_to_string(file).unwrap();
    let postmaster = file.lines().next().unwrap().to_owned();
    let children = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &postmaster])
        .output()
        .unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    let children = children.split_whitespace().map(str::to_owned);
    [postmaster].into_iter().chain(children).collect()
}

#[actix_rt::test]
async fn a_database_that_hangs_fails_every_call_in_time_and_nothing_for_good() {
    let cluster = new_cluster();
    cluster.create_database("epicme").unwrap();
    let url = cluster.url("epicme");
    epicme::storage::migrate(&url).unwrap();
    let of_app = url.clone();
    let app = TestApp::spawn_with(|config| {
        config.database.url = of_app;
        config.database.pool = 3.try_into().unwrap();
        config.http.metrics = Some(([127, 0, 0, 1], 0).into());
    });
    let tokens = ["ann", "bob", "cid", "dan"].map(|name| app.token(name, ALL));
    let arguments = json!({ "title": "t", "content": "c" });
    for token in &tokens {
        let written = app.tool(token, "create_entry", &arguments).send().await;
        assert_eq!(written.status, 200, "{}", written.text());
    }
    assert_eq!(app.get("/readyz").await.status, 200);

    let frozen = Frozen::these(processes(&cluster));
    for _ in 0..2 {
        let calls = tokens.iter().flat_map(|token| {
            let search = json!({ "query": "c" });
            [
                ("create_entry", arguments.clone()),
                ("list_entries", json!({})),
                ("search_entries", search),
            ]
            .map(|(tool, arguments)| {
                let call = app.tool(token, tool, &arguments);
                async move {
                    let began = Instant::now();
                    let reply = call.send().await;
                    (tool, reply, began.elapsed())
                }
            })
        });
        for (tool, reply, took) in join_all(calls).await {
            assert_eq!(reply.status, 503, "{tool}: {}", reply.text());
            assert!(reply.header("retry-after").is_some(), "{tool}");
            assert!(took < LONGEST, "{tool} took {took:?}");
        }
    }
    let began = Instant::now();
    assert_eq!(app.get("/livez").await.status, 200);
    assert_eq!(app.get("/readyz").await.status, 503);
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "readiness in time"
    );
    let (_, metrics) = metrics_at(&app, "/metrics").await;
    let hanging = "epicme_database_connections{state=\"hanging\"} ";
    let hanging = metrics.lines().find_map(|line| line.strip_prefix(hanging));
    let hanging: u32 = hanging.unwrap().parse().unwrap();
    assert!((1..=6).contains(&hanging), "{hanging}");

    // The programs of an operator end too, and say why.
    let environment = [
        ("DATABASE_URL", url.expose_secret()),
        ("EPICME_ISSUER", "https://issuer.example"),
        ("EPICME_INTROSPECTION_CLIENT_ID", "epicme"),
        ("EPICME_INTROSPECTION_CLIENT_SECRET", "zq5-secret"),
    ];
    let began = Instant::now();
    let migrate = epicme(&["migrate"], &environment).output().unwrap();
    assert_eq!(migrate.status.code(), Some(69), "{}", said(&migrate));
    assert!(
        said(&migrate).contains("does not answer"),
        "{}",
        said(&migrate)
    );
    assert!(began.elapsed() < Duration::from_secs(15));

    drop(frozen);
    let works = async {
        for token in &tokens {
            while app
                .tool(token, "list_entries", &json!({}))
                .send()
                .await
                .status
                != 200
            {}
        }
        while app.get("/readyz").await.status != 200 {}
    };
    patiently(works).await;
    let place = cluster.directory().file_name().unwrap().to_str().unwrap();
    let begun = lines_with("the database is unavailable (");
    let begun = begun.iter().filter(|line| line.contains(place)).count();
    assert_eq!(begun, 1, "one line, however many calls failed");
    drop(app);
    cluster.stop().unwrap();
}
