//! The paths of a server, but for that of its endpoint.

/// Where load balancers and orchestrators ask how the server is: whether it is there, whether the
/// process lives, whether it can serve.
pub(crate) const HEALTHCHECK: &str = "/healthcheck";
pub(crate) const LIVEZ: &str = "/livez";
pub(crate) const READYZ: &str = "/readyz";

/// Where an issuer says that somebody has logged out.
pub(crate) const BACKCHANNEL_LOGOUT: &str = "/oauth/backchannel-logout";

/// Where an authorization server says that a token was revoked.
pub(crate) const REVOKED: &str = "/oauth/revoked";

/// Where an operator revokes tokens, users and clients.
pub(crate) const REVOCATIONS: &str = "/admin/revocations";

/// The same under the name of earlier releases.
pub(crate) const FORMER_REVOCATIONS: &str = "/admin/cut-offs";

/// Whether a path is one on which others ask how this server is. They do so by its address, whatever it
/// is called, and often.
pub(crate) fn is_probe(path: &str) -> bool {
    [HEALTHCHECK, LIVEZ, READYZ].contains(&path)
}

/// Whether a path is one on which others tell this server something.
pub(crate) fn is_revocation(path: &str) -> bool {
    [BACKCHANNEL_LOGOUT, REVOKED, REVOCATIONS, FORMER_REVOCATIONS].contains(&path)
}
