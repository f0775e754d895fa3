//! The user and the client behind a token.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Deserialize, Serialize};
use uuid::{Uuid, fmt::Hyphenated};

use crate::{clock::Timestamp, scope::ScopeSet};

/// The name space of user ids (RFC 9562 §5.5). If it changes, stored data no longer belongs to its users.
const USER_NAMESPACE: Uuid = Uuid::from_u128(0x6d1f_0b9e_84a4_4f0f_9c53_7a3d_52c1_e86b);

/// The user, the client that acts for the user, and the granted scopes. It does not contain the token.
///
/// ```
/// use resource_server::principal::{Principal, UserId};
///
/// /// Owners of stored data are identified by the derived id, which never changes.
/// fn owns(principal: &Principal, owner: UserId) -> bool {
///     principal.user == owner
/// }
///
/// let user = UserId::derive("https://login.example", "ada");
/// assert_eq!(user, UserId::derive("https://login.example", "ada"));
/// assert_ne!(user, UserId::derive("https://other.example", "ada"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The authorization server.
    pub issuer: String,
    /// `sub` (RFC 7662 §2.2), unique within its issuer only.
    pub subject: String,
    /// A short hash of the subject for the log.
    pub fingerprint: String,
    /// `client_id`: the client that the token was issued to, if the issuer names it.
    pub client: Option<String>,
    /// `username` (RFC 7662 §2.2): only for display, never for decisions.
    pub username: Option<String>,
    /// The granted scopes that are declared here.
    pub scopes: ScopeSet,
    /// Granted scopes that are withheld because the result is stale and the issuer is unavailable. An
    /// operation that lacks them is answered with 503, not 403.
    pub withheld: ScopeSet,
    /// `exp`, if the issuer sends it.
    pub expires_at: Option<Timestamp>,
    /// `iat`, if the issuer sends it.
    pub issued_at: Option<Timestamp>,
    /// The thumbprint of the key that the token is bound to (RFC 9449 §6); it then needs a proof.
    pub bound_key: Option<String>,
    /// Identifies the token, for its revocation.
    pub credential: Credential,
    /// The id of the user, derived from issuer and subject.
    pub user: UserId,
}

impl Principal {
    /// The user and the client without the token: what a session is bound to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner {
            user: self.user,
            client: self.client.clone(),
        }
    }
}

/// Identifies a token within this process: a keyed hash that is useless outside of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credential(pub [u8; 32]);

/// Eight bytes are enough: the hash is keyed, so that nobody can choose them, and equality compares all 32.
impl Hash for Credential {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// The tokens that a revocation covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revocation {
    /// This token.
    Credential(Credential),
    /// All tokens of this user.
    User(UserId),
    /// All tokens of this client.
    Client {
        /// The issuer of the tokens.
        issuer: String,
        /// The client id at this issuer.
        client: String,
    },
    /// All tokens.
    All,
}

impl Revocation {
    /// Whether it covers the token of a principal.
    #[must_use]
    pub fn covers(&self, principal: &Principal) -> bool {
        match self {
            Self::Credential(credential) => *credential == principal.credential,
            Self::User(user) => *user == principal.user,
            Self::Client { issuer, client } => {
                principal.issuer == *issuer && principal.client.as_deref() == Some(client)
            }
            Self::All => true,
        }
    }
}

#[cfg(test)]
impl Principal {
    /// A user of the issuer `i` with every scope and no end, for tests to change.
    pub(crate) fn of_test(subject: &str) -> Self {
        Self {
            issuer: "i".to_owned(),
            subject: subject.to_owned(),
            fingerprint: super::fingerprint::fingerprint(subject),
            client: None,
            username: None,
            scopes: super::scope::Scopes::of_test().all(),
            withheld: ScopeSet::EMPTY,
            expires_at: None,
            issued_at: None,
            bound_key: None,
            credential: Credential([0; 32]),
            user: UserId::derive("i", subject),
        }
    }
}

/// The owner of a session: issuer, subject and client. A refreshed token has the same owner, even with other
/// scopes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The user: issuer and subject.
    pub user: UserId,
    /// The client, if the issuer names it.
    pub client: Option<String>,
}

/// The id of a user. It is derived from issuer and subject, so that it needs no look-up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(Uuid);

impl UserId {
    /// The id of a subject at an issuer: a UUIDv5 (RFC 9562 §5.5) of both, each prefixed with its length, so
    /// that different pairs have different encodings. The derivation never changes.
    #[must_use]
    pub fn derive(issuer: &str, subject: &str) -> Self {
        let mut name = Vec::with_capacity(16 + issuer.len() + subject.len());
        for part in [issuer, subject] {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Self(Uuid::new_v5(&USER_NAMESPACE, &name))
    }

    /// An id that was stored, which [`Self::derive`] made once.
    #[must_use]
    pub const fn from_stored(id: Uuid) -> Self {
        Self(id)
    }

    /// The id as text, in a buffer of the caller.
    pub fn encode(self, text: &mut [u8; Hyphenated::LENGTH]) -> &str {
        self.0.hyphenated().encode_lower(text)
    }

    /// The id as a UUID, for storage.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_derivation_never_changes() {
        assert_eq!(
            UserId::derive("http://127.0.0.1:7788", "1").to_string(),
            "dbab21b4-6eef-54d6-b257-31a35c29b631"
        );
    }

    proptest! {
        #[test]
        fn text_moved_between_issuer_and_subject_is_another_user(text in ".{1,40}", cut in 0usize..40) {
            let cut = text.char_indices().map(|(i, _)| i).nth(cut).unwrap_or(0);
            let moved = UserId::derive(&text[..cut], &text[cut..]);
            let whole = UserId::derive(&text, "");
            prop_assert_eq!(moved == whole, cut == text.len());
        }
    }
}
