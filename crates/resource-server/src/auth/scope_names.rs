//! The names that scopes have at the issuer of a token.

use super::AuthHandle;
use crate::bearer::BearerToken;

impl AuthHandle {
    /// What the issuer of a token puts before the names of scopes, if that differs between the issuers.
    pub(crate) fn scope_prefix(&self, token: &BearerToken) -> Option<&str> {
        let issuers = &self.shared.issuers;
        let prefix = |at: usize| issuers[at].settings.rules.scope_prefix.as_str();
        if (1..issuers.len()).all(|at| prefix(at) == prefix(0)) {
            return None;
        }
        self.locate(token).ok().map(|(at, _)| prefix(at))
    }
}
