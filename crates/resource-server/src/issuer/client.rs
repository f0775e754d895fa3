//! The calls to one authorization server: introspection, metadata and keys.

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
use url::form_urlencoded;

use super::client_authentication::{ClientAuthentication, ClientAuthenticationMethod};
use super::{
    credential_rotation::Attempt,
    http_client::{CallError, IssuerHttpClient, Reply, invalid_response, timed_out},
    metadata::{Metadata, uri},
    state::IssuerState,
};
use crate::{
    auth::error::AuthError,
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
    validation::{Claims, IntrospectionReply, Refusal, read_reply},
};

/// The shortest time between two refreshes of the key set because of unknown key ids.
const KEYS_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// The client of one authorization server on one thread.
pub(crate) struct IssuerClient {
    state: Arc<IssuerState>,
    http: IssuerHttpClient,
}

impl IssuerClient {
    pub(crate) fn new(state: Arc<IssuerState>) -> Self {
        Self {
            http: IssuerHttpClient::new(
                state.settings.timeout,
                state.trust.clone(),
                &state.destinations,
            ),
            state,
        }
    }

    /// The state that all threads share.
    pub(crate) fn state(&self) -> &IssuerState {
        &self.state
    }

    /// The client id of this resource server at the issuer, if it has one.
    pub(crate) fn client_id(&self) -> Option<&str> {
        let client = self.state.settings.client.as_ref()?;
        Some(client.client_id.as_str()).filter(|client_id| !client_id.is_empty())
    }

    /// Introspects a token (RFC 7662 §2). A call that fails in a retryable way is made once more; after
    /// several consecutive failures the circuit opens.
    pub(crate) async fn introspect(
        &self,
        token: &BearerToken,
        context: &TraceContext,
    ) -> Result<IntrospectionReply, AuthError> {
        self.state.admit().map_err(|wait| {
            self.state.metrics.introspection_skipped();
            AuthError::IssuerUnavailable {
                source: Cause::new("circuit open after several consecutive failures"),
                retry_after: Some(wait),
            }
        })?;
        let began = Instant::now();
        let limit = self.state.settings.timeout;
        let outcome = timeout(limit, self.introspect_twice(token, context))
            .await
            .unwrap_or_else(|_| Err(timed_out(limit)));
        self.state.record_outcome(&outcome);
        let label = match &outcome {
            Ok(reply) if reply.active => Introspection::Active,
            Ok(_) => Introspection::Inactive,
            Err(AuthError::IssuerUnavailable { .. }) => Introspection::Unavailable,
            Err(_) => Introspection::InvalidResponse,
        };
        self.state.metrics.introspection(label, began.elapsed());
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
                log::debug!(issuer:% = self.state.settings.url; "introspection is retried once: {error}");
                sleep(jitter()).await;
                self.introspect_once(token, context)
                    .await
                    .map_err(|failed| failed.error)
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
            None => self.metadata().await?.introspection.clone()?,
        };
        let (Some(client), Some(secret)) = (&self.state.settings.client, &self.state.secret) else {
            return Err(invalid_response("no client is configured to introspect with").into());
        };
        let attempts = secret.attempts(self.state.clock.now()).await;
        if attempts.is_empty() {
            return Err(invalid_response(
"no client secret available: the file is unreadable or the secret was just rejected").into());
        }
        for attempt in attempts {
            let (request, body) = match self.request(&uri, token, client, &attempt) {
                Ok(request) => request,
                Err(error) => {
                    // A partly written key in the file must not prevent the use of the current one.
                    let now = self.state.clock.now();
                    secret.record_outcome(&attempt, false, now).await;
                    log::error!(issuer:% = self.state.settings.url; "a secret cannot be used: {error}");
                    continue;
                }
            };
            let request = within_trace(request, context);
            let reply = self.http.send(request, body).await?;
            let accepted = !is_client_rejected(&reply);
            secret
                .record_outcome(&attempt, accepted, self.state.clock.now())
                .await;
            if accepted {
                return self.read(client, &reply).await;
            }
        }
        log::error!(
            issuer:% = self.state.settings.url;
            "the authorization server rejects the credentials of this resource server; check the configured client id and client secret"
        );
        Err(invalid_response("the credentials of this resource server are rejected").into())
    }

    /// The introspection request with one of the secrets, and its body.
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
        // Enough capacity, unless much of the token has to be percent-encoded.
        let buffer = String::with_capacity(token.expose().len() + 64);
        let mut form = form_urlencoded::Serializer::new(buffer);
        form.append_pair("token", token.expose())
            .append_pair("token_type_hint", "access_token");
        let mut request = self.http.post(uri);
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
                let credentials =
                    HeaderValue::from_str(&format!("Bearer {secret}")).map_err(|_| {
                        invalid_response("the configured bearer token is not a valid header value")
                    })?;
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
            invalid_response(format!(
                "the configured private key cannot be used: {fault}"
            ))
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

    /// Reads a reply, and verifies its signature (RFC 9701) where that is required.
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

    /// Verifies a token that is a JWT (RFC 9068) with the keys of the issuer. `None` if it is not a JWT, or
    /// if JWTs of the issuer are only introspected. Without a client to introspect as, a token that is not a
    /// JWT cannot be of this issuer.
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
                None => Err(AuthError::Refused(Refusal::UnknownIssuer)),
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

    /// Whether a verified JWT is introspected as well.
    pub(crate) fn introspects_jwts(&self) -> bool {
        self.state
            .settings
            .jwt
            .as_ref()
            .is_some_and(|jwt| jwt.introspected)
    }

    /// The metadata of the issuer, from the cache if possible.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, AuthError> {
        let fetch = async || self.fetch_metadata().await;
        self.state.metadata.get(self.state.clock.now(), fetch).await
    }

    /// The keys of the issuer, from the cache if possible.
    pub(crate) async fn keys(&self) -> Result<Arc<KeySet>, AuthError> {
        let fetch = async || self.fetch_keys().await;
        self.state.keys.get(self.state.clock.now(), fetch).await
    }

    /// Newer keys than `seen`, which lacks a key; `None` if there are none.
    pub(crate) async fn newer_keys(
        &self,
        seen: &Arc<KeySet>,
    ) -> Result<Option<Arc<KeySet>>, AuthError> {
        let fetch = async || self.fetch_keys().await;
        self.state
            .keys
            .refresh(seen, KEYS_PAUSE, self.state.clock.now(), fetch)
            .await
    }

    async fn fetch_keys(&self) -> Result<KeySet, AuthError> {
        let uri = match &self.state.settings.keys_url {
            Some(url) => uri(url)?,
            None => self.metadata().await?.keys.clone()?,
        };
        let reply = self.http.fetch(&uri).await?;
        if reply.status != StatusCode::OK {
            return Err(invalid_response(format!(
                "status {} for keys",
                reply.status.as_u16()
            )));
        }
        KeySet::read(&reply.body).map_err(|fault| invalid_response(fault.to_string()))
    }

    async fn fetch_metadata(&self) -> Result<Metadata, AuthError> {
        let mut last = invalid_response("no metadata at the well-known URLs of the issuer");
        let urls = match &self.state.settings.metadata_url {
            Some(url) => vec![url.clone()],
            None => self.state.settings.url.metadata_urls(),
        };
        for url in urls {
            let reply = self.http.fetch(&uri(&url)?).await?;
            if reply.status != StatusCode::OK {
                continue;
            }
            match Metadata::read(&reply.body, &self.state.settings, &self.state.destinations) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Propagates the trace of the request, if it has one, with a new span for the call (W3C Trace Context §4).
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

/// Whether the authorization server rejects the credentials of this resource server (RFC 7662 §2.3,
/// RFC 6749 §5.2).
fn is_client_rejected(reply: &Reply) -> bool {
    matches!(
        reply.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    ) || (reply.status == StatusCode::BAD_REQUEST && is_error(&reply.body, "invalid_client"))
}

fn read(reply: &Reply) -> Result<IntrospectionReply, CallError> {
    match reply.status {
        StatusCode::OK => read_reply(&reply.body).map_err(|error| {
            // The error text can contain bytes of the reply, so only its category is kept.
            let kind = error.classify();
            invalid_response(format!("not an introspection reply ({kind:?})")).into()
        }),
        status if status.is_client_error() && is_unsupported(&reply.body) => {
            // Some servers send this for a kind of token that they do not introspect: a property of the
            // token, not an outage.
            Ok(IntrospectionReply {
                active: false,
                claims: Claims::default(),
                is_unsupported: true,
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

/// Whether a body is the OAuth error with this code.
fn is_error(body: &[u8], name: &str) -> bool {
    error_code(body).as_deref() == Some(name)
}

/// Whether a body is an OAuth error such as `unsupported_token_type` (RFC 7009 §2.2.1).
fn is_unsupported(body: &[u8]) -> bool {
    error_code(body).is_some_and(|code| code.starts_with("unsupported_token"))
}

/// The code of an OAuth error (RFC 6749 §5.2).
fn error_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct OAuthError {
        error: String,
    }
    let error: OAuthError = serde_json::from_slice(body).ok()?;
    Some(error.error)
}

/// The delay before the retry: 50 to 150 ms.
fn jitter() -> Duration {
    let random = getrandom::u32().unwrap_or_default() % 100;
    Duration::from_millis(50 + u64::from(random))
}
