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
    metrics::{CallEnd, ToolMetrics},
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
    pub(crate) tools: Arc<ToolMetrics>,
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
    end: CallEnd,
}

/// A call of a declared feature.
struct RecordedCall {
    feature: Feature,
    /// The place of the tool, if it is one.
    tool: Option<usize>,
    context: RequestContext,
    version: ProtocolVersion,
    /// Set when the tool did what it should but the user declined, so that nothing changed.
    unchanged: Cell<Option<CallEnd>>,
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
        tool: Option<usize>,
    ) -> (Call<'a>, Self) {
        let recorded = Rc::new(RecordedCall {
            feature,
            tool,
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
            end: CallEnd::Cancelled,
        };
        (Call { client, ..call }, recording)
    }

    /// The call's future, recorded when it ends.
    pub(crate) fn wrap(self, pending: PendingAnswer) -> PendingAnswer {
        Box::pin(async move {
            let result = pending.await;
            self.end(end_of(&result));
            result
        })
    }

    pub(crate) fn end(mut self, end: CallEnd) {
        self.end = match end {
            CallEnd::Ok => self.call.unchanged.get().unwrap_or(end),
            end => end,
        };
    }
}

/// How a call ended that was answered or refused at once.
pub(crate) fn end_of_dispatch(dispatched: &Result<Dispatched, Failure>) -> CallEnd {
    match dispatched {
        Ok(_) => CallEnd::Ok,
        Err(failure) => end_of(&Err(failure)),
    }
}

fn end_of<F: Borrow<Failure>>(result: &Result<Answer, F>) -> CallEnd {
    match result {
        Ok(Answer::Tool(ToolAnswer::Failed(_))) => CallEnd::ToolError,
        Ok(Answer::InputRequired { .. }) => CallEnd::Asked,
        Ok(_) => CallEnd::Ok,
        Err(failure) => match failure.borrow() {
            Failure::Forbidden { .. } => CallEnd::Forbidden,
            Failure::Rpc(_) => CallEnd::Error,
            Failure::Busy | Failure::ShareUsedUp { .. } => CallEnd::Busy,
            Failure::Unavailable { .. } => CallEnd::Unavailable,
            Failure::Internal { .. } => CallEnd::Internal,
        },
    }
}

impl From<CallEnd> for Outcome {
    fn from(end: CallEnd) -> Self {
        match end {
            CallEnd::Ok => Self::Done,
            CallEnd::Asked => Self::Asked,
            CallEnd::Declined => Self::Declined,
            CallEnd::Forbidden => Self::Refused,
            CallEnd::Cancelled => Self::Cancelled,
            CallEnd::ToolError
            | CallEnd::Error
            | CallEnd::Busy
            | CallEnd::Unavailable
            | CallEnd::Internal => Self::Failed,
        }
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
        let outcome = Outcome::from(self.end);
        let object = &*self.call.object.borrow();
        if let Some(tool) = self.call.tool {
            self.recorder.tools.ended(tool, self.end);
        }
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
            outcome,
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
                self.call.unchanged.set(Some(CallEnd::Declined));
            }
            AuditEvent::Confirmation(Confirmation::NotAsked) => {
                self.call.unchanged.set(Some(CallEnd::ToolError));
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
