//! Who asks. Every request is authenticated afresh, whatever session or stream it names.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, http::header::AUTHORIZATION};
use url::form_urlencoded;

use super::{Site, edge::RequestInfo, error::HttpError};
use crate::{
    domain::{principal::Principal, request_id::RequestId},
    oauth::{bearer::BearerToken, judge::Refusal},
};

/// The principal behind a request's token.
///
/// # Errors
/// A challenge if the client has to do something about its credentials, an outage if it has not, and
/// that there were too many. A token that holds none of our scopes is good for nothing here, and is
/// told so at once.
pub(super) async fn authenticate(
    request: &HttpRequest,
    site: &Site,
) -> Result<Arc<Principal>, HttpError> {
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
    let unknown = site.limits.unknown_token(request, &site.clock);
    let introspected = site.auth.introspect(token.clone(), trace, || {
        unknown.take().map_err(HttpError::LimitExceeded)
    });
    let principal = match introspected.await {
        Ok(principal) => {
            unknown.give_back();
            principal
        }
        Err(error) => {
            if let HttpError::Refused(refusal) = &error {
                log::info!(
                    request_id:% = trace, token = token.fingerprint();
                    "refused a token: {refusal}"
                );
            } else {
                unknown.give_back();
            }
            return Err(error);
        }
    };
    if principal.bound_key.is_some() {
        return Err(HttpError::Refused(Refusal::SenderConstrained));
    }
    // Not before it is certain who it is: nobody uses up what is another's.
    site.limits
        .admit(&principal, site.clock.now())
        .map_err(HttpError::LimitExceeded)?;
    if principal.scopes.is_empty() {
        return Err(HttpError::Refused(Refusal::TooFewScopes {
            needed: site.baseline,
        }));
    }
    Ok(principal)
}
