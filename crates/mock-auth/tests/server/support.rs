//! A server of one's own, a client, and a browser without a screen.

use std::collections::HashMap;

use mock_auth::{IntrospectionClient, MockAuth, Scope, Settings};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header, redirect::Policy};
use serde_json::{Value, json};
use url::Url;

pub(crate) const RESOURCE: &str = "http://127.0.0.1:8787/mcp";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:39999/callback";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const SECRET: &str = "s3cret with space&%";

pub(crate) struct TestAuth {
    pub(crate) auth: MockAuth,
    pub(crate) http: reqwest::Client,
}

impl TestAuth {
    pub(crate) async fn spawn() -> Self {
        Self::spawn_with(|_| {}).await
    }

    pub(crate) async fn spawn_with(edit: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            bind: "127.0.0.1:0".parse().unwrap(),
            introspection_clients: vec![IntrospectionClient {
                id: "epicme".to_owned(),
                secret: SECRET.into(),
            }],
            default_resource: Some(RESOURCE.to_owned()),
            scopes: scopes(),
            ..Settings::default()
        };
        edit(&mut settings);
        Self {
            auth: MockAuth::start_with(settings).await.unwrap(),
            http: reqwest::Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .build()
                .unwrap(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.auth.address())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        let request = self.request(Method::POST, path).form(form);
        request.send().await.unwrap()
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        let request = self.request(method, path).json(body);
        request.send().await.unwrap()
    }

    /// Registers a public client and gives its id.
    pub(crate) async fn register(&self) -> String {
        self.register_as(json!({
            "client_name": "Notebook", "redirect_uris": ["http://127.0.0.1/callback"],
            "token_endpoint_auth_method": "none",
        }))
        .await["client_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn register_as(&self, metadata: Value) -> Value {
        let response = self.send(Method::POST, "/oauth/register", &metadata).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        response.json().await.unwrap()
    }

    /// A code by way of `/test-auth`, for the first user.
    pub(crate) async fn code(&self, client_id: &str, more: &[(&str, &str)]) -> String {
        let response = self.get(&query("/test-auth", client_id, more)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body: Value = response.json().await.unwrap();
        param(body["redirectTo"].as_str().unwrap(), "code").unwrap()
    }

    /// Redeems a code as the public client would.
    pub(crate) async fn redeem(
        &self,
        client_id: &str,
        code: &str,
        more: &[(&str, &str)],
    ) -> Response {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", client_id),
            ("code", code),
            ("redirect_uri", CALLBACK),
        ];
        if more.iter().all(|(name, _)| *name != "code_verifier") {
            form.push(("code_verifier", VERIFIER));
        }
        form.extend_from_slice(more);
        self.post("/oauth/token", &form).await
    }

    /// Tokens with these scopes for the first user.
    pub(crate) async fn tokens(&self, client_id: &str, scope: &str) -> Value {
        let code = self.code(client_id, &[("scope", scope)]).await;
        ok(self.redeem(client_id, &code, &[]).await).await
    }

    pub(crate) async fn refresh(
        &self,
        client_id: &str,
        token: &str,
        more: &[(&str, &str)],
    ) -> Response {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("refresh_token", token),
        ];
        form.extend_from_slice(more);
        self.post("/oauth/token", &form).await
    }

    pub(crate) async fn introspect(&self, token: &str) -> Value {
        let form = [
            ("token", token),
            ("client_id", "epicme"),
            ("client_secret", SECRET),
        ];
        ok(self.post("/oauth/introspection", &form).await).await
    }

    pub(crate) fn calls(&self, endpoint: &str) -> u64 {
        self.auth.stats()[endpoint]
    }
}

/// Scopes to read and to write, of two kinds.
fn scopes() -> Vec<Scope> {
    vec![
        Scope::new("user:read", "See your name"),
        Scope::new("entries:read", "Read your entries"),
        Scope::new("entries:write", "Write, change and delete entries").dangerous(),
        Scope::new("tags:read", "Read your tags"),
        Scope::new("tags:write", "Create, change and delete tags").dangerous(),
    ]
}

/// The path and query of a sound authorization request, with parameters changed, added, or (if empty)
/// taken away.
pub(crate) fn query(path: &str, client_id: &str, more: &[(&str, &str)]) -> String {
    let usual = [
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("state", "st ate&1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in usual {
        if more.iter().all(|(other, _)| *other != name) {
            query.append_pair(name, value);
        }
    }
    query.extend_pairs(more);
    format!("{path}?{}", query.finish())
}

pub(crate) fn param(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    let mut pairs = url.query_pairs().filter(|(other, _)| other == name);
    let value = pairs.next()?.1.into_owned();
    assert!(pairs.next().is_none(), "{name} stands twice in {url}");
    Some(value)
}

/// The JSON of a successful answer.
pub(crate) async fn ok(response: Response) -> Value {
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Asserts that the answer is this error in the form of RFC 6749 §5.2.
pub(crate) async fn assert_error(response: Response, status: u16, error: &str) {
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let found = response.status().as_u16();
    let challenged = response.headers().contains_key(header::WWW_AUTHENTICATE);
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        (found, body["error"].as_str().unwrap()),
        (status, error),
        "{body}"
    );
    assert!(!body["error_description"].as_str().unwrap().is_empty());
    assert_eq!(challenged, status == 401);
}

pub(crate) fn location(response: &Response) -> &str {
    response.headers()[header::LOCATION].to_str().unwrap()
}

/// A browser: it keeps cookies and sends what browsers send with a form.
#[derive(Default)]
pub(crate) struct Browser {
    cookies: HashMap<String, String>,
}

pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) policy: String,
    pub(crate) html: String,
}

impl Page {
    /// Whether the box of this scope is ticked, if there is one.
    pub(crate) fn is_ticked(&self, scope: &str) -> Option<bool> {
        let (_, rest) = self.html.split_once(&format!("value=\"{scope}\""))?;
        Some(rest.split_once('>').unwrap().0.contains("checked"))
    }

    /// Where the link of these words leads.
    pub(crate) fn link(&self, words: &str) -> &str {
        let (before, _) = self.html.split_once(&format!("\">{words}</a>")).unwrap();
        before.rsplit_once("href=\"").unwrap().1
    }

    /// The hidden handle.
    pub(crate) fn handle(&self) -> &str {
        let (_, rest) = self.html.split_once("name=\"page\" value=\"").unwrap();
        rest.split_once('"').unwrap().0
    }
}

impl Browser {
    pub(crate) async fn open(&mut self, server: &TestAuth, path: &str) -> Page {
        let request = server.request(Method::GET, path);
        let response = request
            .header("cookie", self.cookie())
            .send()
            .await
            .unwrap();
        self.page(response).await
    }

    /// Posts a form and gives the bare answer.
    pub(crate) async fn submit(
        &self,
        server: &TestAuth,
        path: &str,
        form: &[(&str, &str)],
    ) -> Response {
        let request = server.request(Method::POST, path).form(form);
        let request = request
            .header("cookie", self.cookie())
            .header("sec-fetch-site", "same-origin")
            .header("origin", "null");
        request.send().await.unwrap()
    }

    /// The page that an answer is.
    pub(crate) async fn page(&mut self, response: Response) -> Page {
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let headers = response.headers().clone();
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(text("content-type"), "text/html; charset=utf-8");
        assert_eq!(text("cache-control"), "no-store");
        assert_eq!(text("referrer-policy"), "no-referrer");
        assert_eq!(text("x-content-type-options"), "nosniff");
        Page {
            status: response.status(),
            policy: text("content-security-policy"),
            html: response.text().await.unwrap(),
        }
    }

    /// The page that a post leads to.
    pub(crate) async fn follow(&mut self, server: &TestAuth, response: Response) -> Page {
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let path = location(&response).to_owned();
        assert!(path.starts_with('/') && !path.starts_with("//"), "{path}");
        self.open(server, &path).await
    }

    /// Goes through the sign-in page as this user and gives the consent page.
    pub(crate) async fn sign_in(&mut self, server: &TestAuth, path: &str, user: &str) -> Page {
        let page = self.open(server, path).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.html);
        let form = [("page", page.handle()), ("user", user)];
        let response = self.submit(server, "/oauth/authorize", &form).await;
        self.follow(server, response).await
    }

    fn cookie(&self) -> String {
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        pairs.join("; ")
    }
}
