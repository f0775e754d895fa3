//! Fuzz targets for everything that reads what strangers send.
//!
//! A target takes any bytes and panics if a promise is broken: what is accepted obeys its grammar, is read alike by a
//! second reader, and comes back the same when it is written again; what is refused is refused within bounds. It returns
//! whether the input was accepted, so that a test can tell that the corpus reaches both.
//!
//! *Used by:* `fuzz_targets/` (libFuzzer, started by `fuzz/run.sh`) and `tests/corpus.rs` (every file of the corpus, with
//! `cargo test`).
//!
//! *Start reading at* [`TARGETS`].

mod arguments;
mod claims;
mod documents;
mod protocol;
mod search;
pub mod seeds;
mod signing;
mod tokens;

pub use self::{
    arguments::{arguments, cursor, dates},
    documents::{challenge, introspection, issuer_metadata},
    protocol::{envelope, request_state, session_id, sse_event_id},
    search::search,
    tokens::{bearer, dpop_proof, jwt},
};

/// A target.
pub type Target = fn(&[u8]) -> bool;

/// All targets by name.
pub const TARGETS: [(&str, Target); 14] = [
    ("arguments", arguments),
    ("bearer", bearer),
    ("challenge", challenge),
    ("cursor", cursor),
    ("dates", dates),
    ("dpop_proof", dpop_proof),
    ("envelope", envelope),
    ("introspection", introspection),
    ("issuer_metadata", issuer_metadata),
    ("jwt", jwt),
    ("request_state", request_state),
    ("search", search),
    ("session_id", session_id),
    ("sse_event_id", sse_event_id),
];
