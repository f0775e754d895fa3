//! Spans of requests, on their way to a collector that is not always there.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
};

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::StatusCode,
    web::{self, Data, Json},
};
use serde_json::{Value, json};

use crate::support::{ALL, TestApp};

const TRACE: &str = "5d3a7c1e9b2f4860a1c3e5f708192a3b";

/// What a collector was sent, and what it answers.
#[derive(Clone, Default)]
struct Collector {
    requests: Arc<Mutex<Vec<Value>>>,
    refuses: bool,
}

impl Collector {
    /// Serves it within the test's own `System`.
    fn serve(&self) -> (String, ServerHandle) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let collector = Data::new(self.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(collector.clone())
                .app_data(web::JsonConfig::default().limit(1 << 20))
                .route("/v1/traces", web::post().to(take))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        let handle = server.handle();
        actix_rt::spawn(server);
        (url, handle)
    }

    fn spans(&self) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        let spans = requests.iter().flat_map(|request| {
            let resource = &request["resourceSpans"][0];
            let name = &resource["resource"]["attributes"][0]["value"]["stringValue"];
            assert_eq!(name, "epicme", "{request}");
            resource["scopeSpans"][0]["spans"].as_array().unwrap()
        });
        spans.cloned().collect()
    }

    /// The spans, once there are so many.
    async fn spans_of(&self, count: usize) -> Vec<Value> {
        while self.spans().len() < count {
            tokio::task::yield_now().await;
        }
        self.spans()
    }
}

async fn take(collector: Data<Collector>, body: Json<Value>) -> HttpResponse {
    collector.requests.lock().unwrap().push(body.into_inner());
    if collector.refuses {
        HttpResponse::build(StatusCode::TOO_MANY_REQUESTS).finish()
    } else {
        HttpResponse::Ok().json(json!({}))
    }
}

fn attribute<'a>(span: &'a Value, key: &str) -> Option<&'a str> {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes
        .iter()
        .find(|attribute| attribute["key"] == key)?;
    let value = found["value"].as_object().unwrap().values().next();
    value.unwrap().as_str()
}

#[actix_rt::test]
async fn a_collector_is_told_of_each_request_within_its_trace() {
    let collector = Collector::default();
    let (url, handle) = collector.serve();
    let app = TestApp::spawn_with(|config| {
        config.http.collector = Some(url.parse().unwrap());
    });
    let token = app.token("ann", ALL);
    let call = app.tool(&token, "whoami", &json!({}));
    let sampled = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let left_out = format!("00-{TRACE}-00f067aa0ba902b8-00");
    let traced = call.clone().header("traceparent", &sampled).send().await;
    call.clone().header("traceparent", &left_out).send().await;
    let untraced = call.send().await;
    app.ask("POST", "/mcp").send().await;
    let spans = collector.spans_of(3).await;
    let [first, second, third] = &spans[..] else {
        panic!("{spans:?}");
    };
    let id = |reply: &crate::support::Reply| reply.header("x-request-id").unwrap().to_owned();
    assert_eq!(first["traceId"], TRACE);
    assert_eq!(first["spanId"], id(&traced)[16..]);
    assert_eq!(first["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(
        (&first["name"], &first["kind"]),
        (&json!("tools/call"), &json!(2))
    );
    for (key, value) in [
        ("epicme.outcome", "ok"),
        ("epicme.era", "modern"),
        ("epicme.kind", "tool"),
        ("epicme.feature", "whoami"),
        ("mcp.method.name", "tools/call"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(attribute(first, key), Some(value), "{first}");
    }
    let nanos = |key: &str| first[key].as_str().unwrap().parse::<u64>().unwrap();
    assert!(nanos("startTimeUnixNano") < nanos("endTimeUnixNano"));
    assert_eq!(second["traceId"], id(&untraced), "it begins a trace");
    assert_eq!(second["parentSpanId"], Value::Null);
    assert_eq!(third["name"], "http");
    assert_eq!(attribute(third, "epicme.outcome"), Some("unauthorized"));
    assert_eq!(third["status"], Value::Null, "the client's to mend");
    let told = format!("{spans:?}");
    assert!(
        !told.contains(&token) && !told.contains("\"ann\""),
        "{told}"
    );
    drop(app);
    handle.stop(false).await;
}

#[actix_rt::test]
async fn what_waits_is_sent_when_the_server_stops() {
    let collector = Collector::default();
    let (url, handle) = collector.serve();
    let app = TestApp::spawn_with(|config| {
        config.http.collector = Some(url.parse().unwrap());
    });
    for _ in 0..20 {
        app.get("/healthcheck").await;
    }
    // It blocks until the server has stopped, which the collector must not be kept from seeing.
    actix_rt::task::spawn_blocking(move || drop(app))
        .await
        .unwrap();
    assert_eq!(collector.spans().len(), 20);
    handle.stop(false).await;
}

#[actix_rt::test]
async fn without_a_collector_requests_are_answered_and_the_loss_is_counted() {
    let refusing = Collector {
        refuses: true,
        ..Collector::default()
    };
    let (url, handle) = refusing.serve();
    for url in [url.as_str(), "http://127.0.0.1:1"] {
        let app = TestApp::spawn_with(|config| {
            config.http.collector = Some(url.parse().unwrap());
            config.http.metrics = Some(([127, 0, 0, 1], 0).into());
        });
        let token = app.token("ann", ALL);
        for _ in 0..5 {
            let reply = app.modern(&token, "tools/list", json!({})).send().await;
            assert_eq!(reply.status, 200);
        }
        let metrics = format!("http://{}/metrics", app.metrics.unwrap());
        loop {
            let seen = app.http.get(&metrics).send().await.unwrap();
            if seen
                .text()
                .await
                .unwrap()
                .contains("epicme_spans_dropped_total 5\n")
            {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    handle.stop(false).await;
}
