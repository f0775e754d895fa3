//! Proofs that were presented, so that none is presented twice (RFC 9449 §11.1).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, PoisonError},
};

use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use super::proof::Proof;
use crate::clock::Timestamp;

/// How many are remembered. Only proofs that came with a good token of theirs are, so nobody fills the
/// table who was not let in.
const REMEMBERED: usize = 200_000;

/// How many of one key's are remembered: no client needs so many requests within a proof's window.
const REMEMBERED_OF_ONE_KEY: usize = 20_000;

/// What becomes of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayCheck {
    /// It is presented for the first time.
    Fresh,
    /// It was presented before.
    Replayed,
    /// Nobody can tell: too many are remembered already.
    Full,
}

/// The proofs that may still be within their window. Pure but for its lock: it is told the time.
pub(crate) struct Proofs {
    remembered: Mutex<Remembered>,
    /// How long a proof may be presented, from the moment that it is.
    window: TimeDelta,
}

#[derive(Default)]
struct Remembered {
    seen: HashSet<Digested>,
    /// In the order in which they are forgotten.
    order: VecDeque<(Timestamp, Digested)>,
    by_key: HashMap<[u8; 16], usize>,
}

/// A proof's key, and its `jti`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Digested {
    key: [u8; 16],
    token_id: [u8; 16],
}

impl Proofs {
    pub(crate) fn new(window: TimeDelta) -> Self {
        Self {
            remembered: Mutex::default(),
            window,
        }
    }

    /// Remembers a proof, and says whether it was presented before.
    pub(crate) fn present(&self, proof: &Proof, now: Timestamp) -> ReplayCheck {
        let digested = Digested {
            key: digest(proof.thumbprint.as_str()),
            token_id: digest(&proof.token_id),
        };
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered.forget(now);
        if remembered.seen.contains(&digested) {
            return ReplayCheck::Replayed;
        }
        let of_key = remembered.by_key.get(&digested.key).copied();
        if remembered.seen.len() >= REMEMBERED || of_key.unwrap_or(0) >= REMEMBERED_OF_ONE_KEY {
            return ReplayCheck::Full;
        }
        remembered.seen.insert(digested);
        remembered.order.push_back((now + self.window, digested));
        *remembered.by_key.entry(digested.key).or_default() += 1;
        ReplayCheck::Fresh
    }
}

impl Remembered {
    fn forget(&mut self, now: Timestamp) {
        while let Some((until, digested)) = self.order.front().copied()
            && until < now
        {
            self.order.pop_front();
            self.seen.remove(&digested);
            if let Some(count) = self.by_key.get_mut(&digested.key) {
                *count -= 1;
                if *count == 0 {
                    self.by_key.remove(&digested.key);
                }
            }
        }
    }
}

fn digest(text: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Sha256::digest(text)[..16]);
    short
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::jose::keys::Thumbprint;

    const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn proof(key: usize, id: usize) -> Proof {
        let key = format!("{key:0>8}{}", &KEY[8..]);
        Proof {
            thumbprint: Thumbprint::parse(&key).unwrap(),
            token_id: id.to_string(),
            issued_at: at(0),
        }
    }

    #[test]
    fn a_proof_is_presented_once_while_it_could_be_accepted() {
        let proofs = Proofs::new(TimeDelta::seconds(330));
        assert_eq!(proofs.present(&proof(1, 1), at(0)), ReplayCheck::Fresh);
        assert_eq!(proofs.present(&proof(1, 1), at(330)), ReplayCheck::Replayed);
        assert_eq!(proofs.present(&proof(1, 2), at(0)), ReplayCheck::Fresh);
        assert_eq!(
            proofs.present(&proof(2, 1), at(0)),
            ReplayCheck::Fresh,
            "another key's"
        );
        // Its own window has closed by then.
        assert_eq!(proofs.present(&proof(1, 1), at(331)), ReplayCheck::Fresh);
    }

    #[test]
    fn a_flood_is_refused_and_grows_nothing_and_one_key_does_not_crowd_out_others() {
        let proofs = Proofs::new(TimeDelta::seconds(330));
        for id in 0..REMEMBERED_OF_ONE_KEY {
            assert_eq!(proofs.present(&proof(0, id), at(0)), ReplayCheck::Fresh);
        }
        assert_eq!(
            proofs.present(&proof(0, REMEMBERED_OF_ONE_KEY), at(0)),
            ReplayCheck::Full
        );
        for n in REMEMBERED_OF_ONE_KEY..REMEMBERED {
            let presented = proofs.present(&proof(1 + n / REMEMBERED_OF_ONE_KEY, n), at(0));
            assert_eq!(presented, ReplayCheck::Fresh);
        }
        assert_eq!(proofs.present(&proof(99, 0), at(0)), ReplayCheck::Full);
        assert_eq!(proofs.present(&proof(99, 0), at(331)), ReplayCheck::Fresh);
        let remembered = proofs.remembered.lock().unwrap();
        assert_eq!((remembered.seen.len(), remembered.order.len()), (1, 1));
        assert_eq!(remembered.by_key.len(), 1);
    }
}
