//! An issuer whose metadata and endpoints are reached under other names than the issuer's own, as in a
//! private network.

use epicme::config::Config;
use resource_server::url::PlainHttpHosts;
use serde_json::{Value, json};

use crate::support::{ALL, Answer, TestApp};

/// What clients know the issuer by; nothing is there.
const ISSUER: &str = "https://login.invalid";

/// Where its metadata is instead.
const METADATA: &str = "/internal/metadata";

/// This machine by a name that is no loopback one.
const INTERNAL: &str = "0.0.0.0";

/// A server whose issuer is reached within the private network alone, with these plain hosts.
fn spawn(plain: &'static [&'static str]) -> TestApp {
    let edit = move |config: &mut Config| {
        let issuer = &mut config.issuers[0];
        let stub = issuer.url.as_str().replace("127.0.0.1", INTERNAL);
        issuer.metadata_url = Some(format!("{stub}{METADATA}").parse().unwrap());
        issuer.plain_http_hosts =
            PlainHttpHosts::read(plain.iter().map(|host| (*host).to_owned()).collect()).unwrap();
        issuer.url = ISSUER.parse().unwrap();
    };
    TestApp::spawn_with(edit)
}

/// The issuer's metadata with that `issuer`, naming an endpoint on a host of the private network.
fn metadata(app: &TestApp, issuer: &str) -> Value {
    let stub = app.issuer.url().replace("127.0.0.1", INTERNAL);
    json!({ "issuer": issuer, "introspection_endpoint": format!("{stub}/introspect") })
}

async fn list(app: &TestApp) -> u16 {
    let token = app.token_with(json!({ "sub": "ann", "scope": ALL, "iss": ISSUER }));
    let reply = app.modern(&token, "tools/list", json!({})).send().await;
    reply.status
}

#[actix_rt::test]
async fn metadata_is_fetched_where_the_operator_says_and_nowhere_else() {
    let app = spawn(&[INTERNAL]);
    let document = metadata(&app, ISSUER);
    app.issuer
        .metadata(METADATA, Answer::json(document.clone()));
    assert_eq!(list(&app).await, 200);
    assert_eq!(app.issuer.metadata_calls(), [METADATA]);
    let relayed = app.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(relayed.json(), document);
}

/// RFC 8414 §3.3.
#[actix_rt::test]
async fn metadata_from_elsewhere_has_to_name_the_issuer_all_the_same() {
    let app = spawn(&[INTERNAL]);
    for other in [app.issuer.url(), "https://login.invalid/"] {
        let document = metadata(&app, other);
        app.issuer.metadata(METADATA, Answer::json(document));
        assert_eq!(list(&app).await, 503, "{other}");
    }
    assert_eq!(app.issuer.calls(), 0, "the token was shown to nobody");
}

#[actix_rt::test]
async fn an_endpoint_without_tls_is_used_on_a_named_host_alone() {
    let app = spawn(&["mock-auth"]);
    let document = metadata(&app, ISSUER);
    app.issuer.metadata(METADATA, Answer::json(document));
    assert_eq!(list(&app).await, 503);
    assert_eq!(app.issuer.calls(), 0, "the token was shown to nobody");
}
