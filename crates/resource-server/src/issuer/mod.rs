//! *Purpose:* one authorization server: its settings, the calls to it, its cached metadata and keys, and its
//! circuit breaker.
//!
//! *Used by:* `auth`; applications declare an [`Issuer`].
//!
//! *Invariants:* every call has a time limit and a size limit; redirects are not followed; a token is sent to
//! its own issuer only; endpoints that the metadata names are on the internet, unless settings say otherwise.
//!
//! *Start reading at* [`Issuer`], then `client.rs`.

pub(crate) mod asker;
mod builder;
pub(crate) mod circuit_breaker;
pub(crate) mod client;
pub(crate) mod client_authentication;
mod connector;
pub(crate) mod credential_rotation;
pub(crate) mod destinations;
pub(crate) mod document_cache;
mod documents;
pub(crate) mod first_answer;
mod framing;
pub(crate) mod http_client;
mod inactive_tokens;
mod introspection_reply;
pub(crate) mod metadata;
pub(crate) mod metadata_search;
mod outcome;
mod questions;
pub(crate) mod selector;
pub(crate) mod settings;
pub(crate) mod state;
mod waits;

pub use self::{
    builder::Issuer,
    client_authentication::{
        AssertionAudience, ClientAuthentication, ClientAuthenticationMethod, SecretSource,
    },
    first_answer::Asked,
    http_client::client,
    settings::{IssuerSettings, JwtSettings},
};
