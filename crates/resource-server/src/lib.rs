//! An OAuth 2.0 resource server for actix-web: it finds out who is behind an access token, by introspection
//! (RFC 7662) or by verifying a JWT (RFC 9068), with proofs of possession (RFC 9449), and tells clients how
//! to authenticate (RFC 6750, RFC 9728).
//!
//! *Used by:* `mcp-server`, or by anybody's routes through [`Guard`](guard::Guard).
//!
//! *Invariants:* a decision about a token is a pure function of its claims, the settings and the time; an
//! outage of an authorization server is never answered as a fault of the token; no token and no secret is
//! logged or kept in memory after its request.
//!
//! *Start reading at* [`guard`], then [`bearer`], [`validation`] and [`challenge`], which are pure, and
//! [`auth`], which asks.

pub mod address_range;
pub mod auth;
pub mod bearer;
pub mod cause;
pub mod challenge;
mod claim;
pub mod clock;
pub mod dpop;
pub mod fingerprint;
pub mod gate;
pub mod guard;
pub mod issuer;
pub mod jose;
pub mod limits;
pub mod metadata;
pub mod metrics;
pub mod principal;
pub mod printable;
pub(crate) mod replay_cache;
pub mod request_id;
pub mod revocation;
pub mod scope;
pub mod secret_file;
pub mod shared_secret;
pub mod trace_context;
pub mod url;
pub mod validation;
pub mod watched_file;
