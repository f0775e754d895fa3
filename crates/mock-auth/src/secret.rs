//! Random values, and the digests that the store keeps in their place.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// SHA-256 of a secret. All the secrets kept so are long and random, so that a plain hash is enough
/// to make the store useless to a thief, and a look-up by it tells nothing by its timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// All of it, in base64url.
    pub(crate) fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads what [`Digest::to_text`] wrote.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Equality in constant time, for the secrets that somebody chose.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The first 8 hex digits: how people speak of a token in logs and on the admin page.
    pub(crate) fn fingerprint(&self) -> String {
        hex(&self.0[..4])
    }

    /// 32 hex digits, unique for all that matters: an opaque token's `jti`.
    pub(crate) fn id(&self) -> String {
        hex(&self.0[..16])
    }
}

/// Names the refresh token that follows upon another. It is computed from that other, so that it can be given twice and is
/// never kept.
pub(crate) struct Successors([u8; 32]);

impl Successors {
    pub(crate) fn generate() -> Self {
        Self(random_bytes())
    }

    /// The key, in base64url: a secret.
    pub(crate) fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The refresh token after this one.
    pub(crate) fn of(&self, token: &str) -> SecretString {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, token.as_bytes());
        format!("epr_{}", URL_SAFE_NO_PAD.encode(tag)).into()
    }
}

/// Bytes that nobody can guess.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}

/// A prefix that people and secret scanners recognise, and 256 random bits. All of it is in the
/// alphabet of RFC 6750 §2.1.
pub(crate) fn random(prefix: &str) -> SecretString {
    format!("{prefix}{}", random_name()).into()
}

/// 256 random bits, for what is a name and no secret.
pub(crate) fn random_name() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<32>())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes whatever is written");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_shows_as_hex_digits_of_sha_256() {
        let digest = Digest::of("abc");
        assert_eq!(digest.fingerprint(), "ba7816bf");
        assert_eq!(digest.id(), "ba7816bf8f01cfea414140de5dae2223");
        assert!(digest.matches(&Digest::of("abc")) && !digest.matches(&Digest::of("abd")));
    }

    #[test]
    fn a_digest_is_read_as_it_was_written() {
        let digest = Digest::of("abc");
        assert_eq!(Digest::from_text(&digest.to_text()), Some(digest));
        for text in ["", "abc", "!", &"A".repeat(44)] {
            assert_eq!(Digest::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn no_two_random_names_are_alike() {
        let names: std::collections::HashSet<_> = (0..100).map(|_| random_name()).collect();
        assert_eq!(names.len(), 100);
        assert!(names.iter().all(|name| name.len() == 43));
    }
}
