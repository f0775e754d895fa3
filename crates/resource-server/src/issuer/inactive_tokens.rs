//! Whether an authorization server calls every token inactive, which can be the fault of a setting.

use std::sync::atomic::{AtomicU32, Ordering};

/// Counts inactive tokens until the first active one.
#[derive(Default)]
pub(super) struct InactiveTokens(AtomicU32);

/// There was an active token.
const ACTIVE: u32 = u32::MAX;

impl InactiveTokens {
    /// After so many an operator is told.
    pub(super) const TOO_MANY: u32 = 10;

    /// Counts a reply. Returns whether it is time to tell, which happens once at most.
    pub(super) fn count(&self, is_active: bool) -> bool {
        if is_active {
            self.0.store(ACTIVE, Ordering::Relaxed);
            return false;
        }
        let counted = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < Self::TOO_MANY).then(|| count + 1)
            });
        counted == Ok(Self::TOO_MANY - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_told_once_and_never_after_an_active_token() {
        let all_inactive = InactiveTokens::default();
        let told: Vec<_> = (1..=40).filter(|_| all_inactive.count(false)).collect();
        assert_eq!(told, [10]);
        let working = InactiveTokens::default();
        for _ in 0..9 {
            assert!(!working.count(false));
        }
        assert!(!working.count(true));
        assert!((0..40).all(|_| !working.count(false)));
    }
}
