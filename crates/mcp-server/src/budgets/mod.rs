//! *Purpose:* budgets of memory, for the process and for each who causes it: heads and bodies that are being
//! received, answers that are being sent, and events that are kept for resuming.
//!
//! *Used by:* `connections`, `http`, `session`, `server`.
//!
//! *Invariants:* nobody takes the last of a budget: each may have a quarter of it, and no more than the others
//! leave. So who has nothing yet always finds something, whatever others have. Taking and giving back are a few
//! atomic operations.
//!
//! *Start reading at* [`Budgets`], then [`Account`].

mod kinds;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use foldhash::HashMap;
use parking_lot::Mutex;

pub use self::kinds::MemoryLimits;
pub(crate) use self::kinds::{OverBudget, Payer, Use};

/// How many accounts there are before those without use are looked for.
const FEW_ACCOUNTS: usize = 1_024;

/// Of a budget, each may have one in so many bytes.
const SHARE: usize = 4;

/// An answer up to this size, in bytes, is sent whatever its user has waiting, because what a small answer tells of
/// may have changed something. The requests in flight bound how many there are.
const SMALL_ANSWER: usize = 64 * 1_024;

/// The budgets of a process.
pub(crate) struct Budgets {
    limits: Arc<Pools>,
    accounts: Mutex<Accounts>,
}

/// What all have together.
struct Pools {
    pools: [Pool; Use::ALL.len()],
    requests_per_user: usize,
}

struct Pool {
    limit: usize,
    used: AtomicUsize,
}

struct Accounts {
    /// Looked up for every request, so by a fast hasher, with a seed that each process draws.
    by_payer: HashMap<Payer, Arc<Used>>,
    sweep_at: usize,
}

/// What one has.
struct Used {
    all: Arc<Pools>,
    requests: AtomicUsize,
    bytes: [AtomicUsize; Use::ALL.len()],
}

/// The account of a user or a source. Clones are the same account.
#[derive(Clone)]
pub(crate) struct Account(Arc<Used>);

impl Used {
    fn nothing(all: &Arc<Pools>) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::clone(all),
            requests: AtomicUsize::new(0),
            bytes: Default::default(),
        })
    }

    fn of(&self, of: Use) -> (&Pool, &AtomicUsize) {
        (&self.all.pools[of as usize], &self.bytes[of as usize])
    }
}

impl Budgets {
    pub(crate) fn new(limits: MemoryLimits) -> Arc<Self> {
        let limit = [limits.heads, limits.bodies, limits.answers, limits.events];
        Arc::new(Self {
            limits: Arc::new(Pools {
                pools: limit.map(|limit| Pool {
                    limit,
                    used: AtomicUsize::new(0),
                }),
                requests_per_user: limits.requests_per_user,
            }),
            accounts: Mutex::new(Accounts {
                by_payer: HashMap::default(),
                sweep_at: FEW_ACCOUNTS,
            }),
        })
    }

    /// The account of a user or a source.
    pub(crate) fn account(&self, payer: Payer) -> Account {
        let mut accounts = self.accounts.lock();
        if accounts.by_payer.len() >= accounts.sweep_at {
            // An account in use has its counts in another place as well.
            accounts
                .by_payer
                .retain(|_, used| Arc::strong_count(used) > 1);
            accounts.sweep_at = (2 * accounts.by_payer.len()).max(FEW_ACCOUNTS);
        }
        let used = accounts.by_payer.entry(payer);
        Account(Arc::clone(
            used.or_insert_with(|| Used::nothing(&self.limits)),
        ))
    }

    /// An account that nobody shares.
    pub(crate) fn account_of_nobody(&self) -> Account {
        Account(Used::nothing(&self.limits))
    }

    /// How many bytes are used of how many.
    pub(crate) fn usage(&self, of: Use) -> (usize, usize) {
        let pool = &self.limits.pools[of as usize];
        (pool.used.load(Relaxed), pool.limit)
    }
}

impl Account {
    /// Counts a request in flight until the result is dropped.
    ///
    /// # Errors
    /// The user has too many.
    pub(crate) fn begin(&self) -> Result<InFlight, OverBudget> {
        let most = self.0.all.requests_per_user;
        let in_flight = self.keep();
        if self.0.requests.load(Relaxed) > most {
            return Err(OverBudget::Requests { most });
        }
        Ok(in_flight)
    }

    /// Counts what goes on after its request, such as a call that is answered by a stream.
    pub(crate) fn keep(&self) -> InFlight {
        self.0.requests.fetch_add(1, Relaxed);
        InFlight(Arc::clone(&self.0))
    }

    /// Takes bytes of a budget.
    ///
    /// # Errors
    /// The budget is used up.
    pub(crate) fn take(&self, of: Use, bytes: usize) -> Result<Taken, OverBudget> {
        let mut taken = self.nothing(of);
        taken.grow(bytes)?;
        Ok(taken)
    }

    /// Takes bytes for an answer. A small one is never refused.
    ///
    /// # Errors
    /// The budget is used up.
    pub(crate) fn take_for_answer(&self, bytes: usize) -> Result<Taken, OverBudget> {
        let mut taken = self.nothing(Use::Answers);
        if bytes <= SMALL_ANSWER {
            taken.add(bytes);
        } else {
            taken.grow(bytes)?;
        }
        Ok(taken)
    }

    /// Nothing yet, to grow.
    pub(crate) fn nothing(&self, of: Use) -> Taken {
        Taken {
            account: self.clone(),
            of,
            bytes: 0,
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account")
    }
}

/// A request in flight.
pub(crate) struct InFlight(Arc<Used>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Relaxed);
    }
}

/// What a call holds of its user's budgets for as long as it runs, which may be longer than its request.
pub(crate) struct Held {
    #[expect(dead_code, reason = "held for its drop")]
    in_flight: InFlight,
    #[expect(dead_code, reason = "held for its drop")]
    body: Option<Arc<Taken>>,
}

impl Held {
    /// A call, and the body that it came with.
    pub(crate) fn new(in_flight: InFlight, body: Option<Arc<Taken>>) -> Self {
        Self { in_flight, body }
    }
}

/// Bytes that are taken of a budget, until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    account: Account,
    of: Use,
    bytes: usize,
}

impl Taken {
    /// Takes more.
    ///
    /// # Errors
    /// The budget is used up. What was taken before stays.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let (pool, own) = self.account.0.of(self.of);
        let own_before = own.fetch_add(bytes, Relaxed);
        let used_before = pool.used.fetch_add(bytes, Relaxed);
        self.bytes += bytes;
        if may_take(pool.limit, used_before, own_before, bytes) {
            return Ok(());
        }
        self.shrink(bytes);
        Err(match own_before {
            0 => OverBudget::Process(self.of),
            _ => OverBudget::Own(self.of),
        })
    }

    /// Takes more, or gives some back, so that it is so many.
    ///
    /// # Errors
    /// The budget is used up. What was taken before stays.
    pub(crate) fn resize(&mut self, bytes: usize) -> Result<(), OverBudget> {
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes);
        }
        self.shrink(self.bytes - bytes);
        Ok(())
    }

    /// Gives all of it back.
    pub(crate) fn clear(&mut self) {
        self.shrink(self.bytes);
    }

    /// How many it is.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives some of it back.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        let (pool, own) = self.account.0.of(self.of);
        own.fetch_sub(bytes, Relaxed);
        pool.used.fetch_sub(bytes, Relaxed);
    }

    /// Takes more without a limit.
    fn add(&mut self, bytes: usize) {
        let (pool, own) = self.account.0.of(self.of);
        own.fetch_add(bytes, Relaxed);
        pool.used.fetch_add(bytes, Relaxed);
        self.bytes += bytes;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.clear();
        }
    }
}

/// Whether one who has `own` of the `used` bytes of a budget may take more. Who has nothing may take half of what
/// is free, even if that is more than a quarter of all: otherwise what is large could never be had.
fn may_take(limit: usize, used: usize, own: usize, bytes: usize) -> bool {
    let free = limit.saturating_sub(used);
    if own == 0 && bytes <= free / 2 {
        return true;
    }
    let own = own.saturating_add(bytes);
    own <= limit / SHARE && own <= free.saturating_sub(bytes)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use resource_server::principal::UserId;

    fn budgets(bytes: usize) -> Arc<Budgets> {
        Budgets::new(MemoryLimits {
            heads: bytes,
            bodies: bytes,
            answers: bytes,
            events: bytes,
            requests_per_user: 2,
        })
    }

    fn user(number: usize) -> Payer {
        Payer::User(UserId::derive("i", &number.to_string()))
    }

    #[test]
    fn whatever_others_take_who_has_nothing_finds_something() {
        let budgets = budgets(1 << 20);
        let mut held = Vec::new();
        for number in 0..8 {
            let account = budgets.account(user(number));
            while let Ok(taken) = account.take(Use::Bodies, 1 << 10) {
                held.push(taken);
            }
            assert_eq!(
                account.take(Use::Bodies, 1 << 10).unwrap_err(),
                OverBudget::Own(Use::Bodies)
            );
        }
        let (used, limit) = budgets.usage(Use::Bodies);
        assert!(used < limit);
        assert!(
            budgets
                .account(user(100))
                .take(Use::Bodies, 1 << 10)
                .is_ok()
        );
        // The other budgets are untouched.
        assert_eq!(budgets.usage(Use::Answers).0, 0);
        drop(held);
        assert_eq!(budgets.usage(Use::Bodies).0, 0);
    }

    #[test]
    fn what_is_larger_than_a_share_can_be_had_by_who_has_nothing() {
        let budgets = budgets(1 << 20);
        let account = budgets.account(user(1));
        let large = account.take(Use::Answers, 1 << 19).unwrap();
        assert!(account.take(Use::Answers, 1 << 17).is_err());
        assert!(
            account.take_for_answer(1 << 16).is_ok(),
            "a small one is sent"
        );
        let other = budgets.account(user(2));
        assert_eq!(
            other.take(Use::Answers, 1 << 19).unwrap_err(),
            OverBudget::Process(Use::Answers)
        );
        drop(large);
        assert!(other.take(Use::Answers, 1 << 19).is_ok());
    }

    #[test]
    fn requests_in_flight_are_counted_for_each_user() {
        let budgets = budgets(1);
        let (ann, bob) = (budgets.account(user(1)), budgets.account(user(2)));
        let first = ann.begin().unwrap();
        let _second = budgets.account(user(1)).begin().unwrap();
        let full = OverBudget::Requests { most: 2 };
        assert_eq!(ann.begin().err(), Some(full));
        assert!(bob.begin().is_ok());
        drop(first);
        let again = ann.begin();
        assert!(again.is_ok());
        let _stream = ann.keep();
        assert_eq!(ann.begin().err(), Some(full));
    }

    #[test]
    fn accounts_without_use_are_forgotten() {
        let budgets = budgets(1 << 20);
        let held = budgets.account(user(0)).take(Use::Events, 10).unwrap();
        for number in 0..10 * FEW_ACCOUNTS {
            let source = IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
            drop(budgets.account(Payer::Source(source.into())));
        }
        assert!(budgets.accounts.lock().by_payer.len() <= FEW_ACCOUNTS);
        let account = budgets.account(user(0));
        assert_eq!(account.0.bytes[Use::Events as usize].load(Relaxed), 10);
        drop(held);
    }

    proptest! {
        #[test]
        fn a_budget_is_never_exceeded_and_everything_is_given_back(
            steps in proptest::collection::vec((0usize..6, 0usize..300_000, any::<bool>()), 0..200),
        ) {
            let budgets = budgets(1 << 20);
            let mut held: Vec<Taken> = Vec::new();
            for (who, bytes, gives_back) in steps {
                if gives_back {
                    held.pop();
                } else if let Ok(taken) = budgets.account(user(who)).take(Use::Bodies, bytes) {
                    held.push(taken);
                }
                let (used, limit) = budgets.usage(Use::Bodies);
                prop_assert_eq!(used, held.iter().map(|taken| taken.bytes).sum::<usize>());
                prop_assert!(used <= limit);
                prop_assert!(bytes == 0 || budgets.account(user(99)).take(Use::Bodies, (limit - used) / 2).is_ok());
            }
            drop(held);
            prop_assert_eq!(budgets.usage(Use::Bodies).0, 0);
        }
    }
}
