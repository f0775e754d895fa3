//! What the routes need, shared by all workers.

use std::{sync::Arc, time::Duration};

use resource_server::{clock::Clock, guard::Guard, shared_secret::SharedSecret, url::PublicUrl};

use super::{auth::discovery::Discovery, edge::origins::HostPolicy, ops::health::Health};
use crate::{
    dispatch::Dispatcher,
    metrics::Metrics,
    session::{Listeners, Sessions},
};

/// Everything that the routes need, shared by all workers.
pub struct AppState {
    /// Authenticates.
    pub guard: Guard,
    /// Finds legacy sessions; `None` where the legacy era is switched off.
    pub sessions: Option<Sessions>,
    /// Opens the streams on which modern clients are told of changes.
    pub listeners: Listeners,
    /// Begins calls.
    pub dispatcher: Arc<Dispatcher>,
    /// What proves that somebody may be cut off; `None` where nobody may say so.
    pub revocation_secret: Option<SharedSecret>,
    /// Tells how the server is.
    pub health: Health,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Tells a collector of every request, if there is one.
    #[cfg(feature = "otlp")]
    pub spans: Option<crate::otlp::Exporter>,
    /// Tells the time.
    pub clock: Clock,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long an event stream is silent at most.
    pub silence: Duration,
    /// Who may come in from where.
    pub host_policy: HostPolicy,
    /// What is said to those who do not know how to authenticate.
    pub discovery: Discovery,
    /// The path of the MCP endpoint.
    pub endpoint: String,
    /// The path of the protected resource metadata, as clients are told it.
    pub metadata_path: String,
    /// Where clients reach this server.
    pub public_url: PublicUrl,
}
