//! **Lives here:** the law of an OAuth resource server, as pure functions and types: how a bearer
//! token is read, what its claims are worth, how a refusal is worded, what the metadata says, which
//! scopes satisfy which; and everything that is signed: JWT access tokens, introspection replies,
//! logout tokens, DPoP proofs, and what this server signs itself.
//!
//! **May enter:** everyone but `domain` and `mock_auth`; this room imports `domain` alone.
//!
//! **Never here:** a network call, a clock (verdicts are told the time), a framework's type; a key
//! that a document brings, but for the proof of that key; an algorithm that is not in `keys.rs`.
//!
//! **Begin with** `bearer.rs` and `judge.rs`, then `challenge.rs`. What is signed begins with `jws.rs`.

pub mod bearer;
pub mod challenge;
mod claim;
pub mod client_assertion;
pub mod client_authentication;
mod crypto;
pub mod dpop;
pub mod dpop_nonce;
pub mod json;
pub mod judge;
pub mod jws;
pub mod jwt;
pub mod keys;
pub mod logout_token;
pub mod metadata;
pub mod routing;
pub mod shared_secret;
pub mod signed_reply;
pub mod url;

#[cfg(test)]
mod document_kinds;
#[cfg(test)]
mod test_keys;
