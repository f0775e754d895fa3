//! An authorization server, declared in code.

use secrecy::SecretString;

use super::client_authentication::{
    ClientAuthentication, ClientAuthenticationMethod, SecretSource,
};
use super::settings::{IssuerSettings, JwtSettings};
use crate::auth::token_cache::CacheSettings;
use crate::{
    jose::keys::Algorithm,
    url::{IssuerUrl, UrlFault},
};

/// An authorization server whose tokens are accepted.
#[derive(Clone, Debug)]
pub struct Issuer(Result<IssuerSettings, UrlFault>);

impl Issuer {
    /// An authorization server that is asked about every token (RFC 7662), by a client of this id and
    /// secret (`client_secret_basic`). Its endpoint is found in its metadata.
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
            });
        })
    }

    /// An authorization server whose access tokens are JWTs (RFC 9068), verified by its keys. They are
    /// found in its metadata. A token that was revoked is accepted until it expires.
    #[must_use]
    pub fn verifying_jwts(url: &str, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        Self::at(url).with(|issuer| {
            issuer.jwt = Some(JwtSettings {
                algorithms: algorithms.into_iter().collect(),
                introspected: false,
            });
        })
    }

    /// Changes how long answers of the authorization server are believed, and how many are kept.
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
    /// If the URL cannot identify an authorization server.
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
