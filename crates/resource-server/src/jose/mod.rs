//! *Purpose:* everything that is signed: JWT access tokens (RFC 9068), introspection replies (RFC 9701),
//! logout tokens, and the assertions by which this server authenticates itself (RFC 7523).
//!
//! *Used by:* `auth`, `issuer`, `dpop`.
//!
//! *Invariants:* the algorithms are those of [`keys`]; a key comes from the issuer's key set, never from the
//! document that it verifies.
//!
//! *Start reading at* [`jws`].

pub mod client_assertion;
pub(crate) mod crypto;
#[cfg(test)]
pub(crate) mod document_kinds;
pub mod json;
pub mod jws;
pub mod jwt;
pub mod keys;
pub mod logout_token;
pub mod signed_reply;
#[cfg(test)]
pub(crate) mod test_keys;
