//! A server that listens, and how it stops.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use actix_rt::{signal::ctrl_c, task::JoinHandle, time::sleep};
use actix_web::{App, dev::ServerHandle};
use derive_more::{Display, Error};
use tokio::time::timeout;

use super::{
    builder::Server,
    listener::{Serving, listen, serve},
    service::Service,
    settings::{DrainSettings, StartError},
};
use crate::tls::Identities;

/// How many connections there may be to the listener for metrics.
const MOST_SCRAPERS: usize = 32;

/// A built server with an open listener, which does not serve yet.
pub struct Bound {
    service: Service,
    listener: TcpListener,
    metrics: Option<TcpListener>,
    serving: Serving,
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
    metrics: Option<MetricsServer>,
}

/// The listener for metrics. It goes last, so that what happens during a shutdown can be seen.
struct MetricsServer {
    handle: ServerHandle,
    address: SocketAddr,
}

/// Shutdown took longer than it may; in-flight work was abandoned.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
#[display("shutdown timed out after {} ms; in-flight work was abandoned", timeout.as_millis())]
pub struct DrainOverdue {
    /// How long it had.
    pub timeout: std::time::Duration,
}

impl Bound {
    pub(crate) fn new(mut server: Server, listener: TcpListener) -> Result<Self, StartError> {
        let drain = server.drain;
        let tls = server.tls.take();
        let tls = tls.map(|identity| Identities::new(identity, server.clock.clone()));
        let metrics = server.metrics_bind.map(listen_for_metrics).transpose()?;
        let serving = Serving {
            workers: server.workers.get(),
            drain: drain.timeout.as_secs().saturating_add(1),
            tls: tls.as_ref().map(Identities::acceptor).transpose()?,
            ..Serving::default()
        };
        Ok(Self {
            service: server.build()?,
            listener,
            metrics,
            serving,
            drain,
            tls,
        })
    }

    /// The built server.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Serves from now on.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn start(self) -> io::Result<Running> {
        let address = self.listener.local_addr()?;
        let service = self.service.clone();
        let routes = move || App::new().configure(service.configure());
        let server = serve(self.listener, self.serving, routes)?;
        let metrics = self
            .metrics
            .map(|listener| MetricsServer::start(listener, self.service.clone()))
            .transpose()?;
        Ok(Running {
            service: self.service,
            handle: server.handle(),
            finished: actix_rt::spawn(server),
            address,
            drain: self.drain,
            tls: self.tls,
            metrics,
        })
    }

    /// Serves until the process is interrupted (SIGINT), and stops in order.
    ///
    /// # Errors
    /// Those of the operating system, and that the shutdown timed out.
    pub async fn run(self) -> io::Result<()> {
        let running = self.start()?;
        log::info!("listening on {}", running.address());
        ctrl_c().await?;
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

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves metrics, if it does.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|server| server.address)
    }

    /// Has files of secrets and certificates read again before they are needed next.
    pub fn reload(&self) {
        self.service.auth().reload();
        if let Some(tls) = &self.tls {
            tls.reload();
        }
    }

    /// Stops in order: not ready any more; no new connection; streams end, requests under way are
    /// answered.
    ///
    /// # Errors
    /// [`DrainOverdue`] if that took longer than it may. What is left is abandoned then.
    pub async fn stop(self) -> Result<(), DrainOverdue> {
        let limit = self.drain.timeout;
        let stopping = async {
            let last = self.drain().await;
            last.end().await;
        };
        let stopped = timeout(limit, stopping).await;
        stopped.map_err(|_| DrainOverdue { timeout: limit })
    }

    /// The first part of [`Running::stop`], without its time limit: returns when every request has been
    /// answered, so that what the server needed can be ended, and then the rest.
    pub async fn drain(self) -> Drained {
        self.service.begin_shutdown();
        // Load balancers notice, and send nothing here any more, while all that still comes is served.
        if !self.drain.delay.is_zero() {
            sleep(self.drain.delay).await;
        }
        // Begun at once, so that nothing new is accepted meanwhile.
        let stopped = self.handle.stop(true);
        // Streams end in order, so that the rest need not wait for them.
        self.service.end_streams().await;
        stopped.await;
        if let Ok(Err(error)) = self.finished.await {
            log::error!("the HTTP server ended with an error: {error}");
        }
        Drained {
            service: self.service,
            metrics: self.metrics,
        }
    }
}

/// A server that has answered every request, and still serves its metrics.
pub struct Drained {
    service: Service,
    metrics: Option<MetricsServer>,
}

impl Drained {
    /// Ends what is left.
    pub async fn end(self) {
        self.service.finish().await;
        if let Some(metrics) = self.metrics {
            metrics.handle.stop(false).await;
        }
    }
}

impl MetricsServer {
    /// One thread is enough: nobody but Prometheus asks, every few seconds.
    fn start(listener: TcpListener, service: Service) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let routes = move || App::new().configure(service.configure_metrics());
        let serving = Serving {
            most_connections: MOST_SCRAPERS,
            ..Serving::default()
        };
        let server = serve(listener, serving, routes)?;
        let handle = server.handle();
        actix_rt::spawn(server);
        Ok(Self { handle, address })
    }
}

fn listen_for_metrics(address: SocketAddr) -> io::Result<TcpListener> {
    listen(address).map_err(|error| {
        let reason = format!("cannot listen on {address} for metrics: {error}");
        io::Error::new(error.kind(), reason)
    })
}
