//! What an operator's Prometheus reads, over real HTTP; and that no client adds a series to it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde_json::json;

use crate::support::{ALL, Answer, MODERN, TestApp, metrics_at, samples, scraped};

/// A server that tells its metrics.
fn measured() -> TestApp {
    TestApp::spawn_with(|config| {
        config.http.metrics = Some(([127, 0, 0, 1], 0).into());
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
}

fn requests(method: &str, era: &str, outcome: &str) -> String {
    format!("epicme_requests_total{{method=\"{method}\",era=\"{era}\",outcome=\"{outcome}\"}}")
}

#[actix_rt::test]
async fn a_request_is_counted_by_its_method_era_and_outcome() {
    let app = measured();
    let token = app.token("ann", ALL);
    let reader = app.token("ann", "entries:read");
    for _ in 0..3 {
        app.modern(&token, "tools/list", json!({})).send().await;
    }
    let session = app.open(&token, "2025-11-25").await;
    app.within(&session, "tools/list", json!({})).send().await;
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    app.tell(&session, note).await;
    app.tool(&reader, "create_tag", &json!({ "name": "a" }))
        .send()
        .await;
    app.tool(&token, "get_entry", &json!({ "id": 1 }))
        .send()
        .await;
    app.tool(&token, "get_entry", &json!({ "id": "x" }))
        .send()
        .await;
    app.modern(&token, "no/such", json!({})).send().await;
    app.ask("POST", "/mcp").send().await;
    app.get("/nothing").await;
    let seen = scraped(&app).await;
    for (method, era, outcome, count) in [
        ("tools/list", "modern", "ok", 3.0),
        ("tools/list", "legacy", "ok", 1.0),
        ("tools/list", "legacy", "internal", 0.0),
        ("initialize", "legacy", "ok", 1.0),
        ("notification", "legacy", "ok", 1.0),
        ("tools/call", "modern", "forbidden", 1.0),
        ("tools/call", "modern", "tool_error", 2.0),
        ("other", "modern", "error", 1.0),
        ("none", "none", "unauthorized", 1.0),
        ("none", "none", "refused", 1.0),
    ] {
        let series = requests(method, era, outcome);
        assert_eq!(seen.get(&series), Some(&count), "{series}");
    }
    let durations = "epicme_request_duration_seconds";
    let labels = "method=\"tools/list\",era=\"modern\"";
    assert_eq!(seen[&format!("{durations}_count{{{labels}}}")], 3.0);
    assert_eq!(
        seen[&format!("{durations}_bucket{{{labels},le=\"+Inf\"}}")],
        3.0
    );
    assert!(seen[&format!("{durations}_sum{{{labels}}}")] > 0.0);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        seen[&format!("epicme_build_info{{version=\"{version}\"}}")],
        1.0
    );
    assert_eq!(seen["epicme_sessions_open"], 1.0);
    let journal = "epicme_journal_duration_seconds_count";
    let refused = format!("{journal}{{operation=\"get_entry\",outcome=\"refused\"}}");
    assert_eq!(seen.get(&refused), Some(&1.0));
}

#[actix_rt::test]
async fn an_introspection_is_counted_and_so_is_what_the_cache_saves() {
    let app = measured();
    let token = app.token("ann", ALL);
    let inactive = app.token_for(Answer::json(json!({ "active": false })));
    for token in [&token, &token, &inactive, &inactive] {
        app.modern(token, "tools/list", json!({})).send().await;
    }
    let broken = app.token_for(Answer::text(200, "nonsense"));
    app.modern(&broken, "tools/list", json!({})).send().await;
    let limited = app.token_for(Answer::text(429, ""));
    app.modern(&limited, "tools/list", json!({})).send().await;
    app.clock.advance(TimeDelta::seconds(5));
    let down = Answer::Whole(503, vec![("retry-after", "0".to_owned())], Vec::new());
    app.issuer.answer_others({
        let down = down.clone();
        move |_| down.clone()
    });
    for source in 0..6 {
        let token = app.token_for(down.clone());
        let ask = app.modern(&token, "tools/list", json!({}));
        let ask = ask.header("x-forwarded-for", &format!("203.0.113.{source}"));
        assert_eq!(ask.send().await.status, 503);
    }
    let seen = scraped(&app).await;
    let asked = |outcome| seen[&format!("epicme_introspections_total{{outcome=\"{outcome}\"}}")];
    assert_eq!(
        (asked("active"), asked("inactive"), asked("nonsense")),
        (1.0, 1.0, 1.0)
    );
    // After the fifth failure in a row it is probed, about a random token, and that opens the circuit.
    assert_eq!((asked("unavailable"), asked("circuit_open")), (5.0, 1.0));
    assert_eq!((asked("rate_limited"), asked("source_waits")), (1.0, 0.0));
    let found = |result| seen[&format!("epicme_introspection_cache_total{{result=\"{result}\"}}")];
    assert_eq!((found("hit"), found("negative_hit")), (1.0, 1.0));
    assert_eq!(
        (found("miss"), found("coalesced"), found("stale")),
        (10.0, 0.0, 0.0)
    );
    assert_eq!(seen["epicme_introspection_duration_seconds_count"], 9.0);
    let circuit = |state| {
        let issuer = app.issuer.url();
        seen[&format!("epicme_issuer_circuit_state{{issuer=\"{issuer}\",state=\"{state}\"}}")]
    };
    assert_eq!(
        (circuit("open"), circuit("closed"), circuit("half_open")),
        (1.0, 0.0, 0.0)
    );
    assert_eq!(
        seen[&requests("none", "none", "unavailable")],
        8.0,
        "an outage of the authorization server is no error of the client's"
    );
}

#[actix_rt::test]
async fn a_stream_is_counted_for_as_long_as_it_is_open() {
    let app = measured();
    let token = app.token("ann", ALL);
    let open = |kind| format!("epicme_streams_open{{kind=\"{kind}\"}}");
    let filter = json!({ "notifications": { "resourcesListChanged": true } });
    let mut subscription = app
        .modern(&token, "subscriptions/listen", filter)
        .listen()
        .await;
    subscription.next().await.unwrap();
    let session = app.open(&token, "2025-11-25").await;
    let general = app.within(&session, "", json!({})).method("GET").body("");
    let general = general.listen().await;
    let seen = scraped(&app).await;
    assert_eq!(
        (seen[&open("subscription")], seen[&open("session")]),
        (1.0, 1.0)
    );
    assert_eq!(
        seen[&requests("subscriptions/listen", "modern", "streamed")],
        1.0
    );
    drop((subscription, general));
    loop {
        let seen = scraped(&app).await;
        if (seen[&open("subscription")], seen[&open("session")]) == (0.0, 0.0) {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[actix_rt::test]
async fn a_client_that_leaves_is_counted_too() {
    let app = measured();
    let token = app.token_for(Answer::Hang(Box::new(Answer::json(
        json!({ "active": false }),
    ))));
    let ask = app.modern(&token, "tools/list", json!({}));
    let asked = Box::pin(ask.begin());
    let reached = Box::pin(app.issuer.is_asked(1));
    drop(futures_util::future::select(asked, reached).await);
    let series = requests("none", "none", "cancelled");
    while scraped(&app).await.get(&series) != Some(&1.0) {
        tokio::task::yield_now().await;
    }
}

#[actix_rt::test]
async fn there_is_nothing_else_on_that_listener_and_nothing_of_it_on_the_other() {
    let app = measured();
    for path in ["/", "/mcp", "/healthcheck", "/metrics/"] {
        assert_eq!(metrics_at(&app, path).await.0, 404, "{path}");
    }
    assert_eq!(app.get("/metrics").await.status, 404);
    assert!(TestApp::spawn().metrics.is_none());
}

/// The families that `docs/METRICS.md` lists, each with its labels and their values.
fn documented() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/METRICS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = |heading: &str| -> Vec<Vec<String>> {
        let (_, section) = text.split_once(heading).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect())
            .collect()
    };
    let words = |cell: &str| -> Vec<String> {
        let mut words = cell.split('`');
        let mut found = Vec::new();
        while let (Some(_), Some(word)) = (words.next(), words.next()) {
            found.push(word.to_owned());
        }
        found
    };
    let values: BTreeMap<(String, String), BTreeSet<String>> = rows("## Labels")
        .into_iter()
        .flat_map(|cells| {
            let labels = words(&cells[1]);
            let values: BTreeSet<_> = words(&cells[3]).into_iter().collect();
            let families = words(&cells[2]);
            let label = labels[0].clone();
            families
                .into_iter()
                .map(move |family| ((family, label.clone()), values.clone()))
        })
        .collect();
    rows("## Metrics")
        .into_iter()
        .map(|cells| {
            let family = words(&cells[1]).remove(0);
            let labels = words(&cells[2]).into_iter().map(|label| {
                let key = (family.clone(), label.clone());
                let of_label = values.get(&key).cloned();
                (
                    label,
                    of_label.unwrap_or_else(|| panic!("{key:?} has no values")),
                )
            });
            (family.clone(), labels.collect())
        })
        .collect()
}

/// A series in parts: its family, and its labels.
fn parts(series: &str) -> (String, Vec<(String, String)>) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let family = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    let labels = labels.trim_end_matches('}').split("\",");
    let labels = labels.filter(|label| !label.is_empty()).map(|label| {
        let (name, value) = label.split_once("=\"").unwrap();
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    });
    (family.to_owned(), labels.collect())
}

#[actix_rt::test]
async fn whatever_clients_send_the_series_are_those_that_are_documented() {
    let app = measured();
    let documented = documented();
    let check = |seen: &BTreeMap<String, f64>| {
        for series in seen.keys() {
            let (family, labels) = parts(series);
            let allowed = documented
                .get(&family)
                .unwrap_or_else(|| panic!("{family} is not documented"));
            for (label, value) in labels.iter().filter(|(label, _)| label != "le") {
                let values = allowed
                    .get(label)
                    .unwrap_or_else(|| panic!("{label} of {family} is not documented"));
                let is_known = match values.iter().next().map(String::as_str) {
                    Some("EPICME_ISSUER") => value == app.issuer.url(),
                    Some("0.1.0") => value == env!("CARGO_PKG_VERSION"),
                    _ => values.contains(value),
                };
                assert!(is_known, "{series}");
            }
        }
    };
    let token = app.token_with(json!({ "sub": "zq7", "client_id": "zq7-client" }));
    let session = app.open(&token, "2025-11-25").await;
    let odd = [
        "zq7",
        "tools/list ",
        "TOOLS/LIST",
        "a\"} 1\nzq7{x=\"",
        "\u{1f600}",
        "",
    ];
    for name in odd {
        app.modern(&token, name.trim(), json!({}))
            .without("mcp-method")
            .send()
            .await;
        app.within(&session, name, json!({})).send().await;
        let ask = app.tool(&token, "whoami", &json!({}));
        ask.edit(|body| body["params"]["name"] = name.into())
            .send()
            .await;
        let ask = app.modern(&token, "resources/read", json!({ "uri": name }));
        ask.without("mcp-name").send().await;
    }
    for method in ["BREW", "PUT", "PATCH", "OPTIONS", "DELETE"] {
        app.ask(method, "/mcp").send().await;
        app.ask(method, "/zq7").send().await;
    }
    let methods = [
        "server/discover",
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "initialize",
    ];
    for method in methods {
        app.modern(&token, method, json!({})).send().await;
        app.within(&session, method, json!({})).send().await;
    }
    // Every feature, so that a question to the journal that is new is documented as well.
    let journal = app.journal("ann");
    let client = app.client(MODERN, &journal.token).await;
    for sample in samples(&app).await {
        let rows = journal.rows("ann").await;
        client.succeed(&sample, &rows).await;
    }
    let before = scraped(&app).await;
    check(&before);
    let seen: BTreeSet<_> = before.keys().map(|series| parts(series).0).collect();
    let listed: BTreeSet<_> = documented.keys().cloned().collect();
    assert_eq!(seen, listed, "what is documented is there");
    assert!(before.keys().all(|series| !series.contains("zq7")));
    // Other names add nothing.
    for n in 0..50 {
        let name = format!("zq7-{n}");
        let other = app.token_with(json!({ "sub": &name, "client_id": &name }));
        app.modern(&other, &name, json!({})).send().await;
        app.tool(&other, &name, &json!({})).send().await;
        app.get(&format!("/{name}")).await;
    }
    let after = scraped(&app).await;
    check(&after);
    // What the journal does by itself comes when it comes.
    let new: Vec<_> = after
        .keys()
        .filter(|series| !before.contains_key(*series))
        .filter(|series| !series.starts_with("epicme_journal_duration_seconds"))
        .collect();
    assert_eq!(new, [""; 0]);
}
