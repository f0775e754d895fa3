//! The calls to the authorization server. Whatever it does, they end in time and in bounds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::http::{
    StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use awc::ClientRequest;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use url::{Url, form_urlencoded};

use super::client_authentication::{ClientAuthentication, ClientAuthenticationMethod};
use super::{
    credential_rotation::Attempt,
    http_client::{CallError, IssuerHttpClient, Reply, invalid_response, late},
    state::IssuerState,
};
use crate::auth::AuthError;
use crate::{
    bearer::BearerToken,
    cause::Cause,
    jose::{
        client_assertion::{ASSERTION_TYPE, ClientKey},
        jws::JwsFault,
        jwt::{self, TokenFault},
        keys::KeySet,
        signed_reply::{ExpectedReply, MEDIA_TYPE, SignedReplyFault, read_signed_reply},
    },
    metrics::Introspection,
    request_id::RequestId,
    trace_context::{SpanId, TraceContext},
    url::endpoint,
    validation::{Claims, IntrospectionReply, Refusal, read_reply},
};

/// How often a key that is not in the set may have the set fetched anew.
const KEYS_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// The issuer's metadata, as far as it concerns us, and as it stands.
pub(crate) struct Metadata {
    pub(crate) document: Arc<str>,
    introspection: Option<Uri>,
    keys: Option<Uri>,
}

/// The authorization server, as one thread talks to it.
pub(crate) struct Issuer {
    state: Arc<IssuerState>,
    exchange: IssuerHttpClient,
}

impl Issuer {
    pub(crate) fn new(state: Arc<IssuerState>) -> Self {
        Self {
            exchange: IssuerHttpClient::new(state.settings.timeout, state.trust.clone()),
            state,
        }
    }

    /// What of it is the same on every thread.
    pub(crate) fn state(&self) -> &IssuerState {
        &self.state
    }

    /// As whom this server is known there.
    pub(crate) fn client_id(&self) -> Option<&str> {
        let client = self.state.settings.client.as_ref()?;
        Some(&client.client_id)
    }

    /// Asks what stands behind a token (RFC 7662 §2). A call that fails in a way that may pass is made
    /// once more; a server that fails again and again is left alone for a while.
    pub(crate) async fn introspect(
        &self,
        token: &BearerToken,
        context: &TraceContext,
    ) -> Result<IntrospectionReply, AuthError> {
        self.state.admit().map_err(|wait| {
            self.state.metrics.introspection_left_out();
            AuthError::IssuerDown {
                source: Cause::new(
                    "it failed several times in a row, and is left alone for a while",
                ),
                retry_after: Some(wait),
            }
        })?;
        let began = Instant::now();
        let limit = self.state.settings.timeout;
        let outcome = timeout(limit, self.introspect_twice(token, context))
            .await
            .unwrap_or_else(|_| Err(late(limit)));
        self.state.learn(&outcome);
        let told = match &outcome {
            Ok(reply) if reply.active => Introspection::Active,
            Ok(_) => Introspection::Inactive,
            Err(AuthError::IssuerDown { .. }) => Introspection::Unavailable,
            Err(_) => Introspection::Nonsense,
        };
        self.state.metrics.introspection(told, began.elapsed());
        outcome
    }

    async fn introspect_twice(
        &self,
        token: &BearerToken,
        context: &TraceContext,
    ) -> Result<IntrospectionReply, AuthError> {
        match self.introspect_once(token, context).await {
            Ok(reply) => Ok(reply),
            Err(CallError {
                error,
                is_retryable: true,
            }) => {
                log::debug!(issuer:% = self.state.settings.url; "introspection is tried once more: {error}");
                sleep(jitter()).await;
                self.introspect_once(token, context)
                    .await
                    .map_err(|trouble| trouble.error)
            }
            Err(CallError { error, .. }) => Err(error),
        }
    }

    async fn introspect_once(
        &self,
        token: &BearerToken,
        context: &TraceContext,
    ) -> Result<IntrospectionReply, CallError> {
        let uri = match &self.state.introspection {
            Some(uri) => uri.clone()?,
            None => self
                .metadata()
                .await?
                .introspection
                .clone()
                .ok_or_else(|| {
                    invalid_response("the issuer's metadata names no usable introspection_endpoint")
                })?,
        };
        let (Some(client), Some(secret)) = (&self.state.settings.client, &self.state.secret) else {
            return Err(invalid_response("no client is configured to introspect with").into());
        };
        let attempts = secret.attempts(self.state.clock.now()).await;
        if attempts.is_empty() {
            return Err(invalid_response(
"there is no secret to call with: its file cannot be read, or it was refused a moment ago").into());
        }
        for attempt in attempts {
            let (request, body) = match self.request(&uri, token, client, &attempt) {
                Ok(request) => request,
                Err(error) => {
                    // Half a key in the file must not keep us from using the whole one before it.
                    secret.learn(&attempt, false, self.state.clock.now()).await;
                    log::error!(issuer:% = self.state.settings.url; "a secret is of no use: {error}");
                    continue;
                }
            };
            let request = within_trace(request, context);
            let reply = self.exchange.send(request, body).await?;
            let accepted = !refuses_us(&reply);
            secret
                .learn(&attempt, accepted, self.state.clock.now())
                .await;
            if accepted {
                return self.read(client, &reply).await;
            }
        }
        log::error!(
            issuer:% = self.state.settings.url;
            "the authorization server refuses our own credentials; check EPICME_INTROSPECTION_CLIENT_ID and _SECRET, or clientId and clientSecretFile of this issuer"
        );
        Err(invalid_response("our own credentials are refused").into())
    }

    /// An introspection request with one of our secrets, and its body.
    fn request(
        &self,
        uri: &Uri,
        token: &BearerToken,
        client: &ClientAuthentication,
        attempt: &Attempt,
    ) -> Result<(ClientRequest, String), AuthError> {
        let ClientAuthentication {
            method, client_id, ..
        } = client;
        let secret = attempt.secret.expose_secret();
        // Room for the token and what stands beside it, unless that has much to be encoded.
        let room = String::with_capacity(token.expose().len() + 64);
        let mut form = form_urlencoded::Serializer::new(room);
        form.append_pair("token", token.expose())
            .append_pair("token_type_hint", "access_token");
        let mut request = self.exchange.post(uri);
        match method {
            ClientAuthenticationMethod::SecretBasic => {
                request =
                    request.insert_header((AUTHORIZATION, basic_credentials(client_id, secret)));
            }
            ClientAuthenticationMethod::SecretPost => {
                form.append_pair("client_id", client_id)
                    .append_pair("client_secret", secret);
            }
            ClientAuthenticationMethod::PrivateKeyJwt => {
                let assertion = self.assertion(client, &attempt.secret)?;
                form.append_pair("client_id", client_id)
                    .append_pair("client_assertion_type", ASSERTION_TYPE)
                    .append_pair("client_assertion", assertion.expose_secret());
            }
            ClientAuthenticationMethod::Bearer => {
                let credentials = HeaderValue::from_str(&format!("Bearer {secret}"))
                    .map_err(|_| invalid_response("our own token cannot stand in a header"))?;
                request = request.insert_header((AUTHORIZATION, credentials));
            }
        }
        if self.state.settings.signed_replies {
            request = request.insert_header((ACCEPT, MEDIA_TYPE));
        }
        let request = request.insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"));
        Ok((request, form.finish()))
    }

    /// `private_key_jwt`: an assertion for the issuer (RFC 7523bis names the issuer as the audience).
    fn assertion(
        &self,
        client: &ClientAuthentication,
        pem: &SecretString,
    ) -> Result<SecretString, AuthError> {
        let key = ClientKey::from_pem(pem, None, client.key_id.clone()).map_err(|fault| {
            invalid_response(format!("our own private key cannot be used: {fault}"))
        })?;
        let token_id = RequestId::random().to_string();
        let now = self.state.clock.now();
        key.assertion(
            &client.client_id,
            self.state.settings.url.as_str(),
            &token_id,
            now,
        )
        .map_err(|fault| invalid_response(fault.to_string()))
    }

    /// What a reply says. One that has to be signed is believed only if it is.
    async fn read(
        &self,
        client: &ClientAuthentication,
        reply: &Reply,
    ) -> Result<IntrospectionReply, CallError> {
        if !self.state.settings.signed_replies || reply.status != StatusCode::OK {
            return read(reply);
        }
        let expected = ExpectedReply {
            issuer: &self.state.settings.url,
            client_id: &client.client_id,
        };
        let now = self.state.clock.now();
        let mut keys = self.keys().await?;
        let mut outcome = read_signed_reply(&reply.body, &keys, expected, now);
        if outcome.as_ref().err() == Some(&SignedReplyFault::Jws(JwsFault::UnknownKey))
            && let Some(newer) = self.newer_keys(&keys).await?
        {
            keys = newer;
            outcome = read_signed_reply(&reply.body, &keys, expected, now);
        }
        outcome.map_err(|fault| invalid_response(fault.to_string()).into())
    }

    /// Verifies a token that is a JWT (RFC 9068) by the issuer's keys. `None` if it is no JWT, or the
    /// issuer's JWTs are not verified so. Where the issuer cannot be asked, what is no JWT is not its
    /// token.
    pub(crate) async fn verify(
        &self,
        token: &BearerToken,
    ) -> Result<Option<IntrospectionReply>, AuthError> {
        let Some(settings) = &self.state.settings.jwt else {
            return Ok(None);
        };
        if jwt::peek_issuer(token).is_none() {
            return match self.state.settings.client {
                Some(_) => Ok(None),
                None => Err(AuthError::Refused(Refusal::NobodysToken)),
            };
        }
        let refused = |fault| AuthError::Refused(Refusal::Unverified(fault));
        let header = jwt::header(token).map_err(refused)?;
        if !settings.algorithms.contains(&header.algorithm) {
            return Err(refused(JwsFault::Algorithm));
        }
        let keys = self.keys().await?;
        let now = self.state.clock.now();
        let fault = match jwt::access_token(token, &keys, now) {
            Ok(reply) => return Ok(Some(reply)),
            Err(fault) => fault,
        };
        if fault == TokenFault::UnknownKey
            && let Some(newer) = self.newer_keys(&keys).await?
        {
            return jwt::access_token(token, &newer, now)
                .map(Some)
                .map_err(|fault| AuthError::Refused(fault.refusal()));
        }
        Err(AuthError::Refused(fault.refusal()))
    }

    /// Whether a token has to be asked about even if it was verified.
    pub(crate) fn introspects_what_is_verified(&self) -> bool {
        self.state
            .settings
            .jwt
            .as_ref()
            .is_some_and(|jwt| jwt.introspected)
    }

    /// The issuer's metadata. An old one serves on for a while if no new one can be had.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, AuthError> {
        let fetch = async || self.fetch_metadata().await;
        self.state.metadata.get(self.state.clock.now(), fetch).await
    }

    /// The keys with which the issuer signs.
    pub(crate) async fn keys(&self) -> Result<Arc<KeySet>, AuthError> {
        let fetch = async || self.fetch_keys().await;
        self.state.keys.get(self.state.clock.now(), fetch).await
    }

    /// Newer keys than these, among which one was missed; `None` if there are none.
    pub(crate) async fn newer_keys(
        &self,
        seen: &Arc<KeySet>,
    ) -> Result<Option<Arc<KeySet>>, AuthError> {
        let fetch = async || self.fetch_keys().await;
        self.state
            .keys
            .renew(seen, KEYS_PAUSE, self.state.clock.now(), fetch)
            .await
    }

    async fn fetch_keys(&self) -> Result<KeySet, AuthError> {
        let uri = match &self.state.settings.keys_url {
            Some(url) => uri(url)?,
            None => self.metadata().await?.keys.clone().ok_or_else(|| {
                invalid_response("the issuer's metadata names no usable jwks_uri")
            })?,
        };
        let reply = self.exchange.fetch(&uri).await?;
        if reply.status != StatusCode::OK {
            return Err(invalid_response(format!(
                "status {} for keys",
                reply.status.as_u16()
            )));
        }
        KeySet::read(&reply.body).map_err(|fault| invalid_response(fault.to_string()))
    }

    async fn fetch_metadata(&self) -> Result<Metadata, AuthError> {
        let mut last = invalid_response("the issuer has no metadata where it should be");
        let urls = match &self.state.settings.metadata_url {
            Some(url) => vec![url.clone()],
            None => self.state.settings.url.metadata_urls(),
        };
        for url in urls {
            let reply = self.exchange.fetch(&uri(&url)?).await?;
            if reply.status != StatusCode::OK {
                continue;
            }
            match self.read_metadata(&reply.body) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn read_metadata(&self, body: &[u8]) -> Result<Metadata, AuthError> {
        #[derive(Deserialize)]
        struct Document {
            issuer: String,
            introspection_endpoint: Option<String>,
            jwks_uri: Option<String>,
        }
        let text =
            str::from_utf8(body).map_err(|_| invalid_response("metadata that is not UTF-8"))?;
        // serde would take an array for an object whose names were left out.
        let document: Document = text
            .trim_start()
            .starts_with('{')
            .then(|| serde_json::from_str(text).ok())
            .flatten()
            .ok_or_else(|| invalid_response("metadata that is not a JSON object with an issuer"))?;
        // RFC 8414 §3.3: metadata of another issuer must not be used, wherever it was fetched.
        if document.issuer != self.state.settings.url.as_str() {
            return Err(invalid_response("metadata of another issuer"));
        }
        let plain = &self.state.settings.plain_http_hosts;
        let usable = |url: Option<String>| uri(&endpoint(&url?, plain).ok()?).ok();
        Ok(Metadata {
            introspection: usable(document.introspection_endpoint),
            keys: usable(document.jwks_uri),
            document: text.into(),
        })
    }
}

/// An address as the HTTP client takes it.
pub(crate) fn uri(url: &Url) -> Result<Uri, AuthError> {
    Uri::try_from(url.as_str()).map_err(|_| invalid_response("an address that cannot be called"))
}

/// Tells the authorization server which trace the call belongs to, if it belongs to one (W3C Trace
/// Context §4). Each call is a piece of work of its own.
fn within_trace(request: ClientRequest, context: &TraceContext) -> ClientRequest {
    let Some(parent) = context.trace.parent else {
        return request;
    };
    let parent = parent.of_span(SpanId::random());
    let request = request.insert_header(("traceparent", parent.to_string()));
    match &context.state {
        Some(state) => request.insert_header(("tracestate", state.as_str())),
        None => request,
    }
}

/// Whether the answer is about our own credentials (RFC 7662 §2.3, RFC 6749 §5.2).
fn refuses_us(reply: &Reply) -> bool {
    matches!(
        reply.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    ) || (reply.status == StatusCode::BAD_REQUEST && is_error(&reply.body, "invalid_client"))
}

fn read(reply: &Reply) -> Result<IntrospectionReply, CallError> {
    match reply.status {
        StatusCode::OK => read_reply(&reply.body).map_err(|error| {
            // The error's text can hold bytes of the answer, so only its kind is kept.
            let kind = error.classify();
            invalid_response(format!("an introspection reply that is not one ({kind:?})")).into()
        }),
        StatusCode::BAD_REQUEST if is_error(&reply.body, "unsupported_token_type") => {
            // Some servers say so of a token of a kind that they do not introspect: a property of
            // the token, not an outage.
            Ok(IntrospectionReply {
                active: false,
                claims: Claims::default(),
            })
        }
        status => Err(invalid_response(format!("status {}", status.as_u16())).into()),
    }
}

/// `client_secret_basic`, both parts form-encoded first (RFC 6749 §2.3.1).
fn basic_credentials(client_id: &str, secret: &str) -> String {
    let mut pair = String::with_capacity(client_id.len() + 1 + secret.len());
    pair.extend(form_urlencoded::byte_serialize(client_id.as_bytes()));
    pair.push(':');
    pair.extend(form_urlencoded::byte_serialize(secret.as_bytes()));
    let mut credentials = String::from("Basic ");
    STANDARD.encode_string(pair, &mut credentials);
    credentials
}

/// Whether a body is an OAuth error of that name (RFC 6749 §5.2).
fn is_error(body: &[u8], name: &str) -> bool {
    #[derive(Deserialize)]
    struct OAuthError {
        error: String,
    }
    serde_json::from_slice::<OAuthError>(body).is_ok_and(|error| error.error == name)
}

/// A moment before the second try, not the same for everybody.
fn jitter() -> Duration {
    let random = getrandom::u32().unwrap_or_default() % 100;
    Duration::from_millis(50 + u64::from(random))
}
