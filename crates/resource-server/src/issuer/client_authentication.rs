//! How this resource server shows an authorization server who it is (RFC 7662 §2.1: whoever introspects
//! must be authenticated).

use std::path::PathBuf;

use secrecy::SecretString;

/// How a call is authenticated.
#[derive(Clone, Debug)]
pub struct ClientAuthentication {
    /// By which method.
    pub method: ClientAuthenticationMethod,
    /// The client id of this resource server; of no use with a bearer token.
    pub client_id: String,
    /// The client secret, the private key in PEM, or the bearer token.
    pub secret: SecretSource,
    /// The name of the private key at the authorization server.
    pub key_id: Option<String>,
}

/// The methods (OAuth Token Endpoint Authentication Methods of IANA, and a bearer token as in
/// RFC 7662 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthenticationMethod {
    /// `client_secret_basic` (RFC 6749 §2.3.1).
    SecretBasic,
    /// `client_secret_post` (RFC 6749 §2.3.1).
    SecretPost,
    /// `private_key_jwt` (RFC 7523 §2.2).
    PrivateKeyJwt,
    /// A bearer token of our own.
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

    /// Its name.
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

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// It was given, and stays what it is.
    Given(SecretString),
    /// A file holds it, which may change.
    File(PathBuf),
}
