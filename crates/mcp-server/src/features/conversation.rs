//! What a tool sends to the client before its answer: progress, log messages and requests. The interface is
//! the same in both eras; implementations of `Peer` know how the messages are sent.

use std::{
    cell::Cell,
    fmt::Display,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
};

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::audit;
use mcp_protocol::{
    logging::{self, Level},
    outgoing::{self, ClientCapabilities, ClientCapability, ProgressToken, ServerRequest},
    rpc_error::RpcError,
};

/// The connection to the client during a call.
#[derive(Clone)]
pub struct Conversation {
    client: Rc<dyn Peer>,
    progress: Option<Rc<Progress>>,
    capabilities: ClientCapabilities,
    mode: RequestMode,
}

struct Progress {
    token: ProgressToken,
    client: Rc<dyn Peer>,
    last: Cell<f64>,
}

/// Sends messages to the client of a call.
pub(crate) trait Peer {
    /// Sends a notification, or drops it if the client reads too slowly.
    fn notify(&self, message: String);

    /// Whether the client wants log messages of this level.
    fn admits(&self, level: Level) -> bool;

    /// Sends a request and waits for its result. Legacy revisions only.
    fn ask(&self, request: &ServerRequest) -> ResponseFuture;

    /// Runs a follow-up after the call, which only a session of a legacy revision can do. Otherwise it is
    /// dropped.
    fn after(&self, _: FollowUp) {}

    /// Says for the audit log what the call is about.
    fn is_about(&self, _kind: &'static str, _id: &dyn Display) {}

    /// Writes an event to the audit log.
    fn audit(&self, _: AuditEvent) {}
}

/// Work that a tool wants done with the client after its answer, such as asking the client's model (MCP,
/// Sampling). It runs in sessions of the legacy revisions only, while the client listens on the standalone
/// stream; one at a time for each session, and not twice in a row for the same key.
pub struct FollowUp {
    /// What it is about, such as an id.
    pub key: String,
    /// The capability that the client must have.
    pub needs: ClientCapability,
    /// The scopes that the token of the standalone stream must have, because the request is sent there.
    pub scopes: &'static [&'static str],
    /// Does the work, with a conversation of its own.
    pub run: Box<dyn FnOnce(Conversation) -> FollowUpFuture>,
}

/// See [`FollowUp::run`].
pub type FollowUpFuture = Pin<Box<dyn Future<Output = ()>>>;

/// An event of a conversation for the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuditEvent {
    /// A user was asked to confirm something, or responded.
    Confirmation(audit::Confirmation),
    /// The `requestState` was not accepted.
    StateRefused,
}

/// The `result` of the client's response.
pub(crate) type ResponseFuture = Pin<Box<dyn Future<Output = Result<Box<RawValue>, PeerError>>>>;

/// Why there is no response. A feature then does what it would do without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerError {
    /// The client responded with an error, disconnected, or took too long.
    Unanswered,
    /// The request was not sent: too many are pending in the session.
    TooManyPending,
}

/// Why a feature cannot go on: the client has to respond first, or cannot.
#[derive(Debug)]
pub enum NeedsClient {
    /// The client has to respond to requests and then repeat the call (MCP 2026-07-28, Multi Round-Trip
    /// Requests).
    InputRequired {
        /// The requests, each with the key under which its response is sent.
        requests: Vec<(&'static str, ServerRequest)>,
        /// The state that the client has to send back.
        state: String,
    },
    /// A response is malformed.
    BadAnswer(RpcError),
    /// The client did not declare this capability.
    Unsupported(ClientCapability),
    /// The request was not sent: too many are pending in the session.
    TooManyPending,
}

/// How requests reach the client.
#[derive(Clone)]
enum RequestMode {
    /// By a JSON-RPC request on the stream of the call (legacy revisions).
    Inline,
    /// By an `InputRequiredResult`; the client repeats the call with its responses (MCP 2026-07-28).
    MultiRoundTrip(Rc<ClientInput>),
}

/// What a client sent with a repeated call.
#[derive(Debug, Default)]
pub(crate) struct ClientInput {
    /// The contents of its `requestState`, which has been verified. Without one, responses are ignored: a
    /// client could otherwise respond before it was asked.
    pub state: Option<String>,
    /// The responses, by key.
    pub responses: Map<String, Value>,
}

/// The outcome of a yes-or-no question to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Yes.
    Confirmed,
    /// No, or no response.
    Declined,
    /// The user was not asked: too many requests are pending in the session.
    NotAsked,
    /// The client does not support elicitation.
    CannotAsk,
}

impl Confirmation {
    /// Why the operation must not be done: the rest of a sentence. `None` if it may be.
    #[must_use]
    pub fn forbids(self) -> Option<&'static str> {
        match self {
            Self::Declined => Some("the user did not confirm it"),
            Self::NotAsked => Some(
                "the user was not asked, because too many questions to them are open in this session; \
                 call again when one of them has been answered",
            ),
            Self::Confirmed | Self::CannotAsk => None,
        }
    }
}

impl Conversation {
    /// A conversation with a client of a legacy revision, with the capabilities of its session.
    #[must_use]
    pub(crate) fn inline(
        token: Option<ProgressToken>,
        capabilities: ClientCapabilities,
        client: Rc<dyn Peer>,
    ) -> Self {
        Self {
            progress: Progress::new(token, &client),
            client,
            capabilities,
            mode: RequestMode::Inline,
        }
    }

    /// A conversation with a client of MCP 2026-07-28, with the capabilities of this request.
    #[must_use]
    pub(crate) fn multi_round_trip(
        token: Option<ProgressToken>,
        capabilities: ClientCapabilities,
        client: &Rc<dyn Peer>,
        input: ClientInput,
    ) -> Self {
        Self {
            progress: Progress::new(token, client),
            client: Rc::clone(client),
            capabilities,
            mode: RequestMode::MultiRoundTrip(Rc::new(input)),
        }
    }

    /// Sends a progress notification, if the client asked for them and `done` has increased (MCP, Progress).
    pub fn progress(&self, done: f64, total: Option<f64>, message: &str) {
        if let Some(progress) = &self.progress
            && done > progress.last.get()
        {
            progress.last.set(done);
            progress
                .client
                .notify(outgoing::progress(&progress.token, done, total, message));
        }
    }

    /// Sends a log message, if the client wants this level (MCP, Logging). `logger` names the component. The
    /// data must contain neither user content nor secrets.
    pub fn log(&self, level: Level, logger: &str, data: &Value) {
        if self.client.admits(level) {
            self.client.notify(logging::message(level, logger, data));
        }
    }

    /// Runs a [`FollowUp`] after this call. The call does not learn whether it was run.
    pub fn after(&self, follow_up: FollowUp) {
        self.client.after(follow_up);
    }

    /// See [`Context::is_about`](super::context::Context::is_about).
    pub(crate) fn is_about(&self, kind: &'static str, id: &dyn Display) {
        self.client.is_about(kind, id);
    }

    /// Notes in the audit log that something was done without a confirmation, because the client does not
    /// support elicitation.
    pub fn skip_confirmation(&self) {
        let step = AuditEvent::Confirmation(audit::Confirmation::Impossible);
        self.client.audit(step);
    }

    /// Whether the client has a capability.
    #[must_use]
    pub fn can(&self, capability: ClientCapability) -> bool {
        self.capabilities.has(capability)
    }

    /// Requires a capability.
    ///
    /// # Errors
    /// [`NeedsClient::Unsupported`] if the client lacks it.
    pub fn require(&self, capability: ClientCapability) -> Result<(), NeedsClient> {
        if self.can(capability) {
            Ok(())
        } else {
            Err(NeedsClient::Unsupported(capability))
        }
    }

    /// The state of the previous round trip; empty in the first one and in the legacy revisions, which have
    /// none.
    #[must_use]
    pub fn state(&self) -> &str {
        match &self.mode {
            RequestMode::MultiRoundTrip(input) => input.state.as_deref().unwrap_or_default(),
            RequestMode::Inline => "",
        }
    }

    /// Sends requests to the client, each under its own key. Responses are untrusted input; `None` stands for
    /// a request to which the client gave no result.
    ///
    /// # Errors
    /// [`NeedsClient::Unsupported`] if the client lacks a capability. [`NeedsClient::InputRequired`], with
    /// `state`, until a client of MCP 2026-07-28 has responded to all of them. [`NeedsClient::BadAnswer`] for
    /// a response that is not an object. [`NeedsClient::TooManyPending`] if too many requests are pending in
    /// a legacy session.
    pub async fn ask<const N: usize>(
        &self,
        requests: [(&'static str, ServerRequest); N],
        state: &str,
    ) -> Result<[Option<Value>; N], NeedsClient> {
        for (_, question) in &requests {
            self.require(question.needs)?;
        }
        match &self.mode {
            RequestMode::Inline => {
                let mut answers = [const { None }; N];
                for (answer, (_, question)) in answers.iter_mut().zip(&requests) {
                    *answer = match self.client.ask(question).await {
                        Ok(raw) => serde_json::from_str(raw.get()).ok(),
                        Err(PeerError::Unanswered) => None,
                        Err(PeerError::TooManyPending) => return Err(NeedsClient::TooManyPending),
                    };
                }
                Ok(answers)
            }
            RequestMode::MultiRoundTrip(input) => {
                let mut answers = [const { None }; N];
                for (answer, (key, _)) in answers.iter_mut().zip(&requests) {
                    *answer = input.answer(key)?;
                }
                if answers.iter().all(Option::is_some) {
                    Ok(answers)
                } else {
                    Err(NeedsClient::InputRequired {
                        requests: requests.into(),
                        state: state.to_owned(),
                    })
                }
            }
        }
    }

    /// Asks the user to confirm something, by a form with one checkbox (MCP, Elicitation).
    ///
    /// # Errors
    /// Those of [`Conversation::ask`] that are not a [`Confirmation`].
    pub async fn confirm(&self, message: &str, label: &str) -> Result<Confirmation, NeedsClient> {
        #[derive(Deserialize)]
        struct Answer {
            action: String,
            #[serde(default)]
            content: Content,
        }
        #[derive(Default, Deserialize)]
        struct Content {
            #[serde(default)]
            confirmed: bool,
        }
        if !self.can(ClientCapability::ElicitForm) {
            return Ok(Confirmation::CannotAsk);
        }
        let audit = |step| self.client.audit(AuditEvent::Confirmation(step));
        let question = ServerRequest {
            needs: ClientCapability::ElicitForm,
            method: "elicitation/create",
            params: json!({
                "message": message,
                "requestedSchema": {
                    "type": "object",
                    "properties": { "confirmed": { "type": "boolean", "title": label } },
                    "required": ["confirmed"],
                },
            }),
        };
        let mut answers = pin!(self.ask([("confirm", question)], ""));
        // Pending only if the request was sent in a session.
        let asked = match poll_fn(|context| Poll::Ready(answers.as_mut().poll(context))).await {
            Poll::Ready(asked) => asked,
            Poll::Pending => {
                audit(audit::Confirmation::Asked);
                answers.await
            }
        };
        let [answer] = match asked {
            Err(NeedsClient::TooManyPending) => {
                audit(audit::Confirmation::NotAsked);
                return Ok(Confirmation::NotAsked);
            }
            Err(needs @ NeedsClient::InputRequired { .. }) => {
                audit(audit::Confirmation::Asked);
                return Err(needs);
            }
            asked => asked?,
        };
        let confirmed = answer
            .and_then(|answer| serde_json::from_value::<Answer>(answer).ok())
            .is_some_and(|answer| answer.action == "accept" && answer.content.confirmed);
        Ok(if confirmed {
            audit(audit::Confirmation::Given);
            Confirmation::Confirmed
        } else {
            audit(audit::Confirmation::Declined);
            Confirmation::Declined
        })
    }
}

impl ClientInput {
    /// Reads what a client sent. Responses without a valid state are ignored.
    ///
    /// # Errors
    /// `-32602` if the responses are not an object.
    pub(crate) fn read(
        state: Option<String>,
        responses: Option<&RawValue>,
    ) -> Result<Self, RpcError> {
        let responses = match (&state, responses) {
            (Some(_), Some(responses)) => serde_json::from_str(responses.get()).map_err(|_| {
                RpcError::invalid_params("Invalid params: inputResponses must be an object")
            })?,
            _ => Map::new(),
        };
        Ok(Self { state, responses })
    }

    fn answer(&self, key: &str) -> Result<Option<Value>, NeedsClient> {
        match self.responses.get(key) {
            None => Ok(None),
            Some(answer @ Value::Object(_)) => Ok(Some(answer.clone())),
            Some(_) => Err(NeedsClient::BadAnswer(RpcError::invalid_params(format!(
                "Invalid params: inputResponses.{key} must be an object"
            )))),
        }
    }
}

impl Progress {
    fn new(token: Option<ProgressToken>, client: &Rc<dyn Peer>) -> Option<Rc<Self>> {
        token.map(|token| {
            Rc::new(Self {
                token,
                client: Rc::clone(client),
                last: Cell::new(f64::NEG_INFINITY),
            })
        })
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.mode {
            RequestMode::Inline => "Conversation(inline)",
            RequestMode::MultiRoundTrip(_) => "Conversation(multi round-trip)",
        })
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
