//! The store of revocations that outlive a process.

use std::{
    collections::{BTreeMap, HashMap},
    future::{Future, ready},
    pin::Pin,
};

use parking_lot::Mutex;

use super::order::{
    OrderedBy, RevocationChange, RevocationOrder, RevocationTarget, StoredRevocation,
};
use crate::cause::Cause;

/// The number of revocations that the store in memory keeps for [`RevocationStore::page`].
const CAPACITY: usize = 100_000;

/// The answer of a store.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, Cause>>>>;

/// How far a store has been read. Its text is the store's own matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(pub String);

/// What has changed in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesPage {
    /// The oldest first.
    pub changes: Vec<RevocationChange>,
    /// From where to read on; `None` if nothing was read yet.
    pub mark: Option<Mark>,
    /// Whether there are more at once.
    pub has_more: bool,
}

/// Keeps revocations, so that they outlive the process, for all processes of a server. All of them are read when
/// the guard starts; until then no token is accepted. What other processes stored is read soon afterwards: see
/// [`AuthHandle::read_orders`](crate::auth::AuthHandle::read_orders).
pub trait RevocationStore: Send + Sync {
    /// Stores a revocation. One of the same target that was ordered by the same party is replaced, but no
    /// revocation becomes weaker: the later `revoked_at` and the later `until` count. The stored revocation
    /// gets a new id.
    ///
    /// # Errors
    /// The private cause.
    fn add(&self, order: RevocationOrder) -> StoreFuture<()>;

    /// Removes every revocation of a target, whoever ordered it; returns whether there was any.
    ///
    /// # Errors
    /// The private cause.
    fn remove(&self, target: RevocationTarget) -> StoreFuture<bool>;

    /// At most this many revocations with a lower id than `before`, the highest ids first.
    ///
    /// # Errors
    /// The private cause.
    fn page(&self, before: Option<i64>, most: usize) -> StoreFuture<Vec<StoredRevocation>>;

    /// At most this many changes since a mark, or all that is in effect if there is none. No change may be left out,
    /// not even one that was stored before another but became visible after it; a change may be returned again.
    ///
    /// # Errors
    /// The private cause.
    fn changes(&self, since: Option<Mark>, most: usize) -> StoreFuture<ChangesPage>;
}

/// A store in the memory of this process: a restart forgets all of it.
#[derive(Default)]
pub struct InMemoryRevocationStore(Mutex<Rows>);

#[derive(Default)]
struct Rows {
    last: i64,
    by_id: BTreeMap<i64, RevocationOrder>,
    ids: HashMap<(RevocationTarget, OrderedBy), i64>,
}

impl RevocationStore for InMemoryRevocationStore {
    fn add(&self, mut order: RevocationOrder) -> StoreFuture<()> {
        let mut rows = self.0.lock();
        if let Some(before) = rows.remove(&order.target, order.ordered_by) {
            order.revoked_at = order.revoked_at.max(before.revoked_at);
            order.until = order.until.max(before.until);
        }
        // What is in effect does not depend on this list.
        if rows.by_id.len() >= CAPACITY
            && let Some((_, oldest)) = rows.by_id.pop_first()
        {
            rows.ids.remove(&(oldest.target, oldest.ordered_by));
        }
        rows.last += 1;
        let id = rows.last;
        rows.ids
            .insert((order.target.clone(), order.ordered_by), id);
        rows.by_id.insert(id, order);
        Box::pin(ready(Ok(())))
    }

    fn remove(&self, target: RevocationTarget) -> StoreFuture<bool> {
        let mut rows = self.0.lock();
        let removed = OrderedBy::ALL.map(|party| rows.remove(&target, party).is_some());
        Box::pin(ready(Ok(removed.contains(&true))))
    }

    fn page(&self, before: Option<i64>, most: usize) -> StoreFuture<Vec<StoredRevocation>> {
        let rows = self.0.lock();
        let page = rows.by_id.range(..before.unwrap_or(i64::MAX)).rev();
        let page = page.take(most).map(|(id, order)| StoredRevocation {
            id: *id,
            order: order.clone(),
        });
        Box::pin(ready(Ok(page.collect())))
    }

    /// What is lifted is forgotten: no other process has this store.
    fn changes(&self, since: Option<Mark>, most: usize) -> StoreFuture<ChangesPage> {
        let last = since.as_ref().and_then(|mark| mark.0.parse().ok());
        let rows = self.0.lock();
        let mut later = rows.by_id.range(last.map_or(0, |last: i64| last + 1)..);
        let page = Vec::from_iter(later.by_ref().take(most));
        let mark = page.last().map(|(id, _)| Mark(id.to_string())).or(since);
        let changes = page.into_iter().map(|(_, order)| order.clone());
        Box::pin(ready(Ok(ChangesPage {
            changes: changes.map(RevocationChange::Ordered).collect(),
            mark,
            has_more: later.next().is_some(),
        })))
    }
}

impl Rows {
    fn remove(
        &mut self,
        target: &RevocationTarget,
        ordered_by: OrderedBy,
    ) -> Option<RevocationOrder> {
        let id = self.ids.remove(&(target.clone(), ordered_by))?;
        self.by_id.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[actix_rt::test]
    async fn a_revocation_replaces_its_own_and_is_never_weaker() {
        let store = InMemoryRevocationStore::default();
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let order = |revoked_at, until: Option<i64>, ordered_by| RevocationOrder {
            target: RevocationTarget::Everybody,
            revoked_at: at(revoked_at),
            until: until.map(at),
            ordered_by,
        };
        store
            .add(order(1, Some(100), OrderedBy::Operator))
            .await
            .unwrap();
        store
            .add(order(2, None, OrderedBy::Operator))
            .await
            .unwrap();
        store.add(order(3, None, OrderedBy::Issuer)).await.unwrap();
        let page = store.page(None, 10).await.unwrap();
        assert_eq!(page.len(), 2);
        assert_eq!((page[0].id, page[1].id), (3, 2));
        assert_eq!(page[1].order, order(2, Some(100), OrderedBy::Operator));
        assert_eq!(store.page(Some(3), 10).await.unwrap(), page[1..]);
        let first = store.changes(None, 1).await.unwrap();
        let changed = |at: usize| vec![RevocationChange::Ordered(page[at].order.clone())];
        assert_eq!((&first.changes, first.has_more), (&changed(1), true));
        let rest = store.changes(first.mark, 10).await.unwrap();
        assert_eq!((&rest.changes, rest.has_more), (&changed(0), false));
        let none = store.changes(rest.mark.clone(), 10).await.unwrap();
        assert_eq!((none.changes, none.mark), (Vec::new(), rest.mark));
        assert!(store.remove(RevocationTarget::Everybody).await.unwrap());
        assert!(!store.remove(RevocationTarget::Everybody).await.unwrap());
        assert!(store.page(None, 10).await.unwrap().is_empty());
    }
}
