//! Dynamic client registration (RFC 7591), open to anybody.

use actix_web::{HttpRequest, http::StatusCode, web};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::{
    answer::{self, Body, ErrorCode, OAuthError, Reply},
    client::{AuthMethod, Client, ClientMetadata},
    middleware,
    secret::{self, Digest},
    state::State,
};

/// RFC 7591 §3.2.1.
#[derive(Serialize)]
struct Registered<'a> {
    client_id: &'a str,
    client_id_issued_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    /// 0: it never expires. Required where there is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<u8>,
    #[serde(flatten)]
    metadata: &'a ClientMetadata,
}

pub(crate) async fn register(request: HttpRequest, body: Body, state: web::Data<State>) -> Reply {
    let body = answer::whole(body)?;
    if !middleware::has_type(&request, "application/json") {
        let words = "the body has to be application/json";
        return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, words));
    }
    let metadata = ClientMetadata::parse(&body)?;
    let id = secret::random_name();
    let secret: Option<SecretString> = match metadata.token_endpoint_auth_method {
        AuthMethod::None => None,
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => {
            Some(secret::random("eps_"))
        }
    };
    let client = Client {
        id: id.clone(),
        name: metadata.client_name.clone(),
        redirect_uris: metadata.redirect_uris.clone(),
        grant_types: metadata.grant_types.clone(),
        secret: secret
            .as_ref()
            .map(|secret| Digest::of(secret.expose_secret())),
        document_host: None,
    };
    let (mut store, now) = state.store();
    store.register(client, now);
    drop(store);
    Ok(answer::json(
        StatusCode::CREATED,
        &Registered {
            client_id: &id,
            client_id_issued_at: now.timestamp(),
            client_secret: secret.as_ref().map(ExposeSecret::expose_secret),
            client_secret_expires_at: secret.as_ref().map(|_| 0),
            metadata: &metadata,
        },
    ))
}
