//! rmcp's client, given nothing but the server's URL, and the person in front of it.

use std::sync::{Arc, Mutex};

use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceError,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation, ProtocolVersion,
    },
    service::{ClientInitializeError, RunningService},
    transport::{
        StreamableHttpClientTransport,
        auth::{
            AuthClient, AuthError, AuthorizationManager, AuthorizationRequest,
            InMemoryCredentialStore, OAuthHttpClient, OAuthHttpClientFuture, OAuthHttpRequest,
            OAuthState, default_oauth_http_client,
        },
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::Value;
use url::Url;

use crate::{
    browser::{Arrived, Browser, Form, Page},
    dev_servers::DevServers,
};

pub(crate) const CALLBACK: &str = "http://127.0.0.1:39999/callback";

/// How a client begins, and the revision that it then has to speak.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin {
    Discover,
    Auto,
    Initialize(&'static str),
}

impl Begin {
    pub(crate) const ALL: [Self; 5] = [
        Self::Discover,
        Self::Auto,
        Self::Initialize("2025-11-25"),
        Self::Initialize("2025-06-18"),
        Self::Initialize("2025-03-26"),
    ];

    /// One of each era.
    pub(crate) const ERAS: [Self; 2] = [Self::Discover, Self::Initialize("2025-11-25")];

    pub(crate) fn revision(self) -> &'static str {
        match self {
            Self::Discover | Self::Auto => "2026-07-28",
            Self::Initialize(revision) => revision,
        }
    }

    pub(crate) fn is_modern(self) -> bool {
        !matches!(self, Self::Initialize(_))
    }

    fn lifecycle(self) -> ClientLifecycleMode {
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        match self {
            Self::Discover => ClientLifecycleMode::Discover { preferred_versions },
            Self::Auto => ClientLifecycleMode::Auto {
                preferred_versions,
                legacy_version: None,
            },
            Self::Initialize(_) => ClientLifecycleMode::Initialize,
        }
    }

    fn config(self) -> ClientConfig {
        let who = Implementation::new("flow-test", "1");
        let mut config = ClientConfig::new(ClientCapabilities::default(), who);
        if let Self::Initialize(revision) = self {
            config.protocol_version = serde_json::from_value(revision.into()).unwrap();
        }
        config
    }
}

/// A client that is at the journal.
pub(crate) struct Client {
    service: RunningService<RoleClient, ClientConfig>,
}

/// What the OAuth part of rmcp asked, in order: method and URL without its query.
#[derive(Clone, Default)]
pub(crate) struct Trail(Arc<Mutex<Vec<String>>>);

impl Trail {
    pub(crate) fn steps(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

struct Trailing<C> {
    inner: C,
    trail: Trail,
}

impl<C: OAuthHttpClient> OAuthHttpClient for Trailing<C> {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        let uri = request.request.uri();
        let step = format!(
            "{} {}://{}{}",
            request.request.method(),
            uri.scheme_str().unwrap_or_default(),
            uri.authority().map_or("", |it| it.as_str()),
            uri.path()
        );
        self.trail.0.lock().unwrap().push(step);
        self.inner.execute(request)
    }
}

/// Where a client stands that was refused and is about to send its person to the browser.
pub(crate) struct Leaving {
    state: OAuthState,
    store: InMemoryCredentialStore,
    pub(crate) challenge: String,
    pub(crate) authorize: Url,
    pub(crate) trail: Trail,
}

/// A client that came back from the browser with tokens.
pub(crate) struct SignedIn {
    pub(crate) manager: AuthorizationManager,
    pub(crate) store: InMemoryCredentialStore,
}

/// Tries without a token, is refused, and finds out by itself where to sign in.
pub(crate) async fn knock(servers: &DevServers, begin: Begin) -> Leaving {
    let trail = Trail::default();
    let inner = default_oauth_http_client().unwrap();
    let recorder = Trailing {
        inner,
        trail: trail.clone(),
    };
    let mut manager =
        AuthorizationManager::new_with_oauth_http_client(servers.mcp_url(), Arc::new(recorder))
            .await
            .unwrap();
    let store = InMemoryCredentialStore::new();
    manager.set_credential_store(store.clone());
    let stranger = AuthorizationManager::new(servers.mcp_url()).await.unwrap();
    let refused = connect(servers, begin, stranger).await.err();
    let refused = refused.expect("nobody comes in without a token");
    let challenge = refused
        .auth_challenge()
        .unwrap_or_else(|| panic!("no challenge in {refused}"))
        .to_owned();
    let mut state = OAuthState::Unauthorized(manager);
    let request = AuthorizationRequest::new(CALLBACK)
        .with_client_name("Flow test")
        .with_challenge(&challenge);
    state.start_authorization(request).await.unwrap();
    let authorize = state.get_authorization_url().await.unwrap();
    Leaving {
        state,
        store,
        challenge,
        authorize: Url::parse(&authorize).unwrap(),
        trail,
    }
}

impl Leaving {
    /// Comes back from the browser with what stands in the callback.
    pub(crate) async fn come_back(mut self, callback: Url) -> Result<SignedIn, AuthError> {
        self.state.handle_callback_url(callback.as_str()).await?;
        Ok(SignedIn {
            manager: self.state.into_authorization_manager().unwrap(),
            store: self.store,
        })
    }
}

/// Opens the authorization request and picks a person, as far as the consent page.
pub(crate) async fn to_consent(browser: &mut Browser, authorize: &Url, person: &str) -> Page {
    let who = browser.open(authorize.as_str()).await.page();
    assert!(who.says("Who are you?"));
    let consent = browser.press(&who, &who.form(), ("user", person)).await;
    consent.page()
}

/// Allows all but some scopes.
pub(crate) async fn allow(browser: &mut Browser, consent: &Page, but: &[&str]) -> Arrived {
    let mut form: Form = consent.form();
    for scope in but {
        form.untick("scope", scope);
    }
    browser.press(consent, &form, ("decision", "allow")).await
}

/// The whole sign-in of a person, who allows all but some scopes.
pub(crate) async fn sign_in(
    servers: &DevServers,
    begin: Begin,
    person: &str,
    but: &[&str],
) -> SignedIn {
    let leaving = knock(servers, begin).await;
    let mut browser = Browser::new();
    let consent = to_consent(&mut browser, &leaving.authorize, person).await;
    let callback = allow(&mut browser, &consent, but).await.away();
    leaving.come_back(callback).await.unwrap()
}

/// Connects with the tokens that a manager has, or without any.
pub(crate) async fn connect(
    servers: &DevServers,
    begin: Begin,
    manager: AuthorizationManager,
) -> Result<Client, ClientInitializeError> {
    connect_with(servers, begin, AuthClient::new(http(), manager)).await
}

/// Connects through an authorized client that others hold too.
pub(crate) async fn connect_with(
    servers: &DevServers,
    begin: Begin,
    client: AuthClient<reqwest::Client>,
) -> Result<Client, ClientInitializeError> {
    let config = StreamableHttpClientTransportConfig::with_uri(servers.mcp_url());
    let transport = StreamableHttpClientTransport::with_client(client, config);
    let service = begin
        .config()
        .serve_with_lifecycle(transport, begin.lifecycle())
        .await?;
    Ok(Client { service })
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

impl Client {
    /// The revision that was agreed on.
    pub(crate) fn revision(&self) -> String {
        let info = self.service.peer().peer_info().unwrap();
        info.protocol_version.to_string()
    }

    pub(crate) async fn tools(&self) -> Vec<String> {
        let tools = self.service.peer().list_all_tools().await.unwrap();
        tools.iter().map(|tool| tool.name.to_string()).collect()
    }

    /// Calls a tool; gives its data, which every revision has in the last text.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Result<Value, ServiceError> {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object");
        };
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = self.service.peer().call_tool(params).await?;
        assert_ne!(result.is_error, Some(true), "{result:?}");
        let text = result.content.last().unwrap().as_text().unwrap();
        let data: Value = serde_json::from_str(&text.text).unwrap();
        if let Some(structured) = &result.structured_content {
            assert_eq!(*structured, data);
        }
        Ok(data)
    }

    /// Writes an entry and gives its id.
    pub(crate) async fn write(&self, title: &str) -> Result<i64, ServiceError> {
        let entry = serde_json::json!({"title": title, "content": "From the flow test."});
        let written = self.call("create_entry", entry).await?;
        let id = written.pointer("/entry/id").or(written.get("id"));
        Ok(id
            .and_then(Value::as_i64)
            .unwrap_or_else(|| panic!("{written}")))
    }

    /// The titles that the journal lists.
    pub(crate) async fn titles(&self) -> Vec<String> {
        let listed = self
            .call("list_entries", serde_json::json!({}))
            .await
            .unwrap();
        let entries = listed["entries"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["title"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) async fn leave(self) {
        self.service.cancel().await.unwrap();
    }
}

/// The value of a parameter in a URL's query.
pub(crate) fn param(url: &Url, name: &str) -> Option<String> {
    let mut values = url.query_pairs().filter(|(known, _)| known == name);
    let value = values.next().map(|(_, value)| value.into_owned());
    assert!(values.next().is_none(), "{name} twice in {url}");
    value
}

/// The value of a parameter in a challenge.
pub(crate) fn challenged(challenge: &str, name: &str) -> Option<String> {
    let start = challenge.find(&format!("{name}=\""))? + name.len() + 2;
    let value = challenge[start..].split('"').next()?;
    Some(value.to_owned())
}

/// Scopes as a sorted list.
pub(crate) fn scopes(text: &str) -> Vec<String> {
    let mut scopes: Vec<_> = text.split(' ').map(str::to_owned).collect();
    scopes.sort();
    scopes
}

impl Client {
    /// Calls a tool that has to fail, and gives what it says.
    pub(crate) async fn failing(&self, tool: &str, arguments: Value) -> String {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object");
        };
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = self.service.peer().call_tool(params).await.unwrap();
        assert_eq!(result.is_error, Some(true), "{result:?}");
        let text = result.content.first().unwrap().as_text().unwrap();
        text.text.clone()
    }
}
