//! Stateless nonces for DPoP proofs (RFC 9449 §9).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use derive_more::Debug;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock::Timestamp;

/// How long the same nonce is issued. It is accepted during the following slot too.
const SLOT: TimeDelta = TimeDelta::minutes(5);

/// Issues nonces, each a MAC of its time slot, so that clients can neither forge nor predict them.
#[derive(Clone, Debug)]
#[debug("Nonces")]
pub struct Nonces(Hmac<Sha256>);

impl Nonces {
    /// Nonces with this key. All processes behind one URL need the same key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// Nonces with a key that is derived from a key of another purpose.
    #[must_use]
    pub fn derived_from(key: &[u8; 32]) -> Self {
        let derived = Self::new(key).0.chain_update(b"DPoP nonces");
        Self::new(&derived.finalize().into_bytes().into())
    }

    /// Nonces with a random key, for a single process.
    ///
    /// # Panics
    /// If the operating system has no random bytes.
    #[must_use]
    pub fn random() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        Self::new(&key)
    }

    /// The current nonce.
    #[must_use]
    pub fn issue(&self, now: Timestamp) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(slot(now)).finalize().into_bytes())
    }

    /// Whether the nonce was issued in the current time slot or the previous one. Takes constant time.
    #[must_use]
    pub fn accepts(&self, nonce: &str, now: Timestamp) -> bool {
        URL_SAFE_NO_PAD.decode(nonce).is_ok_and(|nonce| {
            let current = slot(now);
            [current, current - 1]
                .into_iter()
                .any(|slot| self.mac(slot).verify_slice(&nonce).is_ok())
        })
    }

    fn mac(&self, slot: i64) -> Hmac<Sha256> {
        self.0.clone().chain_update(slot.to_be_bytes())
    }
}

fn slot(now: Timestamp) -> i64 {
    now.timestamp().div_euclid(SLOT.num_seconds())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_nonce_is_accepted_in_its_slot_and_in_the_next_one() {
        let nonces = Nonces::new(&[7; 32]);
        let nonce = nonces.issue(at(600));
        assert_eq!(nonce, nonces.issue(at(899)));
        for (seconds, accepted) in [
            (299, false),
            (599, false),
            (600, true),
            (1_199, true),
            (1_200, false),
        ] {
            assert_eq!(nonces.accepts(&nonce, at(seconds)), accepted, "{seconds}");
        }
    }

    #[test]
    fn a_nonce_needs_the_key() {
        let nonces = Nonces::new(&[7; 32]);
        let foreign = Nonces::new(&[8; 32]).issue(at(600));
        assert!(!nonces.accepts(&foreign, at(600)));
        assert!(!nonces.accepts("", at(600)));
        assert!(!nonces.accepts(&nonces.issue(at(600))[..42], at(600)));
        assert_eq!(format!("{nonces:?}"), "Nonces");
    }

    proptest! {
        #[test]
        fn any_text_is_refused(text: String) {
            prop_assert!(!Nonces::new(&[7; 32]).accepts(&text, at(600)));
        }

        #[test]
        fn a_nonce_is_good_for_at_least_one_slot(seconds in -10_000_000_000i64..10_000_000_000) {
            let nonces = Nonces::new(&[7; 32]);
            let nonce = nonces.issue(at(seconds));
            prop_assert!(nonces.accepts(&nonce, at(seconds + 300)));
            prop_assert!(!nonces.accepts(&nonce, at(seconds + 600)));
        }
    }
}
