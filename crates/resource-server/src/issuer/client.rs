//! The calls to one authorization server: introspection, metadata and keys.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::http::{
    StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use awc::ClientRequest;
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{sleep, timeout};
use url::form_urlencoded;

use super::{
    asker::Asker,
    client_authentication::{AssertionAudience, ClientAuthentication, ClientAuthenticationMethod},
    credential_rotation::Attempt,
    document_cache::Refreshed,
    http_client::{IssuerHttpClient, Reply, invalid_response, shown, timed_out},
    introspection_reply::{is_client_rejected, of_status, read},
    outcome::{CallError, Finding, UNCHECKABLE_FOR},
    state::IssuerState,
};
use crate::{
    auth::error::AuthError,
    bearer::BearerToken,
    cause::Cause,
    jose::{
        client_assertion::{ASSERTION_TYPE, ClientKey},
        jws::JwsFault,
        jwt::{self, AccessTokens, TokenFault},
        keys::KeySet,
        signed_reply::{ExpectedReply, MEDIA_TYPE, SignedReplyFault, read_signed_reply},
    },
    limits::Source,
    metrics::Introspection,
    request_id::RequestId,
    trace_context::{SpanId, TraceContext},
    validation::{IntrospectionReply, Refusal},
};

/// The client of one authorization server on one thread. Clones share its connections.
#[derive(Clone)]
pub(crate) struct IssuerClient {
    pub(super) state: Arc<IssuerState>,
    pub(super) http: Rc<IssuerHttpClient>,
}

impl IssuerClient {
    pub(crate) fn new(state: Arc<IssuerState>) -> Self {
        Self {
            http: Rc::new(IssuerHttpClient::new(
                state.settings.timeout,
                state.trust.clone(),
                &state.destinations,
                state.long_replies.clone(),
            )),
            state,
        }
    }

    /// The state that all threads share.
    pub(crate) fn state(&self) -> &IssuerState {
        &self.state
    }

    /// The HTTP client for its documents.
    pub(crate) fn http(&self) -> &IssuerHttpClient {
        &self.http
    }

    /// The client id of this resource server at the issuer, if it has one.
    pub(crate) fn client_id(&self) -> Option<&str> {
        let client = self.state.settings.client.as_ref()?;
        Some(client.client_id.as_str()).filter(|client_id| !client_id.is_empty())
    }

    /// Introspects a token (RFC 7662 §2). A call that fails in a retryable way is made once more. What a failure
    /// says is recorded: about the endpoint, the source, or nothing but this token.
    pub(crate) async fn introspect(
        &self,
        token: &BearerToken,
        asker: &Asker,
        context: &TraceContext,
    ) -> Result<IntrospectionReply, AuthError> {
        self.admit(asker, context).await?;
        let began = Instant::now();
        let limit = self.state.settings.timeout;
        let outcome = timeout(limit, self.introspect_twice(token, asker, context))
            .await
            .unwrap_or_else(|_| Err(unanswered_in(limit)));
        let outcome = outcome.map_err(|failed| self.with_url(failed));
        self.state.record(asker, &outcome);
        if let Ok(reply) = &outcome
            && !reply.is_unsupported
        {
            self.state.record_reply(reply.active);
        }
        let label = match &outcome {
            Ok(reply) if reply.active => Introspection::Active,
            Ok(_) => Introspection::Inactive,
            Err(failed) => match failed.finding {
                Finding::Unreachable | Finding::Unanswered => Introspection::Unavailable,
                Finding::RateLimited(_) => Introspection::RateLimited,
                Finding::ServerError | Finding::Token | Finding::Nothing => {
                    Introspection::InvalidResponse
                }
            },
        };
        self.state.metrics.introspection(label, began.elapsed());
        outcome.map_err(|failed| failed.error)
    }

    /// Admits a call: the source may have to wait, and the circuit may be open. In the latter case one call is
    /// made as a probe now and then. It asks about a random token, so that no client decides its outcome,
    /// and any whole response closes the circuit.
    async fn admit(&self, asker: &Asker, context: &TraceContext) -> Result<(), AuthError> {
        if !self.state.admit(asker)? {
            return Ok(());
        }
        let nobodys = RequestId::random().to_string();
        let limit = self.state.settings.timeout;
        let outcome = timeout(limit, self.introspect_once(&nobodys, None, context))
            .await
            .unwrap_or_else(|_| Err(unanswered_in(limit)));
        let outcome = outcome.map_err(|failed| self.with_url(failed));
        self.state.record_probe(outcome.map(|_| ()))
    }

    /// The URL of the introspection endpoint, as far as it is known, for the log.
    fn introspection_url(&self) -> Option<String> {
        let endpoint = match &self.state.introspection {
            Some(uri) => uri.clone(),
            None => self.state.metadata.last()?.introspection.clone(),
        };
        endpoint.ok().as_ref().map(shown)
    }

    /// An error of this server or of a document says by itself what was asked.
    fn with_url(&self, failed: CallError) -> CallError {
        let is_of_call = !matches!(failed.finding, Finding::Nothing) && !failed.is_of_document;
        match self.introspection_url().filter(|_| is_of_call) {
            Some(url) => CallError {
                error: failed.error.at(&url),
                ..failed
            },
            None => failed,
        }
    }

    async fn introspect_twice(
        &self,
        token: &BearerToken,
        asker: &Asker,
        context: &TraceContext,
    ) -> Result<IntrospectionReply, CallError> {
        let once = || self.introspect_once(token.expose(), asker.source, context);
        match once().await {
            Err(CallError {
                error,
                is_retryable: true,
                ..
            }) => {
                log::debug!(issuer:% = self.state.settings.url; "introspection is retried once: {error}");
                sleep(jitter()).await;
                once().await
            }
            outcome => outcome,
        }
    }

    pub(super) async fn introspect_once(
        &self,
        token: &str,
        source: Option<Source>,
        context: &TraceContext,
    ) -> Result<IntrospectionReply, CallError> {
        let unable = |why: &str| CallError::of_this_server(invalid_response(why));
        let uri = match &self.state.introspection {
            Some(uri) => uri.clone().map_err(CallError::of_this_server)?,
            None => {
                let metadata = self.metadata().await.map_err(CallError::of_document)?;
                metadata
                    .introspection
                    .clone()
                    .map_err(CallError::of_this_server)?
            }
        };
        let (Some(client), Some(secret)) = (&self.state.settings.client, &self.state.secret) else {
            return Err(unable("no client is configured to introspect with"));
        };
        let attempts = secret.attempts(self.state.clock.now()).await;
        let mut outcome = Err(unable(
            "no client secret available: the file is unreadable or the secret was just rejected",
        ));
        let mut rejected = None;
        for attempt in &attempts {
            let (request, body) = match self.request(&uri, token, client, attempt).await {
                Ok(request) => request,
                Err(error) => {
                    // A partly written key in the file must not prevent the use of the current one.
                    let now = self.state.clock.now();
                    secret.record_outcome(attempt, false, now).await;
                    log::error!(issuer:% = self.state.settings.url; "a secret cannot be used: {error}");
                    continue;
                }
            };
            let request = within_trace(request, context);
            let reply = self.http.send(request, body, source).await?;
            let now = self.state.clock.now();
            if is_client_rejected(&reply) {
                outcome = Err(of_status(&reply, token, now));
                rejected = Some(attempt);
                continue;
            }
            // Some servers reject an odd token as they reject a client, so a secret is known to be wrong only
            // if the same token has a reply with another one.
            if reply.status == StatusCode::OK {
                if let Some(rejected) = rejected {
                    secret.record_outcome(rejected, false, now).await;
                }
                secret.record_outcome(attempt, true, now).await;
            }
            let read = self.read(client, &reply, token, source).await;
            let read = read.map(|reply| reply.under(&self.state.settings.rules));
            if read.is_ok() || reply.status == StatusCode::BAD_REQUEST {
                self.state.first_answer.introspected();
            }
            return read;
        }
        if rejected.is_some() {
            self.state.first_answer.rejected_client();
            let now = self.state.clock.now();
            secret.record_rejection_of_all(now).await;
            if let Err(failed) = &outcome {
                self.state.log_rejected_client(&shown(&uri), &failed.error);
            }
        }
        outcome
    }

    /// The introspection request with one of the secrets, and its body.
    async fn request(
        &self,
        uri: &Uri,
        token: &str,
        client: &ClientAuthentication,
        attempt: &Attempt,
    ) -> Result<(ClientRequest, String), AuthError> {
        let ClientAuthentication {
            method, client_id, ..
        } = client;
        let secret = attempt.secret.expose_secret();
        // Enough capacity, unless much of the token has to be percent-encoded.
        let buffer = String::with_capacity(token.len() + 64);
        let mut form = form_urlencoded::Serializer::new(buffer);
        form.append_pair("token", token)
            .append_pair("token_type_hint", "access_token");
        let mut request = self.http.post(uri)?;
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
                let assertion = self.assertion(client, &attempt.secret).await?;
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

    /// `private_key_jwt`: an assertion for the issuer (RFC 7523bis names the issuer as the audience), or for its token
    /// endpoint where the settings say so.
    async fn assertion(
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
        let metadata;
        let audience = match client.assertion_audience {
            AssertionAudience::Issuer => self.state.settings.url.as_str(),
            AssertionAudience::TokenEndpoint => {
                metadata = self.metadata().await?;
                metadata.token_endpoint.as_deref().ok_or_else(|| {
                    invalid_response("the issuer's metadata names no token_endpoint")
                })?
            }
        };
        key.assertion(&client.client_id, audience, &token_id, now)
            .map_err(|fault| invalid_response(fault.to_string()))
    }

    /// Reads a reply, and verifies its signature (RFC 9701) where that is required.
    async fn read(
        &self,
        client: &ClientAuthentication,
        reply: &Reply,
        token: &str,
        source: Option<Source>,
    ) -> Result<IntrospectionReply, CallError> {
        let now = self.state.clock.now();
        if !self.state.settings.signed_replies || reply.status != StatusCode::OK {
            return read(reply, token, now);
        }
        let expected = ExpectedReply {
            issuer: &self.state.settings.url,
            client_id: &client.client_id,
            resource: &self.state.expectation.resource,
        };
        let verify = |keys: &KeySet| match read_signed_reply(&reply.body, keys, expected, now) {
            Err(SignedReplyFault::Jws(JwsFault::UnknownKey)) => None,
            outcome => Some(outcome),
        };
        let unavailable = CallError::of_this_server;
        let keys = self.keys().await.map_err(unavailable)?;
        let outcome = match verify(&keys) {
            Some(outcome) => Some(outcome),
            None => match self.newer_keys(&keys, source).await.map_err(unavailable)? {
                Refreshed::Current(keys) | Refreshed::Recent(keys, _) => verify(&keys),
                Refreshed::Later(_) => None,
            },
        };
        outcome
            .unwrap_or(Err(SignedReplyFault::Jws(JwsFault::UnknownKey)))
            .map_err(|fault| CallError::of_token(fault.to_string()))
    }

    /// Verifies a token that is a JWT (RFC 9068) with the keys of the issuer. `None` if it is not a JWT, or
    /// if JWTs of the issuer are only introspected. Without a client to introspect as, a token that is not a
    /// JWT cannot be of this issuer.
    pub(crate) async fn verify(
        &self,
        token: &BearerToken,
        source: Option<Source>,
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
        let accepted = AccessTokens {
            types: &settings.types,
            rules: &self.state.settings.rules,
        };
        let verify = |keys: &KeySet| match jwt::access_token(token, keys, accepted, now) {
            Err(TokenFault::UnknownKey) => None,
            outcome => Some(outcome),
        };
        let outcome = match verify(&keys) {
            Some(outcome) => outcome,
            None => match self.newer_keys(&keys, source).await? {
                Refreshed::Current(keys) => verify(&keys).unwrap_or(Err(TokenFault::UnknownKey)),
                Refreshed::Recent(keys, wait) => {
                    verify(&keys).ok_or_else(|| key_may_be_new(wait))?
                }
                Refreshed::Later(wait) => return Err(key_may_be_new(wait)),
            },
        };
        outcome
            .map(Some)
            .map_err(|fault| AuthError::Refused(fault.refusal()))
    }

    /// Whether a verified JWT is introspected as well.
    pub(crate) fn introspects_jwts(&self) -> bool {
        self.state
            .settings
            .jwt
            .as_ref()
            .is_some_and(|jwt| jwt.introspected)
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

/// `client_secret_basic`, both parts form-encoded first (RFC 6749 §2.3.1).
fn basic_credentials(client_id: &str, secret: &str) -> String {
    let mut pair = String::with_capacity(client_id.len() + 1 + secret.len());
    // A space is `+` or `%20` in such a form. Every decoder reads the latter, some leave the former as it is.
    let encoded = |text: &str| {
        let parts = form_urlencoded::byte_serialize(text.as_bytes());
        parts
            .map(|part| if part == "+" { "%20" } else { part })
            .collect::<String>()
    };
    pair.push_str(&encoded(client_id));
    pair.push(':');
    pair.push_str(&encoded(secret));
    let mut credentials = String::from("Basic ");
    STANDARD.encode_string(pair, &mut credentials);
    credentials
}

/// The key of a token is not in a key set that was fetched before the token came: it may be a new one.
pub(crate) fn key_may_be_new(wait: Duration) -> AuthError {
    AuthError::Uncheckable {
        source: Cause::new("its key is not in the key set, which was fetched a moment ago"),
        // Whole seconds, as `Retry-After` has them.
        retry_after: Duration::from_millis(wait.as_millis().div_ceil(1_000) as u64 * 1_000)
            .min(UNCHECKABLE_FOR * 2),
    }
}

/// There was no response within the time limit.
pub(super) fn unanswered_in(limit: Duration) -> CallError {
    CallError {
        error: timed_out(limit),
        finding: Finding::Unanswered,
        is_retryable: false,
        is_of_document: false,
    }
}

/// The delay before the retry: 50 to 150 ms.
fn jitter() -> Duration {
    let random = getrandom::u32().unwrap_or_default() % 100;
    Duration::from_millis(50 + u64::from(random))
}
