//! Which changes a client has subscribed to, and what it is notified of.

use serde_json::json;

use super::{catalogue::Catalogue, changes::Change};
use mcp_protocol::{jsonrpc::RpcError, outgoing::notification};
use resource_server::scope::ScopeSet;

/// How many resources one client may watch at once.
const MOST_WATCHED: usize = 100;

/// What one client watches.
#[derive(Clone, Debug, Default)]
pub struct Subscriptions {
    resources: Vec<Watched>,
    list: Option<ScopeSet>,
}

#[derive(Clone, Debug)]
struct Watched {
    /// As the client wrote it, for its notifications.
    uri: String,
    /// As changes are published.
    canonical: String,
    scopes: ScopeSet,
}

/// Why a resource cannot be watched.
#[derive(Debug)]
pub enum NotSubscribable {
    /// No URI of this server's.
    NotFound,
    /// The token may not read it.
    Forbidden {
        /// What reading it needs.
        needed: ScopeSet,
    },
    /// One more would be too many.
    TooMany(RpcError),
}

impl Subscriptions {
    /// Watches a resource too. Whether there is anything at a well-formed URI is not said: not
    /// yours and not there are the same.
    ///
    /// # Errors
    /// See [`NotSubscribable`].
    pub fn add(
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
        if self.resources.iter().any(|watched| watched.uri == uri) {
            return Ok(());
        }
        if self.resources.len() >= MOST_WATCHED {
            return Err(NotSubscribable::TooMany(RpcError::invalid_params(format!(
                "Invalid params: at most {MOST_WATCHED} resources can be subscribed to at once"
            ))));
        }
        self.resources.push(Watched {
            uri: uri.to_owned(),
            canonical: located.canonical_uri(),
            scopes: located.scopes(),
        });
        Ok(())
    }

    /// Watches a resource no more.
    pub fn remove(&mut self, uri: &str) {
        self.resources.retain(|watched| watched.uri != uri);
    }

    /// Watches the list of resources too, if it can be different for this token; says whether it
    /// can.
    pub fn add_list(&mut self, catalogue: &Catalogue, granted: ScopeSet) -> bool {
        self.list = catalogue
            .scopes_of_listing()
            .filter(|scopes| catalogue.scopes().require(granted, *scopes).is_ok());
        self.list.is_some()
    }

    /// The URIs that are watched.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(|watched| watched.uri.as_str())
    }

    /// What the client hears of a change. Held against what its token may read at this moment:
    /// `granted` is empty for one that has ended.
    #[must_use]
    pub fn notifications(
        &self,
        catalogue: &Catalogue,
        granted: ScopeSet,
        change: &Change,
    ) -> Vec<Notification> {
        let may = |needed: ScopeSet| catalogue.scopes().require(granted, needed).is_ok();
        match change {
            Change::ListChanged => self
                .list
                .filter(|scopes| may(*scopes))
                .map(|_| Notification::ListChanged)
                .into_iter()
                .collect(),
            Change::Updated(uri) => self
                .resources
                .iter()
                .filter(|watched| *watched.canonical == **uri && may(watched.scopes))
                .map(|watched| Notification::Updated(watched.uri.clone()))
                .collect(),
        }
    }
}

/// What a client hears of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// A resource reads differently now, or is gone.
    Updated(String),
    /// Other resources are on the list.
    ListChanged,
}

impl Notification {
    /// The message; `meta` is what its `_meta` says, if anything.
    #[must_use]
    pub fn message(&self, meta: Option<&serde_json::Value>) -> String {
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
    use super::*;
    use crate::features::{
        catalogue::Features,
        context::ReadContext,
        resource::{Contents, DeclaredTemplate, ResourceTemplate},
        tool_error::ToolError,
    };
    use mcp_protocol::server_info::ServerInfo;

    struct Report;

    impl ResourceTemplate for Report {
        const URI_TEMPLATE: &'static str = "files://reports/{id}";
        const NAME: &'static str = "report";
        const DESCRIPTION: &'static str = "A report.";
        const SCOPES: &'static [&'static str] = &["files:read"];
        const LISTED: bool = true;

        type Id = i64;

        async fn read(&self, _: ReadContext, _: i64) -> Result<Contents, ToolError> {
            Ok(Contents::text(""))
        }
    }

    fn catalogue() -> Catalogue {
        let features = Features {
            templates: vec![DeclaredTemplate::new(Report)],
            ..Features::default()
        };
        Catalogue::new(
            features,
            crate::samples::scopes(),
            ServerInfo::new("files", "1.0.0"),
        )
        .unwrap()
    }

    /// D-21.
    #[test]
    fn a_change_is_notified_to_subscribers_whose_token_may_still_read_the_resource() {
        let catalogue = catalogue();
        let granted = catalogue.scopes().all();
        let mut watching = Subscriptions::default();
        for uri in ["files://reports/1", "FILES://Reports/2"] {
            watching.add(&catalogue, granted, uri).unwrap();
        }
        assert!(watching.add_list(&catalogue, granted));
        let notified = |granted, change| watching.notifications(&catalogue, granted, &change);
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
    }

    #[test]
    fn what_cannot_be_read_cannot_be_subscribed_to() {
        let catalogue = catalogue();
        let granted = catalogue.scopes().all();
        let mut watching = Subscriptions::default();
        assert!(matches!(
            watching.add(&catalogue, ScopeSet::EMPTY, "files://reports/1"),
            Err(NotSubscribable::Forbidden { .. })
        ));
        assert!(matches!(
            watching.add(&catalogue, granted, "files://reports/x"),
            Err(NotSubscribable::NotFound)
        ));
        assert!(!watching.add_list(&catalogue, ScopeSet::EMPTY));
        for id in 1..=MOST_WATCHED {
            watching
                .add(&catalogue, granted, &format!("files://reports/{id}"))
                .unwrap();
        }
        let one_more = "files://reports/1000";
        assert!(matches!(
            watching.add(&catalogue, granted, one_more),
            Err(NotSubscribable::TooMany(_))
        ));
        watching.remove("files://reports/1");
        assert!(watching.add(&catalogue, granted, one_more).is_ok());
    }
}
