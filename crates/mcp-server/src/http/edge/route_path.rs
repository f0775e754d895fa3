//! The path of a request.

use actix_web::HttpRequest;

/// The decoded path of a request, by which its route was found: `/%6dcp` is `/mcp`.
pub(crate) fn path_of(request: &HttpRequest) -> &str {
    request.match_info().as_str()
}
