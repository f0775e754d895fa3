//! A server that listens, and its shutdown.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    pin::pin,
    sync::Arc,
};

use actix_rt::{
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
    task::JoinHandle,
    time::sleep,
};
use actix_web::{App, dev::ServerHandle};
use derive_more::{Display, Error};
use futures_util::future::select;
use tokio::time::timeout;

use super::{
    builder::Server,
    listener::{Serving, listen, serve},
    service::Service,
    settings::{DrainSettings, Listener, StartError},
};
use crate::{
    connections::{Capacity, Demand, Patience},
    tls::{CertificateMetrics, Identities},
};

/// Connections that the metrics listener serves at once.
const MOST_SCRAPERS: usize = 32;

/// Connections that the listener of operators accepts at once.
const MOST_OPERATORS: usize = 64;

/// A built server with an open listener that does not serve yet.
pub struct Bound {
    service: Service,
    listener: TcpListener,
    metrics: Option<TcpListener>,
    admin: Option<TcpListener>,
    workers: usize,
    capacity: Capacity,
    patience: Patience,
    drain: DrainSettings,
    tls: Option<Arc<Identities>>,
}

/// A server that serves.
pub struct Running {
    service: Service,
    handle: ServerHandle,
    finished: JoinHandle<io::Result<()>>,
    address: SocketAddr,
    drain: DrainSettings,
    tls: Option<Arc<Identities>>,
    metrics: Option<SideServer>,
    admin: Option<SideServer>,
}

/// A listener besides the main one. It stops last, so that a shutdown can be observed.
struct SideServer {
    handle: ServerHandle,
    address: SocketAddr,
}

/// The shutdown timed out; in-flight work was abandoned.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
#[display("shutdown timed out after {} ms; in-flight work was abandoned", timeout.as_millis())]
pub struct DrainOverdue {
    /// The time limit.
    pub timeout: std::time::Duration,
}

impl Server {
    /// Builds the server and listens on the first of these addresses that is free. Must be called within an
    /// actix `System`. The server answers after [`Bound::start`] or [`Bound::run`].
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn bind(self, addresses: impl ToSocketAddrs) -> Result<Bound, StartError> {
        let mut last_error = io::Error::new(io::ErrorKind::InvalidInput, "no address to bind");
        for address in addresses.to_socket_addrs()? {
            match listen(address) {
                Ok(listener) => return self.listen(listener),
                Err(error) => last_error = error,
            }
        }
        Err(last_error.into())
    }

    /// Builds the server for a listener that is open already.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn listen(self, listener: TcpListener) -> Result<Bound, StartError> {
        Bound::new(self, listener)
    }
}

impl Bound {
    fn new(mut server: Server, listener: TcpListener) -> Result<Self, StartError> {
        let drain = server.drain;
        let tls = server.tls.take();
        let tls = tls.map(|identity| Identities::new(identity, server.clock.clone()));
        let certificate = CertificateMetrics(tls.clone());
        server.metric_sources.push(Arc::new(certificate));
        let metrics = server.metrics_bind;
        let metrics = metrics.map(|address| listen_for(address, Listener::Metrics));
        let metrics = metrics.transpose()?;
        let admin = server.admin_bind;
        let admin = admin.map(|address| listen_for(address, Listener::Operators));
        let admin = admin.transpose()?;
        let workers = server.workers.get();
        let capacity = Capacity::of_process(Demand {
            limits: server.connections,
            workers,
            // Those that are about to be closed among them.
            operators: metrics.as_ref().map_or(0, |_| 2 * MOST_SCRAPERS)
                + admin.as_ref().map_or(0, |_| 2 * MOST_OPERATORS),
        });
        let patience = Patience {
            head: server.time_limits.head,
            write: server.time_limits.write,
        };
        Ok(Self {
            service: server.build()?,
            listener,
            metrics,
            admin,
            workers,
            capacity,
            patience,
            drain,
            tls,
        })
    }

    /// The built server.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Starts to serve on the worker threads.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub fn start(self) -> io::Result<Running> {
        let address = self.listener.local_addr()?;
        let service = self.service.clone();
        let guard = service.guard().clone();
        let serving = Serving {
            workers: self.workers,
            most_connections: self.capacity.per_worker,
            connections: service.start_connections(self.capacity, self.patience),
            trusts: Arc::new(move |peer| guard.trusts(peer)),
            drain: self.drain.timeout.as_secs().saturating_add(1),
            tls: self.tls.as_ref().map(Identities::acceptor).transpose()?,
        };
        let routes = move || App::new().configure(service.configure());
        let server = serve(self.listener, serving, routes)?;
        let small = |most| {
            let capacity = Capacity::small(most);
            Serving {
                workers: 1,
                most_connections: capacity.per_worker,
                connections: self
                    .service
                    .start_small_connections(capacity, self.patience),
                // Connections of operators have no limit for each source: there are few sources.
                trusts: Arc::new(|_| true),
                drain: 0,
                tls: None,
            }
        };
        let metrics = self.metrics.map(|listener| {
            let service = self.service.clone();
            let routes = move || App::new().configure(service.configure_metrics());
            let address = listener.local_addr()?;
            let server = serve(listener, small(MOST_SCRAPERS), routes)?;
            io::Result::Ok(SideServer::start(address, server))
        });
        let admin = self.admin.map(|listener| {
            let service = self.service.clone();
            let routes = move || App::new().configure(service.configure_operators());
            let address = listener.local_addr()?;
            let server = serve(listener, small(MOST_OPERATORS), routes)?;
            io::Result::Ok(SideServer::start(address, server))
        });
        Ok(Running {
            service: self.service,
            handle: server.handle(),
            finished: actix_rt::spawn(server),
            address,
            drain: self.drain,
            tls: self.tls,
            metrics: metrics.transpose()?,
            admin: admin.transpose()?,
        })
    }

    /// Serves until the process receives SIGINT or SIGTERM, then shuts down.
    ///
    /// # Errors
    /// Errors of the operating system; `TimedOut` if the shutdown timed out.
    pub async fn run(self) -> io::Result<()> {
        let running = self.start()?;
        let mut terminate = signal(SignalKind::terminate())?;
        log::info!("listening on {}", running.address());
        select(pin!(ctrl_c()), pin!(terminate.recv())).await;
        let stopped = running.stop().await;
        stopped.map_err(|error| io::Error::new(io::ErrorKind::TimedOut, error))
    }
}

impl Running {
    /// The built server.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The address of the listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the metrics listener, if there is one.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|server| server.address)
    }

    /// The address of the listener of operators, if there is one.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|server| server.address)
    }

    /// Makes the server read the files of secrets and certificates again before their next use.
    pub fn reload(&self) {
        self.service.auth().reload();
        if let Some(tls) = &self.tls {
            tls.reload();
        }
    }

    /// Shuts down in order: `/readyz` fails, no new connections are accepted, streams are closed, requests in
    /// progress are answered.
    ///
    /// # Errors
    /// [`DrainOverdue`] if that exceeds the time limit; the remaining work is abandoned.
    pub async fn stop(self) -> Result<(), DrainOverdue> {
        let limit = self.drain.timeout;
        let stopping = async {
            let last = self.drain().await;
            last.end().await;
        };
        let stopped = timeout(limit, stopping).await;
        stopped.map_err(|_| DrainOverdue { timeout: limit })
    }

    /// The first part of [`Running::stop`], without a time limit. Returns when every request has been
    /// answered, so that the program can close what its features need before [`Drained::end`].
    pub async fn drain(self) -> Drained {
        self.service.begin_shutdown();
        // Load balancers stop sending requests here; those that still arrive are served.
        if !self.drain.delay.is_zero() {
            sleep(self.drain.delay).await;
        }
        // Dispatched at once, so that nothing new is accepted meanwhile.
        let stopped = self.handle.stop(true);
        // Otherwise open streams would keep the server from stopping.
        self.service.end_streams().await;
        stopped.await;
        if let Ok(Err(error)) = self.finished.await {
            log::error!("the HTTP server ended with an error: {error}");
        }
        Drained {
            service: self.service,
            others: [self.metrics, self.admin],
        }
    }
}

/// A server that has answered every request and still serves its metrics and its operators.
pub struct Drained {
    service: Service,
    others: [Option<SideServer>; 2],
}

impl Drained {
    /// Exports the remaining spans and stops the other listeners.
    pub async fn end(self) {
        self.service.finish().await;
        for server in self.others.into_iter().flatten() {
            server.handle.stop(false).await;
        }
    }
}

impl SideServer {
    fn start(address: SocketAddr, server: actix_server::Server) -> Self {
        let handle = server.handle();
        actix_rt::spawn(server);
        Self { handle, address }
    }
}

fn listen_for(address: SocketAddr, listener: Listener) -> Result<TcpListener, StartError> {
    listen(address).map_err(|source| StartError::Listen {
        listener,
        address,
        source,
    })
}
