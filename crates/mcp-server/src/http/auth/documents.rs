//! What the unauthenticated pages are made from.

use actix_web::web::Bytes;

/// The front page and whether the issuer's metadata is relayed.
pub(crate) struct Discovery {
    pub(crate) front_page: Bytes,
    pub(crate) relays_authorization_server: bool,
}

impl Discovery {
    /// The documents of a server. `relays_authorization_server` serves the issuer's metadata to clients of
    /// MCP 2025-03-26.
    #[must_use]
    pub(crate) fn new(headline: &str, mcp_url: &str, relays_authorization_server: bool) -> Self {
        Self {
            front_page: format!(
                "{headline}\n\n\
                 Connect an MCP host to {mcp_url}\n\
                 The client discovers the sign-in flow automatically.\n"
            )
            .into(),
            relays_authorization_server,
        }
    }
}
