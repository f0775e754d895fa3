//! The fixed paths of a server.

/// Health checks of load balancers and orchestrators.
pub(crate) const HEALTHCHECK: &str = "/healthcheck";
pub(crate) const LIVEZ: &str = "/livez";
pub(crate) const READYZ: &str = "/readyz";

/// Receives logout tokens (OpenID Connect Back-Channel Logout 1.0).
pub(crate) const BACKCHANNEL_LOGOUT: &str = "/oauth/backchannel-logout";

/// Receives notifications of revoked tokens.
pub(crate) const REVOKED: &str = "/oauth/revoked";

/// Revokes tokens, users and clients.
pub(crate) const REVOCATIONS: &str = "/admin/revocations";

/// The former path of the same endpoint.
pub(crate) const FORMER_REVOCATIONS: &str = "/admin/cut-offs";

/// Whether a path is a health check. Load balancers use the address of the server as `Host`, and ask often.
pub(crate) fn is_probe(path: &str) -> bool {
    [HEALTHCHECK, LIVEZ, READYZ].contains(&path)
}

/// Whether a path receives revocations.
pub(crate) fn is_revocation(path: &str) -> bool {
    [BACKCHANNEL_LOGOUT, REVOKED, REVOCATIONS, FORMER_REVOCATIONS].contains(&path)
}
