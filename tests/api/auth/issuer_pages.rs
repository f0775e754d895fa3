//! The pages of docs/issuers: what a page says to set works with what its authorization server is documented to answer
//! (tests/issuers/replies). The configuration is read out of the page, so that the page cannot say anything else.

use std::{collections::BTreeMap, fs, path::PathBuf};

use chrono::TimeDelta;
use epicme::config::{Config, Options};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{
    ALL, Answer, PUBLIC_URL, Reply, SecretFile, SigningKey, TestApp, lines_with, parse_challenge,
};

/// What an authorization server is documented to answer.
#[derive(Deserialize)]
struct Replay {
    /// Where the shapes are from.
    source: String,
    /// The origins of the server, all of which are the issuer of the test.
    hosts: Vec<String>,
    metadata: Metadata,
    /// By the heading of the page that says what to set.
    ways: BTreeMap<String, Way>,
}

#[derive(Deserialize)]
struct Metadata {
    path: String,
    document: Value,
}

/// One configuration.
#[derive(Deserialize)]
struct Way {
    /// What is before the names of scopes where clients read them.
    scope_prefix: String,
    tokens: Vec<Token>,
}

/// A token, and what is to become of it.
#[derive(Deserialize)]
struct Token {
    what: String,
    /// What the server says of it.
    reply: Option<Value>,
    /// The header and the claims of a JWT.
    header: Option<Value>,
    claims: Option<Value>,
    /// Whose it is, if it is accepted.
    user: Option<String>,
    client: Option<String>,
    name: Option<String>,
    scopes: Option<Vec<String>>,
    /// What the log says, if it is refused.
    refused: Option<String>,
    status: Option<u16>,
    /// What the page says about it.
    page_says: Option<String>,
}

/// A page, its configurations by their headings.
struct Page {
    text: String,
    configurations: BTreeMap<String, Vec<(String, String)>>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    fn read(name: &str) -> Self {
        let text = fs::read_to_string(root().join(format!("docs/issuers/{name}.md"))).unwrap();
        let mut configurations = BTreeMap::new();
        for section in text.split("\n### ").skip(1) {
            let (heading, rest) = section.split_once('\n').unwrap();
            let (_, block) = rest.split_once("```sh\n").unwrap();
            let (block, _) = block.split_once("```").unwrap();
            let lines = block.lines().map(|line| {
                let (key, value) = line.split_once('=').unwrap();
                (key.to_owned(), value.to_owned())
            });
            let said_twice = configurations.insert(heading.to_owned(), lines.collect());
            assert!(said_twice.is_none(), "{heading}");
        }
        Self {
            text,
            configurations,
        }
    }
}

impl Replay {
    fn read(name: &str) -> Self {
        let file = root().join(format!("tests/issuers/replies/{name}.json"));
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
    }

    /// The same text of a server that is at this address.
    fn here(&self, text: &str, address: &str) -> String {
        let mut text = text.to_owned();
        for host in &self.hosts {
            text = text.replace(host, address);
        }
        text
    }

    /// The same value, with times that are near.
    fn value(&self, value: &Value, app: &TestApp) -> Value {
        let now = app.clock.now();
        let end = now + TimeDelta::minutes(10);
        let text = self.here(&value.to_string(), app.issuer.url());
        let text = text.replace("\"@now\"", &now.timestamp().to_string());
        let text = text.replace("\"@end\"", &end.timestamp().to_string());
        serde_json::from_str(&text).unwrap()
    }
}

/// A server that is configured as the page says, whose issuer answers as documented.
fn start(
    replay: &Replay,
    lines: &[(String, String)],
    secret: &SecretFile,
    key: &SigningKey,
) -> TestApp {
    let app = TestApp::spawn_with(|config| {
        let address = config.issuers[0].url.as_str().to_owned();
        let mut options = Options::default()
            .with("DATABASE_URL", "postgres://127.0.0.1:1/epicme")
            .with("EPICME_PUBLIC_URL", PUBLIC_URL);
        for (name, value) in lines {
            let value = match name.strip_suffix("_FILE") {
                Some(_) => secret.path().to_str().unwrap().to_owned(),
                None => replay.here(value, &address),
            };
            options = options.with(name, value);
        }
        config.issuers = Config::read(&options).unwrap().issuers;
    });
    let document = replay.value(&replay.metadata.document, &app);
    let keys = document["jwks_uri"].as_str().unwrap();
    let keys = keys.strip_prefix(app.issuer.url()).unwrap();
    app.issuer.without_metadata();
    app.issuer
        .metadata(keys, Answer::json(json!({ "keys": [key.jwk()] })));
    app.issuer
        .metadata(&replay.metadata.path, Answer::json(document.clone()));
    app
}

async fn whoami(app: &TestApp, token: &str) -> Reply {
    app.tool(token, "whoami", &json!({})).send().await
}

/// Tries every configuration of a page with every token.
async fn replay(name: &str) {
    let (page, replay) = (Page::read(name), Replay::read(name));
    assert!(!replay.source.is_empty());
    assert_eq!(
        Vec::from_iter(page.configurations.keys()),
        Vec::from_iter(replay.ways.keys()),
        "{name}"
    );
    let secret = SecretFile::new("s3cret");
    let key = SigningKey::new("k1");
    for (heading, way) in &replay.ways {
        let app = start(&replay, &page.configurations[heading], &secret, &key);
        for token in &way.tokens {
            let what = format!("{name}, {heading}: {}", token.what);
            try_token(&app, &replay, token, &key, &what).await;
            let said = token.page_says.as_deref().unwrap_or_default();
            let page = page.text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(page.contains(said), "{what}: the page does not say: {said}");
        }
        assert!(
            way.tokens.iter().any(|token| token.user.is_some()),
            "{heading}"
        );
        assert!(
            way.tokens.iter().any(|token| token.refused.is_some()),
            "{heading}"
        );
        advertises(&app, &way.scope_prefix).await;
    }
}

async fn try_token(app: &TestApp, replay: &Replay, token: &Token, key: &SigningKey, what: &str) {
    let presented = match (&token.reply, &token.header, &token.claims) {
        (Some(reply), None, None) => app.token_for(Answer::json(replay.value(reply, app))),
        (None, Some(header), Some(claims)) => {
            let mut header = header.clone();
            header["alg"] = "ES256".into();
            header["kid"] = "k1".into();
            key.sign_with(&header, &replay.value(claims, app))
        }
        _ => panic!("{what}: neither a reply nor a JWT"),
    };
    let refused = token.refused.as_deref().unwrap_or_default();
    let lines = lines_with(refused).len();
    let reply = whoami(app, &presented).await;
    if token.refused.is_some() {
        assert_eq!(reply.status, token.status.unwrap(), "{what}");
        assert!(
            lines_with(refused).len() > lines,
            "{what}: the log does not say: {refused}"
        );
        return;
    }
    assert_eq!(reply.status, 200, "{what}: {}", reply.text());
    let said = &reply.result()["structuredContent"];
    assert_eq!(
        said["user"]["subject"].as_str(),
        token.user.as_deref(),
        "{what}"
    );
    assert_eq!(said["clientId"].as_str(), token.client.as_deref(), "{what}");
    assert_eq!(
        said["user"]["username"].as_str(),
        token.name.as_deref(),
        "{what}"
    );
    let all = || ALL.split(' ').map(str::to_owned).collect();
    let scopes = token.scopes.clone().unwrap_or_else(all);
    assert_eq!(said["scopes"], json!(scopes), "{what}");
}

/// Clients are told the scopes by the names that the authorization server has for them.
async fn advertises(app: &TestApp, prefix: &str) {
    let named = |names: &str| {
        names
            .split(' ')
            .map(|name| format!("{prefix}{name}"))
            .collect::<Vec<_>>()
    };
    let document = app
        .get("/.well-known/oauth-protected-resource/mcp")
        .await
        .json();
    assert_eq!(document["scopes_supported"], json!(named(ALL)));
    let reply = app.ask("POST", "/mcp").send().await;
    let challenge = parse_challenge(reply.header("www-authenticate").unwrap()).unwrap();
    assert_eq!(challenge.get("scope"), Some(named(ALL).join(" ").as_str()));
}

macro_rules! pages {
    ($($name:ident)+) => {
        /// The pages that are replayed.
        const PAGES: &[&str] = &[$(stringify!($name)),+];

        mod a_page_says_what_works {
            $(
                #[actix_rt::test]
                async fn $name() {
                    super::replay(stringify!($name)).await;
                }
            )+
        }
    };
}

pages! { auth0 authentik cognito duende entra hydra keycloak okta scalekit spring stytch wso2 zitadel }

#[test]
fn every_page_is_replayed_or_says_with_what_it_was_tried() {
    let folder = root().join("docs/issuers");
    let table = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut replayed = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "README" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let row = table
            .lines()
            .find(|line| line.contains(&format!("]({name}.md)")));
        let row = row.unwrap_or_else(|| panic!("the table does not have {name}"));
        for part in [
            "## What to click there",
            "## What to set here",
            "## What to expect",
        ] {
            assert!(text.contains(part), "{name}: {part}");
        }
        if row.ends_with("| replayed |") {
            assert!(text.contains("\nReplayed: "), "{name}");
            replayed.push(name);
        } else {
            assert!(
                row.contains("| tried") && text.contains("\nTried with "),
                "{name}"
            );
        }
    }
    replayed.sort();
    assert_eq!(replayed, PAGES);
}
