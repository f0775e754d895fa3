//! Who asks. Every request is authenticated afresh, whatever session or stream it names.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, http::header::AUTHORIZATION};
use url::form_urlencoded;

use super::{Site, edge::RequestInfo, error::HttpError};
use crate::{
    actors::auth::{AuthError, Mark},
    domain::{principal::Principal, request_id::RequestId},
    oauth::{bearer::BearerToken, judge::Refusal},
};

/// Whoever asks, and by which token.
pub(super) struct Caller {
    /// Who it is.
    pub(super) principal: Arc<Principal>,
    /// The token, for what stays open under it.
    pub(super) token: BearerToken,
    /// The request, for the log.
    pub(super) trace: RequestId,
    /// Whoever is cut off after this may have been let in before.
    pub(super) mark: Mark,
}

/// The caller behind a request's token.
///
/// # Errors
/// A challenge if the client has to do something about its credentials, an outage if it has not. A
/// token that holds none of our scopes is good for nothing here, and is told so at once.
pub(super) async fn authenticate(request: &HttpRequest, site: &Site) -> Result<Caller, HttpError> {
    let token = BearerToken::from_authorization(
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
    let mark = site.auth.mark();
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
    if principal.bound_key.is_some() {
        return Err(HttpError::Refused(Refusal::SenderConstrained));
    }
    if principal.scopes.is_empty() {
        return Err(HttpError::Refused(Refusal::TooFewScopes {
            needed: site.baseline,
        }));
    }
    Ok(Caller {
        principal,
        token,
        trace,
        mark,
    })
}
