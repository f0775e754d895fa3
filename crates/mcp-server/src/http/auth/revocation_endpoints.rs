//! Endpoints for authorization servers and operators, not for MCP clients: logouts, revoked tokens, and
//! revocations of users and clients.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{AUTHORIZATION, CACHE_CONTROL},
    web::{Bytes, Data, Payload},
};
use secrecy::SecretString;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::audit::{self, Event, Origin};
use crate::http::{
    edge::{body, error::HttpError, request_info::trace},
    state::AppState,
};
use resource_server::{
    auth::AuthHandle,
    principal::{Revocation, UserId},
    revocation::LogoutError,
};

/// The longest body: a logout token of 8 KiB and other parameters.
const LONGEST_BODY: usize = 16 * 1024;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

pub(crate) async fn other_method(request: HttpRequest, payload: Payload) -> HttpResponse {
    HttpError::MethodNotAllowed { allow: "POST" }
        .respond_unread(&request, payload)
        .await
}

/// OpenID Connect Back-Channel Logout 1.0 §2.5, §2.8.
pub(crate) async fn backchannel_logout(
    request: HttpRequest,
    mut payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let outcome = async {
        let body = read(&request, &mut payload, &state, FORM).await?;
        let token = one_parameter(&body, "logout_token")?;
        let revocation = state.guard.auth().verify_logout(token).await?;
        state.guard.auth().revoke(&revocation);
        audited(
            &request,
            Event::Revocation {
                kind: "user",
                by: "issuer",
            },
        );
        Ok(HttpResponse::Ok())
    };
    finish(outcome.await, &request, payload).await
}

/// Receives a token that was revoked, in the form of RFC 7009 §2.1. The response is the same for any token.
pub(crate) async fn revoked(
    request: HttpRequest,
    mut payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let outcome = async {
        check_secret(&request, &state)?;
        let body = read(&request, &mut payload, &state, FORM).await?;
        let token = one_parameter(&body, "token")?;
        let digest = Sha256::digest(secrecy::ExposeSecret::expose_secret(&token)).into();
        revoke_token(state.guard.auth(), &digest);
        audited(
            &request,
            Event::Revocation {
                kind: "token",
                by: "revoker",
            },
        );
        Ok(HttpResponse::Ok())
    };
    finish(outcome.await, &request, payload).await
}

/// Revokes a token, a user, a client or everybody.
pub(crate) async fn revocation(
    request: HttpRequest,
    mut payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let outcome = async {
        check_secret(&request, &state)?;
        let body = read(&request, &mut payload, &state, JSON).await?;
        let kind = match RevocationRequest::read(&body, state.guard.auth())? {
            RevocationRequest::Token(digest) => {
                revoke_token(state.guard.auth(), &digest);
                "token"
            }
            RevocationRequest::Others(revocation) => {
                state.guard.auth().revoke(&revocation);
                match revocation {
                    Revocation::Client { .. } => "client",
                    Revocation::All => "everybody",
                    Revocation::User(_) | Revocation::Credential(_) => "user",
                }
            }
        };
        audited(
            &request,
            Event::Revocation {
                kind,
                by: "operator",
            },
        );
        Ok(HttpResponse::NoContent())
    };
    finish(outcome.await, &request, payload).await
}

/// The subject of a revocation.
enum RevocationRequest {
    Token([u8; 32]),
    Others(Revocation),
}

impl RevocationRequest {
    fn read(body: &[u8], auth: &AuthHandle) -> Result<Self, HttpError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Named {
            token_sha256: Option<String>,
            issuer: Option<String>,
            subject: Option<String>,
            client: Option<String>,
            everybody: Option<bool>,
        }
        let named: Named = serde_json::from_slice(body).map_err(|_| ONE_KIND)?;
        let known = |issuer: String| {
            if auth.knows_issuer(&issuer) {
                Ok(issuer)
            } else {
                Err(HttpError::Invalid("unknown issuer"))
            }
        };
        match (
            named.token_sha256,
            named.issuer,
            named.subject,
            named.client,
            named.everybody,
        ) {
            (Some(digest), None, None, None, None) => {
                read_digest(&digest)
                    .map(Self::Token)
                    .ok_or(HttpError::Invalid(
                        "tokenSha256 must be the token's SHA-256 as 64 hexadecimal digits",
                    ))
            }
            (None, Some(issuer), Some(subject), None, None) => {
                let user = UserId::derive(&known(issuer)?, &subject);
                Ok(Self::Others(Revocation::User(user)))
            }
            (None, Some(issuer), None, Some(client), None) => {
                let issuer = known(issuer)?;
                Ok(Self::Others(Revocation::Client { issuer, client }))
            }
            (None, None, None, None, Some(true)) => Ok(Self::Others(Revocation::All)),
            _ => Err(ONE_KIND),
        }
    }
}

const ONE_KIND: HttpError = HttpError::Invalid(
    "The body must be a JSON object with tokenSha256, or issuer and subject, or issuer and client, or everybody: true",
);

fn read_digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? * 16 + low?).ok()?;
    }
    Some(digest)
}

fn revoke_token(auth: &AuthHandle, digest: &[u8; 32]) {
    for revocation in auth.credentials_of_digest(digest) {
        auth.revoke(&revocation);
    }
}

fn audited(request: &HttpRequest, event: Event<'_>) {
    audit::log(event, Origin::anonymous(trace(request)));
}

/// Checks the secret. A wrong one reveals nothing else.
fn check_secret(request: &HttpRequest, state: &AppState) -> Result<(), HttpError> {
    let values = request.headers().get_all(AUTHORIZATION);
    match &state.revocation_secret {
        None => Err(HttpError::NoSuchPath),
        Some(secret) if secret.is_proved_by(values.map(|value| value.as_bytes())) => Ok(()),
        Some(_) => {
            audited(request, Event::RevocationRefused);
            Err(HttpError::WrongSecret)
        }
    }
}

async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    state: &AppState,
    media_type: &'static str,
) -> Result<Bytes, HttpError> {
    body::check_content_type(request, media_type)?;
    body::read(request, payload, LONGEST_BODY, state.body_timeout).await
}

/// A form parameter that must appear exactly once (RFC 6749 §3.2).
fn one_parameter(body: &[u8], name: &str) -> Result<SecretString, HttpError> {
    let mut values = form_urlencoded::parse(body)
        .filter(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.into_owned().into()),
        _ if name == "token" => Err(HttpError::Invalid("The form must have one token")),
        _ => Err(HttpError::Invalid("The form must have one logout_token")),
    }
}

impl From<LogoutError> for HttpError {
    fn from(error: LogoutError) -> Self {
        match error {
            LogoutError::Unavailable(error) => error.into(),
            refused => Self::LogoutRefused(refused),
        }
    }
}

async fn finish(
    outcome: Result<actix_web::HttpResponseBuilder, HttpError>,
    request: &HttpRequest,
    payload: Payload,
) -> HttpResponse {
    match outcome {
        Ok(mut response) => response.insert_header((CACHE_CONTROL, "no-store")).finish(),
        Err(error) => error.respond_unread(request, payload).await,
    }
}
