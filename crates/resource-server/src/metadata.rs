//! Protected resource metadata (RFC 9728), from which clients learn how to authenticate.

use serde::Serialize;

use crate::{issuer::IssuerSettings, jose::keys::Algorithm, scope::Scopes, url::ResourceUri};

/// The well-known path without a resource path, which clients try second (MCP, Authorization Server Discovery).
pub const ROOT_PATH: &str = "/.well-known/oauth-protected-resource";

/// The human-readable part of the metadata.
#[derive(Clone, Debug, Default)]
pub struct ResourceDescription {
    /// `resource_name`. Default: the resource identifier.
    pub name: String,
    /// `resource_documentation`: the URL of a page for developers.
    pub documentation: Option<String>,
}

/// The metadata document. It depends only on the configuration.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProtectedResourceMetadata {
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
    /// The metadata of a resource that accepts tokens of `issuers`. If DPoP proofs are accepted,
    /// `dpop_signing_alg_values_supported` lists their algorithms (RFC 9728 §2).
    #[must_use]
    pub(crate) fn new(
        resource: &ResourceUri,
        issuers: &[IssuerSettings],
        scopes: &Scopes,
        accepts_proofs: bool,
        description: ResourceDescription,
    ) -> Self {
        Self {
            resource: resource.as_str().to_owned(),
            authorization_servers: issuers
                .iter()
                .map(|issuer| issuer.url.as_str().to_owned())
                .collect(),
            // Never `offline_access`: refresh tokens are a matter of the client and the authorization
            // server (MCP 2026-07-28, Authorization).
            scopes_supported: scopes_supported(issuers, scopes),
            bearer_methods_supported: ["header"],
            dpop_signing_alg_values_supported: accepts_proofs
                .then(|| Algorithm::ALL.map(Algorithm::as_str)),
            resource_name: description.name,
            resource_documentation: description.documentation,
        }
    }
}

/// The names of all scopes, as the issuers have them: those of each prefix, in the order of the issuers.
fn scopes_supported(issuers: &[IssuerSettings], scopes: &Scopes) -> Vec<String> {
    let mut prefixes: Vec<&str> = Vec::new();
    for issuer in issuers {
        let prefix = issuer.rules.scope_prefix.as_str();
        if !prefixes.contains(&prefix) {
            prefixes.push(prefix);
        }
    }
    prefixes
        .into_iter()
        .flat_map(|prefix| {
            let names = scopes.names(scopes.all());
            names.map(move |name| format!("{prefix}{name}"))
        })
        .collect()
}

/// The URL of the metadata: the well-known part inserted before the path of the resource (RFC 9728 §3.1).
#[must_use]
pub(crate) fn url(resource: &ResourceUri) -> String {
    format!("{}{}", resource.origin(), path(resource))
}

/// The path of that URL.
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
