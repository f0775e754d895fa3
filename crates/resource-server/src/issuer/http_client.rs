//! HTTP requests to an authorization server, limited in time and size.

use std::{sync::Arc, time::Duration};

use actix_web::{
    error::ParseError,
    http::{
        StatusCode, Uri,
        header::{ACCEPT, CONTENT_LENGTH, HeaderMap, HeaderValue},
        uri::{Authority, Scheme},
    },
    web::{Bytes, BytesMut},
};
use awc::{
    Client, ClientRequest, Connector,
    error::{ConnectError, SendRequestError},
};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{
    connector::IssuerConnector,
    destinations::Destinations,
    outcome::{CallError, Finding},
};
use crate::{
    auth::error::AuthError,
    cause::Cause,
    fair_gate::{FairGate, FairPermit},
    limits::Source,
    printable::printable,
};

/// The longest document that is read, in bytes.
const LONGEST_DOCUMENT: usize = 64 * 1024;

/// The longest introspection reply that is read, in bytes: that of a user with many thousand groups.
const LONGEST_REPLY: usize = 1024 * 1024;

/// What is read of a reply without a slot for long ones, and of one that reports an error.
const SHORT_REPLY: usize = 16 * 1024;

/// A complete response.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Held while the body of a long reply is in memory.
    _long: Option<FairPermit>,
}

/// Sends requests to one authorization server.
pub(crate) struct IssuerHttpClient {
    plain: Client,
    /// For `https`; the connector of this client does TLS.
    secure: Option<Client>,
    timeout: Duration,
    /// Limits the replies longer than 16 KiB that are in memory at once.
    long_replies: FairGate,
}

impl IssuerHttpClient {
    /// A client with this timeout for a server whose certificate is signed by one of the trusted authorities;
    /// `None` for a server that has only plain HTTP endpoints. It connects to these destinations alone.
    pub(crate) fn new(
        timeout: Duration,
        trust: Option<Arc<rustls::ClientConfig>>,
        destinations: &Destinations,
        long_replies: FairGate,
    ) -> Self {
        // `fetch` and the callers of `send` set the time limit of a call.
        let client = |tls| {
            let connector = IssuerConnector::new(destinations.connector(), tls);
            let connector = Connector::new().connector(connector);
            // No connection limit: the callers limit concurrency, and a second queue would only add delay.
            let connector = connector.timeout(timeout).limit(0);
            // A redirect would send a token or the client secret to another server.
            let builder = Client::builder().connector(connector).disable_redirects();
            builder.disable_timeout().finish()
        };
        Self {
            plain: client(None),
            secure: trust.map(|trust| client(Some(trust))),
            timeout,
            long_replies,
        }
    }

    /// A request with a form in its body.
    ///
    /// # Errors
    /// The endpoint uses TLS, and all endpoints of the issuer were configured without it.
    pub(crate) fn post(&self, uri: &Uri) -> Result<ClientRequest, AuthError> {
        let (client, uri) = self.route(uri)?;
        Ok(client.post(uri))
    }

    /// Fetches a document.
    pub(crate) async fn fetch(&self, uri: &Uri) -> Result<Reply, AuthError> {
        let (client, routed) = self.route(uri)?;
        let fetched = async {
            let response = Response::of(client.get(routed), String::new()).await?;
            response.read(LONGEST_DOCUMENT, None).await
        };
        let failed = match timeout(self.timeout, fetched).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(failed)) => failed.about_a_document(),
            Err(_) => timed_out(self.timeout),
        };
        Err(failed.at(&shown(uri)))
    }

    /// Sends a request about a token, limited in size only: the caller limits the time of all requests of one
    /// operation. A reply with status 200 has up to 1 MiB; the body of another is empty if it is long.
    pub(crate) async fn send(
        &self,
        request: ClientRequest,
        body: String,
        source: Option<Source>,
    ) -> Result<Reply, CallError> {
        let response = Response::of(request, body).await?;
        if response.status() == StatusCode::OK {
            return response
                .read(LONGEST_REPLY, Some((&self.long_replies, source)))
                .await;
        }
        Ok(response.read_error().await)
    }

    /// The client for a URL. That for `https` takes the URL as one of `http`, because its connector does TLS.
    fn route(&self, uri: &Uri) -> Result<(&Client, Uri), AuthError> {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok((&self.plain, uri.clone()));
        }
        let secure = self.secure.as_ref().ok_or_else(|| {
            invalid_response("an https endpoint of an issuer that was configured with http alone")
        })?;
        within_tls(uri)
            .map(|uri| (secure, uri))
            .ok_or_else(|| invalid_response("invalid endpoint URL"))
    }
}

/// An endpoint as the log shows it: without a query, which may hold what is nobody's business.
pub(crate) fn shown(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().map(|port| format!(":{port}"));
    let url = format!(
        "{scheme}://{host}{}{}",
        port.unwrap_or_default(),
        uri.path()
    );
    printable(&url).into_owned()
}

/// The URL with the scheme `http` and an explicit port.
fn within_tls(uri: &Uri) -> Option<Uri> {
    let port = uri.port_u16().unwrap_or(443);
    let authority: Authority = format!("{}:{port}", uri.host()?).parse().ok()?;
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    Uri::from_parts(parts).ok()
}

/// A response whose body is not read yet.
struct Response(awc::ClientResponse);

impl Response {
    async fn of(request: ClientRequest, body: String) -> Result<Self, CallError> {
        request
            .insert_header_if_none((ACCEPT, "application/json"))
            .send_body(body)
            .await
            .map(Self)
            .map_err(|error| not_answered(&error))
    }

    fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// Reads a body of at most `longest` bytes. If it is long, that takes a slot of the gate.
    async fn read(
        mut self,
        longest: usize,
        gate: Option<(&FairGate, Option<Source>)>,
    ) -> Result<Reply, CallError> {
        let too_long = || CallError::of_token(format!("a reply over {} KiB", longest / 1024));
        let announced = self.0.headers().get(CONTENT_LENGTH).and_then(length);
        if announced.is_some_and(|length| length > longest as u64) {
            return Err(too_long());
        }
        let mut body = BytesMut::new();
        let mut long = None;
        while let Some(chunk) = self.0.next().await {
            let chunk = chunk.map_err(|error| CallError {
                is_retryable: true,
                ..CallError::of_token(format!("a reply that breaks off: {error}"))
            })?;
            let read = body.len() + chunk.len();
            if read > longest {
                return Err(too_long());
            }
            if let Some((gate, source)) = gate
                && read > SHORT_REPLY
                && long.is_none()
            {
                let admitted = gate.admit(source, true).await;
                long = Some(admitted.map_err(|_| CallError::of_this_server(AuthError::Busy))?);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status: self.0.status(),
            headers: self.0.headers().clone(),
            body: without_mark(body),
            _long: long,
        })
    }

    /// Reads the body of a response that reports an error: its status says enough, so a body that is long or
    /// breaks off is taken for an empty one.
    async fn read_error(mut self) -> Reply {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.0.next().await {
            match chunk {
                Ok(chunk) if body.len() + chunk.len() <= SHORT_REPLY => {
                    body.extend_from_slice(&chunk);
                }
                _ => {
                    body.clear();
                    break;
                }
            }
        }
        Reply {
            status: self.0.status(),
            headers: self.0.headers().clone(),
            body: without_mark(body),
            _long: None,
        }
    }
}

/// The text after a byte order mark, which a reader of JSON may ignore (RFC 8259 §8.1).
fn without_mark(mut body: BytesMut) -> Bytes {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if body.starts_with(MARK) {
        drop(body.split_to(MARK.len()));
    }
    body.freeze()
}

fn length(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}

/// Why there is no response, as far as its head: the connection was not made, or it ended, or what came is not
/// the head of a reply.
fn not_answered(error: &SendRequestError) -> CallError {
    let finding = match error {
        SendRequestError::Connect(ConnectError::Disconnected) => Finding::Unanswered,
        SendRequestError::Connect(_) => Finding::Unreachable,
        SendRequestError::Response(ParseError::Io(error))
            if error.kind() != std::io::ErrorKind::InvalidData =>
        {
            Finding::Unanswered
        }
        SendRequestError::Response(_) => return CallError::of_token(error.to_string()),
        _ => Finding::Unanswered,
    };
    CallError {
        error: unreachable(error.to_string()),
        finding,
        is_retryable: true,
        is_of_document: false,
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
    let connector = Connector::new().timeout(connect).limit(0);
    let connector = if is_plain {
        connector
    } else {
        connector.rustls_0_23(trust())
    };
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

#[cfg(test)]
#[path = "http_client_tests.rs"]
mod tests;
