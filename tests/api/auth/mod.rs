//! OAuth: tokens, challenges, authorization servers, revocation, and what an attacker would try.

mod attacks;
mod challenge;
mod client_authentication;
mod discovery;
mod dpop;
mod introspection;
mod issuer_metadata;
mod issuers;
mod issuers_file;
mod jwt;
mod revocation;
mod scopes;
mod signed_introspection;
mod token_cache;
mod worker_threads;
