//! Who a request speaks for.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use uuid::{Uuid, fmt::Hyphenated};

use crate::{clock::Timestamp, scope::ScopeSet};

/// The name space of user ids, drawn once at random. Changing it orphans what users own.
const USER_NAMESPACE: Uuid = Uuid::from_u128(0x6d1f_0b9e_84a4_4f0f_9c53_7a3d_52c1_e86b);

/// The user at the issuer, the client that acts for the user, and what the token allows: everything
/// that a token says and nothing of the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The authorization server that vouches for the subject.
    pub issuer: String,
    /// The subject, unique at its issuer only (RFC 7662 §2.2 `sub`).
    pub subject: String,
    /// What stands in the log for the subject: each request has it written there.
    pub fingerprint: String,
    /// The OAuth client that the token was issued to, where the issuer says so.
    pub client: Option<String>,
    /// A name for people, never for decisions (RFC 7662 §2.2 `username`).
    pub username: Option<String>,
    /// What the token allows, of the scopes that we know.
    pub scopes: ScopeSet,
    /// What the token allows besides, but not now: it was last asked about too long ago, and the
    /// issuer cannot be asked. Never the client's fault.
    pub withheld: ScopeSet,
    /// When the token ends, where the issuer says so.
    pub expires_at: Option<Timestamp>,
    /// When the token was issued, where the issuer says so.
    pub issued_at: Option<Timestamp>,
    /// The key that the token is bound to, by its thumbprint (RFC 9449 §6); presenting the token
    /// alone is not enough then.
    pub bound_key: Option<String>,
    /// Which token it was, for whoever cuts it off.
    pub credential: Credential,
    /// The user's id here, derived from issuer and subject.
    pub user: UserId,
}

impl Principal {
    /// What a session and every other name is bound to: issuer, subject and client.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner {
            user: self.user,
            client: self.client.clone(),
        }
    }
}

/// A token's name within this process: a keyed hash, which says nothing of the token and is of no use
/// to whoever finds it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credential(pub [u8; 32]);

/// By eight of its bytes: nobody knows the key of the hash that they are part of, so nobody can choose
/// them, and equality compares all 32.
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

/// Whose access is over, as far as we know, until the authorization server says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revocation {
    /// Whoever presents this token.
    Credential(Credential),
    /// This user, whatever the client.
    User(UserId),
    /// This client, whoever the user.
    Client {
        /// The authorization server that knows the client by that name.
        issuer: String,
        /// The client's id there.
        client: String,
    },
    /// All tokens.
    All,
}

impl Revocation {
    /// Whether a principal is among them.
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

/// Whose a session is. Two owners are equal when issuer, subject and client are; the scopes and the
/// token may differ, so that a refreshed token keeps its session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Issuer and subject, in the one form that cannot be confused with another pair.
    pub user: UserId,
    /// The client, if the issuer names one.
    pub client: Option<String>,
}

/// A user's id here. Derived, so that reading needs no lookup.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Uuid);

impl UserId {
    /// The id of a subject at an issuer: UUIDv5 over both, each behind its length, so that no two
    /// pairs share an encoding.
    #[must_use]
    pub fn derive(issuer: &str, subject: &str) -> Self {
        let mut name = Vec::with_capacity(16 + issuer.len() + subject.len());
        for part in [issuer, subject] {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Self(Uuid::new_v5(&USER_NAMESPACE, &name))
    }

    /// The id as text, in memory of the caller's.
    pub fn encode(self, text: &mut [u8; Hyphenated::LENGTH]) -> &str {
        self.0.hyphenated().encode_lower(text)
    }

    /// The id as the database keeps it.
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
