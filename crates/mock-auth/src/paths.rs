//! Paths that more than one module needs.

/// The metadata's path of RFC 8414 §3.
pub(crate) const OAUTH_METADATA: &str = "/.well-known/oauth-authorization-server";
/// The path of OpenID Connect Discovery §4 for the same.
pub(crate) const OPENID_METADATA: &str = "/.well-known/openid-configuration";
