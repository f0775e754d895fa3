//! The registry of sessions: their owners and their expiry. No I/O; the time is a parameter.

use std::collections::{HashMap, VecDeque};

use chrono::TimeDelta;

use super::limits::Limits;
use mcp_protocol::session_id::{SessionId, SessionName};
use resource_server::{
    clock::Timestamp,
    principal::{Owner, UserId},
};

/// The sessions whose end is remembered by name, for those who read before it that they have not ended.
const LATEST_ENDS: usize = 256;

impl Limits {
    /// Whether the lifetime of a session that began then is over.
    pub(crate) fn is_over(&self, begun_at: Timestamp, now: Timestamp) -> bool {
        now - begun_at >= self.lifetime
    }

    /// When the lifetime of a session that began then is over.
    pub(crate) fn end_of(&self, begun_at: Timestamp) -> Timestamp {
        let end = begun_at.checked_add_signed(self.lifetime);
        end.unwrap_or(Timestamp::MAX_UTC)
    }
}

/// Sessions by id, with their owners. `L` is the handle of a session.
pub(crate) struct Registry<L> {
    limits: Limits,
    slots: HashMap<SessionId, Slot<L>>,
    by_user: HashMap<UserId, Vec<SessionId>>,
    by_name: HashMap<SessionName, SessionId>,
    /// How much was heard of other processes.
    heard: Since,
    /// The latest sessions that were said to have ended.
    latest_ends: VecDeque<SessionName>,
}

/// How much was heard of other processes at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Since {
    /// The number of sessions that were said to have ended.
    ends: u64,
    /// How often something may have been missed.
    doubts: u64,
}

struct Slot<L> {
    owner: Owner,
    session: L,
    begun_at: Timestamp,
    used_at: Timestamp,
    /// The doubts at the time when it was known that it has not ended.
    doubts: u64,
}

impl<L: Clone> Registry<L> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: HashMap::new(),
            by_user: HashMap::new(),
            by_name: HashMap::new(),
            heard: Since::default(),
            latest_ends: VecDeque::new(),
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

    /// Adds a session that began at `begun_at`; returns the sessions that were removed for it.
    pub(crate) fn open(
        &mut self,
        id: SessionId,
        owner: Owner,
        session: L,
        begun_at: Timestamp,
        now: Timestamp,
    ) -> Vec<L> {
        // One that has expired and was not removed yet.
        let mut gone = Vec::from_iter(self.remove(&id));
        let user_is_full =
            |registry: &Self| registry.sessions_of(owner.user).len() >= registry.limits.per_user;
        if self.slots.len() >= self.limits.in_all || user_is_full(self) {
            gone.extend(self.expire(now));
        }
        if user_is_full(self) || self.of_owner(&owner).count() >= self.limits.per_client {
            let longest_idle = self
                .of_owner(&owner)
                .min_by_key(|id| self.slots.get(id).map(|slot| slot.used_at));
            gone.extend(longest_idle.and_then(|id| self.remove(&id)));
        }
        self.by_user.entry(owner.user).or_default().push(id);
        self.by_name.insert(id.name(), id);
        self.slots.insert(
            id,
            Slot {
                owner,
                session,
                begun_at,
                used_at: now,
                doubts: self.heard.doubts,
            },
        );
        gone
    }

    /// A session of the owner that has not expired, and of which nothing may have been missed; marks it as used.
    pub(crate) fn find(&mut self, id: &SessionId, owner: &Owner, now: Timestamp) -> Option<L> {
        let limits = self.limits;
        let doubts = self.heard.doubts;
        let slot = self.slots.get_mut(id)?;
        if slot.owner != *owner || slot.has_expired(limits, now) || slot.doubts != doubts {
            return None;
        }
        slot.used_at = now;
        Some(slot.session.clone())
    }

    /// Marks a session of the owner as used, although something may have been missed of it.
    pub(crate) fn touch(&mut self, id: &SessionId, owner: &Owner, now: Timestamp) {
        let limits = self.limits;
        let slot = self.slots.get_mut(id);
        if let Some(slot) = slot.filter(|slot| slot.owner == *owner)
            && !slot.has_expired(limits, now)
        {
            slot.used_at = now;
        }
    }

    /// Like [`Registry::find`], for a session that is known not to have ended, by what was heard until `since`.
    pub(crate) fn confirm(
        &mut self,
        id: &SessionId,
        owner: &Owner,
        since: Since,
        now: Timestamp,
    ) -> Option<L> {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.doubts = slot.doubts.max(since.doubts);
        }
        self.find(id, owner, now)
    }

    /// Whether something may have been missed of a session.
    pub(crate) fn is_doubted(&self, id: &SessionId) -> bool {
        let slot = self.slots.get(id);
        slot.is_some_and(|slot| slot.doubts != self.heard.doubts)
    }

    /// Something may have been missed: no session is found until it is confirmed.
    pub(crate) fn doubt(&mut self) {
        self.heard.doubts += 1;
    }

    /// Whether a session has another owner.
    pub(crate) fn is_anothers(&self, id: &SessionId, owner: &Owner) -> bool {
        self.slots.get(id).is_some_and(|slot| slot.owner != *owner)
    }

    /// The limits.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A session of any owner, by its name.
    pub(crate) fn named(&self, name: &SessionName) -> Option<&L> {
        let id = self.by_name.get(name)?;
        self.slots.get(id).map(|slot| &slot.session)
    }

    /// A session was ended, here or by another process. Removes it, and says so to whoever asks with
    /// [`Registry::may_have_ended_since`].
    pub(crate) fn end(&mut self, name: &SessionName) -> Option<L> {
        self.heard.ends += 1;
        self.latest_ends.push_back(*name);
        if self.latest_ends.len() > LATEST_ENDS {
            self.latest_ends.pop_front();
        }
        let id = *self.by_name.get(name)?;
        self.remove(&id)
    }

    /// How much was heard so far.
    pub(crate) fn since(&self) -> Since {
        self.heard
    }

    /// Whether this session may be among those that have ended since. `true` as well where too many have ended to
    /// remember them, or some were missed.
    pub(crate) fn may_have_ended_since(&self, since: Since, name: &SessionName) -> bool {
        let new = self.heard.ends.saturating_sub(since.ends);
        let new = usize::try_from(new).unwrap_or(usize::MAX);
        self.heard.doubts > since.doubts
            || new > self.latest_ends.len()
            || self
                .latest_ends
                .iter()
                .rev()
                .take(new)
                .any(|ended| ended == name)
    }

    /// The clock was set back by this: sessions are as old and as long idle as they were before.
    pub(crate) fn clock_set_back(&mut self, by: TimeDelta) {
        let earlier = |at: Timestamp| at.checked_sub_signed(by).unwrap_or(Timestamp::MIN_UTC);
        for slot in self.slots.values_mut() {
            slot.begun_at = earlier(slot.begun_at);
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
        self.by_name.remove(&id.name());
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
        now - self.used_at >= limits.idle || limits.is_over(self.begun_at, now)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use mcp_protocol::{
        outgoing::ClientCapabilities,
        session_id::{SessionOwner, SessionSealer, SessionStart},
        version::ProtocolVersion,
    };

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

    /// A new id, as any sealer writes it.
    fn new_id() -> SessionId {
        let start = SessionStart {
            version: ProtocolVersion::NEWEST_LEGACY,
            capabilities: ClientCapabilities::default(),
            begun_at: at(0),
        };
        SessionSealer::random().seal(&SessionOwner::new(b"a", None), &start)
    }

    fn open(
        registry: &mut Registry<u32>,
        id: SessionId,
        owner: Owner,
        number: u32,
        now: Timestamp,
    ) -> Vec<u32> {
        registry.open(id, owner, number, now, now)
    }

    /// SEC-02.
    #[test]
    fn a_session_is_found_by_its_owner_alone() {
        let mut registry = registry(10, 10);
        let id = new_id();
        open(&mut registry, id, owner("a", "host"), 1, at(0));
        assert_eq!(registry.find(&id, &owner("a", "host"), at(0)), Some(1));
        assert!(!registry.is_anothers(&id, &owner("a", "host")));
        for other in [owner("b", "host"), owner("a", "other")] {
            assert_eq!(registry.find(&id, &other, at(0)), None);
            assert!(registry.is_anothers(&id, &other));
        }
        assert_eq!(registry.end(&id.name()), Some(1));
        assert_eq!(registry.find(&id, &owner("a", "host"), at(0)), None);
    }

    /// SEC-02.
    #[test]
    fn a_session_expires_when_idle_and_at_the_latest_after_its_lifetime() {
        let mut registry = registry(10, 10);
        let (id, owner) = (new_id(), owner("a", "host"));
        open(&mut registry, id, owner.clone(), 1, at(0));
        assert_eq!(registry.find(&id, &owner, at(9)), Some(1));
        assert_eq!(registry.find(&id, &owner, at(18)), Some(1));
        assert_eq!(registry.find(&id, &owner, at(25)), None);
        assert_eq!(registry.expire(at(25)), [1]);
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_session() {
        let mut registry = registry(10, 10);
        let (id, owner) = (new_id(), owner("a", "host"));
        open(&mut registry, id, owner.clone(), 1, at(1_000));
        registry.clock_set_back(TimeDelta::seconds(900));
        assert_eq!(registry.find(&id, &owner, at(109)), Some(1));
        assert_eq!(registry.expire(at(125)), [1]);
    }

    #[test]
    fn a_users_longest_idle_session_gives_way_and_nobody_elses() {
        let mut registry = registry(10, 2);
        let ids: Vec<_> = (0..4).map(|_| new_id()).collect();
        open(&mut registry, ids[0], owner("b", "host"), 0, at(0));
        open(&mut registry, ids[1], owner("a", "host"), 1, at(0));
        open(&mut registry, ids[2], owner("a", "host"), 2, at(1));
        registry.find(&ids[1], &owner("a", "host"), at(2));
        assert_eq!(
            open(&mut registry, ids[3], owner("a", "host"), 3, at(3)),
            [2]
        );
        assert_eq!(registry.find(&ids[0], &owner("b", "host"), at(3)), Some(0));
    }

    #[test]
    fn no_client_of_a_user_takes_a_session_of_another_client() {
        let mut registry = registry(100, 2);
        let mut open_for = |client: &str, number| {
            let owner = owner("a", client);
            let has_room = registry.has_room(&owner, at(0));
            has_room.then(|| open(&mut registry, new_id(), owner, number, at(0)))
        };
        assert_eq!(open_for("host", 1), Some(vec![]));
        for number in 2..4 {
            assert_eq!(open_for("hostile", number), Some(vec![]));
        }
        assert_eq!(open_for("hostile", 4), Some(vec![2]), "its own gives way");
        assert_eq!(open_for("third", 5), Some(vec![]));
        // The user has as many as it may have: who has one gives one up for another, and who has none is refused.
        assert_eq!(open_for("host", 6), Some(vec![1]));
        assert_eq!(open_for("fourth", 7), None);
    }

    /// A process that goes on with a session of another one keeps to the time of its begin.
    #[test]
    fn a_session_that_began_elsewhere_ends_when_it_would_have_there() {
        let mut registry = registry(10, 10);
        let (id, owner) = (new_id(), owner("a", "host"));
        registry.open(id, owner.clone(), 1, at(0), at(20));
        assert_eq!(registry.find(&id, &owner, at(24)), Some(1));
        assert_eq!(registry.find(&id, &owner, at(25)), None);
        // What is there under the same id and has expired makes room for it.
        registry.open(id, owner.clone(), 2, at(24), at(25));
        assert_eq!(registry.find(&id, &owner, at(34)), Some(2));
        assert_eq!(registry.len(), 1);
    }

    #[test]
    fn a_session_of_which_something_may_have_been_missed_is_found_again_when_it_is_confirmed() {
        let mut registry = registry(10, 10);
        let (id, owner) = (new_id(), owner("a", "host"));
        open(&mut registry, id, owner.clone(), 1, at(0));
        let before = registry.since();
        registry.doubt();
        registry.touch(&id, &owner, at(1));
        assert_eq!(registry.find(&id, &owner, at(1)), None);
        assert_eq!(registry.confirm(&id, &owner, before, at(1)), None);
        let since = registry.since();
        assert_eq!(registry.confirm(&id, &owner, since, at(10)), Some(1));
        assert_eq!(registry.find(&id, &owner, at(10)), Some(1));
    }

    #[test]
    fn what_ended_meanwhile_is_known_and_so_is_that_too_many_did() {
        let mut registry = registry(10, 10);
        let (one, other) = (new_id(), new_id());
        open(&mut registry, one, owner("a", "host"), 1, at(0));
        let before = registry.since();
        assert!(!registry.may_have_ended_since(before, &one.name()));
        assert_eq!(registry.named(&one.name()), Some(&1));
        assert_eq!(registry.end(&other.name()), None);
        assert!(!registry.may_have_ended_since(before, &one.name()));
        assert_eq!(registry.end(&one.name()), Some(1));
        assert_eq!(registry.named(&one.name()), None);
        assert!(registry.may_have_ended_since(before, &one.name()));
        assert!(!registry.may_have_ended_since(registry.since(), &one.name()));
        registry.doubt();
        assert!(registry.may_have_ended_since(before, &new_id().name()));
        let before = registry.since();
        for _ in 0..=LATEST_ENDS {
            registry.end(&other.name());
        }
        assert!(registry.may_have_ended_since(before, &new_id().name()));
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
                        let id = new_id();
                        let number = u32::try_from(known.len()).unwrap();
                        let gone = open(&mut registry, id, owner.clone(), number, at(now));
                        known.push((id, owner.clone(), now));
                        for number in gone {
                            let (_, of, opened) = &known[number as usize];
                            prop_assert!(*of == owner || now - opened >= 10, "another's gave way");
                        }
                    }
                } else if let Some((id, ..)) = known.get(usize::from(user) * 7) {
                    registry.end(&id.name());
                }
                prop_assert!(registry.len() <= 9);
                prop_assert!(registry.by_user.values().all(|ids| (1..=4).contains(&ids.len())));
                prop_assert!(known.iter().all(|(_, owner, _)| registry.of_owner(owner).count() <= 2));
                prop_assert_eq!(registry.by_user.values().map(Vec::len).sum::<usize>(), registry.len());
                prop_assert_eq!(registry.by_name.len(), registry.len());
            }
        }
    }
}
