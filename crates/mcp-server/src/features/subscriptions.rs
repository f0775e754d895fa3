//! The subscriptions of one client, and its notifications (MCP, Resources, Subscriptions).

use serde_json::json;

use super::{
    catalogue::Catalogue,
    change::{Change, Published},
    session_store::SUBSCRIPTIONS_PER_SESSION as MAX_SUBSCRIPTIONS,
};
use mcp_protocol::{outgoing::notification, rpc_error::RpcError};
use resource_server::scope::ScopeSet;

/// The subscriptions of one client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscriptions {
    resources: Vec<Subscription>,
    list: Option<ScopeSet>,
}

#[derive(Clone, Debug)]
struct Subscription {
    /// As the client wrote it, for its notifications.
    uri: String,
    /// As changes are published.
    canonical: String,
    scopes: ScopeSet,
}

/// Why a subscription is refused.
#[derive(Debug)]
pub(crate) enum NotSubscribable {
    /// The URI is not one of this server.
    NotFound,
    /// The token may not read the resource.
    Forbidden {
        /// The scopes that reading it needs.
        needed: ScopeSet,
    },
    /// The client has too many subscriptions.
    TooMany(RpcError),
}

/// There are as many subscriptions as there may be.
pub(crate) fn too_many() -> RpcError {
    RpcError::invalid_params(format!(
        "Invalid params: at most {MAX_SUBSCRIPTIONS} resources can be subscribed to at once"
    ))
}

impl Subscriptions {
    /// Subscribes to a resource. Whether anything exists at the URI is not checked: a client must not learn
    /// whether another user has it.
    ///
    /// # Errors
    /// See [`NotSubscribable`].
    pub(crate) fn add(
        &mut self,
        catalogue: &Catalogue,
        granted: ScopeSet,
        uri: &str,
    ) -> Result<(), NotSubscribable> {
        let located = catalogue.locate(uri).ok_or(NotSubscribable::NotFound)?;
        catalogue
            .scopes()
            .require(granted, located.scopes())
            .map_err(|needed| NotSubscribable::Forbidden { needed })?;
        if self
            .resources
            .iter()
            .any(|subscription| subscription.uri == uri)
        {
            return Ok(());
        }
        if self.resources.len() >= MAX_SUBSCRIPTIONS {
            return Err(NotSubscribable::TooMany(too_many()));
        }
        self.resources.push(Subscription {
            uri: uri.to_owned(),
            canonical: located.canonical_uri(),
            scopes: located.scopes(),
        });
        Ok(())
    }

    /// Takes what was subscribed to elsewhere in place of what there is. The scopes were checked then, and are
    /// again for each notification; a URI that this server does not know is left out. Returns the URIs that were
    /// not subscribed to here, as changes are published.
    pub(crate) fn replace(&mut self, catalogue: &Catalogue, uris: &[String]) -> Vec<String> {
        let before = std::mem::take(&mut self.resources);
        let is_new = |uri: &String| before.iter().all(|known| known.uri != *uri);
        let mut new = Vec::new();
        for uri in uris {
            let taken = self.add(catalogue, catalogue.scopes().all(), uri);
            if taken.is_ok()
                && is_new(uri)
                && let Some(added) = self.resources.last()
            {
                new.push(added.canonical.clone());
            }
        }
        new
    }

    /// Unsubscribes from a resource.
    pub(crate) fn remove(&mut self, uri: &str) {
        self.resources
            .retain(|subscription| subscription.uri != uri);
    }

    /// Subscribes to the list of resources. `false` if it never changes for this token.
    pub(crate) fn add_list(&mut self, catalogue: &Catalogue, granted: ScopeSet) -> bool {
        self.list = catalogue
            .scopes_of_listing()
            .filter(|scopes| catalogue.scopes().require(granted, *scopes).is_ok());
        self.list.is_some()
    }

    /// The URIs of the subscriptions.
    pub(crate) fn uris(&self) -> impl Iterator<Item = &str> {
        self.resources
            .iter()
            .map(|subscription| subscription.uri.as_str())
    }

    /// The notifications that changes cause. `granted` are the current scopes of the token; empty if it has
    /// expired.
    #[must_use]
    pub(crate) fn notifications(
        &self,
        catalogue: &Catalogue,
        granted: ScopeSet,
        published: &Published,
    ) -> Vec<Notification> {
        let may = |needed: ScopeSet| catalogue.scopes().require(granted, needed).is_ok();
        let list = || self.list.filter(|scopes| may(*scopes));
        let list = || list().map(|_| Notification::ListChanged);
        let updated = |is_meant: &dyn Fn(&Subscription) -> bool| {
            let meant = self.resources.iter().filter(|one| is_meant(one));
            let meant = meant.filter(|one| may(one.scopes));
            Vec::from_iter(meant.map(|one| Notification::Updated(one.uri.clone())))
        };
        match published {
            Published::Changes(changes) => changes
                .iter()
                .flat_map(|change| match change {
                    Change::ListChanged => list().into_iter().collect(),
                    Change::Updated(uri) => updated(&|one| *one.canonical == **uri),
                })
                .collect(),
            Published::Anything => updated(&|_| true).into_iter().chain(list()).collect(),
        }
    }
}

/// A notification of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notification {
    /// `notifications/resources/updated`.
    Updated(String),
    /// `notifications/resources/list_changed`.
    ListChanged,
}

impl Notification {
    /// The JSON-RPC message, with this `_meta`.
    #[must_use]
    pub(crate) fn message(&self, meta: Option<&serde_json::Value>) -> String {
        let (method, mut params) = match self {
            Self::Updated(uri) => ("notifications/resources/updated", json!({ "uri": uri })),
            Self::ListChanged => ("notifications/resources/list_changed", json!({})),
        };
        if let Some(meta) = meta {
            params["_meta"] = meta.clone();
        }
        notification(method, &params)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::samples::catalogue;

    /// D-21.
    #[test]
    fn a_change_is_notified_to_subscribers_whose_token_may_still_read_the_resource() {
        let catalogue = catalogue();
        let granted = catalogue.scopes().all();
        let mut subscriptions = Subscriptions::default();
        for uri in ["files://reports/1", "FILES://Reports/2"] {
            subscriptions.add(&catalogue, granted, uri).unwrap();
        }
        assert!(subscriptions.add_list(&catalogue, granted));
        let notified = |granted, change| {
            let published = Published::Changes(Arc::new([change]));
            subscriptions.notifications(&catalogue, granted, &published)
        };
        let updated = |uri: &str| Notification::Updated(uri.to_owned());
        let change = |uri: &str| Change::updated(uri);
        assert_eq!(
            notified(granted, change("files://reports/1")),
            [updated("files://reports/1")]
        );
        assert_eq!(
            notified(granted, change("files://reports/2")),
            [updated("FILES://Reports/2")],
            "in the client's own words"
        );
        assert_eq!(notified(granted, change("files://reports/3")), []);
        assert_eq!(
            notified(granted, Change::ListChanged),
            [Notification::ListChanged]
        );
        for change in [change("files://reports/1"), Change::ListChanged] {
            assert_eq!(notified(ScopeSet::EMPTY, change), []);
        }
        let anything =
            |granted| subscriptions.notifications(&catalogue, granted, &Published::Anything);
        assert_eq!(
            anything(granted),
            [
                updated("files://reports/1"),
                updated("FILES://Reports/2"),
                Notification::ListChanged
            ]
        );
        assert_eq!(anything(ScopeSet::EMPTY), []);
    }

    #[test]
    fn what_cannot_be_read_cannot_be_subscribed_to() {
        let catalogue = catalogue();
        let granted = catalogue.scopes().all();
        let mut subscriptions = Subscriptions::default();
        assert!(matches!(
            subscriptions.add(&catalogue, ScopeSet::EMPTY, "files://reports/1"),
            Err(NotSubscribable::Forbidden { .. })
        ));
        assert!(matches!(
            subscriptions.add(&catalogue, granted, "files://reports/x"),
            Err(NotSubscribable::NotFound)
        ));
        assert!(!subscriptions.add_list(&catalogue, ScopeSet::EMPTY));
        for id in 1..=MAX_SUBSCRIPTIONS {
            subscriptions
                .add(&catalogue, granted, &format!("files://reports/{id}"))
                .unwrap();
        }
        let one_more = "files://reports/1000";
        assert!(matches!(
            subscriptions.add(&catalogue, granted, one_more),
            Err(NotSubscribable::TooMany(_))
        ));
        subscriptions.remove("files://reports/1");
        assert!(subscriptions.add(&catalogue, granted, one_more).is_ok());
    }
}
