//! One request to the authorization server and its answer, bounded in time and size.

use std::{sync::Arc, time::Duration};

use actix_web::{
    http::{
        StatusCode, Uri,
        header::{ACCEPT, HeaderMap, RETRY_AFTER},
    },
    web::Bytes,
};
use awc::{Client, ClientRequest, Connector};
use tokio::time::timeout;

use crate::auth::AuthError;
use crate::cause::Cause;

/// The longest answer that is read, in bytes.
const LONGEST_REPLY: usize = 64 * 1024;

/// The longest `Retry-After` that is passed on.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Why a call failed, and whether the same call may go well a moment later.
pub(crate) struct CallError {
    pub(crate) error: AuthError,
    pub(crate) is_retryable: bool,
}

impl From<AuthError> for CallError {
    fn from(error: AuthError) -> Self {
        Self {
            error,
            is_retryable: false,
        }
    }
}

/// An answer, whole.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

/// Sends requests to one authorization server.
pub(crate) struct IssuerHttpClient {
    client: Client,
    timeout: Duration,
}

impl IssuerHttpClient {
    /// For requests that take at most so long, to a server whose certificate may be signed by those; `None`
    /// for one that has nothing but plain endpoints, on this machine or on hosts that the operator named.
    pub(crate) fn new(timeout: Duration, trust: Option<Arc<rustls::ClientConfig>>) -> Self {
        Self {
            // What is sent is bounded by `fetch`, or by whoever sends it.
            client: client_trusting(timeout, None, trust),
            timeout,
        }
    }

    pub(crate) fn post(&self, uri: &Uri) -> ClientRequest {
        self.client.post(uri)
    }

    /// A document, bounded in time and size.
    pub(crate) async fn fetch(&self, uri: &Uri) -> Result<Reply, AuthError> {
        let fetched = self.send(self.client.get(uri), String::new());
        match timeout(self.timeout, fetched).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(CallError { error, .. })) => Err(error),
            Err(_) => Err(late(self.timeout)),
        }
    }

    /// One request and its answer, bounded in size alone: its caller bounds the time, of all that it
    /// sends for one purpose.
    pub(crate) async fn send(
        &self,
        request: ClientRequest,
        body: String,
    ) -> Result<Reply, CallError> {
        let mut response = request
            .insert_header_if_none((ACCEPT, "application/json"))
            .send_body(body)
            .await
            .map_err(|error| CallError {
                error: down(error.to_string()),
                is_retryable: true,
            })?;
        let body = response
            .body()
            .limit(LONGEST_REPLY)
            .await
            .map_err(|error| match error {
                awc::error::PayloadError::Overflow => {
                    invalid_response("an answer over 64 KiB").into()
                }
                other => CallError {
                    error: down(other.to_string()),
                    is_retryable: true,
                },
            })?;
        let reply = Reply {
            status: response.status(),
            retry_after: retry_after(response.headers()),
            body,
        };
        let status = reply.status;
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(CallError {
                error: AuthError::IssuerDown {
                    source: Cause::new(format!("status {}", status.as_u16())),
                    retry_after: reply.retry_after,
                },
                // Who says when to come back is not bothered before.
                is_retryable: status.is_server_error() && reply.retry_after.is_none(),
            });
        }
        Ok(reply)
    }
}

/// A client whose connections, and whose requests if `whole` is given, take at most so long, to a server
/// that may be known to have nothing but plain endpoints. It stays on the thread that it is made on.
///
/// # Panics
/// If the provider of cryptography lacks what it is known to have.
#[must_use]
pub fn client(connecting: Duration, whole: Option<Duration>, is_plain: bool) -> Client {
    // Reading the operating system's certificates takes a moment that a server whose
    // authorization server is on the same machine need not spend.
    client_trusting(connecting, whole, (!is_plain).then(trust))
}

fn client_trusting(
    connecting: Duration,
    whole: Option<Duration>,
    trust: Option<Arc<rustls::ClientConfig>>,
) -> Client {
    // How much is sent at once is up to who sends: behind a gate it would only wait a second time.
    let connector = Connector::new().timeout(connecting).limit(0);
    let connector = match trust {
        Some(trust) => connector.rustls_0_23(trust),
        None => connector,
    };
    // A redirect would carry what is sent, a token or our secret, to whom the answer names; none is
    // followed.
    let builder = Client::builder().connector(connector).disable_redirects();
    match whole {
        Some(whole) => builder.timeout(whole),
        None => builder.disable_timeout(),
    }
    .finish()
}

/// Trusts whom the operating system trusts, private authorities included.
///
/// # Panics
/// As [`client`].
pub(crate) fn trust() -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        log::warn!("a certificate of the operating system cannot be used: {error}");
    }
    let (added, _) = roots.add_parsable_certificates(native.certs);
    if added == 0 {
        log::error!("the operating system trusts nobody; install its ca-certificates");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers the protocol versions that rustls has by default")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// `Retry-After` in seconds; the form with a date is left alone.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

pub(crate) fn down(why: impl Into<String>) -> AuthError {
    AuthError::IssuerDown {
        source: Cause::new(why.into()),
        retry_after: None,
    }
}

pub(crate) fn late(limit: Duration) -> AuthError {
    down(format!("no answer within {} ms", limit.as_millis()))
}

pub(crate) fn invalid_response(why: impl Into<String>) -> AuthError {
    AuthError::IssuerNonsense {
        source: Cause::new(why.into()),
    }
}
