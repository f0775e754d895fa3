//! From a method and its parameters to an answer, the same way in both eras.

use derive_more::Display;

use super::{
    catalogue::Catalogue,
    tool::{Context, ToolError},
};
use crate::{
    domain::{
        journal::{Cause, JournalError},
        scope::ScopeSet,
    },
    mcp::{
        answer::{Answer, ToolAnswer},
        envelope::{Params, is_object},
        jsonrpc::RpcError,
        method::Method,
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

/// Answers a request. The order is the ladder's: scope, lookup, parameters, and only then the work.
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
        Method::ListTools => {
            if params.cursor.is_some() {
                // The list is one page, so no cursor was ever given out.
                return Err(RpcError::invalid_params("Invalid params: unknown cursor").into());
            }
            Ok(Answer::Ready(
                catalogue.tool_list(context.principal.scopes, version),
            ))
        }
        Method::CallTool => call_tool(catalogue, params, context).await,
    }
}

async fn call_tool(
    catalogue: &Catalogue,
    params: &Params<'_>,
    context: Context,
) -> Result<Answer, Failure> {
    let name = Params::string(params.name, "name")?;
    let tool = catalogue.tool(&name).ok_or_else(|| {
        let name: String = name.chars().take(128).collect();
        RpcError::invalid_params(format!("Unknown tool: {name}"))
    })?;
    catalogue
        .policy()
        .require(
            context.principal.scopes,
            tool.scopes_of_call(params.arguments),
        )
        .map_err(|needed| Failure::Forbidden { needed })?;
    if params
        .arguments
        .is_some_and(|arguments| !is_object(arguments))
    {
        return Err(RpcError::invalid_params("Invalid params: arguments must be an object").into());
    }
    match tool.call(context, params.arguments).await {
        Ok(output) => Ok(Answer::Tool(ToolAnswer::Done(output))),
        Err(ToolError::BadArguments(reason)) => Ok(Answer::Tool(ToolAnswer::Failed(reason))),
        Err(ToolError::Journal(error)) => told_to_the_model(error),
    }
}

/// What a model can mend is told to it; the rest is the client's or the operator's business.
fn told_to_the_model(error: JournalError) -> Result<Answer, Failure> {
    let text = match error {
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
    };
    Ok(Answer::Tool(ToolAnswer::Failed(text)))
}
