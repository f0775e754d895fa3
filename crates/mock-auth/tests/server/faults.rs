//! Faults on demand.

use std::time::Duration;

use mock_auth::{Endpoint, Fault, FaultMode};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{SECRET, TestAuth, assert_error, ok};

const FORM: [(&str, &str); 3] = [
    ("token", "x"),
    ("client_id", "epicme"),
    ("client_secret", SECRET),
];

#[actix_rt::test]
async fn each_fault_is_what_it_says() {
    let server = TestAuth::spawn().await;
    let faults = server.auth.faults();
    let set = |mode, status| {
        let fault = Fault {
            status,
            ..Fault::new(mode)
        };
        faults.set(Endpoint::Introspection, fault);
    };
    let call = || server.post("/oauth/introspection", &FORM);

    set(FaultMode::Error, 0);
    assert_eq!(call().await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    set(FaultMode::Error, 503);
    assert_eq!(call().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    set(FaultMode::Garbage, 0);
    let garbage = call().await;
    assert_eq!(garbage.status(), StatusCode::OK);
    assert!(garbage.json::<serde_json::Value>().await.is_err());
    set(FaultMode::Redirect, 0);
    let redirect = call().await;
    assert_eq!(redirect.status(), StatusCode::TEMPORARY_REDIRECT);
    assert!(redirect.headers().contains_key("location"));
    set(FaultMode::Unauthorized, 0);
    assert_error(call().await, 401, "invalid_client").await;
    set(FaultMode::Oversized, 0);
    assert!(call().await.bytes().await.unwrap().len() > 4 << 20);
    set(FaultMode::Cut, 0);
    let cut = call().await;
    assert_eq!(cut.status(), StatusCode::OK);
    assert!(cut.bytes().await.is_err());

    faults.clear();
    assert_eq!(ok(call().await).await, json!({"active": false}));
}

#[actix_rt::test]
async fn a_hanging_call_never_ends_by_itself() {
    let server = TestAuth::spawn().await;
    let hang = Fault::new(FaultMode::Hang);
    server.auth.faults().set(Endpoint::Introspection, hang);
    let call = server
        .request(Method::POST, "/oauth/introspection")
        .form(&FORM)
        .timeout(Duration::from_millis(200));
    assert!(call.send().await.unwrap_err().is_timeout());
    // Nor does it stop the others.
    assert_eq!(server.get("/healthcheck").await.status(), StatusCode::OK);
}

#[actix_rt::test]
async fn stopping_does_not_wait_for_a_fault() {
    let server = TestAuth::spawn().await;
    server
        .auth
        .faults()
        .set(Endpoint::Token, Fault::new(FaultMode::Hang));
    let (hanging, arrived) = (server.http.clone(), server.url("/oauth/token"));
    let call = actix_rt::spawn(async move { hanging.post(arrived).send().await });
    while server.calls("token") == 0 {
        actix_rt::task::yield_now().await;
    }
    let stopped = actix_rt::time::timeout(Duration::from_secs(30), server.auth.stop());
    assert!(stopped.await.is_ok());
    let answer = call.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[actix_rt::test]
async fn a_slow_answer_is_the_right_one() {
    let server = TestAuth::spawn().await;
    let slow = Fault {
        delay_ms: 20,
        ..Fault::new(FaultMode::Slow)
    };
    server.auth.faults().set(Endpoint::Introspection, slow);
    let begun = std::time::Instant::now();
    let told = ok(server.post("/oauth/introspection", &FORM).await).await;
    assert_eq!(told, json!({"active": false}));
    assert!(begun.elapsed() >= Duration::from_millis(20));
}

#[actix_rt::test]
async fn faults_are_switched_over_http() {
    let server = TestAuth::spawn().await;
    let plan = json!({"metadata": {"mode": "error", "status": 502}, "token": {"mode": "garbage"}});
    let set = ok(server.send(Method::PUT, "/admin/faults", &plan).await).await;
    assert_eq!(set["metadata"]["status"], 502);
    assert_eq!(set["introspection"]["mode"], "none");
    assert_eq!(ok(server.get("/admin/faults").await).await, set);
    let metadata = server.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(metadata.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(metadata.headers()["access-control-allow-origin"], "*");
    assert_eq!(
        server.auth.faults().get(Endpoint::Token).mode,
        FaultMode::Garbage
    );

    ok(server.send(Method::PUT, "/admin/faults", &json!({})).await).await;
    let metadata = server.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(metadata.status(), StatusCode::OK);
    for bad in [
        json!({"introspection": {"mode": "explode"}}),
        json!({"introspektion": {}}),
        json!({"token": {"mode": "error", "status": 200}}),
        json!({"token": {"delay_ms": 600_001}}),
    ] {
        let refused = server.send(Method::PUT, "/admin/faults", &bad).await;
        assert_error(refused, 400, "invalid_request").await;
    }
}
