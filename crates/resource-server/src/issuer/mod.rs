//! *Purpose:* an authorization server: how to reach it and as whom, what it published, and whether it can be
//! asked now.
//!
//! *Used by:* `auth`.
//!
//! *Invariants:* every call ends within its time limit and its size; a token is shown to its own issuer
//! alone.
//!
//! *Start reading at* [`client`].

pub mod builder;
pub(crate) mod circuit_breaker;
pub mod client;
pub mod client_authentication;
pub(crate) mod credential_rotation;
pub(crate) mod document_cache;
pub mod http_client;
pub mod routing;
pub mod settings;
pub(crate) mod state;
