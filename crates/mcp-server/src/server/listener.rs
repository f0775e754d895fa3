//! How connections are accepted and served, with or without TLS: HTTP/1.1 only, with fixed limits. Over
//! HTTP/2, actix-web neither cancels a request whose client has left nor limits the requests of a connection.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_http::{HttpServiceBuilder, Request, Response};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::{
    App,
    body::{BoxBody, MessageBody},
    dev::{AppConfig, ServiceRequest, ServiceResponse},
    http::KeepAlive,
};
use rustls::ServerConfig;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::connections::{ClientStream, ConnectionFactory, Connections, Plain, Tls};

/// Length of the queue of connections that are not accepted yet.
const BACKLOG: i32 = 2_048;

/// What the operating system holds of what a client has sent and was not read, or was sent and has not taken, in
/// bytes each. It would grow to several megabytes per connection by itself.
const SOCKET_BUFFER: usize = 256 * 1_024;

/// Time limit for the head of a request.
const SLOWEST_HEAD: Duration = Duration::from_secs(10);

/// How long an idle connection is kept: longer than the usual 60 s of a proxy in front, so that the proxy
/// closes it and no request meets a closing connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Settings of one listener.
pub(crate) struct Serving {
    /// Number of worker threads.
    pub(crate) workers: usize,
    /// Connections that each worker accepts at once; others wait to be accepted.
    pub(crate) most_connections: usize,
    /// The connections, of which some give way before that.
    pub(crate) connections: Connections,
    /// Whether a peer is a trusted proxy.
    pub(crate) trusts: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// How long requests in progress may take during a shutdown, in seconds.
    pub(crate) drain: u64,
    /// The TLS configuration, if any.
    pub(crate) tls: Option<ServerConfig>,
}

/// Opens a listener at an address; port 0 selects a free one.
///
/// # Errors
/// Errors of the operating system, such as an address in use.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    // Accepted connections inherit them.
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves the routes.
///
/// # Errors
/// Errors of the operating system.
pub(crate) fn serve<T, B>(
    listener: TcpListener,
    serving: Serving,
    routes: impl Fn() -> App<T> + Send + Clone + 'static,
) -> io::Result<Server>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    // Accepted connections inherit it. Responses and events are written at once; if the rest of one waited for the
    // client to acknowledge what came before, that would take 40 ms where acknowledgements are delayed.
    SockRef::from(&listener).set_tcp_nodelay(true)?;
    let server = Server::build()
        .workers(serving.workers)
        .max_concurrent_connections(serving.most_connections)
        .shutdown_timeout(serving.drain)
        .disable_signals();
    let stops = server.graceful_shutdown_signal();
    // No URL is built from the address or the host of a request.
    let routes = move || map_config(routes(), |()| AppConfig::default());
    let (connections, trusts) = (serving.connections, serving.trusts);
    let server = match serving.tls {
        Some(tls) => {
            let tls = Arc::new(tls);
            server.listen("https", listener, move || ConnectionFactory {
                http: http(&stops).h1(routes()),
                opening: Tls(Arc::clone(&tls)),
                connections: connections.clone(),
                trusts: Arc::clone(&trusts),
            })
        }
        None => server.listen("http", listener, move || ConnectionFactory {
            http: http(&stops).h1(routes()),
            opening: Plain,
            connections: connections.clone(),
            trusts: Arc::clone(&trusts),
        }),
    };
    Ok(server?.run())
}

/// How a connection is served.
fn http<T, S>(stops: &GracefulShutdownSignal) -> HttpServiceBuilder<T, S>
where
    T: ClientStream,
    S: ServiceFactory<Request, Config = ()>,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: fmt::Debug,
    <S::Service as Service<Request>>::Future: 'static,
{
    let stops = stops.clone();
    HttpServiceBuilder::default()
        .graceful_shutdown_signal(move || {
            let stops = stops.clone();
            async move { stops.notified().await }
        })
        .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
        .client_request_timeout(SLOWEST_HEAD)
        // Close at once a connection whose body is too long: while actix lingers it reads without a
        // limit, and `http::edge::body::drain` has read what is needed.
        .client_disconnect_timeout(Duration::ZERO)
        // A client that closes its end has disconnected: its calls are cancelled, its streams closed
        // (MCP 2026-07-28, Transports, Cancellation).
        .h1_allow_half_closed(false)
        // For the handlers, which note what a connection does.
        .on_connect_ext(|stream: &T, data| {
            data.insert(Arc::clone(stream.connection()));
        })
}
