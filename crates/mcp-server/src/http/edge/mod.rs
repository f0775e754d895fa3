//! *Purpose:* what happens to every request before and after its route: request id, host and origin, CORS,
//! body limits, errors, access log.
//!
//! *Used by:* the routes of `http`.
//!
//! *Invariants:* every response is logged once, and so is a request whose client disconnects.
//!
//! *Start reading at* `middleware.rs`, then `error.rs`.

pub(crate) mod access_log;
pub(crate) mod body;
pub(crate) mod error;
pub(crate) mod middleware;
pub(crate) mod origins;
mod public_error;
mod reached_limit;
pub(crate) mod request_info;
pub(crate) mod respond_unread;
pub(crate) mod route_path;
