//! What a feature may say to the client while it works: progress, log messages, and questions. The same words in
//! both eras; how they travel is the business of whoever holds the other end.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
};

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::audit;
use mcp_protocol::{
    jsonrpc::RpcError,
    logging::{self, Level},
    outgoing::{self, ClientCapabilities, ClientCapability, ProgressToken, ServerRequest},
};

/// The client's end of a call that is under way.
#[derive(Clone)]
pub struct Conversation {
    client: Rc<dyn Client>,
    progress: Option<Rc<Progress>>,
    capabilities: ClientCapabilities,
    asking: Asking,
}

struct Progress {
    token: ProgressToken,
    client: Rc<dyn Client>,
    last: Cell<f64>,
}

/// Takes messages to the client.
pub trait Client {
    /// Sends a notification, if there is room for it; progress that is lost does no harm.
    fn notify(&self, message: String);

    /// Whether it wants to be told what matters so much.
    fn admits(&self, level: Level) -> bool;

    /// Asks, and waits for the answer. Legacy only.
    fn ask(&self, question: &ServerRequest) -> AnswerFuture;

    /// Has something done with the client once the call has ended, where that is possible: in a session
    /// of the legacy era. Elsewhere it is not done.
    fn after(&self, _: FollowUp) {}

    /// Hears, for the audit log, of a step that is none of the client's business.
    fn overhear(&self, _: Step) {}
}

/// Something that a tool wants done with the client after its answer, such as to ask the client's model
/// (MCP, Sampling). It is done in the legacy era alone, while somebody listens on the session's own
/// stream; one at a time for each session, and not twice in a row for the same key.
pub struct FollowUp {
    /// What it is about, such as an id.
    pub key: String,
    /// What the client must be able to do.
    pub needs: ClientCapability,
    /// The scopes that the listener's token must have: it is shown what is asked.
    pub scopes: &'static [&'static str],
    /// Does it, in a conversation of its own.
    pub run: Box<dyn FnOnce(Conversation) -> FollowUpFuture>,
}

/// See [`FollowUp::run`].
pub type FollowUpFuture = Pin<Box<dyn Future<Output = ()>>>;

/// What the audit log hears of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A user was asked to confirm something, or answered.
    Confirmation(audit::Confirmation),
    /// What the client brought back was not what it was given.
    StateRefused,
}

/// The client's answer: its `result`, as it came.
pub type AnswerFuture = Pin<Box<dyn Future<Output = Result<Box<RawValue>, NoAnswer>>>>;

/// Why there is no answer. A feature does then what it would do without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The client refused, went away, or took too long.
    Unanswered,
    /// It was not asked: as many questions are open as may be.
    TooManyOpen,
}

/// Why a feature cannot go on: it needs something of the client first.
#[derive(Debug)]
pub enum NeedsClient {
    /// The client has to answer first, and then call again.
    InputRequired {
        /// The questions, each under the key that its answer comes back under.
        questions: Vec<(&'static str, ServerRequest)>,
        /// What the client has to carry until then.
        carry: String,
    },
    /// What the client brought back is no answer.
    BadAnswer(RpcError),
    /// The client did not say that it can do this.
    Unable(ClientCapability),
    /// As many questions to it are open as may be, so that it was not asked.
    TooManyOpen,
}

/// How questions are asked.
#[derive(Clone)]
enum Asking {
    /// By a request on the call's stream (legacy).
    AtOnce,
    /// By answering with the questions, and being called again with the answers (modern).
    InRounds(Rc<Round>),
}

/// What a modern client brought back.
#[derive(Debug, Default)]
pub struct Round {
    /// What its `requestState` carried, which was found to be ours. Without one, there are no
    /// answers: a client could otherwise answer before it was asked.
    pub carried: Option<String>,
    /// Its answers, by key.
    pub answers: Map<String, Value>,
}

/// What a user said to a yes-or-no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Yes.
    Confirmed,
    /// No, or no answer.
    Declined,
    /// Nobody was asked, for as many questions are open as may be.
    NotAsked,
    /// The client cannot ask.
    CannotAsk,
}

impl Confirmation {
    /// Why what was to be confirmed must not be done, if it must not: the rest of a sentence.
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
    /// With a legacy client, whose capabilities are those that it declared when its session began.
    #[must_use]
    pub fn at_once(
        token: Option<ProgressToken>,
        capabilities: ClientCapabilities,
        client: Rc<dyn Client>,
    ) -> Self {
        Self {
            progress: Progress::new(token, &client),
            client,
            capabilities,
            asking: Asking::AtOnce,
        }
    }

    /// With a modern client, whose capabilities are those of this very request.
    #[must_use]
    pub fn in_rounds(
        token: Option<ProgressToken>,
        capabilities: ClientCapabilities,
        client: &Rc<dyn Client>,
        round: Round,
    ) -> Self {
        Self {
            progress: Progress::new(token, client),
            client: Rc::clone(client),
            capabilities,
            asking: Asking::InRounds(Rc::new(round)),
        }
    }

    /// Says how far it has come, if the client wants to know. Only more than before is said (P-18).
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

    /// Tells something in passing, if the client wants to be told what matters so much. `logger` names
    /// the part of the server that tells. Neither content of users nor a secret may be in it:
    /// ids are enough.
    pub fn log(&self, level: Level, logger: &str, data: &Value) {
        if self.client.admits(level) {
            self.client.notify(logging::message(level, logger, data));
        }
    }

    /// Has something done with the client once this call has ended: see [`FollowUp`]. The call does not
    /// wait for it, and does not learn whether it was done.
    pub fn after(&self, follow_up: FollowUp) {
        self.client.after(follow_up);
    }

    /// Has the audit log know that something was done about which nobody could be asked.
    pub fn skip_confirmation(&self) {
        let step = Step::Confirmation(audit::Confirmation::Impossible);
        self.client.overhear(step);
    }

    /// Whether the client can do something for the server.
    #[must_use]
    pub fn can(&self, ability: ClientCapability) -> bool {
        self.capabilities.has(ability)
    }

    /// Insists on something that the client can do for the server.
    ///
    /// # Errors
    /// [`NeedsClient::Unable`] if it cannot.
    pub fn require(&self, ability: ClientCapability) -> Result<(), NeedsClient> {
        if self.can(ability) {
            Ok(())
        } else {
            Err(NeedsClient::Unable(ability))
        }
    }

    /// What the round before gave the client to carry; empty in the first round and in the legacy
    /// era, which has no rounds.
    #[must_use]
    pub fn carried(&self) -> &str {
        match &self.asking {
            Asking::InRounds(round) => round.carried.as_deref().unwrap_or_default(),
            Asking::AtOnce => "",
        }
    }

    /// Asks, each question under a key of its own. The answers are untrusted.
    ///
    /// # Errors
    /// [`NeedsClient::Unable`] if the client cannot answer one of them: nobody is asked for what they did
    /// not offer (P-05). [`NeedsClient::InputRequired`], with what the client is to carry, while a modern client has yet
    /// to answer one of them. An answer that is no JSON object is refused.
    /// [`NeedsClient::TooManyOpen`] if a legacy client could not be asked. `None` stands for a
    /// question to which it gave no answer.
    pub async fn ask<const N: usize>(
        &self,
        questions: [(&'static str, ServerRequest); N],
        carry: &str,
    ) -> Result<[Option<Value>; N], NeedsClient> {
        for (_, question) in &questions {
            self.require(question.needs)?;
        }
        match &self.asking {
            Asking::AtOnce => {
                let mut answers = [const { None }; N];
                for (answer, (_, question)) in answers.iter_mut().zip(&questions) {
                    *answer = match self.client.ask(question).await {
                        Ok(raw) => serde_json::from_str(raw.get()).ok(),
                        Err(NoAnswer::Unanswered) => None,
                        Err(NoAnswer::TooManyOpen) => return Err(NeedsClient::TooManyOpen),
                    };
                }
                Ok(answers)
            }
            Asking::InRounds(round) => {
                let mut answers = [const { None }; N];
                for (answer, (key, _)) in answers.iter_mut().zip(&questions) {
                    *answer = round.answer(key)?;
                }
                if answers.iter().all(Option::is_some) {
                    Ok(answers)
                } else {
                    Err(NeedsClient::InputRequired {
                        questions: questions.into(),
                        carry: carry.to_owned(),
                    })
                }
            }
        }
    }

    /// Asks the user to confirm something, by a form with one box to tick.
    ///
    /// # Errors
    /// Those of [`Conversation::ask`] that are no [`Confirmation`].
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
        let overhear = |step| self.client.overhear(Step::Confirmation(step));
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
        let mut asking = pin!(self.ask([("confirm", question)], ""));
        // In a session, only what was put is waited for.
        let asked = match poll_fn(|context| Poll::Ready(asking.as_mut().poll(context))).await {
            Poll::Ready(asked) => asked,
            Poll::Pending => {
                overhear(audit::Confirmation::Asked);
                asking.await
            }
        };
        let [answer] = match asked {
            Err(NeedsClient::TooManyOpen) => {
                overhear(audit::Confirmation::NotAsked);
                return Ok(Confirmation::NotAsked);
            }
            Err(unheard @ NeedsClient::InputRequired { .. }) => {
                overhear(audit::Confirmation::Asked);
                return Err(unheard);
            }
            asked => asked?,
        };
        let confirmed = answer
            .and_then(|answer| serde_json::from_value::<Answer>(answer).ok())
            .is_some_and(|answer| answer.action == "accept" && answer.content.confirmed);
        Ok(if confirmed {
            overhear(audit::Confirmation::Given);
            Confirmation::Confirmed
        } else {
            overhear(audit::Confirmation::Declined);
            Confirmation::Declined
        })
    }
}

impl Round {
    /// Reads what a client brought back. Answers count only beside a state that is ours.
    ///
    /// # Errors
    /// `-32602` if the answers are no object.
    pub fn read(carried: Option<String>, answers: Option<&RawValue>) -> Result<Self, RpcError> {
        let answers = match (&carried, answers) {
            (Some(_), Some(answers)) => serde_json::from_str(answers.get()).map_err(|_| {
                RpcError::invalid_params("Invalid params: inputResponses must be an object")
            })?,
            _ => Map::new(),
        };
        Ok(Self { carried, answers })
    }

    fn answer(&self, key: &str) -> Result<Option<Value>, NeedsClient> {
        match self.answers.get(key) {
            None => Ok(None),
            Some(answer @ Value::Object(_)) => Ok(Some(answer.clone())),
            Some(_) => Err(NeedsClient::BadAnswer(RpcError::invalid_params(format!(
                "Invalid params: inputResponses.{key} must be an object"
            )))),
        }
    }
}

impl Progress {
    fn new(token: Option<ProgressToken>, client: &Rc<dyn Client>) -> Option<Rc<Self>> {
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
        f.write_str(match self.asking {
            Asking::AtOnce => "Conversation(at once)",
            Asking::InRounds(_) => "Conversation(in rounds)",
        })
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
