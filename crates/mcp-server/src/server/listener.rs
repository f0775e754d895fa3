//! How connections are accepted and served, with or without TLS: HTTP/1.1 only, with fixed limits. Over
//! HTTP/2, actix-web neither cancels a request whose client has left nor limits the requests of a connection.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
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
use socket2::{Domain, Protocol, Socket, Type};

/// Length of the queue of connections that are not accepted yet.
const BACKLOG: i32 = 2_048;

/// Connections that one worker serves at once.
const MOST_CONNECTIONS: usize = 25_600;

/// Time limit for the head of a request.
const SLOWEST_HEAD: Duration = Duration::from_secs(10);

/// How long an idle connection is kept: longer than the usual 60 s of a proxy in front, so that the proxy
/// closes it and no request meets a closing connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Settings of one listener.
#[derive(Clone, Debug)]
pub(crate) struct Serving {
    /// Number of worker threads.
    pub(crate) workers: usize,
    /// Connections that each worker serves at once.
    pub(crate) most_connections: usize,
    /// How long requests in progress may take during a shutdown, in seconds.
    pub(crate) drain: u64,
    /// The TLS configuration, if any. actix-tls limits handshakes to 3 s, and to 256 at once per worker.
    pub(crate) tls: Option<ServerConfig>,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            workers: 1,
            most_connections: MOST_CONNECTIONS,
            drain: 0,
            tls: None,
        }
    }
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
    let server = Server::build()
        .workers(serving.workers)
        .max_concurrent_connections(serving.most_connections)
        .shutdown_timeout(serving.drain)
        .disable_signals();
    let stops = server.graceful_shutdown_signal();
    // No URL is built from the address or the host of a request.
    let routes = move || map_config(routes(), |()| AppConfig::default());
    let server = match serving.tls {
        Some(tls) => server.listen("https", listener, move || {
            http(&stops).h1(routes()).rustls_0_23(tls.clone())
        }),
        None => server.listen("http", listener, move || http(&stops).h1(routes()).tcp()),
    };
    Ok(server?.run())
}

/// How a connection is served.
fn http<T, S>(stops: &GracefulShutdownSignal) -> HttpServiceBuilder<T, S>
where
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
        // Responses are written at once; waiting for more data would only delay them.
        .tcp_nodelay(true)
}
