//! HTTP requests to an authorization server, limited in time and size.

use std::{sync::Arc, time::Duration};

use actix_rt::net::TcpStream;
use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use actix_web::{
    http::{
        StatusCode, Uri,
        header::{ACCEPT, HeaderMap, RETRY_AFTER},
    },
    web::Bytes,
};
use awc::{Client, ClientRequest, Connector};
use tokio::time::timeout;

use super::destinations::Destinations;
use crate::{auth::error::AuthError, cause::Cause};

/// The longest response body that is read, in bytes.
const LONGEST_REPLY: usize = 64 * 1024;

/// The longest `Retry-After` that is passed on to clients.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Why a call failed, and whether it may be retried at once.
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

/// A complete response.
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
    /// A client with this timeout for a server whose certificate is signed by one of the trusted authorities;
    /// `None` for a server that has only plain HTTP endpoints. It connects to these destinations alone.
    pub(crate) fn new(
        timeout: Duration,
        trust: Option<Arc<rustls::ClientConfig>>,
        destinations: &Destinations,
    ) -> Self {
        let connector = Connector::new().connector(destinations.connector());
        Self {
            // `fetch` and the callers of `send` set the time limit.
            client: client_trusting(connector, timeout, None, trust),
            timeout,
        }
    }

    pub(crate) fn post(&self, uri: &Uri) -> ClientRequest {
        self.client.post(uri)
    }

    /// Fetches a document.
    pub(crate) async fn fetch(&self, uri: &Uri) -> Result<Reply, AuthError> {
        let fetched = self.send(self.client.get(uri), String::new());
        match timeout(self.timeout, fetched).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(CallError { error, .. })) => Err(error),
            Err(_) => Err(timed_out(self.timeout)),
        }
    }

    /// Sends one request, limited in size only: the caller limits the time of all requests of one operation.
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
                error: unreachable(error.to_string()),
                is_retryable: true,
            })?;
        let body = response
            .body()
            .limit(LONGEST_REPLY)
            .await
            .map_err(|error| match error {
                awc::error::PayloadError::Overflow => {
                    invalid_response("a response body over 64 KiB").into()
                }
                other => CallError {
                    error: unreachable(other.to_string()),
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
                error: AuthError::IssuerUnavailable {
                    source: Cause::new(format!("status {}", status.as_u16())),
                    retry_after: reply.retry_after,
                },
                // A server that sends `Retry-After` is not called again before.
                is_retryable: status.is_server_error() && reply.retry_after.is_none(),
            });
        }
        Ok(reply)
    }
}

/// An HTTP client with a connect timeout, and a timeout for whole requests if `request` is given. It trusts
/// the certificate authorities of the operating system, and follows no redirects. `is_plain` says that the
/// server is only called by plain HTTP, which saves loading the certificates. The client is bound to the
/// current thread.
///
/// # Panics
/// If `ring` does not support the default protocol versions of rustls.
#[must_use]
pub fn client(connect: Duration, request: Option<Duration>, is_plain: bool) -> Client {
    let connector = Connector::new();
    client_trusting(connector, connect, request, (!is_plain).then(trust))
}

fn client_trusting<S>(
    connector: Connector<S>,
    connect: Duration,
    request: Option<Duration>,
    trust: Option<Arc<rustls::ClientConfig>>,
) -> Client
where
    S: Service<ConnectInfo<Uri>, Response = Connection<Uri, TcpStream>, Error = ConnectError>
        + Clone
        + 'static,
{
    // No connection limit: the callers limit concurrency, and a second queue would only add delay.
    let connector = connector.timeout(connect).limit(0);
    let connector = match trust {
        Some(trust) => connector.rustls_0_23(trust),
        None => connector,
    };
    // A redirect would send a token or the client secret to another server.
    let builder = Client::builder().connector(connector).disable_redirects();
    match request {
        Some(request) => builder.timeout(request),
        None => builder.disable_timeout(),
    }
    .finish()
}

/// Trusts the certificate authorities of the operating system.
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
        log::error!(
            "the operating system has no trusted certificate authorities; install ca-certificates"
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers the protocol versions that rustls has by default")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// `Retry-After` in seconds; the form with a date is ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

fn unreachable(why: impl Into<String>) -> AuthError {
    AuthError::IssuerUnavailable {
        source: Cause::new(why.into()),
        retry_after: None,
    }
}

pub(crate) fn timed_out(limit: Duration) -> AuthError {
    unreachable(format!("no response within {} ms", limit.as_millis()))
}

pub(crate) fn invalid_response(why: impl Into<String>) -> AuthError {
    AuthError::InvalidResponse {
        source: Cause::new(why.into()),
    }
}
