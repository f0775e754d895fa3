//! Logout tokens (OpenID Connect Back-Channel Logout 1.0): whose they are, and which were seen before.

use std::collections::{BTreeSet, HashSet};

use derive_more::{Display, Error};
use sha2::{Digest, Sha256};

use crate::auth::AuthError;
use crate::{clock::Timestamp, jose::logout_token::LogoutFault};

/// How many tokens of an issuer are remembered. Where there are more within the minutes for which one is
/// good, the one that is good for the shortest is forgotten: if it came again, the same user would be
/// cut off once more.
const REMEMBERED: usize = 10_000;

/// Why nobody is logged out. The sentence may be shown to the issuer (§2.8).
#[derive(Clone, Debug, Display, Error)]
pub enum LogoutError {
    /// It is not from an issuer of ours.
    #[display("the logout token is from no issuer that is known here")]
    UnknownIssuer,
    /// The token is not believed.
    #[display("{_0}")]
    Refused(#[error(not(source))] LogoutFault),
    /// It names a session of the issuer's, of which this server knows nothing.
    #[display("the logout token needs sub: sessions of the issuer are not known here")]
    SubjectNeeded,
    /// It came before.
    #[display("the logout token was used before")]
    Replayed,
    /// The issuer's keys cannot be had. Never the issuer's message's fault.
    #[display("{_0}")]
    Unavailable(#[error(not(source))] AuthError),
}

/// The tokens of one issuer that were used, by the digest of their `jti`. Pure: it is told the time.
#[derive(Default)]
pub(crate) struct Used {
    known: HashSet<[u8; 32]>,
    order: BTreeSet<(Timestamp, [u8; 32])>,
}

impl Used {
    /// Uses a token up, which is good until then; `false` if it was used before.
    pub(crate) fn take(&mut self, token_id: &str, until: Timestamp, now: Timestamp) -> bool {
        while let Some((end, digest)) = self.order.first().copied()
            && (end <= now || self.order.len() > REMEMBERED)
        {
            self.order.pop_first();
            self.known.remove(&digest);
        }
        let digest = Sha256::digest(token_id).into();
        let is_new = self.known.insert(digest);
        if is_new {
            self.order.insert((until, digest));
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_token_is_good_once_for_as_long_as_it_would_be_accepted() {
        let mut used = Used::default();
        assert!(used.take("a", at(300), at(0)));
        assert!(!used.take("a", at(300), at(299)));
        assert!(used.take("b", at(300), at(0)));
        assert!(used.take("a", at(600), at(300)), "its time is over");
    }

    #[test]
    fn a_flood_of_tokens_is_remembered_within_bounds() {
        let mut used = Used::default();
        for n in 0..REMEMBERED + 100 {
            let until = at(300 + i64::try_from(n).unwrap());
            assert!(used.take(&n.to_string(), until, at(0)));
            assert!(used.known.len() <= REMEMBERED + 1);
            assert_eq!(used.known.len(), used.order.len());
        }
        let last = (REMEMBERED + 99).to_string();
        assert!(!used.take(&last, at(600), at(0)), "the latest count");
    }
}
