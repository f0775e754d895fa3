//! OAuth: tokens, challenges, authorization servers, revocation, and what an attacker would try.

mod attacks;
mod back_channel_logout;
mod challenge;
mod client_authentication;
mod deny_list;
mod discovery;
mod dpop;
mod introspection;
mod issuer_framing;
mod issuer_metadata;
mod issuer_outage;
mod issuers;
mod issuers_file;
mod jwt;
mod key_rotation;
mod odd_answers;
mod operators;
mod revocation;
mod revocation_orders;
mod scopes;
mod signed_introspection;
mod token_cache;
mod worker_threads;
