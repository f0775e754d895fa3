//! OAuth: tokens, challenges, authorization servers, revocation, and what an attacker would try.

mod attacks;
mod back_channel_logout;
mod challenge;
mod client_authentication;
mod clock_jumps;
mod cold_start;
mod deny_list;
mod discovery;
mod dpop;
mod introspection;
mod issuer_differences;
mod issuer_framing;
mod issuer_metadata;
mod issuer_outage;
mod issuer_pages;
mod issuer_return;
mod issuers;
mod issuers_file;
mod jwt;
mod key_rotation;
mod odd_answers;
mod operators;
mod refresh_ahead;
mod refusal_log;
mod revocation;
mod revocation_orders;
mod scopes;
mod signed_introspection;
mod token_cache;
mod worker_threads;

pub(crate) use self::revocation::{cut_off, ends_in_order, form, subscribe};
