//! *Purpose:* the connections of a listener: how many there are, of whom, and which ones are closed because there
//! is no room for them, or because their client neither reads nor finishes what it began.
//!
//! *Used by:* `http`, `server`.
//!
//! *Invariants:* there is always room for a connection that is still to bring a good token, and for the few
//! connections of a user; a connection that waits for its client for too long ends.
//!
//! *Start reading at* [`Connections`]; `registry.rs` decides who gives way, and `service.rs` is the service that
//! actix calls with each accepted connection.

mod connection;
mod descriptors;
mod registry;
mod service;
mod stream;

pub use self::{
    connection::ConnectionLimits,
    descriptors::{Descriptors, raise_descriptor_limit},
};
pub(crate) use self::{
    connection::{Connection, Connections, Patience},
    descriptors::{Capacity, Demand},
    service::{ConnectionFactory, Plain, Tls},
    stream::ClientStream,
};
