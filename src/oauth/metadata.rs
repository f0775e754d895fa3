//! Protected resource metadata (RFC 9728): where a client finds out how to authenticate.

use serde::Serialize;

use super::{
    keys::Algorithm,
    url::{IssuerUrl, PublicUrl},
};
use crate::domain::scope::Scope;

/// The path of the metadata in the form that challenges name: the well-known part inserted before
/// the resource's path (RFC 9728 §3.1).
pub const PATH: &str = "/.well-known/oauth-protected-resource/mcp";

/// The path at the root, which clients fall back to (MCP, Authorization Server Discovery).
pub const ROOT_PATH: &str = "/.well-known/oauth-protected-resource";

/// The document, built from configuration alone.
#[derive(Clone, Debug, Serialize)]
pub struct ProtectedResourceMetadata {
    resource: String,
    authorization_servers: Vec<String>,
    scopes_supported: Vec<&'static str>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_signing_alg_values_supported: Option<[&'static str; Algorithm::ALL.len()]>,
    resource_name: &'static str,
    resource_documentation: String,
}

impl ProtectedResourceMetadata {
    /// The metadata of the MCP endpoint at `public_url`, whose tokens come from `issuers`. Whether proofs
    /// of a token's key are taken is told by the algorithms that they may have.
    #[must_use]
    pub fn new<'a>(
        public_url: &PublicUrl,
        issuers: impl IntoIterator<Item = &'a IssuerUrl>,
        takes_proofs: bool,
    ) -> Self {
        Self {
            resource: public_url.resource().as_str().to_owned(),
            authorization_servers: issuers
                .into_iter()
                .map(|issuer| issuer.as_str().to_owned())
                .collect(),
            // Never `offline_access`: whether a client may hold a refresh token is between it and
            // the authorization server (MCP 2026-07-28, Authorization).
            scopes_supported: Scope::ALL.map(Scope::as_str).to_vec(),
            bearer_methods_supported: ["header"],
            dpop_signing_alg_values_supported: takes_proofs
                .then(|| Algorithm::ALL.map(Algorithm::as_str)),
            resource_name: "EpicMe Journal",
            resource_documentation: public_url.join("/"),
        }
    }
}

/// Where challenges send a client. A server under a path of its host has its metadata inserted
/// before the whole of the resource's path.
#[must_use]
pub fn url(public_url: &PublicUrl) -> String {
    format!("{}{}", public_url.origin(), path(public_url))
}

/// The path form for this public URL, as it is reached from outside.
#[must_use]
pub fn path(public_url: &PublicUrl) -> String {
    format!("{ROOT_PATH}{}/mcp", public_url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_of_a_server_under_a_path_is_found_where_rfc_9728_puts_it() {
        let url_of = |text: &str| url(&text.parse::<PublicUrl>().unwrap());
        assert_eq!(
            url_of("https://journal.example"),
            format!("https://journal.example{PATH}")
        );
        assert_eq!(
            url_of("https://a.example/journal/"),
            "https://a.example/.well-known/oauth-protected-resource/journal/mcp"
        );
    }
}
