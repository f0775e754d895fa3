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
    pub(crate) in_all: usize,
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

    /// Whether [`Registry::open`] would stay within the limits: there is a free slot, or the user's own
    /// session or an expired one can be removed.
    pub(crate) fn has_room(&self, user: UserId, now: Timestamp) -> bool {
        self.slots.len() < self.limits.in_all
            || self.sessions_of(user).len() >= self.limits.per_user
            || self.slots.values().any(|slot| self.expired(slot, now))
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
        if self.slots.len() >= self.limits.in_all {
            gone = self.expire(now);
        }
        if self.sessions_of(owner.user).len() >= self.limits.per_user {
            let longest_idle = self
                .sessions_of(owner.user)
                .iter()
                .copied()
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

    fn registry(in_all: usize, per_user: usize) -> Registry<u32> {
        Registry::new(Limits {
            in_all,
            per_user,
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
        fn the_tables_never_outgrow_their_limits(steps in proptest::collection::vec((0u8..5, 0u8..4, 0i64..40), 0..200)) {
            let mut registry = registry(6, 2);
            let (mut now, mut known) = (0, Vec::new());
            for (what, user, wait) in steps {
                now += wait / 8;
                let owner = owner(&user.to_string(), "host");
                if what < 3 {
                    if registry.has_room(owner.user, at(now)) {
                        let id = SessionId::random();
                        registry.open(id, owner, 0, at(now));
                        known.push(id);
                    }
                } else if let Some(id) = known.pop() {
                    registry.close(&id, &owner, at(now));
                }
                prop_assert!(registry.len() <= 6);
                prop_assert!(registry.by_user.values().all(|ids| (1..=2).contains(&ids.len())));
                prop_assert_eq!(registry.by_user.values().map(Vec::len).sum::<usize>(), registry.len());
            }
        }
    }
}
