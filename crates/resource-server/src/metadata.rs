//! Protected resource metadata (RFC 9728): where a client finds out how to authenticate.

use serde::Serialize;

use crate::scope::Scopes;
use crate::{
    jose::keys::Algorithm,
    url::{IssuerUrl, ResourceUri},
};

/// The path at the root of the host, which clients fall back to (MCP, Authorization Server Discovery).
pub const ROOT_PATH: &str = "/.well-known/oauth-protected-resource";

/// What the metadata says of a resource, besides what the other settings of a server say already.
#[derive(Clone, Debug, Default)]
pub struct ResourceDescription {
    /// The resource's name for people.
    pub name: String,
    /// Where people read about the resource, if anywhere.
    pub documentation: Option<String>,
}

/// The document, built from configuration alone.
#[derive(Clone, Debug, Serialize)]
pub struct ProtectedResourceMetadata {
    resource: String,
    authorization_servers: Vec<String>,
    scopes_supported: Vec<String>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_signing_alg_values_supported: Option<[&'static str; Algorithm::ALL.len()]>,
    resource_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<String>,
}

impl ProtectedResourceMetadata {
    /// The metadata of a resource whose tokens come from `issuers`. Whether proofs of a token's key are
    /// accepted is said by the algorithms that they may use (RFC 9728 §2).
    #[must_use]
    pub fn new<'a>(
        resource: &ResourceUri,
        issuers: impl IntoIterator<Item = &'a IssuerUrl>,
        scopes: &Scopes,
        accepts_proofs: bool,
        description: ResourceDescription,
    ) -> Self {
        Self {
            resource: resource.as_str().to_owned(),
            authorization_servers: issuers
                .into_iter()
                .map(|issuer| issuer.as_str().to_owned())
                .collect(),
            // Never `offline_access`: whether a client may hold a refresh token is between it and
            // the authorization server (MCP 2026-07-28, Authorization).
            scopes_supported: scopes.names(scopes.all()).map(str::to_owned).collect(),
            bearer_methods_supported: ["header"],
            dpop_signing_alg_values_supported: accepts_proofs
                .then(|| Algorithm::ALL.map(Algorithm::as_str)),
            resource_name: description.name,
            resource_documentation: description.documentation,
        }
    }
}

/// Where challenges send a client: the well-known part inserted before the resource's path
/// (RFC 9728 §3.1).
#[must_use]
pub fn url(resource: &ResourceUri) -> String {
    format!("{}{}", resource.origin(), path(resource))
}

/// The path of that URL, as it is reached from outside.
#[must_use]
pub fn path(resource: &ResourceUri) -> String {
    format!("{ROOT_PATH}{}", resource.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::PublicUrl;

    #[test]
    fn the_metadata_of_a_server_under_a_path_is_found_where_rfc_9728_puts_it() {
        let url_of = |text: &str| url(&text.parse::<PublicUrl>().unwrap().resource("/mcp"));
        assert_eq!(
            url_of("https://files.example"),
            "https://files.example/.well-known/oauth-protected-resource/mcp"
        );
        assert_eq!(
            url_of("https://a.example/files/"),
            "https://a.example/.well-known/oauth-protected-resource/files/mcp"
        );
    }
}
