//! Who asks. Every request is authenticated afresh, whatever session or stream it names.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, http::header::AUTHORIZATION};
use url::form_urlencoded;

use super::{Site, access::trace_context, error::HttpError};
use crate::{
    audit::{self, Event, Origin},
    auth::{Mark, Presented},
    domain::{principal::Principal, trace_context::Trace},
    oauth::{
        bearer::{BearerToken, Presentation, Scheme},
        dpop::ProofFault,
        judge::{Refusal, check_presentation},
    },
};

/// Whoever asks, and by which token.
pub(super) struct Caller {
    /// Who it is.
    pub(super) principal: Arc<Principal>,
    /// The token, for what stays open under it.
    pub(super) token: BearerToken,
    /// The request, for the log.
    pub(super) trace: Trace,
    /// Whoever is cut off after this may have been let in before.
    pub(super) mark: Mark,
}

/// The caller behind a request's token.
///
/// # Errors
/// A challenge if the client has to do something about its credentials, an outage if it has not, and
/// that there were too many. A token that holds none of our scopes is good for nothing here, and is
/// told so at once.
pub(super) async fn authenticate(request: &HttpRequest, site: &Site) -> Result<Caller, HttpError> {
    let context = trace_context(request);
    let trace = context.trace;
    let refused = |refusal, token| {
        let origin = Origin {
            trace,
            principal: None,
            version: None,
        };
        audit::log(Event::TokenRefused { refusal, token }, origin);
        HttpError::Refused(refusal)
    };
    let Presentation { token, scheme } = Presentation::from_authorization(
        request
            .headers()
            .get_all(AUTHORIZATION)
            .map(|value| value.as_bytes()),
    )
    .map_err(|refusal| refused(refusal, None))?;
    // RFC 6750 §2: one method of sending the token per request. The query is no method here, but a
    // client that uses both is mistaken about something.
    if form_urlencoded::parse(request.query_string().as_bytes())
        .any(|(name, _)| name == "access_token")
    {
        let refusal = Refusal::Malformed("a token in the query as well");
        return Err(refused(refusal, Some(&token)));
    }
    let mark = site.auth.mark();
    let refused_token = |error| match error {
        HttpError::Refused(refusal) => refused(refusal, Some(&token)),
        error => error,
    };
    let unknown = site.limits.unknown_token(request, &site.clock);
    let introspected = site.auth.introspect(&token, context, || {
        unknown.take().map_err(HttpError::LimitExceeded)
    });
    let principal = introspected.await.map_err(|error| {
        // Only a token that is no good uses the limit up.
        if !matches!(error, HttpError::Refused(_)) {
            unknown.give_back();
        }
        refused_token(error)
    })?;
    unknown.give_back();
    check_proof(request, site, &token, scheme, &principal).map_err(refused_token)?;
    request.extensions_mut().insert(Arc::clone(&principal));
    // Not before it is certain who it is: nobody uses up what is another's.
    site.limits
        .admit(&principal, site.clock.now())
        .map_err(HttpError::LimitExceeded)?;
    // Where scopes are declared, a token without any of them is good for nothing.
    let declared = &site.challenger.scopes;
    if principal.scopes.is_empty() && !declared.all().is_empty() {
        let needed = site.challenger.baseline;
        let origin = Origin {
            trace,
            principal: Some(&principal),
            version: None,
        };
        let names = Vec::from_iter(declared.names(needed)).join(",");
        audit::log(Event::ScopeRefused { needed: &names }, origin);
        return Err(HttpError::Refused(Refusal::TooFewScopes { needed }));
    }
    Ok(Caller {
        principal,
        token,
        trace,
        mark,
    })
}

/// Checks that a token was presented as it has to be (RFC 9449 §7). The proof is looked at last, so that
/// nobody without a good token has signatures verified.
fn check_proof(
    request: &HttpRequest,
    site: &Site,
    token: &BearerToken,
    scheme: Scheme,
    principal: &Principal,
) -> Result<(), HttpError> {
    let refused = HttpError::Refused;
    if scheme == Scheme::Bearer {
        return check_presentation(principal, None).map_err(refused);
    }
    if principal.bound_key.is_none() {
        return Err(refused(Refusal::WrongKey));
    }
    let proof = site
        .proofs
        .verify(request, token, site.clock.now())
        .map_err(refused)?;
    check_presentation(principal, Some(&proof.thumbprint)).map_err(refused)?;
    match site.auth.present(&proof) {
        Presented::First => Ok(()),
        Presented::Again => Err(refused(Refusal::Proof(ProofFault::Used))),
        Presented::Unknown => Err(HttpError::Busy(None)),
    }
}
