//! An issuer whose metadata and endpoints are reached under other names than the issuer's own, as in a
//! private network.

use epicme::config::Config;
use resource_server::url::PlainHttpHosts;
use serde_json::{Value, json};

use crate::support::{ALL, Answer, Issuer, TestApp, lines_with};

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

/// A server whose issuer is on the internet, and whose metadata is fetched by an address of this machine.
fn public(allowed: &'static [&'static str]) -> TestApp {
    TestApp::spawn_with(move |config| {
        let issuer = &mut config.issuers[0];
        issuer.metadata_url = Some(format!("{}{METADATA}", issuer.url).parse().unwrap());
        issuer.url = ISSUER.parse().unwrap();
        issuer.private_addresses = allowed.iter().map(|range| range.parse().unwrap()).collect();
    })
}

/// The names and addresses of this machine that no setting names.
const ELSEWHERE: [&str; 4] = ["localhost", "127.0.0.2", "[::ffff:127.0.0.1]", "2130706434"];

#[actix_rt::test]
async fn metadata_leads_to_no_address_of_this_network_that_nobody_configured() {
    for host in ELSEWHERE {
        let app = public(&[]);
        let (bystander, _handle) = Issuer::bystander();
        let port = bystander.url().rsplit(':').next().unwrap().to_owned();
        let endpoint = format!("https://{host}:{port}/introspect");
        let document = json!({ "issuer": ISSUER, "introspection_endpoint": endpoint });
        app.issuer.metadata(METADATA, Answer::json(document));
        assert_eq!(list(&app).await, 503, "{host}");
        assert_eq!(bystander.connections(), 0, "{host}");
        assert!(
            !lines_with("an address that is not on the internet").is_empty(),
            "{host}"
        );
    }
}

#[actix_rt::test]
async fn an_address_that_the_operator_allows_is_connected_to() {
    let app = public(&["127.0.0.0/8", "::1"]);
    let (bystander, _handle) = Issuer::bystander();
    let port = bystander.url().rsplit(':').next().unwrap().to_owned();
    let endpoint = format!("https://localhost:{port}/introspect");
    let document = json!({ "issuer": ISSUER, "introspection_endpoint": endpoint });
    app.issuer.metadata(METADATA, Answer::json(document));
    // It does not speak TLS.
    assert_eq!(list(&app).await, 503);
    assert!(bystander.connections() > 0);
}

/// RFC 8414 §2.
#[actix_rt::test]
async fn an_issuer_with_https_names_no_endpoint_without_it() {
    for member in ["introspection_endpoint", "jwks_uri", "revocation_endpoint"] {
        let app = public(&[]);
        let mut document = json!({
            "issuer": ISSUER, "introspection_endpoint": format!("{}/introspect", app.issuer.url()),
        });
        document[member] = format!("{}/introspect", app.issuer.url()).into();
        app.issuer.metadata(METADATA, Answer::json(document));
        assert_eq!(list(&app).await, 503, "{member}");
        assert_eq!(app.issuer.calls(), 0, "the token was shown to nobody");
    }
    assert!(!lines_with("names introspection_endpoint without https").is_empty());
}
