//! *Purpose:* signed documents: JWT access tokens (RFC 9068), introspection replies (RFC 9701), logout tokens,
//! and the client assertions of this server (RFC 7523).
//!
//! *Used by:* `auth`, `issuer`, `dpop`; the functions are pure and can be called directly.
//!
//! *Invariants:* only the algorithms of [`keys`] are accepted; a key comes from the key set of the issuer,
//! never from the document that it verifies (except a DPoP proof); a document of one type is never accepted as
//! another.
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
pub(crate) mod logout_token;
pub mod signed_reply;
#[cfg(test)]
pub(crate) mod test_keys;
