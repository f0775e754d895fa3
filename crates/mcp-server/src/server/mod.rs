//! *Purpose:* a whole server: declared by a builder, run by itself or mounted in an actix-web `App`.
//!
//! *Used by:* programs.
//!
//! *Invariants:* what is declared wrongly stops the start, before anything listens; a server stops in
//! order, and answers what it has accepted.
//!
//! *Start reading at* [`Server`], then [`Service`] (the built server) and [`Running`] (one that listens).

mod builder;
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
    settings::{DpopMode, DrainSettings, SealingKeys, StartError, StreamLimits, TimeLimits},
};
