//! Clients, and the metadata that they describe themselves with (RFC 7591 §2).

use serde::{Deserialize, Serialize};

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
/// (RFC 7591 §2: unknown members have to be).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ClientMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_name: Option<String>,
    #[serde(default)]
    pub(crate) redirect_uris: Vec<String>,
    #[serde(default = "ClientMetadata::default_auth_method")]
    pub(crate) token_endpoint_auth_method: AuthMethod,
    /// RFC 7591 §2 would have `authorization_code` alone as the default; a server may register more
    /// than was asked for, and MCP clients that leave this out want to be refreshed, too.
    #[serde(default = "ClientMetadata::default_grant_types")]
    pub(crate) grant_types: Vec<GrantType>,
    #[serde(default = "ClientMetadata::default_response_types")]
    pub(crate) response_types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
}

impl ClientMetadata {
    fn default_auth_method() -> AuthMethod {
        AuthMethod::ClientSecretBasic
    }

    fn default_grant_types() -> Vec<GrantType> {
        vec![GrantType::AuthorizationCode, GrantType::RefreshToken]
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
        if self.grant_types.is_empty() || self.grant_types.len() > 3 {
            return Err(bad("grant_types has to name between one and three types"));
        }
        if self.response_types.iter().any(|it| it != "code") || self.response_types.len() > 1 {
            return Err(bad("response_types may hold code only"));
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
        assert_eq!(metadata.grant_types.len(), 2);
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
