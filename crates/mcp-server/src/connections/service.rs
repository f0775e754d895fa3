//! The service that actix calls with each accepted connection.

use std::{
    future::{Future, ready},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_rt::net::TcpStream;
use actix_service::{Service, ServiceFactory};
use futures_util::future::{AbortHandle, Abortable, LocalBoxFuture};
use rustls::ServerConfig;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    connection::Connections,
    stream::{ClientStream, WatchedStream},
};

/// Time limit of a TLS handshake.
const SLOWEST_HANDSHAKE: Duration = Duration::from_secs(3);

/// How a connection begins.
pub(crate) trait Opening: Clone + 'static {
    /// What is read and written then.
    type Stream: ClientStream;

    /// Begins; `None` if the client does not do its part.
    fn open(&self, stream: WatchedStream) -> impl Future<Output = Option<Self::Stream>> + 'static;
}

/// Without TLS.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl Opening for Plain {
    type Stream = WatchedStream;

    fn open(&self, stream: WatchedStream) -> impl Future<Output = Option<Self::Stream>> + 'static {
        ready(Some(stream))
    }
}

/// With TLS. The number of handshakes under way has no limit of its own: a client that is slow holds nothing but
/// its connection, which gives way like any other that has brought no token.
#[derive(Clone)]
pub(crate) struct Tls(pub(crate) Arc<ServerConfig>);

impl Opening for Tls {
    type Stream = TlsStream<WatchedStream>;

    fn open(&self, stream: WatchedStream) -> impl Future<Output = Option<Self::Stream>> + 'static {
        let handshake = TlsAcceptor::from(Arc::clone(&self.0)).accept(stream);
        async {
            let stream = timeout(SLOWEST_HANDSHAKE, handshake).await.ok()?.ok()?;
            stream.connection().head_is_complete();
            Some(stream)
        }
    }
}

/// Makes the service of each worker.
pub(crate) struct ConnectionFactory<F, O> {
    pub(crate) http: F,
    pub(crate) opening: O,
    pub(crate) connections: Connections,
    pub(crate) trusts: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

impl<F, O> ServiceFactory<TcpStream> for ConnectionFactory<F, O>
where
    O: Opening,
    F: ServiceFactory<(O::Stream, Option<SocketAddr>), Config = (), InitError = ()>,
    F::Future: 'static,
    F::Service: 'static,
{
    type Response = ();
    type Error = F::Error;
    type Config = ();
    type Service = ConnectionService<F::Service, O>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Service, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let http = self.http.new_service(());
        let (opening, connections) = (self.opening.clone(), self.connections.clone());
        let trusts = Arc::clone(&self.trusts);
        Box::pin(async move {
            Ok(ConnectionService {
                http: Rc::new(http.await?),
                opening,
                connections,
                trusts,
            })
        })
    }
}

/// Serves the connections of a worker.
pub(crate) struct ConnectionService<S, O> {
    http: Rc<S>,
    opening: O,
    connections: Connections,
    trusts: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

impl<S, O> Service<TcpStream> for ConnectionService<S, O>
where
    O: Opening,
    S: Service<(O::Stream, Option<SocketAddr>)> + 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = LocalBoxFuture<'static, Result<(), S::Error>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.http.poll_ready(context)
    }

    fn call(&self, stream: TcpStream) -> Self::Future {
        let (close, closed) = AbortHandle::new_pair();
        let admitted = stream.peer_addr().ok().and_then(|peer| {
            let is_trusted = (self.trusts)(peer.ip());
            let connection = self.connections.admit(peer.ip(), is_trusted, close)?;
            Some((peer, connection))
        });
        let Some((peer, connection)) = admitted else {
            return Box::pin(ready(Ok(())));
        };
        let opened = self.opening.open(WatchedStream::new(stream, connection));
        let http = Rc::clone(&self.http);
        let served = async move {
            if let Some(stream) = opened.await {
                // The error is about the client, and the access log has told of its requests.
                let _ = http.call((stream, Some(peer))).await;
            }
        };
        Box::pin(async move {
            // An error means that the connection had to give way.
            let _ = Abortable::new(served, closed).await;
            Ok(())
        })
    }
}
