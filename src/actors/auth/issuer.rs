//! The calls to the authorization server. Whatever it does, they end in time and in bounds.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::http::{
    StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use awc::{Client, ClientRequest, Connector};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::timeout;
use url::{Url, form_urlencoded};

use super::AuthError;
use crate::{
    domain::{
        clock::{Clock, Timestamp},
        journal::Cause,
    },
    oauth::{
        bearer::BearerToken,
        judge::{Claims, IntrospectionReply, read_reply},
        url::{IssuerUrl, endpoint},
    },
};

/// The longest answer that is read, in bytes.
const LONGEST_REPLY: usize = 64 * 1024;

/// How long the issuer's metadata is believed.
const METADATA_LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// The longest `Retry-After` that is passed on.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// How to reach the authorization server, and as whom.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// Its identifier.
    pub url: IssuerUrl,
    /// Its introspection endpoint; `None` finds it in the issuer's metadata.
    pub introspection_url: Option<Url>,
    /// The client id of this resource server (RFC 7662 §2.1: the caller must be authenticated).
    pub client_id: String,
    /// The client secret of this resource server.
    pub client_secret: SecretString,
    /// How long one call may take, from the connection to the last byte.
    pub timeout: Duration,
}

/// The issuer's metadata, as far as it concerns us, and as it stands.
pub(super) struct Metadata {
    pub(super) document: Arc<str>,
    introspection: Option<Url>,
    fetched_at: Timestamp,
}

/// The authorization server, as one thread talks to it.
pub(super) struct Issuer {
    settings: IssuerSettings,
    client: Client,
    metadata: RefCell<Option<Arc<Metadata>>>,
    clock: Clock,
}

struct Reply {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Issuer {
    pub(super) fn new(settings: IssuerSettings, clock: Clock) -> Self {
        let connector = Connector::new().timeout(settings.timeout);
        // Reading the operating system's certificates takes a moment that a server whose
        // authorization server is on the same machine need not spend.
        let all_on_this_machine = settings.url.as_str().starts_with("http:")
            && settings
                .introspection_url
                .as_ref()
                .is_none_or(|url| url.scheme() == "http");
        let connector = if all_on_this_machine {
            connector
        } else {
            connector.rustls_0_23(Arc::new(tls()))
        };
        // A redirect would carry the token and our secret to whom the answer names; none is
        // followed.
        let client = Client::builder()
            .connector(connector)
            .disable_redirects()
            .timeout(settings.timeout)
            .finish();
        Self {
            settings,
            client,
            metadata: RefCell::new(None),
            clock,
        }
    }

    /// Asks what stands behind a token (RFC 7662 §2).
    pub(super) async fn introspect(
        &self,
        token: &BearerToken,
    ) -> Result<IntrospectionReply, AuthError> {
        let url = match &self.settings.introspection_url {
            Some(url) => url.clone(),
            None => self
                .metadata()
                .await?
                .introspection
                .clone()
                .ok_or_else(|| {
                    nonsense("the issuer's metadata names no usable introspection_endpoint")
                })?,
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token.expose())
            .append_pair("token_type_hint", "access_token")
            .finish();
        let request = self
            .client
            .post(url.as_str())
            .insert_header((AUTHORIZATION, self.credentials()))
            .insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"));
        let reply = self.exchange(request, form).await?;
        match reply.status {
            StatusCode::OK => read_reply(&reply.body).map_err(|error| {
                // The error's text can hold bytes of the answer, so only its kind is kept.
                nonsense(format!(
                    "an introspection reply that is not one ({:?})",
                    error.classify()
                ))
            }),
            StatusCode::BAD_REQUEST if is_unsupported_token_type(&reply.body) => {
                // Some servers say so of a token of a kind that they do not introspect: a property
                // of the token, not an outage.
                Ok(IntrospectionReply {
                    active: false,
                    claims: Claims::default(),
                })
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                log::error!(
                    issuer:% = self.settings.url;
                    "the authorization server refuses our own credentials; check EPICME_INTROSPECTION_CLIENT_ID and _SECRET"
                );
                Err(nonsense(format!(
                    "status {} to ourselves",
                    reply.status.as_u16()
                )))
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(AuthError::IssuerDown {
                    source: Cause::new(format!("status {}", status.as_u16())),
                    retry_after: reply.retry_after,
                })
            }
            status => Err(nonsense(format!("status {}", status.as_u16()))),
        }
    }

    /// The issuer's metadata. An old one serves on while no new one can be had.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, AuthError> {
        let known = self.metadata.borrow().clone();
        if let Some(known) = &known
            && self.clock.now() < known.fetched_at + METADATA_LIFETIME
        {
            return Ok(Arc::clone(known));
        }
        match (self.fetch_metadata().await, known) {
            (Ok(fetched), _) => {
                let fetched = Arc::new(fetched);
                self.metadata.replace(Some(Arc::clone(&fetched)));
                Ok(fetched)
            }
            (Err(error), Some(known)) => {
                log::warn!(issuer:% = self.settings.url; "the issuer's metadata could not be renewed: {error}");
                Ok(known)
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn fetch_metadata(&self) -> Result<Metadata, AuthError> {
        let mut last = nonsense("the issuer has no metadata where RFC 8414 puts it");
        for url in self.settings.url.metadata_urls() {
            let reply = self
                .exchange(self.client.get(url.as_str()), String::new())
                .await?;
            if reply.status.is_server_error() {
                return Err(AuthError::IssuerDown {
                    source: Cause::new(format!("status {} for metadata", reply.status.as_u16())),
                    retry_after: reply.retry_after,
                });
            }
            if reply.status != StatusCode::OK {
                continue;
            }
            match self.read_metadata(reply.body) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn read_metadata(&self, body: Vec<u8>) -> Result<Metadata, AuthError> {
        #[derive(Deserialize)]
        struct Document {
            issuer: String,
            introspection_endpoint: Option<String>,
        }
        let text = String::from_utf8(body).map_err(|_| nonsense("metadata that is not UTF-8"))?;
        // serde would take an array for an object whose names were left out.
        let document: Document = text
            .trim_start()
            .starts_with('{')
            .then(|| serde_json::from_str(&text).ok())
            .flatten()
            .ok_or_else(|| nonsense("metadata that is not a JSON object with an issuer"))?;
        // RFC 8414 §3.3: metadata of another issuer must not be used.
        if document.issuer != self.settings.url.as_str() {
            return Err(nonsense("metadata of another issuer"));
        }
        Ok(Metadata {
            introspection: document
                .introspection_endpoint
                .and_then(|url| endpoint(&url).ok()),
            document: text.into(),
            fetched_at: self.clock.now(),
        })
    }

    /// One request and its answer, bounded in time and size.
    async fn exchange(&self, request: ClientRequest, body: String) -> Result<Reply, AuthError> {
        let began = Instant::now();
        let exchange = async {
            let mut response = request
                .insert_header((ACCEPT, "application/json"))
                .send_body(body)
                .await
                .map_err(|error| down(error.to_string()))?;
            let body = response
                .body()
                .limit(LONGEST_REPLY)
                .await
                .map_err(|error| match error {
                    awc::error::PayloadError::Overflow => nonsense("an answer over 64 KiB"),
                    other => down(other.to_string()),
                })?;
            Ok(Reply {
                status: response.status(),
                retry_after: retry_after(response.headers()),
                body: body.to_vec(),
            })
        };
        timeout(self.settings.timeout, exchange)
            .await
            .unwrap_or_else(|_| {
                Err(down(format!(
                    "no answer within {} ms",
                    began.elapsed().as_millis()
                )))
            })
    }

    /// `client_secret_basic`, both parts form-encoded first (RFC 6749 §2.3.1).
    fn credentials(&self) -> String {
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!(
            "{}:{}",
            encode(&self.settings.client_id),
            encode(self.settings.client_secret.expose_secret())
        );
        format!("Basic {}", STANDARD.encode(pair))
    }
}

/// Trusts whom the operating system trusts, private authorities included.
fn tls() -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        log::warn!("a certificate of the operating system cannot be used: {error}");
    }
    let (added, _) = roots.add_parsable_certificates(native.certs);
    if added == 0 {
        log::error!("the operating system trusts nobody; install its ca-certificates");
    }
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring offers the protocol versions that rustls has by default")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn is_unsupported_token_type(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct OAuthError {
        error: String,
    }
    serde_json::from_slice::<OAuthError>(body)
        .is_ok_and(|error| error.error == "unsupported_token_type")
}

/// `Retry-After` in seconds; the form with a date is left alone.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

fn down(why: impl Into<String>) -> AuthError {
    AuthError::IssuerDown {
        source: Cause::new(why.into()),
        retry_after: None,
    }
}

fn nonsense(why: impl Into<String>) -> AuthError {
    AuthError::IssuerNonsense {
        source: Cause::new(why.into()),
    }
}
