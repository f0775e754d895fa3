//! Clients, and the metadata that they describe themselves with (RFC 7591 §2).

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    answer::{ErrorCode, OAuthError},
    redirect, scopes,
    secret::Digest,
};

/// How a client authenticates at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthMethod {
    None,
    ClientSecretBasic,
    ClientSecretPost,
}

/// What a client may ask the token endpoint for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
    /// RFC 8628 §3.4.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
}

impl GrantType {
    /// The grant type of this name, if this server knows it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "authorization_code" => Some(Self::AuthorizationCode),
            "refresh_token" => Some(Self::RefreshToken),
            "client_credentials" => Some(Self::ClientCredentials),
            "urn:ietf:params:oauth:grant-type:device_code" => Some(Self::DeviceCode),
            _ => None,
        }
    }
}

/// A client that this server knows.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    /// What it calls itself, which proves nothing.
    pub(crate) name: Option<String>,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) grant_types: Vec<GrantType>,
    /// The digest of its secret; a public client has none.
    pub(crate) secret: Option<Digest>,
    /// The host that vouches for it, if its id is the URL of a metadata document.
    pub(crate) document_host: Option<String>,
}

impl Client {
    pub(crate) fn may(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }
}

/// Client metadata as it is sent, and as it is sent back. What this server does not use is ignored
/// (RFC 7591 §2: unknown members have to be). Clients in the field write `null` or an empty list for what they leave out, and ask
/// for grant and response types beyond those that they need; what this server does not know of these is left out of what is
/// registered, which §3.2.1 allows and the reply tells.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ClientMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) redirect_uris: Vec<String>,
    #[serde(
        default = "ClientMetadata::default_auth_method",
        deserialize_with = "auth_method"
    )]
    pub(crate) token_endpoint_auth_method: AuthMethod,
    /// RFC 7591 §2 would have `authorization_code` alone as the default; a server may register more
    /// than was asked for, and MCP clients that leave this out want to be refreshed, too.
    #[serde(
        default = "ClientMetadata::default_grant_types",
        deserialize_with = "grant_types"
    )]
    pub(crate) grant_types: Vec<GrantType>,
    #[serde(
        default = "ClientMetadata::default_response_types",
        deserialize_with = "response_types"
    )]
    pub(crate) response_types: Vec<String>,
    /// Repeated in the response, and not used: each redirect URI is checked by itself (OpenID Connect Registration §2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) application_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
}

impl ClientMetadata {
    fn default_auth_method() -> AuthMethod {
        AuthMethod::ClientSecretBasic
    }

    fn default_grant_types() -> Vec<GrantType> {
        vec![
            GrantType::AuthorizationCode,
            GrantType::RefreshToken,
            GrantType::DeviceCode,
        ]
    }

    fn default_response_types() -> Vec<String> {
        vec!["code".to_owned()]
    }

    /// Reads and checks the JSON object.
    ///
    /// # Errors
    /// `invalid_redirect_uri` or `invalid_client_metadata` (RFC 7591 §3.2.2).
    pub(crate) fn parse(json: &[u8]) -> Result<Self, OAuthError> {
        let metadata: Self =
            serde_json::from_slice(json).map_err(|error| bad(error.to_string()))?;
        metadata.check()?;
        Ok(metadata)
    }

    fn check(&self) -> Result<(), OAuthError> {
        let with_code = self.grant_types.contains(&GrantType::AuthorizationCode);
        if with_code && self.redirect_uris.is_empty() {
            let wanted = "redirect_uris has to name at least one URI";
            return Err(OAuthError::new(ErrorCode::InvalidRedirectUri, wanted));
        }
        if self.redirect_uris.len() > 20 {
            return Err(bad("redirect_uris names more than 20 URIs"));
        }
        for (i, uri) in self.redirect_uris.iter().enumerate() {
            if let Some(fault) = redirect::fault_of(uri) {
                let fault = format!("redirect_uris[{i}] {fault}");
                return Err(OAuthError::new(ErrorCode::InvalidRedirectUri, fault));
            }
        }
        if self.grant_types.is_empty() {
            return Err(bad("grant_types names none that this server knows"));
        }
        if self.response_types.is_empty() {
            return Err(bad("response_types has to hold code"));
        }
        if let Some(kind) = &self.application_type
            && kind != "native"
            && kind != "web"
        {
            return Err(bad("application_type has to be native or web"));
        }
        let client_credentials = self.grant_types.contains(&GrantType::ClientCredentials);
        if client_credentials && self.token_endpoint_auth_method == AuthMethod::None {
            return Err(bad("client_credentials needs a client with a secret"));
        }
        if let Some(name) = &self.client_name
            && (name.chars().count() > 200 || name.chars().any(char::is_control))
        {
            return Err(bad("client_name has more than 200 or control characters"));
        }
        if let Some(scope) = &self.scope
            && (scope.len() > 1000 || !scopes::is_well_formed(scope))
        {
            return Err(bad(
                "scope has to be scope tokens with single spaces between",
            ));
        }
        Ok(())
    }
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    value: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

fn auth_method<'de, D: Deserializer<'de>>(value: D) -> Result<AuthMethod, D::Error> {
    let method = Option::deserialize(value)?;
    Ok(method.unwrap_or_else(ClientMetadata::default_auth_method))
}

/// Those that this server knows; none if there are only others.
fn grant_types<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<GrantType>, D::Error> {
    let names: Vec<String> = or_default(value)?;
    if names.is_empty() {
        return Ok(ClientMetadata::default_grant_types());
    }
    let mut known = Vec::new();
    for kind in names.iter().filter_map(|name| GrantType::named(name)) {
        if !known.contains(&kind) {
            known.push(kind);
        }
    }
    Ok(known)
}

/// `code`, if it is among them or none is named.
fn response_types<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    let mut names: Vec<String> = or_default(value)?;
    if names.is_empty() {
        return Ok(ClientMetadata::default_response_types());
    }
    names.retain(|name| name == "code");
    names.truncate(1);
    Ok(names)
}

fn bad(description: impl Into<String>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn defaults_fill_what_is_left_out() {
        let json = br#"{"redirect_uris":["https://app.example/cb"],"software_id":"x"}"#;
        let metadata = ClientMetadata::parse(json).unwrap();
        assert_eq!(
            metadata.token_endpoint_auth_method,
            AuthMethod::ClientSecretBasic
        );
        assert_eq!(metadata.grant_types.len(), 3);
    }

    #[test]
    fn what_is_null_or_empty_counts_as_left_out() {
        let json = br#"{"redirect_uris":["https://app.example/cb"],"client_name":null,"grant_types":[],"response_types":null,
            "token_endpoint_auth_method":null,"scope":null,"application_type":null}"#;
        let metadata = ClientMetadata::parse(json).unwrap();
        assert_eq!(metadata.grant_types, ClientMetadata::default_grant_types());
        assert_eq!(metadata.response_types, ["code"]);
        let json = br#"{"redirect_uris":null}"#;
        let error = ClientMetadata::parse(json).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRedirectUri);
    }

    #[test]
    fn of_types_that_are_asked_for_the_known_ones_are_registered() {
        let json = br#"{"redirect_uris":["https://app.example/cb"],"application_type":"native",
            "grant_types":["implicit","authorization_code","authorization_code","urn:x"],"response_types":["token","code"]}"#;
        let metadata = ClientMetadata::parse(json).unwrap();
        assert_eq!(metadata.grant_types, [GrantType::AuthorizationCode]);
        assert_eq!(metadata.response_types, ["code"]);
        assert_eq!(metadata.application_type.as_deref(), Some("native"));
    }

    #[test]
    fn faults_are_told_apart() {
        for (json, code) in [
            (r#"{}"#, ErrorCode::InvalidRedirectUri),
            (
                r#"{"redirect_uris":["http://a.example/"]}"#,
                ErrorCode::InvalidRedirectUri,
            ),
            (
                r#"{"redirect_uris":"https://a.example/"}"#,
                ErrorCode::InvalidClientMetadata,
            ),
            (r#"[]"#, ErrorCode::InvalidClientMetadata),
            (
                r#"{"redirect_uris":["https://a.example/"],"response_types":["token"]}"#,
                ErrorCode::InvalidClientMetadata,
            ),
            (
                r#"{"grant_types":["client_credentials"],"token_endpoint_auth_method":"none"}"#,
                ErrorCode::InvalidClientMetadata,
            ),
            (
                r#"{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"private_key_jwt"}"#,
                ErrorCode::InvalidClientMetadata,
            ),
            (
                r#"{"redirect_uris":["https://a.example/"],"client_name":"a\u0000b"}"#,
                ErrorCode::InvalidClientMetadata,
            ),
        ] {
            assert_eq!(
                ClientMetadata::parse(json.as_bytes()).unwrap_err().code,
                code,
                "{json}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(json in ".{0,300}") {
            let _ = ClientMetadata::parse(json.as_bytes());
        }
    }
}
