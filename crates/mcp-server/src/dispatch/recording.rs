//! Records the outcome of each call for `on_call` and, if the feature writes, for the audit log.

use std::{
    borrow::{Borrow, Cow},
    cell::{Cell, RefCell},
    fmt::{Display, Write},
    rc::Rc,
    sync::Arc,
};

use super::{
    call::{Call, Dispatched, OnCall, PendingAnswer},
    failure::Failure,
};
use crate::{
    audit::{AuditLog, Confirmation, Event, Origin},
    features::{
        call_record::{CallRecord, Feature, Outcome},
        conversation::{AuditEvent, FollowUp, Peer, ResponseFuture},
    },
    request_context::RequestContext,
};
use mcp_protocol::{
    answer::{Answer, ToolAnswer},
    logging::Level,
    outgoing::ServerRequest,
    version::ProtocolVersion,
};
use resource_server::{clock::Clock, printable::printable};

/// The length from which no further object is added, in bytes.
const LONGEST_OBJECT: usize = 256;

/// Passes the records of calls on.
pub(crate) struct Recorder {
    pub(crate) on_call: Vec<OnCall>,
    pub(crate) audit: AuditLog,
    pub(crate) clock: Clock,
}

impl Recorder {
    fn record(&self, record: &CallRecord) {
        for on_call in &self.on_call {
            on_call(record.clone());
        }
    }
}

/// Records a call when it is dropped: whether the call completed, failed or was cancelled.
pub(crate) struct Recording {
    recorder: Arc<Recorder>,
    call: Rc<RecordedCall>,
    outcome: Outcome,
}

/// A call of a declared feature.
struct RecordedCall {
    feature: Feature,
    context: RequestContext,
    version: ProtocolVersion,
    /// Set when the tool did what it should but the user declined, so that nothing changed.
    unchanged: Cell<Option<Outcome>>,
    /// What the feature said that the call is about: [`Event::Write`].
    object: RefCell<String>,
    audit: AuditLog,
}

impl Recording {
    /// Starts to record a call. The returned call has a peer that writes to the audit log.
    pub(crate) fn begin<'a>(
        recorder: &Arc<Recorder>,
        call: Call<'a>,
        feature: Feature,
    ) -> (Call<'a>, Self) {
        let recorded = Rc::new(RecordedCall {
            feature,
            context: call.context.clone(),
            version: call.version,
            unchanged: Cell::new(None),
            object: RefCell::default(),
            audit: recorder.audit.clone(),
        });
        let client = Rc::new(AuditedPeer {
            client: Rc::clone(&call.client),
            call: Rc::clone(&recorded),
        });
        let recording = Self {
            recorder: Arc::clone(recorder),
            call: recorded,
            // Stays so if the call is dropped.
            outcome: Outcome::Cancelled,
        };
        (Call { client, ..call }, recording)
    }

    /// The call's future, recorded when it ends.
    pub(crate) fn wrap(self, pending: PendingAnswer) -> PendingAnswer {
        Box::pin(async move {
            let result = pending.await;
            self.end(outcome_of(&result));
            result
        })
    }

    pub(crate) fn end(mut self, outcome: Outcome) {
        self.outcome = match outcome {
            Outcome::Done => self.call.unchanged.get().unwrap_or(outcome),
            outcome => outcome,
        };
    }
}

/// The outcome of a call that was answered or refused at once.
pub(crate) fn outcome_of_dispatch(dispatched: &Result<Dispatched, Failure>) -> Outcome {
    match dispatched {
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
            | Failure::ShareUsedUp { .. }
            | Failure::Unavailable { .. }
            | Failure::Internal { .. } => Outcome::Failed,
        },
    }
}

impl RecordedCall {
    fn audit(&self, event: Event<'_>) {
        let origin = Origin::of(&self.context).speaking(self.version);
        self.audit.log(event, origin);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let feature = &self.call.feature;
        let (outcome, object) = (self.outcome, &*self.call.object.borrow());
        if feature.writes {
            self.call.audit(Event::Write {
                feature,
                outcome,
                object,
            });
        } else if !object.is_empty() {
            self.call.audit(Event::Read {
                feature,
                outcome,
                object,
            });
        }
        self.recorder.record(&CallRecord {
            principal: Arc::clone(&self.call.context.principal),
            feature: feature.clone(),
            outcome: self.outcome,
            at: self.recorder.clock.now(),
        });
    }
}

/// The peer of a recorded call, which also writes the audit log.
struct AuditedPeer {
    client: Rc<dyn Peer>,
    call: Rc<RecordedCall>,
}

impl Peer for AuditedPeer {
    fn notify(&self, message: String) {
        self.client.notify(message);
    }

    fn admits(&self, level: Level) -> bool {
        self.client.admits(level)
    }

    fn ask(&self, question: &ServerRequest) -> ResponseFuture {
        self.client.ask(question)
    }

    fn after(&self, follow_up: FollowUp) {
        self.client.after(follow_up);
    }

    fn is_about(&self, kind: &'static str, id: &dyn Display) {
        let mut object = self.call.object.borrow_mut();
        if object.len() < LONGEST_OBJECT {
            let comma = if object.is_empty() { "" } else { "," };
            object.push_str(comma);
            let begin = object.len();
            // Writing to a string never fails.
            let _ = write!(object, "{kind}:{id}");
            let escaped = match printable(&object[begin..]) {
                Cow::Borrowed(_) => return,
                Cow::Owned(escaped) => escaped,
            };
            object.truncate(begin);
            object.push_str(&escaped);
        }
    }

    fn audit(&self, event: AuditEvent) {
        let feature = &self.call.feature;
        match event {
            AuditEvent::Confirmation(Confirmation::Declined) => {
                self.call.unchanged.set(Some(Outcome::Declined));
            }
            AuditEvent::Confirmation(Confirmation::NotAsked) => {
                self.call.unchanged.set(Some(Outcome::Failed));
            }
            AuditEvent::Confirmation(_) | AuditEvent::StateRefused => {}
        }
        let object = &self.call.object.borrow();
        self.call.audit(match event {
            AuditEvent::Confirmation(step) => Event::Confirmation {
                feature,
                step,
                object,
            },
            AuditEvent::StateRefused => Event::RequestStateRefused { feature },
        });
    }
}
