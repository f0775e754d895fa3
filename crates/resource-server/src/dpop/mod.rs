//! *Purpose:* DPoP (RFC 9449): proofs that the client has the key that its token is bound to.
//!
//! *Used by:* `guard`, `validation`; applications make [`nonce::Nonces`].
//!
//! *Invariants:* a proof is verified after its token, so that only clients with a valid token cause this work;
//! each proof is accepted once (`replay_cache`).
//!
//! *Start reading at* [`proof`].

pub mod nonce;
pub mod proof;
pub(crate) mod rules;
