//! The registry of sessions: their owners and their expiry. No I/O; the time is a parameter.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use derive_more::{Debug, Display};

use resource_server::{
    clock::Timestamp,
    principal::{Owner, UserId},
};

/// The id of a session: 192 random bits, written as 32 visible characters (MCP 2025-11-25, Transports,
/// Session Management). Not a credential, but not guessable either.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Hash)]
#[debug("SessionId({}…)", &URL_SAFE_NO_PAD.encode(_0)[..6])]
#[display("{}", URL_SAFE_NO_PAD.encode(_0))]
pub(crate) struct SessionId([u8; 24]);

impl SessionId {
    /// A new id.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    #[must_use]
    pub(crate) fn random() -> Self {
        let mut id = [0; 24];
        getrandom::fill(&mut id).expect("the operating system gives random bytes");
        Self(id)
    }

    /// Parses an id; `None` if it is malformed.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 {
            return None;
        }
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of all users.
    pub(crate) in_all: usize,
    /// Of one user with one client.
    pub(crate) per_client: usize,
    /// Of one user with all clients.
    pub(crate) per_user: usize,
    pub(crate) idle: TimeDelta,
    pub(crate) lifetime: TimeDelta,
}

/// Sessions by id, with their owners. `L` is the handle of a session.
pub(crate) struct Registry<L> {
    limits: Limits,
    slots: HashMap<SessionId, Slot<L>>,
    by_user: HashMap<UserId, Vec<SessionId>>,
}

struct Slot<L> {
    owner: Owner,
    session: L,
    opened_at: Timestamp,
    used_at: Timestamp,
}

impl<L: Clone> Registry<L> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: HashMap::new(),
            by_user: HashMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = &L> {
        self.slots.values().map(|slot| &slot.session)
    }

    /// Whether [`Registry::open`] would stay within the limits: there is a free slot, or an expired session or one
    /// of the same owner can be removed. A session never gives way to another owner, be it another client of the
    /// same user: a client that opens sessions without end would take them from all the others.
    pub(crate) fn has_room(&self, owner: &Owner, now: Timestamp) -> bool {
        let of_user = self.sessions_of(owner.user);
        let of_owner = self.of_owner(owner).count();
        let user_is_full = of_user.len() >= self.limits.per_user;
        if of_owner >= self.limits.per_client || user_is_full && of_owner > 0 {
            return true;
        }
        let has_expired = |id| {
            let slot = self.slots.get(id);
            slot.is_some_and(|slot| self.expired(slot, now))
        };
        (!user_is_full || of_user.iter().any(has_expired))
            && (self.slots.len() < self.limits.in_all || self.slots.keys().any(has_expired))
    }

    /// Adds a session; returns the sessions that were removed for it.
    pub(crate) fn open(
        &mut self,
        id: SessionId,
        owner: Owner,
        session: L,
        now: Timestamp,
    ) -> Vec<L> {
        let mut gone = Vec::new();
        let user_is_full =
            |registry: &Self| registry.sessions_of(owner.user).len() >= registry.limits.per_user;
        if self.slots.len() >= self.limits.in_all || user_is_full(self) {
            gone = self.expire(now);
        }
        if user_is_full(self) || self.of_owner(&owner).count() >= self.limits.per_client {
            let longest_idle = self
                .of_owner(&owner)
                .min_by_key(|id| self.slots.get(id).map(|slot| slot.used_at));
            gone.extend(longest_idle.and_then(|id| self.remove(&id)));
        }
        self.by_user.entry(owner.user).or_default().push(id);
        self.slots.insert(
            id,
            Slot {
                owner,
                session,
                opened_at: now,
                used_at: now,
            },
        );
        gone
    }

    /// A session of the owner that has not expired; marks it as used.
    pub(crate) fn find(&mut self, id: &SessionId, owner: &Owner, now: Timestamp) -> Option<L> {
        let limits = self.limits;
        let slot = self.slots.get_mut(id)?;
        if slot.owner != *owner || slot.has_expired(limits, now) {
            return None;
        }
        slot.used_at = now;
        Some(slot.session.clone())
    }

    /// Whether a session has another owner.
    pub(crate) fn is_anothers(&self, id: &SessionId, owner: &Owner) -> bool {
        self.slots.get(id).is_some_and(|slot| slot.owner != *owner)
    }

    /// Removes a session of the owner that has not expired.
    pub(crate) fn close(&mut self, id: &SessionId, owner: &Owner, now: Timestamp) -> Option<L> {
        self.find(id, owner, now)?;
        self.remove(id)
    }

    /// The clock was set back by this: sessions are as old and as long idle as they were before.
    pub(crate) fn clock_set_back(&mut self, by: TimeDelta) {
        let earlier = |at: Timestamp| at.checked_sub_signed(by).unwrap_or(Timestamp::MIN_UTC);
        for slot in self.slots.values_mut() {
            slot.opened_at = earlier(slot.opened_at);
            slot.used_at = earlier(slot.used_at);
        }
    }

    /// Removes all expired sessions.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Vec<L> {
        let expired: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, slot)| self.expired(slot, now))
            .map(|(id, _)| *id)
            .collect();
        expired.iter().filter_map(|id| self.remove(id)).collect()
    }

    fn expired(&self, slot: &Slot<L>, now: Timestamp) -> bool {
        slot.has_expired(self.limits, now)
    }

    fn sessions_of(&self, user: UserId) -> &[SessionId] {
        self.by_user.get(&user).map_or(&[], Vec::as_slice)
    }

    fn of_owner(&self, owner: &Owner) -> impl Iterator<Item = SessionId> {
        let ids = self.sessions_of(owner.user).iter().copied();
        ids.filter(|id| {
            let slot = self.slots.get(id);
            slot.is_some_and(|slot| slot.owner == *owner)
        })
    }

    /// Removes a session of any owner.
    pub(crate) fn remove(&mut self, id: &SessionId) -> Option<L> {
        let slot = self.slots.remove(id)?;
        if let Some(ids) = self.by_user.get_mut(&slot.owner.user) {
            ids.retain(|other| other != id);
            if ids.is_empty() {
                self.by_user.remove(&slot.owner.user);
            }
        }
        Some(slot.session)
    }
}

impl<L> Slot<L> {
    fn has_expired(&self, limits: Limits, now: Timestamp) -> bool {
        now - self.used_at >= limits.idle || now - self.opened_at >= limits.lifetime
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn registry(in_all: usize, per_client: usize) -> Registry<u32> {
        Registry::new(Limits {
            in_all,
            per_client,
            per_user: 2 * per_client,
            idle: TimeDelta::seconds(10),
            lifetime: TimeDelta::seconds(25),
        })
    }

    fn owner(subject: &str, client: &str) -> Owner {
        Owner {
            user: UserId::derive("i", subject),
            client: Some(client.to_owned()),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// SEC-02.
    #[test]
    fn a_session_is_found_by_its_owner_alone() {
        let mut registry = registry(10, 10);
        let id = SessionId::random();
        registry.open(id, owner("a", "host"), 1, at(0));
        assert_eq!(registry.find(&id, &owner("a", "host"), at(0)), Some(1));
        assert!(!registry.is_anothers(&id, &owner("a", "host")));
        for other in [owner("b", "host"), owner("a", "other")] {
            assert_eq!(registry.find(&id, &other, at(0)), None);
            assert_eq!(registry.close(&id, &other, at(0)), None);
            assert!(registry.is_anothers(&id, &other));
        }
        assert_eq!(registry.close(&id, &owner("a", "host"), at(0)), Some(1));
        assert_eq!(registry.find(&id, &owner("a", "host"), at(0)), None);
    }

    /// SEC-02.
    #[test]
    fn a_session_expires_when_idle_and_at_the_latest_after_its_lifetime() {
        let mut registry = registry(10, 10);
        let (id, owner) = (SessionId::random(), owner("a", "host"));
        registry.open(id, owner.clone(), 1, at(0));
        assert_eq!(registry.find(&id, &owner, at(9)), Some(1));
        assert_eq!(registry.find(&id, &owner, at(18)), Some(1));
        assert_eq!(registry.find(&id, &owner, at(25)), None);
        assert_eq!(registry.expire(at(25)), [1]);
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_session() {
        let mut registry = registry(10, 10);
        let (id, owner) = (SessionId::random(), owner("a", "host"));
        registry.open(id, owner.clone(), 1, at(1_000));
        registry.clock_set_back(TimeDelta::seconds(900));
        assert_eq!(registry.find(&id, &owner, at(109)), Some(1));
        assert_eq!(registry.expire(at(125)), [1]);
    }

    #[test]
    fn a_users_longest_idle_session_gives_way_and_nobody_elses() {
        let mut registry = registry(10, 2);
        let ids: Vec<_> = (0..4).map(|_| SessionId::random()).collect();
        registry.open(ids[0], owner("b", "host"), 0, at(0));
        registry.open(ids[1], owner("a", "host"), 1, at(0));
        registry.open(ids[2], owner("a", "host"), 2, at(1));
        registry.find(&ids[1], &owner("a", "host"), at(2));
        assert_eq!(registry.open(ids[3], owner("a", "host"), 3, at(3)), [2]);
        assert_eq!(registry.find(&ids[0], &owner("b", "host"), at(3)), Some(0));
    }

    #[test]
    fn no_client_of_a_user_takes_a_session_of_another_client() {
        let mut registry = registry(100, 2);
        let mut open = |client: &str, number| {
            let owner = owner("a", client);
            let has_room = registry.has_room(&owner, at(0));
            has_room.then(|| registry.open(SessionId::random(), owner, number, at(0)))
        };
        assert_eq!(open("host", 1), Some(vec![]));
        for number in 2..4 {
            assert_eq!(open("hostile", number), Some(vec![]));
        }
        assert_eq!(open("hostile", 4), Some(vec![2]), "its own gives way");
        assert_eq!(open("third", 5), Some(vec![]));
        // The user has as many as it may have: who has one gives one up for another, and who has none is refused.
        assert_eq!(open("host", 6), Some(vec![1]));
        assert_eq!(open("fourth", 7), None);
    }

    /// L-06.
    #[test]
    fn an_id_is_read_back_and_nothing_else_is() {
        let id = SessionId::random();
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        for text in ["", "x", &"ä".repeat(16), &"=".repeat(32)] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }

    proptest! {
        /// PF-06.
        #[test]
        fn the_tables_never_outgrow_their_limits(
            steps in proptest::collection::vec((0u8..5, 0u8..3, 0u8..3, 0i64..40), 0..200),
        ) {
            let mut registry = registry(9, 2);
            let (mut now, mut known) = (0, Vec::new());
            for (what, user, client, wait) in steps {
                now += wait / 8;
                let owner = owner(&user.to_string(), &client.to_string());
                if what < 3 {
                    if registry.has_room(&owner, at(now)) {
                        let id = SessionId::random();
                        let number = u32::try_from(known.len()).unwrap();
                        let gone = registry.open(id, owner.clone(), number, at(now));
                        known.push((id, owner.clone(), now));
                        for number in gone {
                            let (_, of, opened) = &known[number as usize];
                            prop_assert!(*of == owner || now - opened >= 10, "another's gave way");
                        }
                    }
                } else if let Some((id, ..)) = known.get(usize::from(user) * 7) {
                    registry.close(id, &owner, at(now));
                }
                prop_assert!(registry.len() <= 9);
                prop_assert!(registry.by_user.values().all(|ids| (1..=4).contains(&ids.len())));
                prop_assert!(known.iter().all(|(_, owner, _)| registry.of_owner(owner).count() <= 2));
                prop_assert_eq!(registry.by_user.values().map(Vec::len).sum::<usize>(), registry.len());
            }
        }
    }
}
