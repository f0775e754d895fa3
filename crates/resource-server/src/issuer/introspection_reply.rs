//! What a response to an introspection says.

use actix_web::http::StatusCode;
use serde::Deserialize;

use super::{http_client::Reply, outcome::CallError};
use crate::{
    clock::Timestamp,
    unexpected::loggable,
    validation::{Claims, IntrospectionReply, read_reply},
};

/// Whether the authorization server rejects the credentials of this resource server (RFC 7662 §2.3,
/// RFC 6749 §5.2).
pub(super) fn is_client_rejected(reply: &Reply) -> bool {
    matches!(
        reply.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    ) || (reply.status == StatusCode::BAD_REQUEST && is_error(&reply.body, "invalid_client"))
}

/// Reads a response whose signature needs no verification, or has been verified.
pub(super) fn read(
    reply: &Reply,
    token: &str,
    now: Timestamp,
) -> Result<IntrospectionReply, CallError> {
    match reply.status {
        StatusCode::OK => read_reply(&reply.body).map_err(|error| {
            // The error text can contain bytes of the reply, so only its category is kept.
            let kind = error.classify();
            CallError::of_token(format!("not an introspection reply ({kind:?})"))
        }),
        status if status.is_client_error() && is_unsupported(&reply.body) => {
            // Some servers send this for a kind of token that they do not introspect: a property of the
            // token, not an outage.
            Ok(IntrospectionReply {
                active: false,
                claims: Claims::default(),
                is_unsupported: true,
            })
        }
        _ => Err(of_status(reply, token, now)),
    }
}

/// The response has another status than 200. Its OAuth error code is for the log.
pub(super) fn of_status(reply: &Reply, token: &str, now: Timestamp) -> CallError {
    let code = error_code(&reply.body);
    let code = code.as_deref().map(|code| loggable(code, token));
    CallError::of_status(reply.status, &reply.headers, now).saying(code.as_deref())
}

/// Whether a body is the OAuth error with this code.
fn is_error(body: &[u8], name: &str) -> bool {
    error_code(body).as_deref() == Some(name)
}

/// Whether a body is an OAuth error such as `unsupported_token_type` (RFC 7009 §2.2.1).
fn is_unsupported(body: &[u8]) -> bool {
    error_code(body).is_some_and(|code| code.starts_with("unsupported_token"))
}

/// The code of an OAuth error (RFC 6749 §5.2).
fn error_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct OAuthError {
        error: String,
    }
    let error: OAuthError = serde_json::from_slice(body).ok()?;
    Some(error.error)
}
