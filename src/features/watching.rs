//! Which changes of a journal a client wants to hear of, and what it then hears.

use serde_json::json;

use super::catalogue::Catalogue;
use crate::{
    domain::{journal::Change, scope::ScopeSet},
    mcp::{jsonrpc::RpcError, outgoing::notification},
};

/// How many resources one client may watch at once.
const MOST_WATCHED: usize = 100;

/// The change with which the list of resources becomes another.
const LIST_CHANGES_WITH: Change = Change::TagList;

/// What one client watches.
#[derive(Clone, Debug, Default)]
pub struct Watching {
    resources: Vec<Watched>,
    list: Option<ScopeSet>,
}

#[derive(Clone, Debug)]
struct Watched {
    uri: String,
    changes_with: Option<Change>,
    scopes: ScopeSet,
}

/// Why a resource cannot be watched.
#[derive(Debug)]
pub enum Unwatchable {
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

impl Watching {
    /// Watches a resource too. Whether there is anything at a well-formed URI is not said: not
    /// yours and not there are the same.
    ///
    /// # Errors
    /// See [`Unwatchable`].
    pub fn add(
        &mut self,
        catalogue: &Catalogue,
        granted: ScopeSet,
        uri: &str,
    ) -> Result<(), Unwatchable> {
        let located = catalogue.locate(uri).ok_or(Unwatchable::NotFound)?;
        catalogue
            .policy()
            .require(granted, located.scopes())
            .map_err(|needed| Unwatchable::Forbidden { needed })?;
        if self.resources.iter().any(|watched| watched.uri == uri) {
            return Ok(());
        }
        if self.resources.len() >= MOST_WATCHED {
            return Err(Unwatchable::TooMany(RpcError::invalid_params(format!(
                "Invalid params: at most {MOST_WATCHED} resources can be subscribed to at once"
            ))));
        }
        self.resources.push(Watched {
            uri: uri.to_owned(),
            changes_with: located.changes_with(),
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
            .filter(|scopes| catalogue.policy().require(granted, *scopes).is_ok());
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
        change: Change,
    ) -> Vec<Notification> {
        let may = |needed: ScopeSet| catalogue.policy().require(granted, needed).is_ok();
        let mut notifications: Vec<_> = self
            .resources
            .iter()
            .filter(|watched| watched.changes_with == Some(change) && may(watched.scopes))
            .map(|watched| Notification::Updated(watched.uri.clone()))
            .collect();
        if change == LIST_CHANGES_WITH && self.list.is_some_and(may) {
            notifications.push(Notification::ListChanged);
        }
        notifications
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
    use crate::{
        domain::{
            journal::{EntryId, TagId},
            scope::Scope,
        },
        oauth::policy::ScopePolicy,
    };

    const ENTRIES: ScopeSet = ScopeSet::of(&[Scope::EntriesRead]);

    /// D-21.
    #[test]
    fn a_change_is_told_to_whom_it_concerns_and_who_may_still_read_it() {
        let catalogue = Catalogue::new(ScopePolicy::default());
        let mut watching = Watching::default();
        for uri in ["epicme://entries/1", "epicme://tags/1", "epicme://tags"] {
            watching.add(&catalogue, ScopeSet::ALL, uri).unwrap();
        }
        assert!(watching.add_list(&catalogue, ScopeSet::ALL));
        let told = |granted, change| watching.notifications(&catalogue, granted, change);
        let updated = |uri: &str| Notification::Updated(uri.to_owned());
        assert_eq!(
            told(ScopeSet::ALL, Change::Entry(EntryId(1))),
            [updated("epicme://entries/1")]
        );
        assert_eq!(told(ScopeSet::ALL, Change::Entry(EntryId(2))), []);
        assert_eq!(
            told(ScopeSet::ALL, Change::Tag(TagId(1))),
            [updated("epicme://tags/1")]
        );
        assert_eq!(
            told(ScopeSet::ALL, Change::TagList),
            [updated("epicme://tags"), Notification::ListChanged]
        );
        assert_eq!(told(ENTRIES, Change::TagList), []);
        assert_eq!(told(ScopeSet::EMPTY, Change::Entry(EntryId(1))), []);
    }

    #[test]
    fn what_cannot_be_read_cannot_be_watched() {
        let catalogue = Catalogue::new(ScopePolicy::default());
        let mut watching = Watching::default();
        assert!(matches!(
            watching.add(&catalogue, ENTRIES, "epicme://tags"),
            Err(Unwatchable::Forbidden { .. })
        ));
        assert!(matches!(
            watching.add(&catalogue, ENTRIES, "epicme://entries/x"),
            Err(Unwatchable::NotFound)
        ));
        assert!(!watching.add_list(&catalogue, ENTRIES));
        for id in 1..=MOST_WATCHED {
            watching
                .add(&catalogue, ENTRIES, &format!("epicme://entries/{id}"))
                .unwrap();
        }
        assert!(matches!(
            watching.add(&catalogue, ENTRIES, "epicme://entries/1000"),
            Err(Unwatchable::TooMany(_))
        ));
        watching.remove("epicme://entries/1");
        assert!(
            watching
                .add(&catalogue, ENTRIES, "epicme://entries/1000")
                .is_ok()
        );
    }
}
