//! Who sent a request, and which request it is.

use std::{net::IpAddr, sync::Arc};

use resource_server::{principal::Principal, trace_context::Trace};

/// What every part that handles an authenticated request needs to know of it.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    /// The user and the client, according to the token of this request.
    pub principal: Arc<Principal>,
    /// The request's id and its trace, for the log.
    pub trace: Trace,
    /// The address that the request comes from, for the audit log.
    pub address: IpAddr,
}
