//! Endpoints for scripts and tests, without the pages: `GET /test-auth` and `POST /dev/token`.

use actix_web::{HttpRequest, http::StatusCode, web};
use chrono::TimeDelta;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    answer::{self, Body, ErrorCode, OAuthError, Reply},
    authorize::Refusal,
    consent,
    details::Details,
    dpop,
    grants::{Grant, Issued},
    middleware,
    params::Params,
    scopes,
    settings::TokenFormat,
    state::State,
    token,
};

/// `GET /test-auth`: the authorization request of `/oauth/authorize`, answered at once for the user
/// `user_id`, or the first. Without `scope` it grants none.
pub(crate) async fn test_auth(request: HttpRequest, state: web::Data<State>) -> Reply {
    let asked = consent::read(&request, &state)
        .await
        .map_err(|refusal| match refusal {
            Refusal::Page(why, _) => OAuthError::invalid_request(why),
            Refusal::Redirect(_, error) => error,
        })?;
    let params = Params::parse(request.query_string().as_bytes());
    let user = match params.get("user_id") {
        Some(subject) => state.user(subject),
        None => state.users.first(),
    };
    let user = user.ok_or_else(unknown_user)?;
    let scopes = asked.scopes.clone().unwrap_or_default();
    let (mut store, now) = state.store();
    let code = store.issue_code(asked.granted(user, scopes), now);
    drop(store);
    Ok(answer::json(
        StatusCode::OK,
        &serde_json::json!({
            "redirectTo": asked.way_back.with_code(code.expose_secret()),
            "userId": user.subject,
        }),
    ))
}

fn unknown_user() -> OAuthError {
    OAuthError::new(ErrorCode::UnknownUser, "there is no such user")
}

/// What `POST /dev/token` takes. Everything may be left out.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    /// A subject, known or not.
    subject: Option<String>,
    /// A user by name; the first one if neither is given.
    user: Option<String>,
    client_id: Option<String>,
    /// All that can be granted if left out.
    scope: Option<String>,
    resource: Option<OneOrMany>,
    /// Seconds.
    expires_in: Option<u32>,
    format: Option<TokenFormat>,
    authorization_details: Vec<Value>,
    /// The thumbprint of a key that the token is to be bound to.
    jkt: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// `POST /dev/token`: an access token for whoever asks. The demand for JSON keeps the forms of other
/// sites away.
pub(crate) async fn dev_token(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let wanted: Wanted = json(&request, body)?;
    let known = match &wanted.user {
        Some(name) => state.users.iter().find(|user| user.username == *name),
        None => state.users.first(),
    };
    let subject = match (wanted.subject, wanted.user, known) {
        (Some(_), Some(_), _) => {
            return Err(OAuthError::invalid_request(
                "give subject or user, not both",
            ));
        }
        (Some(subject), None, _) => subject,
        (None, _, Some(user)) => user.subject.clone(),
        (None, _, None) => return Err(unknown_user()),
    };
    let asked: Vec<String> = match wanted.resource {
        None => Vec::new(),
        Some(OneOrMany::One(one)) => vec![one],
        Some(OneOrMany::Many(many)) => many,
    };
    let audience = state.resources.read(asked.iter().map(String::as_str))?;
    let scope = wanted.scope.unwrap_or_else(|| state.scopes.all().to_text());
    if !scopes::is_well_formed(&scope) {
        return Err(OAuthError::invalid_scope("scope is malformed"));
    }
    if wanted
        .jkt
        .as_deref()
        .is_some_and(|jkt| !dpop::is_thumbprint(jkt))
    {
        let words = "jkt has to be a SHA-256 thumbprint in base64url";
        return Err(OAuthError::invalid_request(words));
    }
    let details = Details::check(wanted.authorization_details, &state.authorization_details)?;
    let is_bound = wanted.jkt.is_some();
    let (mut store, now) = state.store();
    let lifetime = wanted.expires_in.map(|it| TimeDelta::seconds(it.into()));
    let lifetime = lifetime.unwrap_or_else(|| store.access_lifetime());
    let grant = Grant {
        subject,
        client_id: wanted.client_id.unwrap_or_else(|| "dev".to_owned()),
        scope: scope.clone(),
        audience,
        details: details.clone(),
        format: wanted.format.unwrap_or(store.writer.format),
        key: wanted.jkt,
    };
    let access_token = store.issue(grant, lifetime, now);
    drop(store);
    Ok(token::issued(&Issued {
        access_token,
        refresh_token: None,
        scope,
        details,
        is_bound,
        lifetime,
    }))
}

/// The JSON of a request to an endpoint for developers.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    request: &HttpRequest,
    body: Body,
) -> Result<T, OAuthError> {
    let body = answer::whole(body)?;
    if !middleware::has_type(request, "application/json") {
        let words = "the body has to be application/json";
        return Err(OAuthError::new(ErrorCode::UnsupportedMediaType, words));
    }
    serde_json::from_slice(&body).map_err(|error| OAuthError::invalid_request(error.to_string()))
}
