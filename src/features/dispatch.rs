//! From a method and its parameters to an answer, the same way in both eras.

use std::sync::Arc;

use derive_more::Display;

use super::{
    catalogue::Catalogue,
    completion::Source,
    prompt::PromptError,
    tool::{Context, ToolError},
};
use crate::{
    domain::{
        journal::{Cause, JournalError},
        page::{Cursor, NameCursor, Page},
        scope::ScopeSet,
    },
    mcp::{
        answer::{Answer, ResourcePage, ToolAnswer},
        completion::{Reference, Typed},
        envelope::{Params, as_str, is_object},
        jsonrpc::RpcError,
        method::Method,
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

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        Self::Rpc(error)
    }
}

/// Answers a request. The order is the ladder's: lookup, scope, parameters, and only then the work.
///
/// # Errors
/// See [`Failure`].
pub async fn dispatch(
    catalogue: &Catalogue,
    method: Method,
    version: ProtocolVersion,
    params: &Params<'_>,
    context: Context,
) -> Result<Answer, Failure> {
    match method {
        Method::Ping => Ok(Answer::Empty),
        Method::Discover => Ok(Answer::Ready(catalogue.discovery())),
        Method::ListTools => one_page(params, || {
            catalogue.tool_list(context.principal.scopes, version)
        }),
        Method::CallTool => call_tool(catalogue, params, context).await,
        Method::ListResources => list_resources(catalogue, params, context).await,
        Method::ListResourceTemplates => one_page(params, || {
            catalogue.template_list(context.principal.scopes, version)
        }),
        Method::ReadResource => read_resource(catalogue, version, params, context).await,
        Method::ListPrompts => one_page(params, || {
            catalogue.prompt_list(context.principal.scopes, version)
        }),
        Method::GetPrompt => get_prompt(catalogue, params, context).await,
        Method::Complete => complete(catalogue, params, context).await,
    }
}

/// Refuses, before anything runs, what the token does not reach.
fn require(catalogue: &Catalogue, context: &Context, needed: ScopeSet) -> Result<(), Failure> {
    catalogue
        .policy()
        .require(context.principal.scopes, needed)
        .map_err(|needed| Failure::Forbidden { needed })
}

/// A list that is one page, so that no cursor was ever given out.
fn one_page(params: &Params<'_>, list: impl FnOnce() -> Arc<str>) -> Result<Answer, Failure> {
    match params.cursor {
        None => Ok(Answer::Ready(list())),
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

async fn call_tool(
    catalogue: &Catalogue,
    params: &Params<'_>,
    context: Context,
) -> Result<Answer, Failure> {
    let name = Params::string(params.name, "name")?;
    let tool = catalogue
        .tool(&name)
        .ok_or_else(|| unknown("tool", &name))?;
    require(catalogue, &context, tool.scopes_of_call(params.arguments))?;
    check_arguments(params)?;
    match tool.call(context, params.arguments).await {
        Ok(output) => Ok(Answer::Tool(ToolAnswer::Done(output))),
        Err(ToolError::BadArguments(reason)) => Ok(Answer::Tool(ToolAnswer::Failed(reason))),
        Err(ToolError::Journal(error)) => {
            sentence(error).map(|reason| Answer::Tool(ToolAnswer::Failed(reason)))
        }
    }
}

/// The fixed resources, then page by page the tags.
async fn list_resources(
    catalogue: &Catalogue,
    params: &Params<'_>,
    context: Context,
) -> Result<Answer, Failure> {
    let after = params
        .cursor
        .map(|cursor| {
            as_str(cursor)
                .and_then(|cursor| NameCursor::decode(&cursor))
                .ok_or_else(unknown_cursor)
        })
        .transpose()?;
    let granted = context.principal.scopes;
    let mut resources = Vec::new();
    if after.is_none() {
        let fixed = catalogue.resources_for(granted).into_iter();
        resources.extend(fixed.map(|resource| resource.descriptor.clone()));
    }
    let page = match catalogue.listing_for(granted) {
        Some(list) => list(context, after).await.map_err(failure)?,
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
    context: Context,
) -> Result<Answer, Failure> {
    let uri = Params::string(params.uri, "uri")?;
    let not_found = || Failure::Rpc(shape::resource_not_found(&uri, version));
    let located = catalogue.locate(&uri).ok_or_else(not_found)?;
    require(catalogue, &context, located.scopes())?;
    match located.read(context).await {
        Ok(contents) => Ok(Answer::Contents(contents)),
        Err(JournalError::NoSuchEntry(_) | JournalError::NoSuchTag(_)) => Err(not_found()),
        Err(error) => Err(failure(error)),
    }
}

async fn get_prompt(
    catalogue: &Catalogue,
    params: &Params<'_>,
    context: Context,
) -> Result<Answer, Failure> {
    let name = Params::string(params.name, "name")?;
    let prompt = catalogue
        .prompt(&name)
        .ok_or_else(|| unknown("prompt", &name))?;
    require(catalogue, &context, prompt.scopes())?;
    check_arguments(params)?;
    match prompt.get(context, params.arguments).await {
        Ok(output) => Ok(Answer::Prompt(output)),
        Err(PromptError::BadArguments(reason)) => Err(RpcError::invalid_params(reason).into()),
        Err(PromptError::Journal(error)) => Err(RpcError::invalid_params(sentence(error)?).into()),
    }
}

async fn complete(
    catalogue: &Catalogue,
    params: &Params<'_>,
    context: Context,
) -> Result<Answer, Failure> {
    let typed = Typed::read(params);
    let name = typed.as_ref().map_or("", |typed| &typed.name);
    let (scopes, source) = match Reference::read(params)? {
        Reference::Prompt(prompt) => {
            let prompt = catalogue
                .prompt(&prompt)
                .ok_or_else(|| unknown("prompt", &prompt))?;
            (prompt.scopes(), prompt.source(name))
        }
        Reference::Template(uri) => {
            let template = catalogue
                .template(&uri)
                .ok_or_else(|| unknown("resource template", &uri))?;
            (template.scopes(), template.source(name))
        }
    };
    let given_away = source.map_or(ScopeSet::EMPTY, Source::scopes);
    require(catalogue, &context, scopes.union(given_away))?;
    let typed = typed?;
    let source = source.ok_or_else(|| unknown("argument", &typed.name))?;
    source
        .suggest(context, &typed.value)
        .await
        .map(Answer::Completion)
        .map_err(failure)
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
