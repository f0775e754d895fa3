//! What became of each call, for the user's activity and, if it writes, for the audit log.

use std::{
    borrow::{Borrow, Cow},
    cell::Cell,
    rc::Rc,
    sync::Arc,
};

use super::{
    catalogue::Catalogue,
    conversation::{AnswerFuture, Client, Step},
    dispatch::{Begun, Call, Dispatcher, Failure},
    resource::Located,
};
use crate::{
    audit::{self, Confirmation, Event, Origin},
    domain::{
        activity::{EndedCall, Feature, FeatureKind, Outcome},
        journal::EntryId,
        principal::Principal,
        trace_context::Trace,
    },
    mcp::{
        answer::{Answer, ToolAnswer},
        completion::Reference,
        envelope::Params,
        logging::Level,
        method::Method,
        outgoing::Question,
        version::ProtocolVersion,
    },
};

/// Begins a call as `start` would, and records what becomes of it. A call of nothing that is declared
/// is not recorded: no client adds names to what is kept.
pub(super) fn recorded(
    dispatcher: &Arc<Dispatcher>,
    call: &Call<'_>,
    start: impl FnOnce(&Arc<Dispatcher>, &Call<'_>) -> Result<Begun, Failure>,
) -> Result<Begun, Failure> {
    let Some(feature) = feature_of(dispatcher.catalogue(), call.method, call.params) else {
        return start(dispatcher, call);
    };
    let called = Rc::new(Called {
        feature,
        principal: Arc::clone(&call.principal),
        trace: call.trace,
        version: call.version,
        undone: Cell::new(None),
    });
    let call = Call {
        progress_token: call.progress_token.clone(),
        principal: Arc::clone(&call.principal),
        client: Rc::new(Overheard {
            client: Rc::clone(&call.client),
            called: Rc::clone(&called),
        }),
        ..*call
    };
    let recording = Recording {
        dispatcher: Arc::clone(dispatcher),
        called,
        // What it stays if the call is dropped.
        outcome: Outcome::Cancelled,
    };
    match start(dispatcher, &call) {
        Ok(Begun::UnderWay(work)) => Ok(Begun::UnderWay(Box::pin(async move {
            let result = work.await;
            recording.end(outcome_of(&result));
            result
        }))),
        Ok(Begun::Answered(answer)) => {
            recording.end(Outcome::Done);
            Ok(Begun::Answered(answer))
        }
        Err(failure) => {
            recording.end(outcome_of(&Err(&failure)));
            Err(failure)
        }
    }
}

/// The declared feature that a call is of, unless it touches no journal.
pub(super) fn feature_of(
    catalogue: &Catalogue,
    method: Method,
    params: &Params<'_>,
) -> Option<Feature> {
    let name = || Params::string(params.name, "name").ok();
    let feature = |kind, name: Cow<'static, str>| Feature {
        kind,
        name,
        writes: false,
    };
    match method {
        Method::CallTool => {
            let tool = catalogue.tool(&name()?)?;
            Some(Feature {
                writes: tool.writes(),
                ..feature(FeatureKind::Tool, tool.descriptor.name.clone())
            })
        }
        Method::GetPrompt => {
            let prompt = catalogue.prompt(&name()?)?;
            Some(feature(
                FeatureKind::Prompt,
                prompt.name().to_owned().into(),
            ))
        }
        Method::ReadResource => {
            let uri = Params::string(params.uri, "uri").ok()?;
            let declared = match catalogue.locate(&uri)? {
                Located::Resource(resource) => &resource.descriptor.uri,
                Located::OfTemplate(template, _) => &template.descriptor.uri_template,
            };
            Some(feature(FeatureKind::Resource, declared.clone().into()))
        }
        Method::Complete => {
            let declared = match Reference::read(params).ok()? {
                Reference::Prompt(name) => catalogue.prompt(&name)?.name(),
                Reference::Template(uri) => &catalogue.template(&uri)?.descriptor.uri_template,
            };
            Some(feature(FeatureKind::Completion, declared.to_owned().into()))
        }
        // The tags are in it.
        Method::ListResources => Some(feature(FeatureKind::List, "resources".into())),
        Method::Ping
        | Method::Discover
        | Method::ListTools
        | Method::ListResourceTemplates
        | Method::ListPrompts
        | Method::Listen
        | Method::Subscribe
        | Method::Unsubscribe
        | Method::SetLogLevel => None,
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

/// A call of something that is declared.
struct Called {
    feature: Feature,
    principal: Arc<Principal>,
    trace: Trace,
    version: ProtocolVersion,
    /// What it came to, where the tool has done what it should: nothing.
    undone: Cell<Option<Outcome>>,
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

/// Records a call when it ends, in whichever way.
struct Recording {
    dispatcher: Arc<Dispatcher>,
    called: Rc<Called>,
    outcome: Outcome,
}

impl Recording {
    fn end(mut self, outcome: Outcome) {
        self.outcome = match outcome {
            Outcome::Done => self.called.undone.get().unwrap_or(outcome),
            outcome => outcome,
        };
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
        self.dispatcher.journal().record(EndedCall {
            user: self.called.principal.user,
            client: self.called.principal.client.clone(),
            feature: feature.clone(),
            outcome: self.outcome,
            at: self.dispatcher.now(),
        });
    }
}

/// The client's end of a call, where the audit log hears what concerns it.
struct Overheard {
    client: Rc<dyn Client>,
    called: Rc<Called>,
}

impl Client for Overheard {
    fn notify(&self, message: String) {
        self.client.notify(message);
    }

    fn admits(&self, level: Level) -> bool {
        self.client.admits(level)
    }

    fn ask(&self, question: &Question) -> AnswerFuture {
        self.client.ask(question)
    }

    fn suggest_tags(&self, entry: EntryId) {
        self.client.suggest_tags(entry);
    }

    fn overhear(&self, step: Step) {
        let feature = &self.called.feature;
        match step {
            Step::Confirmation(Confirmation::Declined) => {
                self.called.undone.set(Some(Outcome::Declined));
            }
            Step::Confirmation(Confirmation::NotAsked) => {
                self.called.undone.set(Some(Outcome::Failed));
            }
            Step::Confirmation(_) | Step::StateRefused => {}
        }
        self.called.audit(match step {
            Step::Confirmation(step) => Event::Confirmation { feature, step },
            Step::StateRefused => Event::RequestStateRefused { feature },
        });
    }
}
