//! Client authentication at the introspection endpoint (RFC 7662 §2.1 requires it).

use std::path::PathBuf;

use secrecy::SecretString;

/// How this resource server authenticates at an authorization server.
#[derive(Clone, Debug)]
pub struct ClientAuthentication {
    /// The method.
    pub method: ClientAuthenticationMethod,
    /// The client id of this resource server; unused with a bearer token.
    pub client_id: String,
    /// The client secret, the private key in PEM, or the bearer token.
    pub secret: SecretSource,
    /// The `kid` of the private key.
    pub key_id: Option<String>,
    /// Whom an assertion of [`ClientAuthenticationMethod::PrivateKeyJwt`] is for.
    pub assertion_audience: AssertionAudience,
}

/// The audience (`aud`) of a client assertion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AssertionAudience {
    /// The identifier of the issuer, so that no other server can use the assertion.
    #[default]
    Issuer,
    /// The `token_endpoint` of the issuer's metadata (RFC 7523 §3), for a server that takes nothing else.
    TokenEndpoint,
}

/// The methods of the IANA registry "OAuth Token Endpoint Authentication Methods", and a bearer token
/// (RFC 7662 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthenticationMethod {
    /// `client_secret_basic` (RFC 6749 §2.3.1).
    SecretBasic,
    /// `client_secret_post` (RFC 6749 §2.3.1).
    SecretPost,
    /// `private_key_jwt` (RFC 7523 §2.2).
    PrivateKeyJwt,
    /// A bearer token of this resource server.
    Bearer,
}

impl ClientAuthenticationMethod {
    /// Every method.
    pub const ALL: [Self; 4] = [
        Self::SecretBasic,
        Self::SecretPost,
        Self::PrivateKeyJwt,
        Self::Bearer,
    ];

    /// The name in the IANA registry, or `bearer`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::Bearer => "bearer",
        }
    }
}

/// The source of a secret.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// A fixed value.
    Given(SecretString),
    /// A file, which is read again when it changes.
    File(PathBuf),
}
