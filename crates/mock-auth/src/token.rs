//! The token endpoint (RFC 6749 §3.2) and the revocation endpoint (RFC 7009).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::{
    answer::{self, Body, ErrorCode, OAuthError, Reply},
    client::{Client, GrantType},
    client_auth::Claim,
    client_document,
    details::Details,
    dpop,
    faults::Endpoint,
    grants::{DeviceRedemption, Grant, Issued, Redemption, Refreshment},
    middleware,
    params::Params,
    scopes::Scopes,
    state::State,
};

/// A token response (RFC 6749 §5.1).
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    scope: &'a str,
    /// RFC 9396 §7.
    #[serde(skip_serializing_if = "Details::is_empty")]
    authorization_details: &'a Details,
}

/// The tokens as the client gets them.
pub(crate) fn issued(issued: &Issued) -> HttpResponse {
    answer::json(
        StatusCode::OK,
        &TokenResponse {
            access_token: issued.access_token.expose_secret(),
            token_type: if issued.is_bound { "DPoP" } else { "Bearer" },
            expires_in: issued.lifetime.num_seconds(),
            refresh_token: issued
                .refresh_token
                .as_ref()
                .map(SecretString::expose_secret),
            scope: &issued.scope,
            authorization_details: &issued.details,
        },
    )
}

/// `POST /oauth/token`.
pub(crate) async fn token(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    if let Some(fault) = state.fault(Endpoint::Token).await {
        return Ok(fault);
    }
    let form = form(&request, body)?;
    let tokens = exchange(&request, &state, &form).await?;
    Ok(issued(&tokens))
}

/// `POST /oauth/revoke`: unknown tokens are no error, for what the client wants is true already
/// (RFC 7009 §2.2).
pub(crate) async fn revoke(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let form = form(&request, body)?;
    let client = authenticate(&request, &state, &form).await?;
    let missing = || OAuthError::invalid_request("token is missing");
    let token = form.get("token").ok_or_else(missing)?;
    let (mut store, now) = state.store();
    if store.revoke_for(&client.id, token, now)? {
        log::info!("a token of client {} was revoked by it", client.id);
    }
    Ok(answer::json(StatusCode::OK, &serde_json::json!({})))
}

/// The form of a request to a protocol endpoint.
pub(crate) fn form(request: &HttpRequest, body: Body) -> Result<Params, OAuthError> {
    let body = answer::whole(body)?;
    if !middleware::has_type(request, "application/x-www-form-urlencoded") {
        let words = "the body has to be application/x-www-form-urlencoded";
        return Err(OAuthError::invalid_request(words));
    }
    let form = Params::parse(&body);
    if form.any_repeats() {
        return Err(OAuthError::invalid_request("a parameter is there twice"));
    }
    Ok(form)
}

/// The client that calls. One that has a secret has to prove that it knows it, in either of the two
/// ways, whichever it registered: clients in the field choose by what the metadata offers.
pub(crate) async fn authenticate(
    request: &HttpRequest,
    state: &State,
    form: &Params,
) -> Result<Arc<Client>, OAuthError> {
    let claim = Claim::read(request.headers(), form)?;
    let client = client_document::find(request, state, &claim.id).await;
    let client = client.map_err(|none| OAuthError::invalid_client(none.to_string()))?;
    let proved = match &client.secret {
        Some(secret) => claim.proves(secret),
        // A public client may use Basic with an empty password; a secret it cannot have.
        None => claim
            .secret
            .as_ref()
            .is_none_or(|secret| secret.expose_secret().is_empty()),
    };
    if !proved {
        return Err(OAuthError::invalid_client(
            "the client's secret is wrong or missing",
        ));
    }
    Ok(client)
}

async fn exchange(
    request: &HttpRequest,
    state: &State,
    form: &Params,
) -> Result<Issued, OAuthError> {
    let client = authenticate(request, state, form).await?;
    let missing = |what: &str| OAuthError::invalid_request(format!("{what} is missing"));
    let grant_type = form
        .get("grant_type")
        .ok_or_else(|| missing("grant_type"))?;
    let grant_type = GrantType::named(grant_type).ok_or_else(|| {
        let other = "grant_type is not one that this server knows";
        OAuthError::new(ErrorCode::UnsupportedGrantType, other)
    })?;
    if !client.may(grant_type) {
        let other = "the client did not register for this grant_type";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, other));
    }
    let key = proved_key(request, state)?;
    let details = form.get("authorization_details");
    let details = Details::read(details, &state.authorization_details)?;
    match grant_type {
        GrantType::AuthorizationCode => {
            let redemption = Redemption {
                code: form.get("code").ok_or_else(|| missing("code"))?,
                client_id: &client.id,
                redirect_uri: form.get("redirect_uri"),
                verifier: form
                    .get("code_verifier")
                    .ok_or_else(|| missing("code_verifier"))?,
                resources: form.all("resource").collect(),
                details,
                key: key.as_deref(),
            };
            let (mut store, now) = state.store();
            store.redeem(&redemption, now)
        }
        GrantType::RefreshToken => {
            let refreshment = Refreshment {
                token: form
                    .get("refresh_token")
                    .ok_or_else(|| missing("refresh_token"))?,
                client_id: &client.id,
                scopes: form
                    .get("scope")
                    .map(|list| scopes(state, list))
                    .transpose()?,
                resources: form.all("resource").collect(),
                details,
                key: key.as_deref(),
            };
            let (mut store, now) = state.store();
            store.refresh(&refreshment, now)
        }
        GrantType::DeviceCode => {
            let redemption = DeviceRedemption {
                code: form
                    .get("device_code")
                    .ok_or_else(|| missing("device_code"))?,
                client_id: &client.id,
                refreshable: client.may(GrantType::RefreshToken),
                resources: form.all("resource").collect(),
                key: key.as_deref(),
            };
            let (mut store, now) = state.store();
            store.redeem_device(&redemption, now)
        }
        GrantType::ClientCredentials => client_credentials(state, form, &client, details, key),
    }
}

/// The thumbprint of the key that the client proves, if it proves one (RFC 9449 §5). The proof is used
/// up by that, whatever comes of the request.
fn proved_key(request: &HttpRequest, state: &State) -> Result<Option<String>, OAuthError> {
    let (mut store, now) = state.store();
    let url = format!("{}/oauth/token", state.issuer);
    let Some(proof) = dpop::proof(request, &url, now)? else {
        return Ok(None);
    };
    if !store.use_proof(&proof, now) {
        return Err(dpop::refused("the DPoP proof was used before"));
    }
    Ok(Some(proof.thumbprint))
}

/// A token for the client itself (RFC 6749 §4.4). No user is behind it: the subject is the
/// client.
fn client_credentials(
    state: &State,
    form: &Params,
    client: &Client,
    details: Details,
    key: Option<String>,
) -> Result<Issued, OAuthError> {
    let scopes = match form.get("scope") {
        Some(list) => scopes(state, list)?,
        None => state.scopes.all(),
    };
    let audience = state.resources.read(form.all("resource"))?;
    let (mut store, now) = state.store();
    let grant = Grant {
        subject: client.id.clone(),
        client_id: client.id.clone(),
        scope: scopes.to_text(),
        audience,
        details,
        format: store.writer.format,
        key,
    };
    let is_bound = grant.key.is_some();
    let lifetime = store.access_lifetime();
    Ok(Issued {
        scope: grant.scope.clone(),
        details: grant.details.clone(),
        access_token: store.issue(grant, lifetime, now),
        refresh_token: None,
        is_bound,
        lifetime,
    })
}

/// The scopes that a client asks for by name.
pub(crate) fn scopes(state: &State, list: &str) -> Result<Scopes, OAuthError> {
    let scopes = state.scopes.parse(list).filter(|scopes| !scopes.is_empty());
    scopes
        .ok_or_else(|| OAuthError::invalid_scope("scope is malformed or names nothing known here"))
}
