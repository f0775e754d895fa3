//! What is known of a request, for the access log.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Instant,
};

use actix_web::{HttpMessage, HttpRequest, http::header::HeaderName};
use resource_server::{
    principal::Principal,
    request_id::RequestId,
    trace_context::{Trace, TraceContext, TraceState},
};

use crate::{features::call_record::Feature, metrics, request_context::RequestContext};

static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What is known of a request: some of it from the start, the rest after its body was read.
pub(crate) struct RequestInfo {
    pub(crate) trace: Trace,
    /// The address that it comes from.
    pub(crate) address: IpAddr,
    /// The caller, once the token has been validated.
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) began: Instant,
    pub(crate) method: metrics::Method,
    pub(crate) era: metrics::Era,
    pub(crate) feature: Option<Feature>,
    /// What the client says that it is called, escaped and cut for the log. Nothing proves it.
    pub(crate) claimed_client: Option<String>,
}

/// The cause of an error response, for the access log.
pub(crate) struct LoggedCause(pub(crate) String);

/// Stores what is known at the start of a request that comes from this address.
pub(crate) fn begin(request: &HttpRequest, address: IpAddr) -> Trace {
    let trace = Trace::begin(request.headers());
    request.extensions_mut().insert(RequestInfo {
        trace,
        address,
        principal: None,
        began: Instant::now(),
        method: metrics::Method::None,
        era: metrics::Era::None,
        feature: None,
        claimed_client: None,
    });
    trace
}

/// Updates what is known of a request.
pub(crate) fn note(request: &HttpRequest, learn: impl FnOnce(&mut RequestInfo)) {
    if let Some(info) = request.extensions_mut().get_mut::<RequestInfo>() {
        learn(info);
    }
}

/// The id of a request, and its trace.
pub(crate) fn trace(request: &HttpRequest) -> Trace {
    let extensions = request.extensions();
    let info = extensions.get::<RequestInfo>();
    info.map_or_else(
        || Trace {
            request_id: RequestId::random(),
            parent: None,
        },
        |info| info.trace,
    )
}

/// The method of the message, as far as it is known.
pub(crate) fn method(request: &HttpRequest) -> metrics::Method {
    let extensions = request.extensions();
    let info = extensions.get::<RequestInfo>();
    info.map_or(metrics::Method::None, |info| info.method)
}

/// The address that a request comes from.
pub(crate) fn address(request: &HttpRequest) -> IpAddr {
    let extensions = request.extensions();
    let info = extensions.get::<RequestInfo>();
    info.map_or(Ipv4Addr::UNSPECIFIED.into(), |info| info.address)
}

/// The caller, if the token is valid, and the request.
pub(crate) fn context(request: &HttpRequest) -> Option<RequestContext> {
    let extensions = request.extensions();
    let info = extensions.get::<RequestInfo>()?;
    Some(RequestContext {
        principal: info.principal.clone()?,
        trace: info.trace,
        address: info.address,
    })
}

/// The trace with its `tracestate`, which may consist of several fields (W3C Trace Context §3.3.1).
pub(crate) fn trace_context(request: &HttpRequest) -> TraceContext {
    let trace = trace(request);
    let mut fields = request.headers().get_all(&TRACESTATE);
    let state = match (trace.parent, fields.next()) {
        (Some(_), Some(first)) => [first]
            .into_iter()
            .chain(fields)
            .map(|field| field.to_str().ok())
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    TraceContext {
        trace,
        state: state.and_then(|fields| TraceState::parse(&fields.join(","))),
    }
}
