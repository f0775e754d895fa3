//! *Purpose:* a complete server: declared with a builder, then run by itself or mounted in an actix-web
//! `App`.
//!
//! *Used by:* programs.
//!
//! *Invariants:* an incorrect declaration is reported before anything listens; a shutdown answers every
//! request that was accepted.
//!
//! *Start reading at* [`Server`], then [`Service`] (the built server) and [`Running`] (one that serves).

mod builder;
mod description;
mod features;
mod listener;
mod running;
mod service;
mod settings;

pub use self::{
    builder::Server,
    listener::listen,
    running::{Bound, DrainOverdue, Drained, Running},
    service::{ActorStopped, Service},
    settings::{
        DpopMode, DrainSettings, Listener, SealingKeys, StartError, StreamLimits, TimeLimits,
    },
};
pub use crate::{
    budgets::MemoryLimits,
    connections::{ConnectionLimits, Descriptors, raise_descriptor_limit},
    http::{HealthCheck, HealthFuture, PartHealth},
    session::SessionSettings,
};
