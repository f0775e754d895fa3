//! The path of a request.

use actix_web::HttpRequest;

/// The path of a request in the form by which it found its route: `/%6dcp` is `/mcp`, so the rules of
/// `/mcp` hold for it too.
pub(crate) fn path_of(request: &HttpRequest) -> &str {
    request.match_info().as_str()
}
