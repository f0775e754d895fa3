//! *Purpose:* the API for an actix-web `App`: the middleware that requires a token with certain scopes, and
//! the responses to requests that are not authorized.
//!
//! *Used by:* applications, and `mcp-server`.
//!
//! *Invariants:* every request is authenticated; 401 is sent only for the token itself, never for an outage,
//! which is 503 with `Retry-After`.
//!
//! *Start reading at* [`Guard`], then `authenticate.rs`.

mod authenticate;
mod builder;
mod document;
mod middleware;
mod refused;
mod state;

pub use self::{
    authenticate::{Authenticated, Identified},
    builder::{GuardBuilder, GuardError},
    document::MetadataDocument,
    middleware::{Authorized, Protected},
    refused::{BUSY, CANNOT_CHECK, DPOP_NONCE, RETRY_LATER, RETRY_SOON, Refused},
    state::Guard,
};
