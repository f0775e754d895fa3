//! How much of the journal one user may take: messages under way, so that the others find places.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use resource_server::{gate::Permit, principal::UserId};

/// Of whatever all users share, one may take a third: two who take all they can leave a third to the others.
pub(super) const fn share_of(all: usize) -> usize {
    let third = all / 3;
    if third == 0 { 1 } else { third }
}

/// Counts the messages of each user that are admitted and not finished.
pub(super) struct Shares {
    each: usize,
    failfast: Duration,
    /// The users of whom a message is under way, and some whose last one has ended.
    users: Mutex<HashMap<UserId, Weak<Semaphore>>>,
}

/// A message's place among those under way. Held for its drop alone.
pub(super) struct Place {
    _permit: Permit,
    _share: Option<Share>,
}

impl Place {
    pub(super) const fn new(permit: Permit, share: Option<Share>) -> Self {
        Self {
            _permit: permit,
            _share: share,
        }
    }
}

/// A message's place among those of its user.
pub(super) struct Share(
    #[expect(dead_code, reason = "held for its drop alone")] OwnedSemaphorePermit,
);

/// No place became free in time.
pub(super) struct UsedUp;

impl Shares {
    /// At most `each` messages of each user; another waits for at most `failfast`.
    pub(super) fn new(each: usize, failfast: Duration) -> Self {
        Self {
            each,
            failfast,
            users: Mutex::default(),
        }
    }

    /// Takes a place of the user's share, and waits for one if necessary.
    pub(super) async fn admit(&self, user: UserId) -> Result<Share, UsedUp> {
        let share = self.of(user);
        if let Ok(permit) = Arc::clone(&share).try_acquire_owned() {
            return Ok(Share(permit));
        }
        match timeout(self.failfast, share.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Share(permit)),
            Ok(Err(_)) | Err(_) => Err(UsedUp),
        }
    }

    fn of(&self, user: UserId) -> Arc<Semaphore> {
        let mut users = self.users.lock();
        if let Some(share) = users.get(&user).and_then(Weak::upgrade) {
            return share;
        }
        // Those whose last message has ended are removed before the map grows, so it has at most twice as many
        // as are under way.
        if users.len() == users.capacity() {
            users.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Semaphore::new(self.each));
        users.insert(user, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_used_up_share_is_its_users_affair_alone() {
        let shares = Shares::new(2, Duration::from_millis(1));
        let [ann, bob] = ["ann", "bob"].map(|name| UserId::derive("i", name));
        let first = shares.admit(ann).await.ok().unwrap();
        let _second = shares.admit(ann).await.ok().unwrap();
        assert!(shares.admit(ann).await.is_err());
        assert!(shares.admit(bob).await.is_ok());
        drop(first);
        assert!(shares.admit(ann).await.is_ok());
    }

    #[actix_rt::test]
    async fn users_whose_messages_have_ended_are_forgotten() {
        let shares = Shares::new(1, Duration::from_millis(1));
        for number in 0..100_000 {
            let user = UserId::derive("i", &number.to_string());
            assert!(shares.admit(user).await.is_ok());
        }
        assert!(shares.users.lock().capacity() < 100);
    }
}
