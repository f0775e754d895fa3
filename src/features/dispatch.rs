//! From a method and its parameters to an answer, the same way in both eras.

use std::{future::Future, pin::Pin, rc::Rc, sync::Arc};

use derive_more::Display;
use serde_json::value::RawValue;

use super::{
    catalogue::Catalogue,
    completion::Source,
    conversation::{Client, Conversation, Round, Step, Unheard},
    prompt::{DeclaredPrompt, PromptError},
    recording::recorded,
    tool::{Context, Reader, ToolError},
};
use crate::{
    actors::journal::JournalHandle,
    domain::{
        clock::{Clock, Timestamp},
        journal::{Cause, JournalError},
        page::{Cursor, NameCursor, Page},
        principal::Principal,
        request_id::RequestId,
        scope::ScopeSet,
    },
    mcp::{
        answer::{Answer, ResourcePage, ToolAnswer},
        completion::{Reference, Typed},
        envelope::{Params, as_str, is_object},
        jsonrpc::{RpcError, code},
        method::Method,
        outgoing::{Abilities, Ability, ProgressToken},
        request_state::{Binding, Sealer},
        shape,
        version::ProtocolVersion,
    },
};

/// Why there is no answer.
#[derive(Debug, Display)]
pub enum Failure {
    /// The request is wrong, in the protocol's words.
    #[display("{}", _0.message)]
    Rpc(RpcError),
    /// The token does not reach so far. Found before anything ran.
    #[display("the call needs {needed}")]
    Forbidden {
        /// Everything that this call needs.
        needed: ScopeSet,
    },
    /// As much is under way as may be; try again soon.
    #[display("the journal is busy")]
    Busy,
    /// The journal's database is out of reach; try again later.
    #[display("the journal is unavailable")]
    Unavailable {
        /// Why, for the log alone.
        source: Cause,
    },
    /// Our fault.
    #[display("internal error")]
    Internal {
        /// Why, for the log alone.
        source: Cause,
    },
}

impl Failure {
    /// The failure as a message among others, where no status can tell of it: at the end of a stream,
    /// or in a batch. The words for what is not the client's fault are fixed; the cause is for the
    /// log.
    #[must_use]
    pub fn in_band(self) -> RpcError {
        let (text, cause) = match self {
            Self::Rpc(error) => return error,
            Self::Forbidden { needed } => {
                return RpcError::invalid_request(format!("This needs a token with: {needed}"));
            }
            Self::Busy => ("The server is busy; try again soon", None),
            Self::Unavailable { source } => (
                "The journal cannot be reached at the moment; try again later",
                Some(source),
            ),
            Self::Internal { source } => ("Something went wrong on the server", Some(source)),
        };
        log::warn!(
            "a call failed where no status could say so: {text}{}",
            cause.map(|cause| format!(": {cause}")).unwrap_or_default()
        );
        RpcError::new(code::INTERNAL_ERROR, text)
    }
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        Self::Rpc(error)
    }
}

/// Begins calls: finds the feature, holds its scopes against the token's, reads what is needed, and
/// hands back what runs then.
pub struct Dispatcher {
    catalogue: Arc<Catalogue>,
    journal: JournalHandle,
    sealer: Sealer,
    clock: Clock,
}

/// A request that the protocol has admitted.
pub struct Call<'a> {
    /// What is asked for.
    pub method: Method,
    /// In which revision.
    pub version: ProtocolVersion,
    /// With which parameters.
    pub params: &'a Params<'a>,
    /// The same, as they came.
    pub raw_params: Option<&'a RawValue>,
    /// Under which token the client wants to hear of progress, if it does.
    pub progress_token: Option<ProgressToken>,
    /// In which HTTP request, for the log.
    pub request_id: RequestId,
    /// By whom, according to the token of this very request.
    pub principal: Arc<Principal>,
    /// What the client can do for the server.
    pub abilities: Abilities,
    /// The client's end of the call.
    pub client: Rc<dyn Client>,
}

/// A call that was begun.
pub enum Begun {
    /// And ended at once.
    Answered(Answer),
    /// And has all that it needs to go on; dropping it cancels it.
    UnderWay(Work),
}

/// A call under way.
pub type Work = Pin<Box<dyn Future<Output = Result<Answer, Failure>>>>;

impl Dispatcher {
    /// A dispatcher over a catalogue and a journal.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, journal: JournalHandle, clock: Clock) -> Self {
        Self {
            catalogue,
            journal,
            sealer: Sealer::new(),
            clock,
        }
    }

    /// The catalogue.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &JournalHandle {
        &self.journal
    }

    /// The current instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether a principal's token has ended.
    #[must_use]
    pub fn has_ended(&self, principal: &Principal) -> bool {
        principal.expires_at.is_some_and(|end| end <= self.now())
    }

    /// What a call needs of its token, for a caller that has to know before anything runs. Nothing,
    /// if it is wrong in another way, which it will be told when it is begun.
    #[must_use]
    pub fn scopes_of(&self, method: Method, params: &Params<'_>) -> ScopeSet {
        let catalogue = &*self.catalogue;
        let name = || Params::string(params.name, "name").ok();
        let scopes = match method {
            Method::CallTool => name()
                .and_then(|name| catalogue.tool(&name))
                .map(|tool| tool.scopes_of_call(params.arguments)),
            Method::GetPrompt => name()
                .and_then(|name| catalogue.prompt(&name))
                .map(DeclaredPrompt::scopes),
            Method::ReadResource | Method::Subscribe => Params::string(params.uri, "uri")
                .ok()
                .and_then(|uri| catalogue.locate(&uri).map(|located| located.scopes())),
            Method::Complete => {
                let typed = Typed::read(params);
                let name = typed.as_ref().map_or("", |typed| &typed.name);
                Reference::read(params)
                    .and_then(|reference| completed(catalogue, &reference, name))
                    .map(|(scopes, _)| scopes)
                    .ok()
            }
            Method::Ping
            | Method::Discover
            | Method::ListTools
            | Method::ListResources
            | Method::ListResourceTemplates
            | Method::ListPrompts
            | Method::Listen
            | Method::Unsubscribe
            | Method::SetLogLevel => None,
        };
        scopes.unwrap_or(ScopeSet::EMPTY)
    }

    /// Begins a call, and records what becomes of it. The order is the ladder's: lookup, scope,
    /// parameters, and only then the work.
    ///
    /// # Errors
    /// See [`Failure`]. Nothing has been done then.
    pub fn begin(self: &Arc<Self>, call: Call<'_>) -> Result<Begun, Failure> {
        recorded(self, call, Self::start)
    }

    fn start(self: &Arc<Self>, call: Call<'_>) -> Result<Begun, Failure> {
        match call.method {
            Method::Ping => Ok(Begun::Answered(Answer::Empty)),
            Method::Discover => Ok(Begun::Answered(Answer::Ready(self.catalogue.discovery()))),
            Method::ListTools => one_page(call.params, || {
                self.catalogue
                    .tool_list(call.principal.scopes, call.version)
            }),
            Method::ListResourceTemplates => one_page(call.params, || {
                self.catalogue
                    .template_list(call.principal.scopes, call.version)
            }),
            Method::ListPrompts => one_page(call.params, || {
                self.catalogue
                    .prompt_list(call.principal.scopes, call.version)
            }),
            Method::ListResources | Method::ReadResource | Method::Complete => {
                Ok(Begun::UnderWay(self.read(call)))
            }
            Method::GetPrompt => self.get_prompt(call).map(Begun::UnderWay),
            Method::CallTool => self.call_tool(call).map(Begun::UnderWay),
            // These belong to a stream or a session, which have looked at them before.
            Method::Listen | Method::Subscribe | Method::Unsubscribe | Method::SetLogLevel => {
                Err(RpcError::method_not_found().into())
            }
        }
    }

    /// What reads and says nothing on the way.
    fn read(self: &Arc<Self>, call: Call<'_>) -> Work {
        let dispatcher = Arc::clone(self);
        let params = call.raw_params.map(ToOwned::to_owned);
        let (method, version) = (call.method, call.version);
        let reader = Reader {
            principal: call.principal,
            journal: self.journal.clone(),
        };
        Box::pin(async move {
            let (catalogue, params) = (&*dispatcher.catalogue, Params::read(params.as_deref())?);
            match method {
                Method::ListResources => list_resources(catalogue, &params, reader).await,
                Method::ReadResource => read_resource(catalogue, version, &params, reader).await,
                Method::Complete => complete(catalogue, &params, reader).await,
                _ => Err(RpcError::method_not_found().into()),
            }
        })
    }

    fn call_tool(self: &Arc<Self>, call: Call<'_>) -> Result<Work, Failure> {
        let params = call.params;
        let name = Params::string(params.name, "name")?;
        let tool = self
            .catalogue
            .tool(&name)
            .ok_or_else(|| unknown("tool", &name))?;
        let needed = tool.scopes_of_call(params.arguments);
        require(&self.catalogue, &call.principal, needed)?;
        check_arguments(params)?;
        let (context, back) = self.context(&call, "tools/call", &name)?;
        let work = tool.call(context, params.arguments);
        let failed = |reason| Answer::Tool(ToolAnswer::Failed(reason));
        Ok(Box::pin(async move {
            match work.await {
                Ok(output) => Ok(Answer::Tool(ToolAnswer::Done(output))),
                Err(ToolError::BadArguments(reason) | ToolError::Failed(reason)) => {
                    Ok(failed(reason))
                }
                Err(ToolError::Unheard(Unheard::Unable(ability))) if !back.is_modern => {
                    Ok(failed(cannot(ability)))
                }
                Err(ToolError::Unheard(unheard)) => back.explain(unheard),
                Err(ToolError::Journal(error)) => sentence(error).map(failed),
            }
        }))
    }

    fn get_prompt(self: &Arc<Self>, call: Call<'_>) -> Result<Work, Failure> {
        let params = call.params;
        let name = Params::string(params.name, "name")?;
        let prompt = self
            .catalogue
            .prompt(&name)
            .ok_or_else(|| unknown("prompt", &name))?;
        require(&self.catalogue, &call.principal, prompt.scopes())?;
        check_arguments(params)?;
        let (context, back) = self.context(&call, "prompts/get", &name)?;
        let work = prompt.get(context, params.arguments);
        let refused = |reason| RpcError::invalid_params(reason).into();
        Ok(Box::pin(async move {
            match work.await {
                Ok(output) => Ok(Answer::Prompt(output)),
                Err(PromptError::BadArguments(reason)) => Err(refused(reason)),
                Err(PromptError::Unheard(unheard)) => back.explain(unheard),
                Err(PromptError::Journal(error)) => Err(refused(sentence(error)?)),
            }
        }))
    }

    /// What a feature has at hand, and the way back to the client for what it needs of it first.
    fn context(
        self: &Arc<Self>,
        call: &Call<'_>,
        method: &str,
        name: &str,
    ) -> Result<(Context, WayBack), RpcError> {
        let params = call.params;
        let binding = (call.abilities.any() || params.request_state.is_some())
            .then(|| Binding::new(&call.principal, method, name, params.arguments));
        let context = Context {
            conversation: self.conversation(call, binding.as_ref())?,
            principal: Arc::clone(&call.principal),
            journal: self.journal.clone(),
        };
        let back = WayBack {
            dispatcher: Arc::clone(self),
            binding,
            is_modern: call.version.is_modern(),
        };
        Ok((context, back))
    }

    /// The conversation of a call. What a modern client brought back is opened here, once.
    fn conversation(
        &self,
        call: &Call<'_>,
        binding: Option<&Binding>,
    ) -> Result<Conversation, RpcError> {
        let token = call.progress_token.clone();
        if !call.version.is_modern() {
            return Ok(Conversation::at_once(
                token,
                call.abilities,
                Rc::clone(&call.client),
            ));
        }
        let carried = match (call.params.request_state, binding) {
            (Some(state), Some(binding)) => {
                let state = Params::string(Some(state), "requestState")?;
                let opened = self.sealer.open(binding, &state, self.clock.now());
                Some(opened.inspect_err(|_| call.client.overhear(Step::StateRefused))?)
            }
            _ => None,
        };
        Ok(Conversation::in_rounds(
            token,
            call.abilities,
            &call.client,
            Round::read(carried, call.params.input_responses)?,
        ))
    }
}

/// The way back to the client of a call, for what a feature needs of it first.
struct WayBack {
    dispatcher: Arc<Dispatcher>,
    binding: Option<Binding>,
    is_modern: bool,
}

impl WayBack {
    fn explain(&self, unheard: Unheard) -> Result<Answer, Failure> {
        match unheard {
            Unheard::InputRequired { questions, carry } => {
                let binding = self.binding.as_ref().ok_or_else(|| Failure::Internal {
                    source: Cause::new("a question to a client that can answer none"),
                })?;
                let Dispatcher { sealer, clock, .. } = &*self.dispatcher;
                Ok(Answer::InputRequired {
                    questions,
                    state: sealer.seal(binding, &carry, clock.now()),
                })
            }
            Unheard::BadAnswer(error) => Err(error.into()),
            Unheard::Unable(ability) if self.is_modern => {
                Err(RpcError::missing_capabilities(&ability.capabilities()).into())
            }
            Unheard::Unable(ability) => Err(RpcError::invalid_params(cannot(ability)).into()),
        }
    }
}

fn cannot(ability: Ability) -> String {
    format!(
        "This needs a client with the capabilities {}.",
        ability.capabilities()
    )
}

/// Refuses, before anything runs, what the token does not reach.
fn require(catalogue: &Catalogue, principal: &Principal, needed: ScopeSet) -> Result<(), Failure> {
    catalogue
        .policy()
        .require(principal.scopes, needed)
        .map_err(|needed| Failure::Forbidden { needed })
}

/// A list that is one page, so that no cursor was ever given out.
fn one_page(params: &Params<'_>, list: impl FnOnce() -> Arc<str>) -> Result<Begun, Failure> {
    match params.cursor {
        None => Ok(Begun::Answered(Answer::Ready(list()))),
        Some(_) => Err(unknown_cursor().into()),
    }
}

fn unknown_cursor() -> RpcError {
    RpcError::invalid_params("Invalid params: unknown cursor")
}

fn unknown(what: &str, name: &str) -> RpcError {
    let name: String = name.chars().take(128).collect();
    RpcError::invalid_params(format!("Unknown {what}: {name}"))
}

fn check_arguments(params: &Params<'_>) -> Result<(), RpcError> {
    match params.arguments {
        Some(arguments) if !is_object(arguments) => Err(RpcError::invalid_params(
            "Invalid params: arguments must be an object",
        )),
        _ => Ok(()),
    }
}

/// The fixed resources, then page by page the tags.
async fn list_resources(
    catalogue: &Catalogue,
    params: &Params<'_>,
    reader: Reader,
) -> Result<Answer, Failure> {
    let after = params
        .cursor
        .map(|cursor| {
            as_str(cursor)
                .and_then(|cursor| NameCursor::decode(&cursor))
                .ok_or_else(unknown_cursor)
        })
        .transpose()?;
    let granted = reader.principal.scopes;
    let mut resources = Vec::new();
    if after.is_none() {
        let fixed = catalogue.resources_for(granted).into_iter();
        resources.extend(fixed.map(|resource| resource.descriptor.clone()));
    }
    let page = match catalogue.listing_for(granted) {
        Some(list) => list(reader, after).await.map_err(failure)?,
        None => Page {
            items: Vec::new(),
            next: None,
        },
    };
    resources.extend(page.items);
    Ok(Answer::Resources(ResourcePage {
        resources,
        next_cursor: page.next.map(|cursor| cursor.encode()),
    }))
}

async fn read_resource(
    catalogue: &Catalogue,
    version: ProtocolVersion,
    params: &Params<'_>,
    reader: Reader,
) -> Result<Answer, Failure> {
    let uri = Params::string(params.uri, "uri")?;
    let not_found = || Failure::Rpc(shape::resource_not_found(&uri, version));
    let located = catalogue.locate(&uri).ok_or_else(not_found)?;
    require(catalogue, &reader.principal, located.scopes())?;
    match located.read(reader).await {
        Ok(answer) => Ok(answer),
        Err(
            JournalError::NoSuchEntry(_) | JournalError::NoSuchTag(_) | JournalError::NoSuchExport,
        ) => Err(not_found()),
        Err(error) => Err(failure(error)),
    }
}

async fn complete(
    catalogue: &Catalogue,
    params: &Params<'_>,
    reader: Reader,
) -> Result<Answer, Failure> {
    let typed = Typed::read(params);
    let name = typed.as_ref().map_or("", |typed| &typed.name);
    let (scopes, source) = completed(catalogue, &Reference::read(params)?, name)?;
    require(catalogue, &reader.principal, scopes)?;
    let typed = typed?;
    let source = source.ok_or_else(|| unknown("argument", &typed.name))?;
    source
        .suggest(reader, &typed.value)
        .await
        .map(Answer::Completion)
        .map_err(failure)
}

/// What a completion needs, that of what it gives away included, and where it comes from.
fn completed(
    catalogue: &Catalogue,
    reference: &Reference<'_>,
    name: &str,
) -> Result<(ScopeSet, Option<Source>), RpcError> {
    let (scopes, source) = match reference {
        Reference::Prompt(prompt) => {
            let prompt = catalogue
                .prompt(prompt)
                .ok_or_else(|| unknown("prompt", prompt))?;
            (prompt.scopes(), prompt.source(name))
        }
        Reference::Template(uri) => {
            let template = catalogue
                .template(uri)
                .ok_or_else(|| unknown("resource template", uri))?;
            (template.scopes(), template.source(name))
        }
    };
    let given_away = source.map_or(ScopeSet::EMPTY, Source::scopes);
    Ok((scopes.union(given_away), source))
}

/// What went wrong where nothing that was asked can mend it.
fn failure(error: JournalError) -> Failure {
    match sentence(error) {
        Ok(text) => Failure::Internal {
            source: Cause::new(text),
        },
        Err(failure) => failure,
    }
}

/// What whoever asked can mend, in a sentence; the rest is the client's or the operator's business.
fn sentence(error: JournalError) -> Result<String, Failure> {
    Ok(match error {
        JournalError::NoSuchEntry(id) => format!("There is no entry {id}."),
        JournalError::NoSuchTag(id) => format!("There is no tag {id}."),
        JournalError::NoSuchExport => {
            "The export gave way to a newer one, or has expired; export the journal again.".to_owned()
        }
        JournalError::TagNameTaken => {
            "There is a tag of that name already; names are compared without regard to case."
                .to_owned()
        }
        JournalError::IdempotencyKeyReused => {
            "`idempotencyKey` was used within the last 24 hours with other arguments; choose another key for another write."
                .to_owned()
        }
        JournalError::Busy => return Err(Failure::Busy),
        JournalError::Unavailable { source } => return Err(Failure::Unavailable { source }),
        JournalError::Corrupt { source } => return Err(Failure::Internal { source }),
    })
}
