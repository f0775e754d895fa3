//! The actor of one legacy session: calls under way, questions to the client, streams.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message,
    ResponseActFuture, SpawnHandle, WrapFuture,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{sync::oneshot, time::timeout};

use super::{
    listen::scopes_now,
    streams::{Frames, GENERAL, Streams},
};
use crate::{
    actors::{gate::Permit, journal::JournalChanged},
    domain::{
        journal::EntryId,
        principal::{Principal, UserId},
        request_id::RequestId,
        scope::ScopeSet,
    },
    features::{
        conversation::{AnswerFuture, Client, Conversation, NoAnswer},
        dispatch::{self, Begun, Dispatcher, Failure},
        suggesting::Suggesting,
        watching::{Unwatchable, Watching},
    },
    mcp::{
        answer::Answer,
        envelope::Params,
        jsonrpc::{self, Id, RpcError},
        logging::Level,
        method::Method,
        outgoing::{self, Abilities, Question},
        shape,
        sse::EventId,
        version::ProtocolVersion,
    },
};

/// How long a client, or the person in front of it, may think about a question.
const ANSWER_LIFETIME: Duration = Duration::from_secs(300);

/// How long a client's model may think about tags, and its user about whether it may.
const SUGGESTION_LIFETIME: Duration = Duration::from_secs(60);

/// How much a message has to matter while the client has not said (Logging leaves it to the server):
/// so much that ordinary calls are answered without a stream.
const LOG_LEVEL: Level = Level::Warning;

/// How many questions of one session may be unanswered at once.
const UNANSWERED: usize = 16;

/// Answer a request within the session.
#[derive(Message)]
#[rtype(result = "Reply")]
pub(super) struct Call {
    /// Who asks, by the token of this very request.
    pub(super) principal: Arc<Principal>,
    /// In which HTTP request, for the log.
    pub(super) request_id: RequestId,
    /// The request's id, for its answer and for a cancellation.
    pub(super) id: Id,
    /// For what.
    pub(super) method: Method,
    /// With which parameters.
    pub(super) params: Option<Box<RawValue>>,
    /// Whether it can only be answered: a call in a batch has no stream.
    pub(super) quiet: bool,
    /// The place behind the session's gate, held until the call has ended.
    pub(super) permit: Permit,
}

/// What becomes of a call.
pub enum Reply {
    /// It answered before it had anything else to say.
    Whole(Result<Answer, Failure>),
    /// It spoke first; the answer comes at the end of its stream.
    Stream(Frames),
    /// The client called it off, and wants no answer.
    Cancelled,
}

/// Take note of a notification.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Note {
    pub(super) method: String,
    pub(super) params: Option<Box<RawValue>>,
}

/// Take the client's answer to a question.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Settle {
    pub(super) id: Id,
    pub(super) result: Option<Box<RawValue>>,
}

/// Open the general stream, or go on with one after an event. `None` if there is nothing to go on
/// with.
#[derive(Message)]
#[rtype(result = "Option<Frames>")]
pub(super) struct Listen {
    pub(super) principal: Arc<Principal>,
    pub(super) after: Option<EventId>,
}

/// End the session and whatever it is doing.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Close;

/// The server stops: let go of what waits for the client, so that calls under way come to an end.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Retire;

/// One legacy session. It ends when the registry lets go of it.
pub(super) struct SessionActor {
    version: ProtocolVersion,
    abilities: Abilities,
    dispatcher: Arc<Dispatcher>,
    wire: Rc<Wire>,
    watching: Watching,
    // Whose token opened the general stream; nobody is told anything before.
    listener: Option<Arc<Principal>>,
    under_way: HashMap<String, SpawnHandle>,
    suggestion: Suggestion,
}

/// Tags are suggested for one entry at a time, and not again for the same one: a call that is repeated
/// under its idempotency key writes nothing new.
#[derive(Default)]
struct Suggestion {
    under_way: bool,
    last: Option<EntryId>,
}

/// What the calls of a session share: its streams, its open questions, its log level. All on one thread.
struct Wire {
    streams: RefCell<Streams>,
    questions: RefCell<HashMap<u64, oneshot::Sender<Box<RawValue>>>>,
    next_question: Cell<u64>,
    retired: Cell<bool>,
    log_level: Cell<Level>,
}

impl SessionActor {
    pub(super) fn new(
        version: ProtocolVersion,
        abilities: Abilities,
        dispatcher: Arc<Dispatcher>,
    ) -> Self {
        Self {
            version,
            abilities,
            dispatcher,
            wire: Rc::new(Wire {
                streams: RefCell::new(Streams::new(version.primes_streams())),
                questions: RefCell::default(),
                next_question: Cell::new(1),
                retired: Cell::new(false),
                log_level: Cell::new(LOG_LEVEL),
            }),
            watching: Watching::default(),
            listener: None,
            under_way: HashMap::new(),
            suggestion: Suggestion::default(),
        }
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;
}

impl Handler<Call> for SessionActor {
    // Ends with the session: a read for a client that has left is of no use, and a write runs to
    // its end in the journal.
    type Result = ResponseActFuture<Self, Reply>;

    fn handle(&mut self, call: Call, context: &mut Context<Self>) -> Self::Result {
        let key = call.id.as_json().to_owned();
        if self.under_way.contains_key(&key) {
            let error = RpcError::invalid_request(
                "Invalid request: a request with this id is under way in this session",
            );
            return whole(Err(error.into()));
        }
        if let Method::Subscribe | Method::Unsubscribe = call.method {
            return whole(self.subscribe(&call));
        }
        if call.method == Method::SetLogLevel {
            return whole(self.set_log_level(&call));
        }
        let (reply, replied) = oneshot::channel();
        let client = Rc::new(CallClient {
            wire: Rc::clone(&self.wire),
            quiet: call.quiet,
            stream: Cell::new(None),
            reply: RefCell::new(Some(reply)),
            principal: Arc::clone(&call.principal),
            dispatcher: Arc::clone(&self.dispatcher),
            wants_tags: Cell::new(None),
        });
        let principal = Arc::clone(&call.principal);
        let begun = Params::read(call.params.as_deref())
            .map_err(Failure::from)
            .and_then(|params| {
                self.dispatcher.begin(dispatch::Call {
                    method: call.method,
                    version: self.version,
                    params: &params,
                    raw_params: call.params.as_deref(),
                    progress_token: params.progress_token(),
                    request_id: call.request_id,
                    principal: call.principal,
                    abilities: self.abilities,
                    client: Rc::clone(&client) as Rc<dyn Client>,
                })
            });
        let work = match begun {
            Ok(Begun::UnderWay(work)) => work,
            Ok(Begun::Answered(answer)) => return whole(Ok(answer)),
            Err(failure) => return whole(Err(failure)),
        };
        let (id, version, permit) = (call.id, self.version, call.permit);
        let run = async move {
            let _permit = permit;
            client.finish(work.await, &id, version);
            client.wants_tags.take()
        };
        let ended = key.clone();
        let handle = context.spawn(run.into_actor(self).map(
            move |wants_tags, session, context| {
                session.under_way.remove(&ended);
                if let Some(entry) = wants_tags {
                    session.suggest_tags(Suggesting { entry, principal }, context);
                }
            },
        ));
        self.under_way.insert(key, handle);
        let replied = async { replied.await.unwrap_or(Reply::Cancelled) };
        Box::pin(replied.into_actor(self))
    }
}

impl SessionActor {
    /// Has the journal tell this session of changes, for as long as the session lives.
    fn watch(&self, user: UserId, context: &mut Context<Self>) {
        let journal = self.dispatcher.journal().clone();
        let watcher = context.address().recipient();
        let watching = async move {
            if let Err(error) = journal.watch(user, watcher).await {
                log::warn!("a session hears of no changes: {error}");
            }
        };
        context.spawn(watching.into_actor(self));
    }

    /// Has the client's model suggest tags, on the general stream, for the stream of the call has
    /// ended. Where nobody listens, or one suggestion is under way, there is none.
    fn suggest_tags(&mut self, suggesting: Suggesting, context: &mut Context<Self>) {
        let entry = Some(suggesting.entry);
        if self.suggestion.under_way
            || self.suggestion.last == entry
            || !self.wire.streams.borrow().has_listener()
        {
            return;
        }
        let client = Rc::new(GeneralClient(Rc::clone(&self.wire)));
        let conversation = Conversation::at_once(None, self.abilities, client);
        let listener = self.listener.as_ref().map_or(ScopeSet::EMPTY, |listener| {
            scopes_now(listener, &self.dispatcher)
        });
        if !suggesting.is_possible(&conversation, listener, &self.dispatcher) {
            return;
        }
        self.suggestion = Suggestion {
            under_way: true,
            last: entry,
        };
        let run = suggesting.run(conversation, Arc::clone(&self.dispatcher));
        context.spawn(run.into_actor(self).map(|(), session, _| {
            session.suggestion.under_way = false;
        }));
    }

    /// For the whole session, from now on (L-27).
    fn set_log_level(&self, call: &Call) -> Result<Answer, Failure> {
        let params = Params::read(call.params.as_deref())?;
        self.wire.log_level.set(Level::read(params.level, "level")?);
        Ok(Answer::Empty)
    }

    fn subscribe(&mut self, call: &Call) -> Result<Answer, Failure> {
        let params = Params::read(call.params.as_deref())?;
        let uri = Params::string(params.uri, "uri")?;
        if call.method == Method::Unsubscribe {
            self.watching.remove(&uri);
            return Ok(Answer::Empty);
        }
        let catalogue = self.dispatcher.catalogue();
        match self.watching.add(catalogue, call.principal.scopes, &uri) {
            Ok(()) => Ok(Answer::Empty),
            Err(Unwatchable::NotFound) => Err(shape::resource_not_found(&uri, self.version).into()),
            Err(Unwatchable::Forbidden { needed }) => Err(Failure::Forbidden { needed }),
            Err(Unwatchable::TooMany(error)) => Err(error.into()),
        }
    }
}

impl Handler<JournalChanged> for SessionActor {
    type Result = ();

    fn handle(&mut self, changed: JournalChanged, _: &mut Context<Self>) {
        let Some(listener) = &self.listener else {
            return;
        };
        let granted = scopes_now(listener, &self.dispatcher);
        let catalogue = self.dispatcher.catalogue();
        let mut streams = self.wire.streams.borrow_mut();
        for told in self
            .watching
            .notifications(catalogue, granted, changed.change)
        {
            streams.say(GENERAL, &told.message(None));
        }
    }
}

fn whole(outcome: Result<Answer, Failure>) -> ResponseActFuture<SessionActor, Reply> {
    Box::pin(actix::fut::ready(Reply::Whole(outcome)))
}

impl Handler<Note> for SessionActor {
    type Result = ();

    fn handle(&mut self, note: Note, context: &mut Context<Self>) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Cancelled<'a> {
            #[serde(borrow)]
            request_id: &'a RawValue,
        }
        if note.method != "notifications/cancelled" {
            return;
        }
        // A cancellation that comes too late, or of nothing, is no error (L-24).
        let cancelled = note
            .params
            .as_deref()
            .and_then(|params| serde_json::from_str::<Cancelled<'_>>(params.get()).ok())
            .and_then(|cancelled| Id::parse(cancelled.request_id))
            .and_then(|id| self.under_way.remove(id.as_json()));
        if let Some(handle) = cancelled {
            context.cancel_future(handle);
        }
    }
}

impl Handler<Settle> for SessionActor {
    type Result = ();

    fn handle(&mut self, settle: Settle, _: &mut Context<Self>) {
        // An answer to what was not asked, or not asked any more, is dropped (D-15).
        let asked = settle
            .id
            .as_text()
            .and_then(|id| {
                let number: u64 = id.strip_prefix("s-")?.parse().ok()?;
                // Only what is written back the same: no `+1`, no leading zero.
                (question_id(number) == id).then_some(number)
            })
            .and_then(|number| self.wire.questions.borrow_mut().remove(&number));
        if let (Some(asked), Some(result)) = (asked, settle.result) {
            // Whoever asked may have gone.
            let _ = asked.send(result);
        }
    }
}

impl Handler<Listen> for SessionActor {
    type Result = Option<Frames>;

    fn handle(&mut self, listen: Listen, context: &mut Context<Self>) -> Self::Result {
        let scopes = listen.principal.scopes;
        let general = listen.after.is_none_or(|after| after.stream == GENERAL);
        if general {
            if self.listener.is_none() {
                self.watch(listen.principal.user, context);
            }
            self.watching
                .add_list(self.dispatcher.catalogue(), listen.principal.scopes);
            self.listener = Some(listen.principal);
        }
        let mut kept = self.wire.streams.borrow_mut();
        let frames = match listen.after {
            None => Some(kept.open_general()),
            Some(after) => kept.resume(after, scopes),
        };
        if self.wire.retired.get() {
            kept.end(GENERAL);
        }
        frames
    }
}

impl Handler<Close> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Close, context: &mut Context<Self>) {
        context.stop();
    }
}

impl Handler<Retire> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Retire, _: &mut Context<Self>) {
        self.wire.retired.set(true);
        // Whoever waits for an answer has none, which is no yes.
        self.wire.questions.borrow_mut().clear();
        self.wire.streams.borrow_mut().end(GENERAL);
    }
}

/// The id under which a question is asked. Ids of ours are texts, and so none of the client's.
fn question_id(number: u64) -> String {
    format!("s-{number}")
}

/// The client's end of one call. Its stream is opened when there is something to say on it.
struct CallClient {
    wire: Rc<Wire>,
    quiet: bool,
    stream: Cell<Option<u32>>,
    reply: RefCell<Option<oneshot::Sender<Reply>>>,
    principal: Arc<Principal>,
    dispatcher: Arc<Dispatcher>,
    wants_tags: Cell<Option<EntryId>>,
}

impl CallClient {
    fn say(&self, json: &str) {
        let mut streams = self.wire.streams.borrow_mut();
        let stream = self.stream.get().unwrap_or_else(|| {
            let (stream, frames) = streams.open(self.principal.scopes);
            self.stream.set(Some(stream));
            if let Some(reply) = self.reply.borrow_mut().take() {
                // A client that has left can resume the stream.
                let _ = reply.send(Reply::Stream(frames));
            }
            stream
        });
        streams.say(stream, json);
    }

    fn finish(&self, outcome: Result<Answer, Failure>, id: &Id, version: ProtocolVersion) {
        match self.stream.get() {
            None => {
                if let Some(reply) = self.reply.borrow_mut().take() {
                    let _ = reply.send(Reply::Whole(outcome));
                }
            }
            Some(stream) => {
                self.say(&last_message(outcome, id, version));
                self.wire.streams.borrow_mut().end(stream);
            }
        }
    }
}

/// The answer to a request, where it is a message among others.
#[must_use]
pub fn last_message(outcome: Result<Answer, Failure>, id: &Id, version: ProtocolVersion) -> String {
    let result = outcome
        .map_err(Failure::in_band)
        .and_then(|answer| shape::result(&answer, version));
    match result {
        Ok(result) => jsonrpc::success(id, &result),
        Err(error) => jsonrpc::failure(Some(id), &error),
    }
}

impl Drop for CallClient {
    /// A call that was cancelled leaves its stream without an answer (L-24).
    fn drop(&mut self) {
        if let Some(stream) = self.stream.get() {
            self.wire.streams.borrow_mut().end(stream);
        }
    }
}

impl Client for CallClient {
    fn notify(&self, message: String) {
        if !self.quiet {
            self.say(&message);
        }
    }

    fn admits(&self, level: Level) -> bool {
        level >= self.wire.log_level.get()
    }

    fn ask(&self, question: &Question) -> AnswerFuture {
        if self.quiet {
            return Box::pin(std::future::ready(Err(NoAnswer)));
        }
        let answer = self
            .wire
            .ask(question, ANSWER_LIFETIME, |request| self.say(request));
        let (principal, dispatcher) = (Arc::clone(&self.principal), Arc::clone(&self.dispatcher));
        Box::pin(async move {
            let answer = answer.await?;
            // A token that ended while its user thought about it allows nothing any more.
            if dispatcher.has_ended(&principal) {
                Err(NoAnswer)
            } else {
                Ok(answer)
            }
        })
    }

    fn suggest_tags(&self, entry: EntryId) {
        self.wants_tags.set(Some(entry));
    }
}

/// The client's end of what belongs to no call: the general stream.
struct GeneralClient(Rc<Wire>);

impl GeneralClient {
    fn say(&self, json: &str) {
        self.0.streams.borrow_mut().say(GENERAL, json);
    }
}

impl Client for GeneralClient {
    fn notify(&self, message: String) {
        self.say(&message);
    }

    fn admits(&self, level: Level) -> bool {
        level >= self.0.log_level.get()
    }

    fn ask(&self, question: &Question) -> AnswerFuture {
        self.0
            .ask(question, SUGGESTION_LIFETIME, |request| self.say(request))
    }
}

impl Wire {
    /// Has a question said, and waits so long for its answer.
    fn ask(
        self: &Rc<Self>,
        question: &Question,
        lifetime: Duration,
        say: impl FnOnce(&str),
    ) -> AnswerFuture {
        let number = self.next_question.get();
        self.next_question.set(number + 1);
        let (asked, answer) = oneshot::channel();
        {
            let mut questions = self.questions.borrow_mut();
            if questions.len() >= UNANSWERED || self.retired.get() {
                return Box::pin(std::future::ready(Err(NoAnswer)));
            }
            questions.insert(number, asked);
        }
        let open = OpenQuestion {
            wire: Rc::clone(self),
            number,
        };
        say(&outgoing::request(&question_id(number), question));
        Box::pin(async move {
            let _open = open;
            match timeout(lifetime, answer).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) | Err(_) => Err(NoAnswer),
            }
        })
    }
}

/// A question that somebody waits for; nobody does any more when it is dropped.
struct OpenQuestion {
    wire: Rc<Wire>,
    number: u64,
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        self.wire.questions.borrow_mut().remove(&self.number);
    }
}
