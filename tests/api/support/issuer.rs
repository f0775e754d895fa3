//! An authorization server that counts its calls, records what it saw, and misbehaves on cue.

use std::{
    collections::HashMap,
    future::Future,
    net::{SocketAddr, TcpListener},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::{Method, StatusCode},
    web::{self, Bytes, Data},
};
use futures_util::{
    StreamExt,
    future::{Either, select},
    stream::{self, FuturesUnordered},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use url::form_urlencoded;

use super::{Reply, SigningKey, TestApp, patiently};

/// Where its keys are.
pub(crate) const KEYS: &str = "/jwks";

/// What it answers to a call.
#[derive(Clone)]
pub(crate) enum Answer {
    /// A status, header fields, a body.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A body that ends before its time.
    Cut,
    /// That, after whole JSON.
    CutAfter(Vec<u8>),
    /// That, and from then on the other.
    First(Box<Answer>, Box<Answer>),
    /// Nothing, until the test ends or [`Issuer::release`] is called; then the other answer.
    Hang(Box<Answer>),
}

impl Answer {
    pub(crate) fn json(body: Value) -> Self {
        Self::text(200, body.to_string())
    }

    pub(crate) fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Whole(
            status,
            vec![("content-type", "application/json".to_owned())],
            body.into(),
        )
    }
}

/// One introspection, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) authorization: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) accept: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) tracestate: Option<String>,
    pub(crate) form: Vec<(String, String)>,
}

impl Seen {
    /// What the form says under this name.
    pub(crate) fn said(&self, name: &str) -> Option<&str> {
        let mut fields = self.form.iter();
        fields
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Whether the client credentials are accepted.
type Doorkeeper = Arc<dyn Fn(&Seen) -> bool + Send + Sync>;

/// What to answer about a token that no test named.
type Others = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

/// Cloned, it is the same.
#[derive(Clone)]
pub(crate) struct Issuer(Arc<Inner>);

struct Inner {
    url: String,
    state: Mutex<State>,
    gate: Semaphore,
}

#[derive(Default)]
struct State {
    answers: HashMap<String, Answer>,
    metadata: HashMap<String, Answer>,
    seen: Vec<Seen>,
    metadata_calls: Vec<String>,
    connections: usize,
    doorkeeper: Option<Doorkeeper>,
    others: Option<Others>,
}

impl Issuer {
    pub(super) fn new(address: SocketAddr) -> Self {
        let url = format!("http://{address}");
        let issuer = Self(Arc::new(Inner {
            url,
            state: Mutex::default(),
            gate: Semaphore::new(0),
        }));
        let metadata = issuer.usual_metadata();
        issuer.metadata(
            "/.well-known/oauth-authorization-server",
            Answer::json(metadata),
        );
        issuer
    }

    /// A second server, for what the first one must not lead to. Serve it within a `System`.
    pub(crate) fn bystander() -> (Self, ServerHandle) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Self::new(listener.local_addr().unwrap());
        let handle = issuer.clone().serve(listener);
        (issuer, handle)
    }

    /// Waits until it serves: its threads start when the thread of the test waits for the first time.
    pub(crate) async fn serves(&self) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(self.url()).send().await.unwrap();
    }

    /// Serves again where it was before.
    pub(crate) fn come_back(&self) -> ServerHandle {
        let address = self.url().strip_prefix("http://").unwrap().parse();
        let listener = epicme::app::listen(address.unwrap()).unwrap();
        self.clone().serve(listener)
    }

    pub(super) fn serve(self, listener: TcpListener) -> ServerHandle {
        let counted = self.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::new(self.clone()))
                .default_service(web::to(answer))
        })
        .on_connect(move |_, _| counted.state().connections += 1)
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        let handle = server.handle();
        actix_rt::spawn(server);
        handle
    }

    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    pub(crate) fn usual_metadata(&self) -> Value {
        json!({
            "issuer": self.url(),
            "authorization_endpoint": format!("{}/authorize", self.url()),
            "token_endpoint": format!("{}/token", self.url()),
            "introspection_endpoint": format!("{}/introspect", self.url()),
            "jwks_uri": format!("{}{KEYS}", self.url()),
        })
    }

    /// What to answer about this token. Of any other it says that it is not active.
    pub(crate) fn answer(&self, token: &str, answer: Answer) {
        self.state().answers.insert(token.to_owned(), answer);
    }

    /// What to answer about tokens that were not named, those that it is asked about as a test included.
    pub(crate) fn answer_others(&self, others: impl Fn(&str) -> Answer + Send + Sync + 'static) {
        self.state().others = Some(Arc::new(others));
    }

    /// What to answer to a GET of this path; anything that was not named is not found.
    pub(crate) fn metadata(&self, path: &str, answer: Answer) {
        self.state().metadata.insert(path.to_owned(), answer);
    }

    /// What it signs with from now on.
    pub(crate) fn keys(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.metadata(KEYS, Answer::json(json!({ "keys": keys })));
    }

    /// How often its keys were fetched.
    pub(crate) fn key_calls(&self) -> usize {
        let calls = self.metadata_calls();
        calls.iter().filter(|path| *path == KEYS).count()
    }

    /// Refuses the credentials that this rejects.
    pub(crate) fn lets_in(&self, doorkeeper: impl Fn(&Seen) -> bool + Send + Sync + 'static) {
        self.state().doorkeeper = Some(Arc::new(doorkeeper));
    }

    /// Whether nobody has asked it anything.
    pub(crate) fn saw_nothing(&self) -> bool {
        self.calls() == 0 && self.metadata_calls().is_empty()
    }

    pub(crate) fn without_metadata(&self) {
        self.state().metadata.clear();
    }

    /// Lets go of every answer that hangs, now and later.
    pub(crate) fn release(&self) {
        self.0.gate.add_permits(1_000);
    }

    /// Waits until it was asked so often about tokens.
    pub(crate) async fn is_asked(&self, times: usize) {
        while self.calls() < times {
            actix_rt::task::yield_now().await;
        }
    }

    /// The same, and lets go of every answer that hangs.
    pub(crate) async fn releases_once_asked(&self, times: usize) {
        self.is_asked(times).await;
        self.release();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.state().seen.len()
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }

    pub(crate) fn metadata_calls(&self) -> Vec<String> {
        self.state().metadata_calls.clone()
    }

    pub(super) fn tokens(&self) -> Vec<String> {
        self.state().answers.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

/// Introspects at every path, because servers have that endpoint at any.
async fn answer(request: HttpRequest, body: Bytes, issuer: Data<Issuer>) -> HttpResponse {
    if request.method() == Method::POST {
        introspect(request, body, issuer).await
    } else {
        metadata(request, issuer).await
    }
}

async fn introspect(request: HttpRequest, body: Bytes, issuer: Data<Issuer>) -> HttpResponse {
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let token = form.iter().find(|(name, _)| name == "token");
    let answer = {
        let mut state = issuer.state();
        let mut answer = token
            .and_then(|(_, token)| {
                let named = state.answers.get(token).cloned();
                named.or_else(|| state.others.as_ref().map(|others| others(token)))
            })
            .unwrap_or_else(|| Answer::json(json!({ "active": false })));
        if let (Answer::First(first, rest), Some((_, token))) = (&answer, token) {
            let first = Answer::clone(first);
            state.answers.insert(token.clone(), Answer::clone(rest));
            answer = first;
        }
        let seen = Seen {
            authorization: header("authorization"),
            content_type: header("content-type"),
            accept: header("accept"),
            traceparent: header("traceparent"),
            tracestate: header("tracestate"),
            form,
        };
        state.seen.push(seen.clone());
        if state
            .doorkeeper
            .as_ref()
            .is_some_and(|lets_in| !lets_in(&seen))
        {
            answer = Answer::text(401, "{\"error\":\"invalid_client\"}");
        }
        answer
    };
    respond(answer, &issuer).await
}

async fn metadata(request: HttpRequest, issuer: Data<Issuer>) -> HttpResponse {
    let answer = {
        let mut state = issuer.state();
        state.metadata_calls.push(request.path().to_owned());
        state.metadata.get(request.path()).cloned()
    };
    respond(answer.unwrap_or_else(|| Answer::text(404, "")), &issuer).await
}

async fn respond(answer: Answer, issuer: &Issuer) -> HttpResponse {
    let mut answer = answer;
    loop {
        match answer {
            Answer::Whole(status, headers, body) => {
                let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap());
                for (name, value) in headers {
                    response.insert_header((name, value));
                }
                return response.body(body);
            }
            Answer::Cut => answer = Answer::CutAfter(b"{\"active\":".to_vec()),
            Answer::CutAfter(part) => {
                let cut = async {
                    // The part is sent meanwhile.
                    actix_rt::task::yield_now().await;
                    Err(std::io::Error::other("cut"))
                };
                let parts = stream::iter([Ok(Bytes::from(part))]).chain(stream::once(cut));
                return HttpResponse::Ok().streaming(Box::pin(parts));
            }
            Answer::First(first, _) => answer = *first,
            Answer::Hang(then) => {
                issuer.0.gate.acquire().await.unwrap().forget();
                answer = *then;
            }
        }
    }
}

/// Goes on with requests until the issuer was asked so often about tokens. None of them may be answered meanwhile.
pub(crate) async fn asked_about<F: Future<Output = Reply>>(
    app: &TestApp,
    waiting: &mut FuturesUnordered<F>,
    times: usize,
) {
    let asked = pin!(app.issuer.is_asked(times));
    match patiently(select(waiting.next(), asked)).await {
        Either::Left((reply, _)) => panic!("none may be answered: {reply:?}"),
        Either::Right(((), _)) => {}
    }
}
