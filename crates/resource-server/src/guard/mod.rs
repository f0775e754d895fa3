//! *Purpose:* the entrance for routes of any kind: who asks, by which token, with which scopes; and how to
//! tell a client what is wrong with its credentials.
//!
//! *Used by:* `mcp-server`, and anybody's actix-web `App`.
//!
//! *Invariants:* every request is authenticated afresh; 401 only if the authorization server said no or the
//! token is unusable on its face; an outage is 503 with `Retry-After`.
//!
//! *Start reading at* [`Guard`], then `authenticate.rs`.

mod authenticate;
mod builder;
mod document;
mod middleware;
mod refused;
mod state;

pub use self::{
    authenticate::Authenticated,
    builder::{GuardBuilder, GuardError},
    document::MetadataDocument,
    middleware::{Authorized, Protected},
    refused::Refused,
    state::Guard,
};
