//! The state of the routes.

use std::{sync::Arc, time::Duration};

use resource_server::{clock::Clock, guard::Guard, shared_secret::SharedSecret, url::PublicUrl};

use super::{
    auth::documents::Discovery,
    edge::{body::BodyTimes, origins::HostPolicy},
    ops::health::Health,
};
use crate::{
    audit::AuditLog,
    budgets::Budgets,
    dispatch::Dispatcher,
    metrics::Metrics,
    session::{Listeners, Sessions},
};

/// The state of the routes, shared by all workers.
pub(crate) struct AppState {
    /// Authenticates requests.
    pub guard: Guard,
    /// The sessions of legacy revisions; `None` if these are disabled.
    pub sessions: Option<Sessions>,
    /// The `subscriptions/listen` streams.
    pub listeners: Listeners,
    /// Dispatches calls.
    pub dispatcher: Arc<Dispatcher>,
    /// The secret of the revocation endpoints; `None` if they are disabled.
    pub revocation_secret: Option<SharedSecret>,
    /// Whether the endpoints that need the secret are on a listener of their own.
    pub operators_are_apart: bool,
    /// The state of `/readyz`.
    pub health: Health,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Exports spans, if there is a collector.
    #[cfg(feature = "otlp")]
    pub spans: Option<crate::otlp::Exporter>,
    /// The audit log.
    pub audit: AuditLog,
    /// The clock.
    pub clock: Clock,
    /// How much memory clients may use.
    pub budgets: Arc<Budgets>,
    /// The time limits for the body of a request.
    pub body_times: BodyTimes,
    /// The longest silence on an event stream.
    pub heartbeat_interval: Duration,
    /// Allowed hosts and origins.
    pub host_policy: HostPolicy,
    /// The front page, and whether the issuer's metadata is relayed.
    pub discovery: Discovery,
    /// The path of the MCP endpoint, which is also served with a slash behind it.
    pub endpoint: String,
    /// The path of the protected resource metadata.
    pub metadata_path: String,
    /// The URL under which clients reach the server.
    pub public_url: PublicUrl,
}

impl AppState {
    /// Whether a path is that of the MCP endpoint.
    pub(crate) fn is_endpoint(&self, path: &str) -> bool {
        path == self.endpoint || path.strip_suffix('/') == Some(&self.endpoint)
    }

    /// The paths of the MCP endpoint.
    pub(crate) fn endpoint_paths(&self) -> Vec<String> {
        let mut paths = vec![self.endpoint.clone()];
        if !self.endpoint.ends_with('/') {
            paths.push(format!("{}/", self.endpoint));
        }
        paths
    }

    /// The URL of the MCP endpoint.
    pub(crate) fn resource(&self) -> String {
        self.public_url.join(&self.endpoint)
    }
}
