//! Who asks. Every request is authenticated afresh, whatever session or stream it names.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, http::header::AUTHORIZATION};
use url::form_urlencoded;

use super::{Site, edge::RequestInfo, error::HttpError};
use crate::{
    actors::auth::{AuthError, Presented},
    domain::{principal::Principal, request_id::RequestId},
    oauth::{
        bearer::{BearerToken, Presentation, Scheme},
        dpop::ProofFault,
        judge::{Refusal, check_presentation},
    },
};

/// The principal behind a request's token.
///
/// # Errors
/// A challenge if the client has to do something about its credentials, an outage if it has not. A
/// token that holds none of our scopes is good for nothing here, and is told so at once.
pub(super) async fn authenticate(
    request: &HttpRequest,
    site: &Site,
) -> Result<Arc<Principal>, HttpError> {
    let Presentation { token, scheme } = Presentation::from_authorization(
        request
            .headers()
            .get_all(AUTHORIZATION)
            .map(|value| value.as_bytes()),
    )
    .map_err(HttpError::Refused)?;
    // RFC 6750 §2: one method of sending the token per request. The query is no method here, but a
    // client that uses both is mistaken about something.
    if form_urlencoded::parse(request.query_string().as_bytes())
        .any(|(name, _)| name == "access_token")
    {
        return Err(HttpError::Refused(Refusal::Malformed(
            "a token in the query as well",
        )));
    }
    let trace = request
        .extensions()
        .get::<RequestInfo>()
        .map_or_else(RequestId::random, |info| info.id);
    let principal = match site.auth.introspect(token.clone(), trace).await {
        Ok(principal) => principal,
        Err(error) => {
            if let AuthError::Refused(refusal) = &error {
                log::info!(
                    request_id:% = trace, token = token.fingerprint();
                    "refused a token: {refusal}"
                );
            }
            return Err(error.into());
        }
    };
    check_proof(request, site, &token, scheme, &principal).inspect_err(|error| {
        if let HttpError::Refused(refusal) = error {
            log::info!(
                request_id:% = trace, token = token.fingerprint();
                "refused how a token was presented: {refusal}"
            );
        }
    })?;
    if principal.scopes.is_empty() {
        return Err(HttpError::Refused(Refusal::TooFewScopes {
            needed: site.baseline,
        }));
    }
    Ok(principal)
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
