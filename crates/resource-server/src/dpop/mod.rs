//! *Purpose:* proofs that the presenter of a token has the key that the token is bound to (DPoP, RFC 9449).
//!
//! *Used by:* `auth`, `validation`, and servers.
//!
//! *Invariants:* a proof is verified after its token, so that nobody without a good token has signatures
//! verified; each proof counts once.
//!
//! *Start reading at* [`proof`].

pub mod nonce;
pub mod proof;
pub mod rules;
