//! How much of the journal one user may take: messages under way, so that the others find places.

use std::{sync::Arc, time::Duration};

use foldhash::HashMap;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use resource_server::principal::UserId;

/// Of whatever all users share, one may take a third: two who take all they can leave a third to the others.
pub(super) const fn share_of(all: usize) -> usize {
    let third = all / 3;
    if third == 0 { 1 } else { third }
}

/// How many users there are before those of whom nothing is under way are looked for.
const FEW_USERS: usize = 256;

/// Counts the messages of each user that are admitted and not finished.
pub(super) struct Shares {
    each: usize,
    failfast: Duration,
    users: Mutex<Users>,
}

struct Users {
    /// Those of whom a message is under way, and some whose last one has ended.
    by_id: HashMap<UserId, Arc<Semaphore>>,
    sweep_at: usize,
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
            users: Mutex::new(Users {
                by_id: HashMap::default(),
                sweep_at: FEW_USERS,
            }),
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
        if users.by_id.len() >= users.sweep_at {
            // A share in use is known in another place as well.
            users.by_id.retain(|_, share| Arc::strong_count(share) > 1);
            users.sweep_at = (2 * users.by_id.len()).max(FEW_USERS);
        }
        let share = users.by_id.entry(user);
        Arc::clone(share.or_insert_with(|| Arc::new(Semaphore::new(self.each))))
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
        assert!(shares.users.lock().by_id.len() <= FEW_USERS);
    }
}
