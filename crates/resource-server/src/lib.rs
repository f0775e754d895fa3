#![doc = include_str!("../README.md")]
//!
//! # The modules
//!
//! *Used by:* applications through [`Guard`], and `mcp-server`.
//!
//! *Invariants:* the decision about a token is a pure function of its claims, the settings and the time; an
//! outage of an authorization server is never reported as a fault of the token; tokens and secrets are not
//! logged, and tokens are not kept in memory after their request.
//!
//! *Start reading at* [`guard`]; then [`bearer`], [`validation`] and [`challenge`], which are pure, and
//! [`auth`], which calls the authorization servers.

pub mod address_range;
pub mod auth;
pub mod bearer;
pub mod cause;
pub mod challenge;
mod claim;
mod claims;
pub mod clock;
pub mod dpop;
pub mod examine;
mod fair_gate;
pub mod fingerprint;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod gate;
pub mod guard;
pub mod issuer;
pub mod jose;
pub mod limits;
pub mod metadata;
pub mod metrics;
pub mod principal;
pub mod printable;
mod rare_log;
pub mod replay_cache;
pub mod request_id;
pub mod revocation;
pub mod scope;
pub mod secret_file;
pub mod shared_secret;
pub mod token_rules;
pub mod trace_context;
mod unexpected;
pub mod url;
pub mod validation;
pub mod watched_file;

// What a guard is declared with, under short paths.
pub use guard::{Authorized, Guard};
pub use issuer::Issuer;
pub use principal::{Principal, UserId};
