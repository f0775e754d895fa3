//! *Purpose:* authentication of requests, discovery documents, and endpoints that receive revocations.
//!
//! *Used by:* the routes of `http`.
//!
//! *Invariants:* every request is authenticated by its own token; the discovery documents need none.
//!
//! *Start reading at* `authenticate.rs`.

pub(crate) mod authenticate;
pub(crate) mod discovery;
pub(crate) mod documents;
pub(crate) mod revocation_endpoints;
