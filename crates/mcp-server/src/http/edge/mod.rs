//! What happens to every request before its route and after it.

pub(crate) mod access_log;
pub(crate) mod body;
pub(crate) mod error;
pub(crate) mod middleware;
pub(crate) mod origins;
mod public_error;
pub(crate) mod request_info;
pub(crate) mod respond_unread;
pub(crate) mod route_path;
