//! A secret with which an authorization server or an operator authenticates requests to this server.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use url::form_urlencoded;

/// A MAC of the secret under a random key, so that the comparison takes constant time and memory does not hold
/// the secret.
#[derive(Clone)]
pub struct SharedSecret {
    keyed: Hmac<Sha256>,
    tag: Vec<u8>,
}

impl SharedSecret {
    /// Takes the secret.
    ///
    /// # Panics
    /// If the operating system gives no random bytes.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        let keyed = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        let mut own = keyed.clone();
        own.update(secret.expose_secret().as_bytes());
        let tag = own.finalize().into_bytes().to_vec();
        Self { keyed, tag }
    }

    /// Whether the `Authorization` fields of a request contain exactly this secret: as `Bearer`
    /// (RFC 6750 §2.1), or as the password of `Basic` with any user name (RFC 7617 §2), form-encoded
    /// (RFC 6749 §2.3.1) or not. Takes the same time for a wrong secret.
    #[must_use]
    pub fn is_proved_by<'a>(&self, mut values: impl Iterator<Item = &'a [u8]>) -> bool {
        let presented = match (values.next(), values.next()) {
            (Some(value), None) => presented(value).unwrap_or_default(),
            _ => Vec::new(),
        };
        let encoded = [b"secret=", &*presented].concat();
        let decoded = form_urlencoded::parse(&encoded)
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default();
        self.is(&presented) | self.is(decoded.as_bytes())
    }

    fn is(&self, presented: &[u8]) -> bool {
        let mut keyed = self.keyed.clone();
        keyed.update(presented);
        keyed.verify_slice(&self.tag).is_ok()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret")
    }
}

fn presented(value: &[u8]) -> Option<Vec<u8>> {
    let value = value.trim_ascii();
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = (&value[..space], value[space..].trim_ascii_start());
    if scheme.eq_ignore_ascii_case(b"Bearer") {
        return Some(rest.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    let pair = STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "s3cret:+% with all sorts";

    fn proved(values: &[&str]) -> bool {
        let secret = SharedSecret::new(&SECRET.into());
        secret.is_proved_by(values.iter().map(|value| value.as_bytes()))
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn the_secret_is_proved_as_a_bearer_token_or_as_a_password() {
        let encoded: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        for value in [
            format!("Bearer {SECRET}"),
            format!("bearer  {SECRET}"),
            basic(&format!("anybody:{SECRET}")),
            basic(&format!(":{SECRET}")),
            basic(&format!("a%3Ab:{encoded}")).replace("Basic", "BASIC"),
        ] {
            assert!(proved(&[&value]), "{value}");
        }
    }

    #[test]
    fn nothing_else_proves_it() {
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer s3cret",
            &format!("Digest {SECRET}"),
            SECRET,
            "Basic !",
            &basic(SECRET.strip_prefix("s3cret:").unwrap()),
            &basic(&format!("{SECRET}:")),
        ] {
            assert!(!proved(&[value]), "{value}");
        }
        let right = format!("Bearer {SECRET}");
        assert!(!proved(&[]));
        assert!(!proved(&[&right, &right]), "which of the two?");
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_and_prove_nothing(values: Vec<Vec<u8>>, rest: Vec<u8>) {
            let secret = SharedSecret::new(&SECRET.into());
            prop_assert!(!secret.is_proved_by(values.iter().map(Vec::as_slice)));
            let value = [b"Basic ", &*STANDARD.encode(rest).into_bytes()].concat();
            prop_assert!(!secret.is_proved_by([&*value].into_iter()));
        }
    }
}
