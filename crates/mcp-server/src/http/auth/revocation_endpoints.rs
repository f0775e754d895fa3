//! Endpoints for authorization servers and operators, not for MCP clients: logouts, revoked tokens, and
//! revocations of users and clients.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{AUTHORIZATION, CACHE_CONTROL},
    web::{Bytes, Data, Payload},
};
use chrono::{DateTime, SecondsFormat};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::audit::{Event, Origin};
use crate::budgets::Payer;
use crate::http::{
    edge::{
        body,
        error::HttpError,
        request_info::{address, trace},
    },
    state::AppState,
};
use resource_server::{
    clock::Timestamp,
    jose::jwt::peek_expiry,
    principal::UserId,
    printable::printable,
    revocation::{LogoutError, OrderedBy, RevocationOrder, RevocationTarget, StoredRevocation},
    validation::is_usable_name,
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

/// What `GET` lists of the revocations at most.
const LONGEST_LIST: usize = 1_000;

pub(crate) async fn other_method_of_revocations(
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    HttpError::MethodNotAllowed { allow: "GET, POST" }
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
        let target = state.guard.log_out(&request, token).await?;
        let event = Event::Revocation {
            kind: target.kind(),
            target: &told(&target),
            by: OrderedBy::Issuer.as_str(),
        };
        audited(&request, &state, event);
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
        let token = secrecy::ExposeSecret::expose_secret(&token);
        let order = RevocationOrder {
            target: RevocationTarget::Token(Sha256::digest(token).into()),
            revoked_at: state.clock.now(),
            until: peek_expiry(token),
            ordered_by: OrderedBy::Revoker,
        };
        carry_out(&request, &state, order).await?;
        Ok(HttpResponse::Ok())
    };
    finish(outcome.await, &request, payload).await
}

/// Revokes a token, a user, a client or everybody, or lifts such a revocation.
pub(crate) async fn revocation(
    request: HttpRequest,
    mut payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let outcome = async {
        check_secret(&request, &state)?;
        let body = read(&request, &mut payload, &state, JSON).await?;
        match Instruction::read(&body, &state)? {
            Instruction::Revoke(order) => carry_out(&request, &state, order).await?,
            Instruction::Lift(target) => {
                let (kind, told) = (target.kind(), told(&target));
                let lifted = state.guard.auth().lift(target).await;
                if !lifted.map_err(HttpError::NotRevoked)? {
                    return Err(HttpError::NoSuchRevocation);
                }
                let event = Event::RevocationLifted {
                    kind,
                    target: &told,
                };
                audited(&request, &state, event);
            }
        }
        Ok(HttpResponse::NoContent())
    };
    finish(outcome.await, &request, payload).await
}

/// Lists the revocations, the latest first.
pub(crate) async fn revocations(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let listed = async {
        check_secret(&request, &state)?;
        let stored = state.guard.auth().orders(LONGEST_LIST + 1).await;
        stored.map_err(HttpError::RevocationsUnread)
    };
    match listed.await {
        Ok(stored) => {
            let shown = stored.iter().take(LONGEST_LIST).map(listed_revocation);
            let body = json!({
                "revocations": Vec::from_iter(shown),
                "more": stored.len() > LONGEST_LIST,
            });
            HttpResponse::Ok()
                .insert_header((CACHE_CONTROL, "no-store"))
                .json(body)
        }
        Err(error) => error.respond_unread(&request, payload).await,
    }
}

fn listed_revocation(stored: &StoredRevocation) -> Value {
    let order = &stored.order;
    let mut shown = json!({
        "kind": order.target.kind(),
        "revokedAt": rfc3339(order.revoked_at),
        "until": order.until.map(rfc3339),
        "orderedBy": order.ordered_by.as_str(),
    });
    match &order.target {
        RevocationTarget::Token(digest) => {
            let hex = digest.iter().map(|byte| format!("{byte:02x}"));
            shown["tokenSha256"] = hex.collect::<String>().into();
        }
        RevocationTarget::User { issuer, subject } => {
            shown["issuer"] = issuer.as_str().into();
            shown["subject"] = subject.as_str().into();
        }
        RevocationTarget::Client { issuer, client } => {
            shown["issuer"] = issuer.as_str().into();
            shown["client"] = client.as_str().into();
        }
        RevocationTarget::Everybody => {}
    }
    shown
}

fn rfc3339(time: Timestamp) -> String {
    if time == forever() {
        return FOREVER.to_owned();
    }
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What an operator wants.
enum Instruction {
    Revoke(RevocationOrder),
    Lift(RevocationTarget),
}

impl Instruction {
    fn read(body: &[u8], state: &AppState) -> Result<Self, HttpError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Named {
            token_sha256: Option<String>,
            issuer: Option<String>,
            subject: Option<String>,
            client: Option<String>,
            everybody: Option<bool>,
            until: Option<String>,
            lift: Option<bool>,
        }
        let named: Named = serde_json::from_slice(body).map_err(|_| ONE_KIND)?;
        // What was ordered can be lifted, also if its issuer is no longer configured.
        let is_lift = named.lift.unwrap_or(false);
        let known = |issuer: String| {
            if is_lift || state.guard.auth().knows_issuer(&issuer) {
                Ok(issuer)
            } else {
                Err(HttpError::Invalid("unknown issuer"))
            }
        };
        let usable = |name: String| {
            if is_usable_name(&name) {
                Ok(name)
            } else {
                Err(HttpError::Invalid(
                    "subject and client must have 1 to 1,024 bytes, none of them NUL",
                ))
            }
        };
        let target = match (
            named.token_sha256,
            named.issuer,
            named.subject,
            named.client,
            named.everybody,
        ) {
            (Some(digest), None, None, None, None) => {
                let digest = read_digest(&digest).ok_or(HttpError::Invalid(
                    "tokenSha256 must be the token's SHA-256 as 64 hexadecimal digits",
                ))?;
                RevocationTarget::Token(digest)
            }
            (None, Some(issuer), Some(subject), None, None) => RevocationTarget::User {
                issuer: known(issuer)?,
                subject: usable(subject)?,
            },
            (None, Some(issuer), None, Some(client), None) => RevocationTarget::Client {
                issuer: known(issuer)?,
                client: usable(client)?,
            },
            (None, None, None, None, Some(true)) => RevocationTarget::Everybody,
            _ => return Err(ONE_KIND),
        };
        let now = state.clock.now();
        let until = named
            .until
            .map(|until| read_until(&until, now))
            .transpose()?;
        match (is_lift, until, &target) {
            (true, Some(_), _) => Err(HttpError::Invalid("lift and until exclude each other")),
            (_, Some(_), RevocationTarget::Token(_)) => Err(HttpError::Invalid(
                "until is for users, clients and everybody: a token that is revoked never comes back",
            )),
            (true, None, _) => Ok(Self::Lift(target)),
            (false, until, _) => Ok(Self::Revoke(RevocationOrder {
                target,
                revoked_at: now,
                until,
                ordered_by: OrderedBy::Operator,
            })),
        }
    }
}

const ONE_KIND: HttpError = HttpError::Invalid(
    "The body must be a JSON object with tokenSha256, or issuer and subject, or issuer and client, or everybody: true; \
     and until or lift: true, if need be",
);

/// The word for a time that never comes.
const FOREVER: &str = "forever";

/// That time: the last second that RFC 3339 can write.
fn forever() -> Timestamp {
    DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(Timestamp::MAX_UTC)
}

fn read_until(text: &str, now: Timestamp) -> Result<Timestamp, HttpError> {
    if text == FOREVER {
        return Ok(forever());
    }
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|until| until.to_utc())
        .filter(|until| now < *until)
        .ok_or(HttpError::Invalid(
            "until must be a time to come, such as 2027-01-31T12:00:00Z, or forever",
        ))
}

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

async fn carry_out(
    request: &HttpRequest,
    state: &AppState,
    order: RevocationOrder,
) -> Result<(), HttpError> {
    let (kind, by) = (order.target.kind(), order.ordered_by.as_str());
    let told = told(&order.target);
    let ordered = state.guard.auth().order(order).await;
    // It ended streams and sessions, also where it may not last.
    let event = Event::Revocation {
        kind,
        target: &told,
        by,
    };
    audited(request, state, event);
    ordered.map_err(|error| {
        log::error!("a revocation may not last: {error}");
        HttpError::NotRevoked(error)
    })
}

fn audited(request: &HttpRequest, state: &AppState, event: Event<'_>) {
    let origin = Origin::anonymous(trace(request), address(request));
    state.audit.log(event, origin);
}

/// The target of a revocation for the audit log, as other lines have it: never a subject in full.
fn told(target: &RevocationTarget) -> String {
    match target {
        RevocationTarget::Token(digest) => digest[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        RevocationTarget::User { issuer, subject } => UserId::derive(issuer, subject).to_string(),
        RevocationTarget::Client { client, .. } => printable(client).into_owned(),
        RevocationTarget::Everybody => String::new(),
    }
}

/// Checks the secret. A wrong one reveals nothing else, and there is a limit of them for each source.
fn check_secret(request: &HttpRequest, state: &AppState) -> Result<(), HttpError> {
    let Some(secret) = &state.revocation_secret else {
        return Err(HttpError::NoSuchPath);
    };
    let attempt = state.guard.secret_attempt(request);
    let attempt = attempt.map_err(HttpError::LimitExceeded)?;
    let values = request.headers().get_all(AUTHORIZATION);
    if secret.is_proved_by(values.map(|value| value.as_bytes())) {
        attempt.succeeded();
        return Ok(());
    }
    audited(request, state, Event::RevocationRefused);
    Err(HttpError::WrongSecret)
}

async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    state: &AppState,
    media_type: &'static str,
) -> Result<Bytes, HttpError> {
    body::check_content_type(request, media_type)?;
    // Nobody is known yet but the address.
    let source = Payer::Source(state.guard.source(request));
    let account = state.budgets.account(source);
    let times = state.body_times;
    let body = body::read(request, payload, LONGEST_BODY, times, &account).await?;
    Ok(body.bytes)
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
            LogoutError::NotStored(error) => Self::NotRevoked(error),
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
