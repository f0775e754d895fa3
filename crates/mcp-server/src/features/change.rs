//! A change of a resource, by URI (MCP, Resources, Subscriptions).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A change that concerns one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The contents of the resource with this URI have changed, or it was deleted
    /// (`notifications/resources/updated`).
    #[serde(rename = "u")]
    Updated(Arc<str>),
    /// The list of resources has changed (`notifications/resources/list_changed`).
    #[serde(rename = "l")]
    ListChanged,
}

impl Change {
    /// The contents of the resource with this URI have changed, or it was deleted. The URI must be written as
    /// the server writes it in lists and links.
    #[must_use]
    pub fn updated(uri: impl Into<Arc<str>>) -> Self {
        Self::Updated(uri.into())
    }
}

/// What the sessions and streams of a user are to look at.
#[derive(Clone, Debug)]
pub(crate) enum Published {
    /// These have changed.
    Changes(Arc<[Change]>),
    /// Anything may have changed, because changes of other processes may have been missed.
    Anything,
}
