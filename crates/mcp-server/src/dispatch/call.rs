//! A request to the dispatcher and what becomes of it.

use std::{future::Future, pin::Pin, rc::Rc};

use super::failure::Failure;
use crate::{
    features::{call_record::CallRecord, conversation::Peer, target::Target},
    request_context::RequestContext,
};
use mcp_protocol::{
    answer::Answer,
    envelope::Params,
    method::Method,
    outgoing::{ClientCapabilities, ProgressToken},
    rpc_error::RpcError,
    version::ProtocolVersion,
};

/// A function that is called when a call of a declared feature has ended. It must not block.
pub(crate) type OnCall = Box<dyn Fn(CallRecord) + Send + Sync>;

/// A request that has passed the checks of the protocol.
pub(crate) struct Call<'a> {
    /// The method.
    pub method: Method,
    /// The feature that the request names, or the error to answer if there is none.
    pub target: Result<Target, RpcError>,
    /// The revision that the client speaks.
    pub version: ProtocolVersion,
    /// The parameters.
    pub params: &'a Params<'a>,
    /// The token for progress notifications, if the client asked for them.
    pub progress_token: Option<ProgressToken>,
    /// The caller and the HTTP request.
    pub context: RequestContext,
    /// The client's capabilities.
    pub capabilities: ClientCapabilities,
    /// Sends notifications and requests to the client.
    pub client: Rc<dyn Peer>,
}

/// A call that was accepted.
pub(crate) enum Dispatched {
    /// The answer was at hand.
    Ready(Answer),
    /// The call runs when this is polled; dropping it cancels the call.
    Pending(PendingAnswer),
}

/// A call in progress.
pub(crate) type PendingAnswer = Pin<Box<dyn Future<Output = Result<Answer, Failure>>>>;
