//! The introspection endpoint (RFC 7662): what resource servers ask. Who asks for a signed reply gets
//! one (RFC 9701).

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    answer::{self, Body, OAuthError, Reply},
    client_auth::Claim,
    details::Details,
    faults::{Endpoint, FaultMode, WRONG_ISSUER},
    grants::{Kind, Token},
    params::Params,
    secret::Digest,
    state::State,
    token,
};

/// RFC 9701 §5; it is the media type as well.
const SIGNED: &str = "token-introspection+jwt";

/// What is said of a live token (§2.2).
#[derive(Serialize)]
struct Active<'a> {
    active: bool,
    scope: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    token_type: &'static str,
    exp: i64,
    iat: i64,
    nbf: i64,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Audience<'a>>,
    iss: &'a str,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation<'a>>,
    /// RFC 9396 §9.2.
    #[serde(skip_serializing_if = "Details::is_empty")]
    authorization_details: &'a Details,
    #[serde(flatten)]
    claims: Option<&'a Map<String, Value>>,
}

/// The key that a token is bound to (RFC 9449 §6.2).
#[derive(Serialize)]
struct Confirmation<'a> {
    jkt: &'a str,
}

/// One string, or several in an array (RFC 7519 §4.1.3).
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Many(&'a [String]),
}

/// All that is said of any other token (§2.2: no reason, for that would help to guess).
#[derive(Serialize)]
struct Inactive {
    active: bool,
}

/// `POST /oauth/introspection`.
pub(crate) async fn introspect(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    if let Some(fault) = state.fault(Endpoint::Introspection).await {
        return Ok(fault);
    }
    let form = token::form(&request, body)?;
    let caller = authenticate(&request, &state, &form)?;
    let missing = || OAuthError::invalid_request("token is missing");
    let token = form.get("token").ok_or_else(missing)?;
    let lie = state.faults.get(Endpoint::Introspection).mode;
    let (store, now) = state.store();
    let mut reply = match store.look_up(token, now) {
        Some((digest, token)) => json!(active(&state, &digest, token)),
        None => json!(Inactive { active: false }),
    };
    distort(&mut reply, lie, now);
    if !wants_signed(request.headers()) {
        return Ok(answer::json(StatusCode::OK, &reply));
    }
    let claims = json!({
        "iss": state.issuer,
        "aud": caller,
        "iat": now.timestamp(),
        "token_introspection": reply,
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(format!("application/{SIGNED}"))
        .body(store.writer.sign(SIGNED, &claims)))
}

/// Has a reply say what is not true, where a fault asks for that.
fn distort(reply: &mut Value, lie: FaultMode, now: DateTime<Utc>) {
    if lie == FaultMode::Inactive {
        *reply = json!(Inactive { active: false });
    }
    if reply["active"] != true {
        return;
    }
    match lie {
        FaultMode::WrongAudience => reply["aud"] = json!("https://elsewhere.example/mcp"),
        FaultMode::WrongIssuer => reply["iss"] = json!(WRONG_ISSUER),
        FaultMode::Expired => reply["exp"] = json!(now.timestamp() - 3_600),
        _ => {}
    }
}

/// RFC 9701 §4: a signed reply is asked for by name, among others or not. Weights are not looked at.
fn wants_signed(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next()?.trim().split_once('/'))
        .any(|(kind, name)| {
            kind.eq_ignore_ascii_case("application") && name.eq_ignore_ascii_case(SIGNED)
        })
}

/// Who asks. §2.1: without this, whoever finds a token could ask what it is good for.
fn authenticate(request: &HttpRequest, state: &State, form: &Params) -> Result<String, OAuthError> {
    let claim = Claim::read(request.headers(), form)?;
    let known = state
        .introspection_clients
        .iter()
        .any(|(id, secret)| *id == claim.id && claim.proves(secret));
    known.then_some(claim.id).ok_or_else(|| {
        OAuthError::invalid_client(
            "the caller is not an introspection client, or its secret is wrong",
        )
    })
}

fn active<'a>(state: &'a State, digest: &Digest, token: &'a Token) -> Active<'a> {
    let grant = &token.grant;
    let user = state.user(&grant.subject);
    Active {
        active: true,
        scope: &grant.scope,
        client_id: &grant.client_id,
        username: user.map(|user| user.username.as_str()),
        // A resource server has to refuse a refresh token, and by this it can.
        token_type: match token.kind {
            Kind::Access if grant.key.is_some() => "DPoP",
            Kind::Access => "Bearer",
            Kind::Refresh | Kind::SpentRefresh { .. } => "refresh_token",
        },
        exp: token.expires.timestamp(),
        iat: token.issued.timestamp(),
        nbf: token.issued.timestamp(),
        sub: &grant.subject,
        aud: match grant.audience.as_slice() {
            [] => None,
            [one] => Some(Audience::One(one)),
            many => Some(Audience::Many(many)),
        },
        iss: &state.issuer,
        cnf: grant.key.as_deref().map(|jkt| Confirmation { jkt }),
        authorization_details: &grant.details,
        claims: user.map(|user| &user.claims),
        jti: token.jti.clone().unwrap_or_else(|| digest.id()),
    }
}
