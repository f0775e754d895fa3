//! Nonces that this server gives to those who make DPoP proofs (RFC 9449 §9), and recognises without
//! having kept them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use derive_more::Debug;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock::Timestamp;

/// How long one nonce is given out. It is accepted for as long again.
const SLOT: TimeDelta = TimeDelta::minutes(5);

/// Gives nonces, each a keyed hash of the time slot that it was given in: nobody else can make one,
/// and nobody can make one beforehand.
#[derive(Clone, Debug)]
#[debug("Nonces")]
pub struct Nonces(Hmac<Sha256>);

impl Nonces {
    /// Nonces under a key, which is the same on every server that stands behind one URL.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// Nonces under a key that is derived from another, which has another use.
    #[must_use]
    pub fn derived_from(key: &[u8; 32]) -> Self {
        let derived = Self::new(key).0.chain_update(b"DPoP nonces");
        Self::new(&derived.finalize().into_bytes().into())
    }

    /// Nonces under a key that is drawn now, which no other process has.
    ///
    /// # Panics
    /// If the operating system has no random bytes.
    #[must_use]
    pub fn random() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        Self::new(&key)
    }

    /// The nonce to give now.
    #[must_use]
    pub fn issue(&self, now: Timestamp) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(slot(now)).finalize().into_bytes())
    }

    /// Whether this server gave that nonce in the current time slot or in the one before. Compared in
    /// constant time.
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
    fn only_who_has_the_key_can_make_a_nonce() {
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
