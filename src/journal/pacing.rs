//! Spaces out the heavy messages of each user, so that others find a processor.
//!
//! A search, a summary, an export or the deletion of a tag keeps a processor busy for as long as it runs. Of each
//! user so many are executed at once. While others use the journal too, a user's next one starts only when a
//! multiple of the time has passed that the one before took. Who has the journal alone never waits for that.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until, timeout},
};

use resource_server::principal::UserId;

use super::shares::UsedUp;

/// How long the pause after a heavy message is, in multiples of the time that it took: a fifth of the time of one
/// processor is left to each user.
const PAUSE: u32 = 4;

/// The longest pause. Below what a message waits at most, so that a user who sends one at a time is never refused.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// For how long somebody counts as using the journal after a message.
const RECENT: Duration = Duration::from_secs(1);

/// How many users there are before those that have rested are looked for.
const FEW_USERS: usize = 256;

/// Who may begin a heavy message, and when.
pub(super) struct Pacing {
    /// How many heavy messages of a user are executed at once.
    each: usize,
    /// How long one waits for its turn at most.
    patience: Duration,
    /// Who sent the last message, and when somebody else last sent one.
    recent: Mutex<Recent>,
    users: Mutex<Users>,
}

#[derive(Default)]
struct Recent {
    last: Option<(UserId, Instant)>,
    /// The last message of anybody but the user of `last`.
    other: Option<Instant>,
}

struct Users {
    by_id: HashMap<UserId, Arc<User>>,
    sweep_at: usize,
}

struct User {
    turns: Arc<Semaphore>,
    /// When the pause is over.
    rested_at: Mutex<Instant>,
    each: u32,
}

/// A user's turn to have a heavy message executed, until it is dropped. Then the pause begins.
pub(super) struct Turn {
    user: Arc<User>,
    began: Option<Instant>,
    #[expect(dead_code, reason = "held for its drop")]
    permit: OwnedSemaphorePermit,
}

impl Pacing {
    /// At most `each` heavy messages of each user at once; another waits for at most `patience`.
    pub(super) fn new(each: usize, patience: Duration) -> Self {
        Self {
            each,
            patience,
            recent: Mutex::default(),
            users: Mutex::new(Users {
                by_id: HashMap::new(),
                sweep_at: FEW_USERS,
            }),
        }
    }

    /// A user has sent a message, of whatever kind.
    pub(super) fn note(&self, user: UserId, now: Instant) {
        let mut recent = self.recent.lock();
        match &mut recent.last {
            Some((last, at)) if *last == user => *at = now,
            last => {
                let before = last.replace((user, now));
                recent.other = before.map(|(_, at)| at);
            }
        }
    }

    /// Waits until the user may begin another heavy message.
    ///
    /// # Errors
    /// It took too long.
    pub(super) async fn turn(&self, user: UserId) -> Result<Turn, UsedUp> {
        let paced = self.of(user);
        let turn = async {
            let permit = Arc::clone(&paced.turns).acquire_owned().await;
            let permit = permit.map_err(|_| UsedUp)?;
            let rested_at = *paced.rested_at.lock();
            if Instant::now() < rested_at && self.others_are_there(user) {
                sleep_until(rested_at).await;
            }
            Ok(permit)
        };
        match timeout(self.patience, turn).await {
            Ok(permit) => Ok(Turn {
                permit: permit?,
                user: Arc::clone(&paced),
                began: None,
            }),
            Err(_) => Err(UsedUp),
        }
    }

    /// Whether anybody but this user has used the journal lately.
    fn others_are_there(&self, user: UserId) -> bool {
        let recent = self.recent.lock();
        let last_of_others = match recent.last {
            Some((last, at)) if last != user => Some(at),
            _ => recent.other,
        };
        last_of_others.is_some_and(|at| at.elapsed() < RECENT)
    }

    fn of(&self, user: UserId) -> Arc<User> {
        let mut users = self.users.lock();
        if users.by_id.len() >= users.sweep_at {
            let now = Instant::now();
            // Who waits or has a turn is known in another place as well.
            users
                .by_id
                .retain(|_, user| Arc::strong_count(user) > 1 || *user.rested_at.lock() > now);
            users.sweep_at = (2 * users.by_id.len()).max(FEW_USERS);
        }
        let paced = users.by_id.entry(user).or_insert_with(|| {
            Arc::new(User {
                turns: Arc::new(Semaphore::new(self.each)),
                rested_at: Mutex::new(Instant::now()),
                each: u32::try_from(self.each).unwrap_or(u32::MAX).max(1),
            })
        });
        Arc::clone(paced)
    }
}

impl Turn {
    /// The message is executed from now on. Before, it may have waited for an actor, which is no work.
    pub(super) fn begin(&mut self) {
        self.began = Some(Instant::now());
    }

    fn end(&self, took: Duration) {
        let pause = (took * PAUSE / self.user.each).min(LONGEST_PAUSE);
        let now = Instant::now();
        let mut rested_at = self.user.rested_at.lock();
        // Those that ran at the same time add up.
        *rested_at = ((*rested_at).max(now) + pause).min(now + LONGEST_PAUSE);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(began) = self.began {
            self.end(began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, poll};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    fn users<const N: usize>(names: [&str; N]) -> [UserId; N] {
        names.map(|name| UserId::derive("i", name))
    }

    /// A turn in which work of so long was done.
    async fn worked(pacing: &Pacing, user: UserId, took: Duration) {
        let turn = pacing.turn(user).await.ok().unwrap();
        turn.end(took);
    }

    #[actix_rt::test]
    async fn a_users_next_heavy_message_waits_while_others_use_the_journal() {
        let pacing = Pacing::new(1, PATIENCE);
        let [ann, bob] = users(["ann", "bob"]);
        let now = Instant::now();
        pacing.note(bob, now);
        pacing.note(ann, now);
        worked(&pacing, ann, Duration::from_millis(10)).await;
        // Another's comes at once.
        assert!(pacing.turn(bob).now_or_never().is_some());
        let waits = pacing.turn(ann).await;
        assert!(waits.is_ok());
        assert!(now.elapsed() >= PAUSE * Duration::from_millis(10));
    }

    #[actix_rt::test]
    async fn who_has_the_journal_alone_does_not_wait() {
        let pacing = Pacing::new(1, PATIENCE);
        let [ann, bob] = users(["ann", "bob"]);
        let now = Instant::now();
        if let Some(long_ago) = now.checked_sub(2 * RECENT) {
            pacing.note(bob, long_ago);
        }
        pacing.note(ann, now);
        for _ in 0..3 {
            worked(&pacing, ann, Duration::from_secs(10)).await;
            assert!(pacing.turn(ann).now_or_never().is_some());
        }
    }

    #[actix_rt::test]
    async fn so_many_heavy_messages_of_a_user_are_executed_at_once() {
        let pacing = Pacing::new(2, PATIENCE);
        let [ann, bob] = users(["ann", "bob"]);
        let first = pacing.turn(ann).await.ok().unwrap();
        let _second = pacing.turn(ann).await.ok().unwrap();
        let mut third = Box::pin(pacing.turn(ann));
        assert!(poll!(&mut third).is_pending());
        assert!(pacing.turn(bob).now_or_never().is_some());
        drop(first);
        assert!(third.await.is_ok());
    }

    #[actix_rt::test]
    async fn who_waits_for_too_long_is_told_so() {
        let pacing = Pacing::new(1, Duration::from_millis(10));
        let [ann, bob] = users(["ann", "bob"]);
        let held = pacing.turn(ann).await.ok().unwrap();
        assert!(pacing.turn(ann).await.is_err());
        drop(held);
        assert!(pacing.turn(ann).await.is_ok());
        pacing.note(bob, Instant::now());
        worked(&pacing, ann, Duration::from_millis(100)).await;
        assert!(pacing.turn(ann).await.is_err(), "the pause is longer");
    }

    #[actix_rt::test]
    async fn a_message_that_was_never_executed_causes_no_pause() {
        let pacing = Pacing::new(1, PATIENCE);
        let [ann, bob] = users(["ann", "bob"]);
        pacing.note(bob, Instant::now());
        drop(pacing.turn(ann).await);
        assert!(pacing.turn(ann).now_or_never().is_some());
    }

    #[actix_rt::test]
    async fn users_who_have_rested_are_forgotten() {
        let pacing = Pacing::new(1, PATIENCE);
        for number in 0..10 * FEW_USERS {
            let user = UserId::derive("i", &number.to_string());
            assert!(pacing.turn(user).await.is_ok());
        }
        assert!(pacing.users.lock().by_id.len() <= FEW_USERS);
    }
}
