//! Discovery: what this server is and where its endpoints are (RFC 8414, OpenID Connect Discovery).

use actix_web::{HttpResponse, http::StatusCode, web};
use serde_json::{Value, json};

use crate::{
    answer,
    client::GrantType,
    dpop,
    faults::{Endpoint, FaultMode, WRONG_ISSUER},
    paths, signing,
    state::State,
};

pub(crate) async fn oauth(state: web::Data<State>) -> HttpResponse {
    if let Some(fault) = state.fault(Endpoint::Metadata).await {
        return fault;
    }
    answer::json(StatusCode::OK, &document(&state))
}

/// The same, and the members that OpenID Connect demands, so that strict parsers take it. This server
/// issues no ID token.
pub(crate) async fn openid(state: web::Data<State>) -> HttpResponse {
    if let Some(fault) = state.fault(Endpoint::Metadata).await {
        return fault;
    }
    let mut document = document(&state);
    document["subject_types_supported"] = json!(["public"]);
    document["id_token_signing_alg_values_supported"] = json!(["RS256"]);
    answer::json(StatusCode::OK, &document)
}

/// The keys of all that this server signs.
pub(crate) async fn jwks(state: web::Data<State>) -> HttpResponse {
    if let Some(fault) = state.fault(Endpoint::Jwks).await {
        return fault;
    }
    let key_set = state.store().0.writer.key_set();
    answer::json(StatusCode::OK, &key_set)
}

fn document(state: &State) -> Value {
    let issuer = &state.issuer;
    let with_secret = ["client_secret_basic", "client_secret_post"];
    let any_client = ["none", "client_secret_basic", "client_secret_post"];
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "registration_endpoint": format!("{issuer}/oauth/register"),
        "introspection_endpoint": format!("{issuer}/oauth/introspection"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "jwks_uri": format!("{issuer}/oauth/jwks"),
        "scopes_supported": state.scopes.names(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "device_authorization_endpoint": format!("{issuer}{}", paths::DEVICE_AUTHORIZATION),
        "grant_types_supported": [
            GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials, GrantType::DeviceCode,
        ],
        "token_endpoint_auth_methods_supported": any_client,
        "introspection_endpoint_auth_methods_supported": with_secret,
        "introspection_signing_alg_values_supported": [signing::ALGORITHM],
        "revocation_endpoint_auth_methods_supported": any_client,
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": dpop::ALGORITHMS,
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": state.client_documents,
    });
    if !state.authorization_details.is_empty() {
        document["authorization_details_types_supported"] = json!(state.authorization_details);
    }
    if state.faults.get(Endpoint::Metadata).mode == FaultMode::WrongIssuer {
        document["issuer"] = json!(WRONG_ISSUER);
    }
    document
}
