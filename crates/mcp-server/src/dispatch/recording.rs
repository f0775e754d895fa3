//! What became of each call: for the record of calls and, if it writes, for the audit log.

use std::{borrow::Borrow, cell::Cell, rc::Rc, sync::Arc};

use super::{
    dispatcher::{Begun, Call, Dispatcher, Work},
    failure::Failure,
};
use crate::{
    audit::{self, Confirmation, Event, Origin},
    features::{
        call_record::{CallRecord, Feature, Outcome},
        conversation::{AnswerFuture, Client, FollowUp, Step},
    },
};
use mcp_protocol::{
    answer::{Answer, ToolAnswer},
    logging::Level,
    outgoing::ServerRequest,
    version::ProtocolVersion,
};
use resource_server::{principal::Principal, trace_context::Trace};

/// Records a call when it ends, in whichever way.
pub(crate) struct Recording {
    dispatcher: Arc<Dispatcher>,
    called: Rc<Called>,
    outcome: Outcome,
}

/// A call of something that is declared.
struct Called {
    feature: Feature,
    principal: Arc<Principal>,
    trace: Trace,
    version: ProtocolVersion,
    /// Set when the tool did what it should but the user declined, so that nothing changed.
    unchanged: Cell<Option<Outcome>>,
}

impl Recording {
    /// Begins to record a call, whose conversation is heard by the audit log from now on.
    pub(crate) fn begin<'a>(
        dispatcher: &Arc<Dispatcher>,
        call: Call<'a>,
        feature: Feature,
    ) -> (Call<'a>, Self) {
        let called = Rc::new(Called {
            feature,
            principal: Arc::clone(&call.principal),
            trace: call.trace,
            version: call.version,
            unchanged: Cell::new(None),
        });
        let client = Rc::new(AuditedClient {
            client: Rc::clone(&call.client),
            called: Rc::clone(&called),
        });
        let recording = Self {
            dispatcher: Arc::clone(dispatcher),
            called,
            // What it stays if the call is dropped.
            outcome: Outcome::Cancelled,
        };
        (Call { client, ..call }, recording)
    }

    /// The rest of a call, recorded when it ends.
    pub(crate) fn of_work(self, work: Work) -> Work {
        Box::pin(async move {
            let result = work.await;
            self.end(outcome_of(&result));
            result
        })
    }

    pub(crate) fn end(mut self, outcome: Outcome) {
        self.outcome = match outcome {
            Outcome::Done => self.called.unchanged.get().unwrap_or(outcome),
            outcome => outcome,
        };
    }
}

/// What a call came to that did not go on after it was begun.
pub(crate) fn outcome_of_begin(begun: &Result<Begun, Failure>) -> Outcome {
    match begun {
        Ok(_) => Outcome::Done,
        Err(failure) => outcome_of(&Err(failure)),
    }
}

fn outcome_of<F: Borrow<Failure>>(result: &Result<Answer, F>) -> Outcome {
    match result {
        Ok(Answer::Tool(ToolAnswer::Failed(_))) => Outcome::Failed,
        Ok(Answer::InputRequired { .. }) => Outcome::Asked,
        Ok(_) => Outcome::Done,
        Err(failure) => match failure.borrow() {
            Failure::Forbidden { .. } => Outcome::Refused,
            Failure::Rpc(_)
            | Failure::Busy
            | Failure::Unavailable { .. }
            | Failure::Internal { .. } => Outcome::Failed,
        },
    }
}

impl Called {
    fn audit(&self, event: Event<'_>) {
        let origin = Origin {
            trace: self.trace,
            principal: Some(&self.principal),
            version: Some(self.version),
        };
        audit::log(event, origin);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let feature = &self.called.feature;
        if feature.writes {
            self.called.audit(Event::Write {
                feature,
                outcome: self.outcome,
            });
        }
        self.dispatcher.record(&CallRecord {
            principal: Arc::clone(&self.called.principal),
            feature: feature.clone(),
            outcome: self.outcome,
            at: self.dispatcher.now(),
        });
    }
}

/// The client's end of a call, where the audit log hears what concerns it.
struct AuditedClient {
    client: Rc<dyn Client>,
    called: Rc<Called>,
}

impl Client for AuditedClient {
    fn notify(&self, message: String) {
        self.client.notify(message);
    }

    fn admits(&self, level: Level) -> bool {
        self.client.admits(level)
    }

    fn ask(&self, question: &ServerRequest) -> AnswerFuture {
        self.client.ask(question)
    }

    fn after(&self, follow_up: FollowUp) {
        self.client.after(follow_up);
    }

    fn overhear(&self, step: Step) {
        let feature = &self.called.feature;
        match step {
            Step::Confirmation(Confirmation::Declined) => {
                self.called.unchanged.set(Some(Outcome::Declined));
            }
            Step::Confirmation(Confirmation::NotAsked) => {
                self.called.unchanged.set(Some(Outcome::Failed));
            }
            Step::Confirmation(_) | Step::StateRefused => {}
        }
        self.called.audit(match step {
            Step::Confirmation(step) => Event::Confirmation { feature, step },
            Step::StateRefused => Event::RequestStateRefused { feature },
        });
    }
}
