//! What anybody may read: who this server is, and how to authenticate to it.

use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::json;

use crate::support::{ALL, Answer, PUBLIC_URL, RESOURCE, Reply, TestApp, patiently};

const PATH_FORM: &str = "/.well-known/oauth-protected-resource/mcp";
const ROOT_FORM: &str = "/.well-known/oauth-protected-resource";
const RELAY: &str = "/.well-known/oauth-authorization-server";

/// PF-12.
#[actix_rt::test]
async fn both_forms_of_the_resource_metadata_are_the_same_and_come_from_the_configuration() {
    let app = TestApp::spawn();
    let (path_form, root_form) = (app.get(PATH_FORM).await, app.get(ROOT_FORM).await);
    assert_eq!(path_form.status, 200);
    assert_eq!(path_form.header("content-type"), Some("application/json"));
    assert_eq!(path_form.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        path_form.json(),
        json!({
            "resource": RESOURCE,
            "authorization_servers": [app.issuer.url()],
            "scopes_supported": [
                "user:read", "entries:read", "entries:write", "tags:read", "tags:write",
            ],
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": [
                "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
            ],
            "resource_name": "EpicMe Journal",
            "resource_documentation": format!("{PUBLIC_URL}/"),
        })
    );
    assert_eq!(path_form.body, root_form.body);
}

/// SEC-07.
#[actix_rt::test]
async fn no_response_is_built_from_the_host_field() {
    let app = TestApp::spawn_with(|config| {
        config.http.allowed_hosts = vec!["alias.example:81".to_owned()];
    });
    for path in [PATH_FORM, ROOT_FORM, "/"] {
        let usual = app.get(path).await;
        let alias = app.ask("GET", path).header("host", "ALIAS.example:81");
        assert_eq!(alias.send().await.body, usual.body, "{path}");
    }
    for host in [
        "evil.example",
        "journal.example:443",
        "alias.example",
        "journal.example.",
    ] {
        for path in [PATH_FORM, "/", "/mcp", "/nothing"] {
            let reply = app.ask("GET", path).header("host", host).send().await;
            assert_eq!(reply.status, 421, "{host} {path}");
            assert!(!reply.text().contains("evil") && !reply.text().contains("alias"));
        }
    }
    let challenge = app.ask("POST", "/mcp").header("host", "alias.example:81");
    let challenge = challenge.send().await;
    assert_eq!(challenge.status, 401);
    assert!(!format!("{challenge:?}").contains("alias"));
}

#[actix_rt::test]
async fn the_metadata_is_not_sent_again_to_who_has_it() {
    let app = TestApp::spawn();
    let first = app.get(PATH_FORM).await;
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!(first.header("cache-control"), Some("public, max-age=3600"));
    for known in [
        tag.clone(),
        format!("\"other\", {tag}"),
        // The comparison is weak (RFC 9110 §13.1.2): proxies that compress weaken the tag.
        format!("W/{tag}"),
        "*".to_owned(),
    ] {
        let ask = app.ask("GET", PATH_FORM).header("if-none-match", &known);
        let again = ask.send().await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert_eq!(again.header("etag"), Some(tag.as_str()));
    }
    let ask = app
        .ask("GET", PATH_FORM)
        .header("if-none-match", "\"other\"");
    assert_eq!(ask.send().await.status, 200);
}

#[actix_rt::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let app = TestApp::spawn();
    for path in [PATH_FORM, ROOT_FORM, RELAY, "/", "/healthcheck"] {
        let (get, head) = (app.get(path).await, app.ask("HEAD", path).send().await);
        assert_eq!(
            (get.status, head.status, head.body.len()),
            (200, 200, 0),
            "{path}"
        );
        for name in ["content-type", "content-length", "cache-control", "etag"] {
            assert_eq!(get.header(name), head.header(name), "{path} {name}");
        }
    }
}

#[actix_rt::test]
async fn other_methods_are_refused_and_the_right_ones_named() {
    let app = TestApp::spawn();
    for path in [PATH_FORM, ROOT_FORM, RELAY, "/", "/healthcheck"] {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let reply = app.ask(method, path).send().await;
            assert_eq!(reply.status, 405, "{method} {path}");
            let allowed = reply.header("allow").unwrap();
            for method in allowed.split(", ") {
                let reply = app.ask(method, path).send().await;
                assert!(reply.status < 300, "{method} {path} is said to be allowed");
            }
            assert_eq!(allowed, "GET, HEAD, OPTIONS");
        }
    }
}

#[actix_rt::test]
async fn any_origin_may_read_what_is_well_known_errors_included() {
    let app = TestApp::spawn();
    for (method, path, status) in [
        ("GET", PATH_FORM, 200),
        ("GET", RELAY, 200),
        ("POST", PATH_FORM, 405),
        ("GET", "/.well-known/openid-configuration", 404),
        ("OPTIONS", PATH_FORM, 204),
        ("OPTIONS", RELAY, 204),
    ] {
        let ask = app
            .ask(method, path)
            .header("origin", "https://any.example");
        let reply = ask
            .header("access-control-request-method", "GET")
            .send()
            .await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(
            reply.header("access-control-allow-origin"),
            Some("*"),
            "{method} {path}"
        );
    }
    // The decision is the path's, never the query's (D8).
    let ask = app
        .ask("GET", "/?x=/.well-known/")
        .header("origin", "https://any.example");
    assert_eq!(ask.send().await.header("access-control-allow-origin"), None);
}

#[actix_rt::test]
async fn what_is_not_there_is_said_so_in_json() {
    let app = TestApp::spawn();
    for path in [
        "/nothing",
        "/mcp/x",
        "//mcp",
        "/.well-known/oauth-protected-resource/",
    ] {
        let reply = app.get(path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(
            reply.json(),
            json!({
                "error": "not_found",
                "error_description": "There is nothing at this path; the MCP endpoint is https://journal.example/mcp",
                "request_id": "[request id]",
            })
        );
    }
}

#[actix_rt::test]
async fn a_person_in_a_browser_is_told_what_this_is() {
    let app = TestApp::spawn();
    let page = app.get("/").await;
    insta::assert_snapshot!("front_page", page.shown());
}

#[actix_rt::test]
async fn the_healthcheck_needs_no_host() {
    let app = TestApp::spawn();
    let reply = app
        .ask("GET", "/healthcheck")
        .header("host", "10.0.0.7:1234")
        .send()
        .await;
    assert_eq!((reply.status, reply.text()), (200, "OK"));
    assert_eq!(app.issuer.calls(), 0);
}

/// A-20, D-20.
#[actix_rt::test]
async fn the_issuers_metadata_is_relayed_to_the_byte_and_fetched_once() {
    let app = TestApp::spawn();
    let mut document = app.issuer.usual_metadata();
    document["an_extension"] = json!({ "x": [1, 2.50] });
    app.issuer.metadata(RELAY, Answer::json(document.clone()));
    for _ in 0..3 {
        let reply = app.get(RELAY).await;
        assert_eq!(
            (reply.status, reply.text()),
            (200, document.to_string().as_str())
        );
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
    }
    assert_eq!(app.issuer.metadata_calls(), [RELAY]);
    // Old metadata serves on while no new can be had, at neither of the two places.
    app.clock.advance(chrono::TimeDelta::minutes(11));
    app.issuer.metadata(RELAY, Answer::text(500, ""));
    assert_eq!(app.get(RELAY).await.text(), document.to_string());
    assert_eq!(app.issuer.metadata_calls().len(), 3);
}

/// D-20.
#[actix_rt::test]
async fn the_relay_can_be_switched_off() {
    let app = TestApp::spawn_with(|config| config.http.relays_authorization_server = false);
    let reply = app.get(RELAY).await;
    assert_eq!(
        (reply.status, reply.json()["error"].as_str()),
        (404, Some("not_found"))
    );
    assert_eq!(app.issuer.metadata_calls().len(), 0);
}

#[actix_rt::test]
async fn metadata_that_hangs_takes_no_place_from_introspection() {
    let app = TestApp::spawn_with(|config| {
        let issuer = &mut config.issuers[0];
        let endpoint = format!("{}/introspect", issuer.url);
        issuer.introspection_url = Some(endpoint.parse().unwrap());
        issuer.timeout = std::time::Duration::from_secs(60);
    });
    let document = Answer::json(app.issuer.usual_metadata());
    app.issuer.metadata(RELAY, Answer::Hang(Box::new(document)));
    let mut waiting: FuturesUnordered<_> = (0..300).map(|_| app.get(RELAY)).collect();
    // One source has four places.
    for _ in 4..300 {
        let busy = patiently(waiting.next()).await.unwrap();
        assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
    }
    for n in 0..20 {
        let token = app.token(&format!("user-{n}"), ALL);
        let reply = app.modern(&token, "tools/list", json!({})).send().await;
        assert_eq!(reply.status, 200);
    }
    app.issuer.release();
    let relayed: Vec<Reply> = patiently(waiting.collect()).await;
    assert!(relayed.iter().all(|reply| reply.status == 200));
    assert_eq!((relayed.len(), app.issuer.metadata_calls().len()), (4, 1));
}

#[actix_rt::test]
async fn metadata_that_cannot_be_had_or_is_another_issuers_is_not_relayed() {
    let app = TestApp::spawn();
    let mut other = app.issuer.usual_metadata();
    other["issuer"] = "https://evil.example".into();
    for (answer, why) in [
        (Answer::json(other), "of another issuer"),
        (Answer::text(500, "{}"), "down"),
        (Answer::text(200, "no JSON"), "no JSON"),
        (Answer::text(200, vec![b' '; 70_000]), "over 64 KiB"),
        (Answer::text(404, ""), "not there"),
        (Answer::Cut, "cut"),
    ] {
        app.issuer.metadata(RELAY, answer);
        app.clock.advance(chrono::TimeDelta::seconds(1));
        let calls = app.issuer.metadata_calls().len();
        let reply = app.get(RELAY).await;
        assert!(app.issuer.metadata_calls().len() > calls, "{why}");
        assert_eq!(reply.status, 503, "{why}");
        assert_eq!(reply.header("retry-after"), Some("5"), "{why}");
        assert_eq!(reply.json()["error"], "temporarily_unavailable", "{why}");
        assert!(!reply.text().contains("evil"), "{why}");
    }
}
