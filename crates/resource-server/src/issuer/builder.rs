//! Declaring an authorization server in code.

use secrecy::SecretString;

use super::client_authentication::{
    AssertionAudience, ClientAuthentication, ClientAuthenticationMethod, SecretSource,
};
use super::settings::{IssuerSettings, JwtSettings};
use crate::{
    auth::token_cache::CacheSettings,
    jose::keys::Algorithm,
    token_rules::{JwtType, TokenRules},
    url::{IssuerUrl, UrlFault},
};

/// An authorization server whose tokens are accepted.
///
/// ```
/// use resource_server::{issuer::Issuer, jose::keys::Algorithm};
///
/// let introspected = Issuer::introspecting("https://login.example", "files", "secret")
///     .with(|settings| settings.timeout = std::time::Duration::from_secs(1));
/// assert_eq!(introspected.settings().unwrap().url.as_str(), "https://login.example");
///
/// let verified = Issuer::verifying_jwts("https://login.example", [Algorithm::Es256]);
/// assert!(verified.settings().is_ok());
///
/// let insecure = Issuer::introspecting("http://login.example", "files", "secret");
/// assert!(insecure.settings().is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Issuer(Result<IssuerSettings, UrlFault>);

impl Issuer {
    /// An authorization server that introspects every token (RFC 7662). This resource server authenticates
    /// with a client id and a secret (`client_secret_basic`). The endpoint is taken from the metadata.
    #[must_use]
    pub fn introspecting(
        url: &str,
        client_id: impl Into<String>,
        client_secret: impl Into<SecretString>,
    ) -> Self {
        Self::at(url).with(|issuer| {
            issuer.client = Some(ClientAuthentication {
                method: ClientAuthenticationMethod::SecretBasic,
                client_id: client_id.into(),
                secret: SecretSource::Given(client_secret.into()),
                key_id: None,
                assertion_audience: AssertionAudience::Issuer,
            });
        })
    }

    /// An authorization server whose access tokens are JWTs (RFC 9068), verified with its keys. Their URL is
    /// taken from the metadata. A revoked token is accepted until it expires, unless
    /// [`AuthHandle::revoke`](crate::auth::AuthHandle::revoke) is called.
    #[must_use]
    pub fn verifying_jwts(url: &str, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        Self::at(url).with(|issuer| {
            issuer.jwt = Some(JwtSettings {
                algorithms: algorithms.into_iter().collect(),
                introspected: false,
                types: vec![JwtType::AccessToken],
            });
        })
    }

    /// Changes the types of JWTs that are accepted (`typ`). Default: [`JwtType::AccessToken`] (RFC 9068 §2.1). With
    /// another one, whatever has the signs of an ID token or of another document of the issuer is refused. It has no
    /// effect unless JWTs are verified.
    #[must_use]
    pub fn jwt_types(self, types: impl IntoIterator<Item = JwtType>) -> Self {
        self.with(|issuer| {
            if let Some(jwt) = &mut issuer.jwt {
                jwt.types = types.into_iter().collect();
            }
        })
    }

    /// Changes what is accepted of its tokens beyond the RFCs. Default: nothing.
    #[must_use]
    pub fn rules(self, change: impl FnOnce(&mut TokenRules)) -> Self {
        self.with(|issuer| change(&mut issuer.rules))
    }

    /// Changes the size and the lifetimes of the token cache.
    #[must_use]
    pub fn cache(self, settings: CacheSettings) -> Self {
        self.with(|issuer| issuer.cache = settings)
    }

    /// Changes any setting.
    #[must_use]
    pub fn with(self, change: impl FnOnce(&mut IssuerSettings)) -> Self {
        Self(self.0.map(|mut settings| {
            change(&mut settings);
            settings
        }))
    }

    /// The settings.
    ///
    /// # Errors
    /// If the URL is not a valid issuer identifier (RFC 8414 §2).
    pub fn settings(self) -> Result<IssuerSettings, UrlFault> {
        self.0
    }

    fn at(url: &str) -> Self {
        Self(url.parse::<IssuerUrl>().map(IssuerSettings::new))
    }
}

impl From<IssuerSettings> for Issuer {
    fn from(settings: IssuerSettings) -> Self {
        Self(Ok(settings))
    }
}
