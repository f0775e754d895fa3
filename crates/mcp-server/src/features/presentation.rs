//! What clients are shown of a server, beyond what they need.

use resource_server::scope::{ScopeSet, Scopes};

/// What clients are shown of a server, beyond what they need. Nothing by default.
///
/// ```
/// use mcp_server::features::presentation::Presentation;
///
/// let shown = Presentation { all_features: true, ..Presentation::default() };
/// let server = mcp_server::server::Server::new("files", "https://files.example").presentation(shown);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presentation {
    /// Whether tools should add links to resources to their results; they ask by
    /// [`Context::sends_links`](super::context::Context::sends_links). Agents of LangChain end with the first link
    /// that they meet, and a structured result can name the URI for everybody else.
    pub resource_links: bool,
    /// Whether lists have all features. Otherwise they lack those for which the token has not the scopes, which models
    /// then never call. A call without the scopes is refused with a challenge in either case.
    pub all_features: bool,
}

/// The sentence for models that tells what the token does not permit; `None` if it permits everything.
pub(super) fn lacking(scopes: &Scopes, granted: ScopeSet, shown: Presentation) -> Option<String> {
    let missing: Vec<_> = scopes
        .lacking(granted)
        .map(|scope| match scope.description.as_str() {
            "" => scope.name.clone(),
            description => format!("{} ({description})", scope.name),
        })
        .collect();
    if missing.is_empty() {
        return None;
    }
    let effect = if shown.all_features {
        "refused"
    } else {
        "not listed"
    };
    Some(format!(
        "The access token lacks these scopes: {}. What needs them is {effect} until the user signs in again and allows it.",
        missing.join(", ")
    ))
}
