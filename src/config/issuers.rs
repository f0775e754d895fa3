//! Authorization servers. The keys tell of one, a file of several; the rules are the same.

use std::{fmt::Display, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use super::{
    IssuerConfig, JwtConfig,
    issuer_fields::{Field, KEYS, MEMBERS, name},
    options::{Options, Source},
    read::Reader,
    units,
};
use crate::{
    oauth::{
        client_assertion::ClientKey,
        client_authentication::{ClientAuthentication, ClientAuthenticationMethod, SecretSource},
        keys::Algorithm,
        url::{PlainHttpHosts, endpoint},
    },
    secret_file,
};

/// The longest lifetime of an introspection reply: it is also how long a revoked token may live on.
const LONGEST_CACHE: Duration = Duration::from_secs(3_600);

/// The longest time that a token is taken for no good without asking again: a new one may not be known
/// everywhere yet.
const LONGEST_NEGATIVE_CACHE: Duration = Duration::from_secs(60);

/// The longest time that one introspection may take.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Where an issuer is told of.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In keys of the configuration.
    Keys,
    /// In the file, as the one at this place.
    File(usize),
}

/// An issuer, in the words in which it was told.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) issuer: Option<String>,
    pub(super) token_prefixes: Vec<String>,
    pub(super) metadata_url: Option<String>,
    pub(super) introspection_url: Option<String>,
    pub(super) authentication: String,
    pub(super) client_id: Option<String>,
    pub(super) client_key_id: Option<String>,
    pub(super) client_secret: Option<SecretString>,
    pub(super) client_secret_file: Option<PathBuf>,
    pub(super) signed: String,
    pub(super) cache: String,
    pub(super) cache_entries: String,
    pub(super) negative_cache: String,
    pub(super) stale: String,
    pub(super) timeout: String,
    pub(super) jwt: String,
    pub(super) algorithms: Vec<String>,
    pub(super) jwks_url: Option<String>,
    pub(super) audience_optional: String,
}

impl Words {
    pub(super) fn of(options: &Options) -> Self {
        let options = options.clone();
        Self {
            issuer: options.issuer,
            token_prefixes: Vec::new(),
            metadata_url: options.issuer_metadata_url,
            introspection_url: options.introspection_url,
            authentication: options.introspection_authentication,
            client_id: options.introspection_client_id,
            client_key_id: options.introspection_client_key_id,
            client_secret: options.introspection_client_secret.map(SecretString::from),
            client_secret_file: options.introspection_client_secret_file,
            signed: options.introspection_signed,
            cache: options.introspection_cache,
            cache_entries: options.introspection_cache_entries,
            negative_cache: options.introspection_negative_cache,
            stale: options.introspection_stale,
            timeout: options.introspection_timeout,
            jwt: options.jwt,
            algorithms: units::list(&options.jwt_algorithms),
            jwks_url: options.jwks_url,
            audience_optional: options.audience_optional,
        }
    }
}

impl Reader<'_> {
    /// The issuers, from the file if there is one, else from the keys.
    pub(super) fn issuers(&mut self, options: &Options) -> Option<Vec<IssuerConfig>> {
        let names = units::list(&options.plain_http_hosts);
        let plain = self.read("EPICME_PLAIN_HTTP_HOSTS", PlainHttpHosts::read(names));
        // A list that is wrong hides no other fault.
        let plain = plain.unwrap_or_default();
        let Some(file) = &options.issuers_file else {
            let issuer = IssuerReader {
                reader: self,
                place: Place::Keys,
                plain: &plain,
            }
            .issuer(&Words::of(options));
            return issuer.map(|issuer| vec![issuer]);
        };
        for (_, key) in KEYS {
            let is_default = self.source(key) == Source::Default;
            self.hold(
                key,
                is_default,
                "is set, and so is EPICME_ISSUERS_FILE, which tells everything of every issuer; one of them has to go",
            );
        }
        self.issuers_of_file(file, &plain)
    }
}

/// Reads one issuer, and knows by which names its faults are told.
pub(super) struct IssuerReader<'r, 's> {
    reader: &'r mut Reader<'s>,
    place: Place,
    plain: &'r PlainHttpHosts,
}

impl<'r, 's> IssuerReader<'r, 's> {
    pub(super) fn of_file(
        reader: &'r mut Reader<'s>,
        at: usize,
        plain: &'r PlainHttpHosts,
    ) -> Self {
        Self {
            reader,
            place: Place::File(at),
            plain,
        }
    }

    /// Reads all of it before it gives up, so that no fault hides another.
    pub(super) fn issuer(&mut self, words: &Words) -> Option<IssuerConfig> {
        let url = self.url_of(Field::Issuer, words.issuer.as_deref());
        self.prefixes(&words.token_prefixes);
        let metadata_url = self.endpoint(Field::MetadataUrl, &words.metadata_url);
        let introspection_url = self.endpoint(Field::IntrospectionUrl, &words.introspection_url);
        let signed_replies = self.read(Field::Signed, units::switch(&words.signed));
        let jwt_mode = self.read(Field::Jwt, jwt_mode(&words.jwt));
        let client = self.client(words, jwt_mode, signed_replies);
        let cache_lifetime = self.duration(
            Field::Cache,
            &words.cache,
            LONGEST_CACHE,
            "must not be longer than 1h",
        );
        let cache_entries = self.read(Field::CacheEntries, units::count(&words.cache_entries));
        let negative_cache_lifetime = self.duration(
            Field::NegativeCache,
            &words.negative_cache,
            LONGEST_NEGATIVE_CACHE,
            "must not be longer than 1m",
        );
        let stale = self.duration(
            Field::Stale,
            &words.stale,
            LONGEST_CACHE,
            "must not be longer than 1h",
        );
        const TIMEOUT: &str = "must be from 1ms to 30s";
        let timeout = self
            .duration(Field::Timeout, &words.timeout, LONGEST_TIMEOUT, TIMEOUT)
            .filter(|timeout| self.hold(Field::Timeout, !timeout.is_zero(), TIMEOUT));
        let algorithms = self.algorithms(&words.algorithms);
        let keys_url = self.endpoint(Field::KeySetUrl, &words.jwks_url);
        let audience_may_be_absent = self.read(
            Field::AudienceOptional,
            units::switch(&words.audience_optional),
        );
        let algorithms = algorithms?;
        let jwt = match jwt_mode? {
            JwtMode::Off => None,
            JwtMode::On => Some(false),
            JwtMode::Introspected => Some(true),
        };
        Some(IssuerConfig {
            url: url?,
            token_prefixes: words.token_prefixes.clone(),
            metadata_url: metadata_url?,
            introspection_url: introspection_url?,
            plain_http_hosts: self.plain.clone(),
            client: client?,
            signed_replies: signed_replies?,
            jwt: jwt.map(|introspected| JwtConfig {
                algorithms,
                introspected,
            }),
            keys_url: keys_url?,
            cache_lifetime: cache_lifetime?,
            cache_entries: cache_entries?,
            negative_cache_lifetime: negative_cache_lifetime?,
            stale: stale?,
            timeout: timeout?,
            audience_may_be_absent: audience_may_be_absent?,
        })
    }

    /// Each at most 100 characters that a token may have (RFC 6750 §2.1), for no token begins otherwise.
    fn prefixes(&mut self, prefixes: &[String]) {
        let is_prefix = |prefix: &String| {
            (1..=100).contains(&prefix.len())
                && prefix
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
        };
        let holds = prefixes.len() <= 20 && prefixes.iter().all(is_prefix);
        self.hold(
            Field::TokenPrefixes,
            holds,
            "must be at most 20 beginnings of tokens, each of 1 to 100 letters, digits or -._~+/=",
        );
    }

    /// Within: `None` if there is none and none is needed.
    fn client(
        &mut self,
        words: &Words,
        jwt: Option<JwtMode>,
        signed: Option<bool>,
    ) -> Option<Option<ClientAuthentication>> {
        let is_told = words.client_id.is_some()
            || words.client_secret.is_some()
            || words.client_secret_file.is_some();
        if jwt == Some(JwtMode::On) && !is_told {
            return self
                .hold(
                    Field::Signed,
                    signed != Some(true),
                    "is on, and there is no client to introspect with",
                )
                .then_some(None);
        }
        let method = ClientAuthenticationMethod::ALL
            .into_iter()
            .find(|method| method.as_str() == words.authentication);
        self.hold(
            Field::Authentication,
            method.is_some(),
            "must be client_secret_basic, client_secret_post, private_key_jwt or bearer",
        );
        let client_id = words.client_id.clone().filter(|id| !id.is_empty());
        // A signed reply names the client that it is for (RFC 9701 §5).
        let is_needed = method != Some(ClientAuthenticationMethod::Bearer) || signed == Some(true);
        self.hold(
            Field::ClientId,
            client_id.is_some() || !is_needed,
            "is required",
        );
        self.hold(
            Field::ClientKeyId,
            words.client_key_id.is_none()
                || method.is_none_or(|method| method == ClientAuthenticationMethod::PrivateKeyJwt),
            "is for private_key_jwt alone",
        );
        let secret = self.secret(words, method);
        Some(Some(ClientAuthentication {
            method: method?,
            client_id: if is_needed {
                client_id?
            } else {
                client_id.unwrap_or_default()
            },
            secret: secret?,
            key_id: words.client_key_id.clone(),
        }))
    }

    fn secret(
        &mut self,
        words: &Words,
        method: Option<ClientAuthenticationMethod>,
    ) -> Option<SecretSource> {
        let (field, secret, source) = match (&words.client_secret, &words.client_secret_file) {
            (Some(_), Some(_)) => {
                self.fault(
                    Field::ClientSecret,
                    "is set, and so is EPICME_INTROSPECTION_CLIENT_SECRET_FILE; one of them has to go",
                );
                return None;
            }
            (None, None) => {
                match self.place {
                    Place::Keys => self.fault(
                        Field::ClientSecret,
                        "is required, here or in EPICME_INTROSPECTION_CLIENT_SECRET_FILE",
                    ),
                    Place::File(_) => self.fault(Field::ClientSecretFile, "is required"),
                }
                return None;
            }
            (Some(secret), None) => {
                let source = SecretSource::Given(secret.clone());
                (Field::ClientSecret, secret.clone(), source)
            }
            (None, Some(path)) => {
                let read = secret_file::read(path)
                    .map_err(|error| format!("{} cannot be read: {error}", path.display()));
                let secret = self.read(Field::ClientSecretFile, read)?;
                (
                    Field::ClientSecretFile,
                    secret,
                    SecretSource::File(path.clone()),
                )
            }
        };
        let text = secret.expose_secret();
        let holds = self.hold(field, !text.is_empty(), "must not be empty")
            && match method {
                Some(ClientAuthenticationMethod::PrivateKeyJwt) => self
                    .read(field, ClientKey::from_pem(&secret, None, None))
                    .is_some(),
                Some(ClientAuthenticationMethod::Bearer) => self.hold(
                    field,
                    text.bytes().all(|byte| byte.is_ascii_graphic()),
                    "must be a token without spaces, on one line",
                ),
                _ => true,
            };
        holds.then_some(source)
    }

    fn algorithms(&mut self, names: &[String]) -> Option<Vec<Algorithm>> {
        let algorithms: Option<Vec<_>> = names.iter().map(|name| Algorithm::parse(name)).collect();
        let algorithms = algorithms.filter(|algorithms| !algorithms.is_empty());
        if algorithms.is_none() {
            let all = Algorithm::ALL.map(Algorithm::as_str).join(" ");
            self.fault(Field::Algorithms, format!("must be one or more of {all}"));
        }
        algorithms
    }

    fn duration(
        &mut self,
        field: Field,
        text: &str,
        longest: Duration,
        rule: &str,
    ) -> Option<Duration> {
        self.read(field, units::duration(text))
            .filter(|duration| self.hold(field, *duration <= longest, rule))
    }

    /// Within: `None` if it is to be found in the metadata.
    fn endpoint(&mut self, field: Field, text: &Option<String>) -> Option<Option<url::Url>> {
        match text {
            None => Some(None),
            Some(text) => self.read(field, endpoint(text, self.plain)).map(Some),
        }
    }

    fn url_of<T: std::str::FromStr<Err: Display>>(
        &mut self,
        field: Field,
        text: Option<&str>,
    ) -> Option<T> {
        match text {
            Some(text) if !text.is_empty() => self.read(field, text.parse()),
            _ => {
                self.fault(field, "is required");
                None
            }
        }
    }

    fn read<T, E: Display>(&mut self, field: Field, value: Result<T, E>) -> Option<T> {
        value
            .map_err(|reason| self.fault(field, reason.to_string()))
            .ok()
    }

    pub(super) fn hold(&mut self, field: Field, holds: bool, rule: &str) -> bool {
        if !holds {
            self.fault(field, rule);
        }
        holds
    }

    fn fault(&mut self, field: Field, reason: impl Display) {
        match self.place {
            Place::Keys => {
                let key = name(&KEYS, field).unwrap_or("EPICME_ISSUER");
                self.reader.fault(key, reason.to_string());
            }
            Place::File(at) => {
                let member = name(&MEMBERS, field).unwrap_or("issuer");
                self.reader
                    .fault_in_file(&format!("issuers[{at}].{member}"), reason);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum JwtMode {
    Off,
    On,
    Introspected,
}

fn jwt_mode(text: &str) -> Result<JwtMode, &'static str> {
    match text {
        "off" => Ok(JwtMode::Off),
        "on" => Ok(JwtMode::On),
        "introspected" => Ok(JwtMode::Introspected),
        _ => Err("must be off, on or introspected"),
    }
}

#[cfg(test)]
#[path = "issuers_tests.rs"]
mod tests;
