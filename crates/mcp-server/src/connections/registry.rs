//! Which connections are open, whose they are, and which one gives way. No I/O.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

use resource_server::{limits::Source, principal::UserId};

/// Connections that a user keeps however full it is.
const FEW: usize = 8;

/// Of all connections, one in so many is kept for those that are still to bring a good token.
const SHARE_OF_NEWCOMERS: usize = 8;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of everybody.
    pub(super) in_all: usize,
    /// Of one source, without a good token and without a request.
    pub(super) per_source: usize,
    /// Of one user, with a good token.
    pub(super) per_user: usize,
}

/// The open connections. `H` closes one.
///
/// A connection that has brought no good token counts against its source, one that has against its user: a
/// source may be the gateway of thousands of users.
pub(super) struct Registry<H> {
    limits: Limits,
    next: u64,
    connections: HashMap<u64, Entry<H>>,
    sources: Holders<Source>,
    /// Those of sources whose request is being answered: it may be the one that brings a good token.
    asking: Holders<Source>,
    users: Holders<UserId>,
    /// The connections of trusted proxies that have brought no good token.
    proxies: BTreeSet<u64>,
}

struct Entry<H> {
    holder: Holder,
    handle: H,
}

#[derive(Clone, Copy)]
enum Holder {
    Source(Source),
    Asking(Source),
    User(UserId),
    /// A trusted proxy, before any good token.
    Proxy,
    /// A trusted proxy, which brings the tokens of many users.
    ProvenProxy,
}

/// A connection gave way because of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eviction {
    /// Its source had too many without a good token.
    Source,
    /// There were too many in all.
    Full,
    /// Its user had too many.
    User,
}

/// The connection that gives way.
pub(super) type Evicted<H> = Option<(Eviction, H)>;

impl<H> Registry<H> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            next: 0,
            connections: HashMap::new(),
            sources: Holders::default(),
            asking: Holders::default(),
            users: Holders::default(),
            proxies: BTreeSet::new(),
        }
    }

    pub(super) fn handles(&self) -> impl Iterator<Item = &H> {
        self.connections.values().map(|entry| &entry.handle)
    }

    /// Adds a connection; `None` as the source is a trusted proxy. Returns its number, and the connection
    /// that gives way to it.
    ///
    /// # Errors
    /// There is no room, and nothing gives way: every connection has brought a good token, and every user has
    /// few.
    pub(super) fn admit(
        &mut self,
        source: Option<Source>,
        handle: impl FnOnce(u64) -> H,
    ) -> Result<(u64, Evicted<H>), Full> {
        let crowded = source.and_then(|source| self.crowded(&source));
        let evicted = if let Some(id) = crowded {
            self.evict(id, Eviction::Source)
        } else if self.connections.len() >= self.limits.in_all {
            let id = self.weakest().ok_or(Full)?;
            self.evict(id, Eviction::Full)
        } else {
            None
        };
        let id = self.next;
        self.next += 1;
        let holder = match source {
            Some(source) => {
                self.sources.insert(source, id);
                Holder::Source(source)
            }
            None => {
                self.proxies.insert(id);
                Holder::Proxy
            }
        };
        let handle = handle(id);
        self.connections.insert(id, Entry { holder, handle });
        Ok((id, evicted))
    }

    /// A connection has a request. Until it has been answered, the connection gives way after those without one.
    pub(super) fn asks(&mut self, id: u64) {
        if let Some(entry) = self.connections.get_mut(&id)
            && let Holder::Source(source) = entry.holder
        {
            self.sources.remove(&source, id);
            self.asking.insert(source, id);
            entry.holder = Holder::Asking(source);
        }
    }

    /// The request of a connection has been answered. Returns the oldest other one of the source if there are
    /// too many.
    pub(super) fn answered(&mut self, id: u64) -> Evicted<H> {
        let entry = self.connections.get_mut(&id)?;
        let Holder::Asking(source) = entry.holder else {
            return None;
        };
        self.asking.remove(&source, id);
        self.sources.insert(source, id);
        entry.holder = Holder::Source(source);
        if self.sources.count(&source) <= self.limits.per_source {
            return None;
        }
        let oldest = self.sources.oldest_but(&source, id)?;
        self.evict(oldest, Eviction::Source)
    }

    /// A connection has brought a good token of this user. Returns the user's oldest connection if there are
    /// too many.
    pub(super) fn prove(&mut self, id: u64, user: UserId) -> Evicted<H> {
        let entry = self.connections.get_mut(&id)?;
        match entry.holder {
            Holder::Source(source) | Holder::Asking(source) => {
                self.sources.remove(&source, id);
                self.asking.remove(&source, id);
                self.users.insert(user, id);
                entry.holder = Holder::User(user);
            }
            Holder::Proxy => {
                self.proxies.remove(&id);
                entry.holder = Holder::ProvenProxy;
            }
            Holder::User(_) | Holder::ProvenProxy => {}
        }
        if self.users.count(&user) <= self.limits.per_user {
            return None;
        }
        // Not the one that has just brought the token, though it may be older than others.
        let oldest = self.users.oldest_but(&user, id)?;
        self.evict(oldest, Eviction::User)
    }

    /// A connection has ended.
    pub(super) fn remove(&mut self, id: u64) -> Option<H> {
        let entry = self.connections.remove(&id)?;
        match entry.holder {
            Holder::Source(source) => self.sources.remove(&source, id),
            Holder::Asking(source) => self.asking.remove(&source, id),
            Holder::User(user) => self.users.remove(&user, id),
            Holder::Proxy => {
                self.proxies.remove(&id);
            }
            Holder::ProvenProxy => {}
        }
        Some(entry.handle)
    }

    fn evict(&mut self, id: u64, why: Eviction) -> Evicted<H> {
        self.remove(id).map(|handle| (why, handle))
    }

    /// The oldest connection of a source that has as many as it may.
    fn crowded(&self, source: &Source) -> Option<u64> {
        (self.sources.count(source) >= self.limits.per_source)
            .then(|| self.sources.oldest(source))
            .flatten()
    }

    /// The connection that gives way to a new one: of those without a good token the oldest of the source that
    /// has most of them, first of those without a request. If there are few of these, the oldest of the user who has most, so that users with
    /// many connections do not keep newcomers from ever bringing a token.
    fn weakest(&self) -> Option<u64> {
        let (of_users, oldest_of_user) = self.users.fullest().unwrap_or_default();
        let of_user = (of_users > FEW).then_some(oldest_of_user);
        let unproven = self.sources.len() + self.asking.len() + self.proxies.len();
        if unproven < self.limits.in_all / SHARE_OF_NEWCOMERS && of_user.is_some() {
            return of_user;
        }
        let of_source = self.sources.fullest().or(self.asking.fullest());
        of_source
            .map(|(_, oldest)| oldest)
            .or(self.proxies.first().copied())
            .or(of_user)
    }
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Connections by whose they are, with those who have most at hand.
struct Holders<K> {
    held: HashMap<K, BTreeSet<u64>>,
    /// How many each has, and its oldest.
    ranked: BTreeSet<(usize, Reverse<u64>, K)>,
    len: usize,
}

impl<K> Default for Holders<K> {
    fn default() -> Self {
        Self {
            held: HashMap::new(),
            ranked: BTreeSet::new(),
            len: 0,
        }
    }
}

impl<K: Copy + Eq + Hash + Ord> Holders<K> {
    fn len(&self) -> usize {
        self.len
    }

    fn insert(&mut self, holder: K, id: u64) {
        self.change(holder, |ids| ids.insert(id));
    }

    fn remove(&mut self, holder: &K, id: u64) {
        self.change(*holder, |ids| ids.remove(&id));
    }

    fn change(&mut self, holder: K, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let ids = self.held.entry(holder).or_default();
        self.len -= ids.len();
        if let Some(oldest) = ids.first() {
            self.ranked.remove(&(ids.len(), Reverse(*oldest), holder));
        }
        change(ids);
        self.len += ids.len();
        match ids.first() {
            Some(oldest) => {
                self.ranked.insert((ids.len(), Reverse(*oldest), holder));
            }
            None => {
                self.held.remove(&holder);
            }
        }
    }

    fn count(&self, holder: &K) -> usize {
        self.held.get(holder).map_or(0, BTreeSet::len)
    }

    fn oldest(&self, holder: &K) -> Option<u64> {
        self.held.get(holder)?.first().copied()
    }

    fn oldest_but(&self, holder: &K, but: u64) -> Option<u64> {
        let ids = self.held.get(holder)?;
        ids.iter().copied().find(|id| *id != but)
    }

    /// Who has most: how many, and the oldest of them.
    fn fullest(&self) -> Option<(usize, u64)> {
        let (count, Reverse(oldest), _) = self.ranked.last()?;
        Some((*count, *oldest))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn registry(in_all: usize, per_source: usize, per_user: usize) -> Registry<u64> {
        Registry::new(Limits {
            in_all,
            per_source,
            per_user,
        })
    }

    fn source(number: u8) -> Option<Source> {
        Some(IpAddr::from([127, 0, 0, number]).into())
    }

    fn user(number: u8) -> UserId {
        UserId::derive("i", &number.to_string())
    }

    #[test]
    fn a_source_at_its_limit_loses_its_oldest_connection_without_a_token_and_nobody_elses() {
        let mut registry = registry(100, 2, 100);
        let other = registry.admit(source(2), |id| id).unwrap().0;
        let proven = registry.admit(source(1), |id| id).unwrap().0;
        assert_eq!(registry.prove(proven, user(1)), None);
        let first = registry.admit(source(1), |id| id).unwrap().0;
        registry.admit(source(1), |id| id).unwrap();
        let (_, evicted) = registry.admit(source(1), |id| id).unwrap();
        assert_eq!(evicted, Some((Eviction::Source, first)));
        assert!(
            [other, proven]
                .iter()
                .all(|id| registry.handles().any(|open| open == id))
        );
    }

    #[test]
    fn a_connection_whose_request_is_being_answered_gives_way_last() {
        let mut registry = registry(4, 2, 4);
        let ids: Vec<_> = (0..3)
            .map(|_| {
                let (id, evicted) = registry.admit(source(1), |id| id).unwrap();
                registry.asks(id);
                assert_eq!(evicted, None, "none of them is without a request");
                id
            })
            .collect();
        let silent = registry.admit(source(2), |id| id).unwrap().0;
        let (_, evicted) = registry.admit(source(3), |id| id).unwrap();
        assert_eq!(evicted, Some((Eviction::Full, silent)));
        assert_eq!(registry.answered(ids[0]), None);
        assert_eq!(registry.answered(ids[1]), None);
        assert_eq!(
            registry.answered(ids[2]),
            Some((Eviction::Source, ids[0])),
            "the limit of the source"
        );
    }

    #[test]
    fn what_is_full_loses_what_never_brought_a_token_of_the_source_that_has_most() {
        let mut registry = registry(5, 5, 5);
        let proven = registry.admit(source(1), |id| id).unwrap().0;
        registry.prove(proven, user(1));
        registry.admit(source(2), |id| id).unwrap();
        let many: Vec<_> = (0..3)
            .map(|_| registry.admit(source(1), |id| id).unwrap().0)
            .collect();
        let (_, evicted) = registry.admit(source(3), |id| id).unwrap();
        assert_eq!(evicted, Some((Eviction::Full, many[0])));
    }

    #[test]
    fn a_user_with_many_connections_keeps_no_newcomer_out_and_takes_none_of_another_user() {
        let mut registry = registry(40, 40, 20);
        let bob = registry.admit(source(9), |id| id).unwrap().0;
        registry.prove(bob, user(2));
        for number in 0..100 {
            let (id, evicted) = registry.admit(source(number), |id| id).unwrap();
            assert_ne!(evicted, Some((Eviction::Full, bob)));
            if let Some((why, evicted)) = registry.prove(id, user(1)) {
                assert_eq!(why, Eviction::User);
                assert_ne!(evicted, bob);
            }
        }
        assert_eq!(registry.connections.len(), 21);
        let newcomer = registry.admit(source(3), |id| id);
        assert!(newcomer.is_ok_and(|(_, evicted)| evicted.is_none()));
    }

    #[test]
    fn who_has_few_connections_with_a_token_keeps_them_and_a_newcomer_is_refused() {
        let mut registry = registry(4, 4, 4);
        for number in 0..4 {
            let (id, _) = registry.admit(source(1), |id| id).unwrap();
            registry.prove(id, user(number));
        }
        assert_eq!(registry.admit(source(2), |id| id), Err(Full));
    }

    #[test]
    fn a_trusted_proxy_has_no_limit_of_a_source() {
        let mut registry = registry(10, 1, 1);
        for _ in 0..10 {
            let (id, evicted) = registry.admit(None, |id| id).unwrap();
            assert_eq!(evicted, None);
            assert_eq!(registry.prove(id, user(1)), None);
        }
    }

    fn check<K: Copy + Eq + Hash + Ord>(holders: &Holders<K>) {
        let held = holders.held.values().map(BTreeSet::len).sum::<usize>();
        assert_eq!(holders.len, held);
        assert_eq!(holders.ranked.len(), holders.held.len());
    }

    proptest! {
        #[test]
        fn the_tables_agree_and_never_outgrow_their_limits(
            steps in proptest::collection::vec((0u8..6, 0u8..5, 0usize..40), 0..300),
        ) {
            let mut registry = registry(12, 4, 5);
            let mut open: Vec<u64> = Vec::new();
            for (what, whose, which) in steps {
                let gone = match what {
                    0 | 1 => {
                        let source = if whose == 4 { None } else { source(whose) };
                        match registry.admit(source, |id| id) {
                            Ok((id, evicted)) => {
                                open.push(id);
                                evicted
                            }
                            Err(Full) => None,
                        }
                    }
                    _ if open.is_empty() => None,
                    2 => registry.prove(open[which % open.len()], user(whose)),
                    3 => {
                        registry.asks(open[which % open.len()]);
                        None
                    }
                    4 => registry.answered(open[which % open.len()]),
                    _ => {
                        let id = open[which % open.len()];
                        registry.remove(id).map(|handle| (Eviction::Full, handle))
                    }
                };
                open.retain(|id| gone.is_none_or(|(_, gone)| gone != *id));
                prop_assert!(registry.connections.len() <= 12);
                prop_assert_eq!(registry.connections.len(), open.len());
                prop_assert!(registry.sources.held.values().all(|ids| (1..=4).contains(&ids.len())));
                prop_assert!(registry.users.held.values().all(|ids| (1..=5).contains(&ids.len())));
                check(&registry.sources);
                check(&registry.asking);
                check(&registry.users);
            }
        }
    }
}
