//! How connections are accepted and served, with TLS or without: HTTP/1.1 alone, and with bounds that no
//! operator has a reason to choose. Over HTTP/2 actix goes on with a request whose client has gone, and lets
//! a connection have any number of them.

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

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 2_048;

/// How many connections a thread serves at once.
const MOST_CONNECTIONS: usize = 25_600;

/// How long a client may take over a request's head.
const SLOWEST_HEAD: Duration = Duration::from_secs(10);

/// How long an idle connection is kept for the next request: longer than the usual 60 s of a proxy
/// in front, so that it is the proxy that closes and no request meets a closing connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What differs from one listener to another.
#[derive(Clone, Debug)]
pub(crate) struct Serving {
    /// How many threads.
    pub(crate) workers: usize,
    /// How many connections each of them serves at once.
    pub(crate) most_connections: usize,
    /// How long requests that are under way may take when the server stops, in seconds.
    pub(crate) drain: u64,
    /// The certificate and what goes with it, if it is served over TLS. A handshake may take 3 s, and 256
    /// may be under way on each thread (actix-tls).
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

/// Opens a listener at an address; port 0 takes a free one.
///
/// # Errors
/// Those of the operating system, such as that the address is in use.
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

/// Serves the routes to whoever connects.
///
/// # Errors
/// Those of the operating system.
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
    // Nothing is built from the address or the host that a request came by.
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
        // No lingering on a connection that is closed for its endless body: while one lingers, whatever
        // comes is read without a pause (`http::body::drain` has done what is due).
        .client_disconnect_timeout(Duration::ZERO)
        // A client that closes its end has gone: what it asked for is cancelled at once, and its stream's
        // place is free (T-27).
        .h1_allow_half_closed(false)
        // Answers are written whole; waiting for more to send would only delay them.
        .tcp_nodelay(true)
}
