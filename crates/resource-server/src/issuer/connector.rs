//! How the HTTP client connects to an authorization server.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use actix_service::{Service, always_ready};
use actix_tls::connect::{
    ConnectError, ConnectInfo, Connection, ConnectorService,
    rustls_0_23::{TlsConnector, TlsConnectorService, reexports::AsyncTlsStream},
};
use actix_web::http::Uri;
use futures_util::future::{FutureExt, LocalBoxFuture};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::FramedReplies;

/// Connects, with TLS if it has a configuration for it. TLS is done here and not by the HTTP client, because
/// the framing of replies is seen in plain text only.
#[derive(Clone)]
pub(super) struct IssuerConnector {
    tcp: ConnectorService,
    tls: Option<TlsConnectorService>,
}

/// A connection, with or without TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<AsyncTlsStream<TcpStream>>),
}

impl IssuerConnector {
    pub(super) fn new(tcp: ConnectorService, tls: Option<Arc<rustls::ClientConfig>>) -> Self {
        Self {
            tcp,
            tls: tls.map(TlsConnector::service),
        }
    }
}

impl Service<ConnectInfo<Uri>> for IssuerConnector {
    type Response = Connection<Uri, FramedReplies<Stream>>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, ConnectError>>;

    always_ready!();

    fn call(&self, request: ConnectInfo<Uri>) -> Self::Future {
        let (connected, tls) = (self.tcp.call(request), self.tls.clone());
        async move {
            let connection = connected.await?;
            let (stream, uri) = match tls {
                None => {
                    let (stream, uri) = connection.into_parts();
                    (Stream::Plain(stream), uri)
                }
                Some(tls) => {
                    let secured = tls.call(connection).await.map_err(ConnectError::Io)?;
                    let (stream, uri) = secured.into_parts();
                    (Stream::Tls(Box::new(stream)), uri)
                }
            };
            Ok(Connection::new(uri, FramedReplies::new(stream)))
        }
        .boxed_local()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, target),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, target),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl ActixStream for Stream {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(self.tcp(), context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(self.tcp(), context)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "plain",
            Self::Tls(_) => "TLS",
        })
    }
}
