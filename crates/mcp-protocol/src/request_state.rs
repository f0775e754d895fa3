//! `requestState` (MCP 2026-07-28, Multi Round-Trip Requests): encrypted data that a client sends back with
//! its responses.
//!
//! This module does no I/O: the caller has to remember which states were used.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};

use crate::{random, rpc_error::RpcError};

/// How long a state is valid, which limits how long a user may think about a request.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// The prefix, which names the format.
const VERSION: &str = "v2.";

/// The length of the id of a key, in bytes.
const KEY_ID_LEN: usize = 8;

/// Encrypts and decrypts states (ChaCha20-Poly1305, RFC 8439). A state is valid only for the principal, the
/// method and the arguments for which it was issued.
pub struct Sealer {
    current: Key,
    previous: Option<Key>,
}

struct Key {
    id: [u8; KEY_ID_LEN],
    cipher: LessSafeKey,
}

/// A valid state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The data.
    pub payload: String,
    /// The nonce, which identifies the state.
    pub nonce: [u8; NONCE_LEN],
}

/// The principal, the method and the arguments of a state.
#[derive(Clone, Debug)]
pub struct Binding(Vec<u8>);

impl Binding {
    /// The binding of a call by a principal. The order of the arguments and white space do not matter.
    #[must_use]
    pub fn new(
        user: &[u8],
        client: Option<&str>,
        method: &str,
        name: &str,
        arguments: Option<&RawValue>,
    ) -> Self {
        let arguments = arguments.map_or("null", RawValue::get);
        // What cannot be represented, such as a number out of range, is bound as it is written.
        let digest = serde_json::from_str::<Value>(arguments).map_or_else(
            |_| Sha256::digest(arguments),
            |mut arguments| {
                // However their members are ordered.
                arguments.sort_all_objects();
                Sha256::digest(arguments.to_string())
            },
        );
        let mut bytes = Vec::new();
        for part in [
            user,
            // Distinguishes an absent client from an empty one.
            &[u8::from(client.is_some())],
            client.unwrap_or_default().as_bytes(),
            method.as_bytes(),
            name.as_bytes(),
            &digest,
        ] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        Self(bytes)
    }
}

impl Key {
    fn new(bytes: &[u8; 32]) -> Self {
        // Identifies the key without revealing it.
        let digest = Sha256::new()
            .chain_update("mcp request state key")
            .chain_update(bytes)
            .finalize();
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&digest[..KEY_ID_LEN]);
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("the key has the right length");
        Self {
            id,
            cipher: LessSafeKey::new(key),
        }
    }
}

impl Sealer {
    /// A sealer with these keys. The previous one only decrypts.
    #[must_use]
    pub fn new(current: &[u8; 32], previous: Option<&[u8; 32]>) -> Self {
        Self {
            current: Key::new(current),
            previous: previous.map(Key::new),
        }
    }

    /// A sealer with a random key, which is lost with the process.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    #[must_use]
    pub fn random() -> Self {
        Self::new(&random::bytes(), None)
    }

    /// Encrypts a payload.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    #[must_use]
    pub fn seal(&self, binding: &Binding, payload: &str, now: DateTime<Utc>) -> String {
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let expires = (now + LIFETIME).timestamp();
        let mut sealed = expires.to_be_bytes().to_vec();
        sealed.extend_from_slice(payload.as_bytes());
        self.current
            .cipher
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&binding.0),
                &mut sealed,
            )
            .expect("a state is far shorter than the cipher's limit");
        let bytes = [&self.current.id[..], &nonce, &sealed].concat();
        format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Decrypts a state. The caller has to check that it was not used before.
    ///
    /// # Errors
    /// [`refused`] if it is invalid, bound to another call, or expired.
    pub fn open(
        &self,
        binding: &Binding,
        state: &str,
        now: DateTime<Utc>,
    ) -> Result<Opened, RpcError> {
        self.try_open(binding, state, now).ok_or_else(refused)
    }

    fn try_open(&self, binding: &Binding, state: &str, now: DateTime<Utc>) -> Option<Opened> {
        let mut bytes = URL_SAFE_NO_PAD.decode(state.strip_prefix(VERSION)?).ok()?;
        let (id, rest) = bytes.split_first_chunk_mut::<KEY_ID_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = *nonce;
        let opened = self
            .key(*id)?
            .cipher
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&binding.0),
                sealed,
            )
            .ok()?;
        let (expires, payload) = opened.split_first_chunk::<8>()?;
        let expires = DateTime::from_timestamp(i64::from_be_bytes(*expires), 0)?;
        let payload = str::from_utf8(payload).ok()?.to_owned();
        (now < expires).then_some(Opened { payload, nonce })
    }

    fn key(&self, id: [u8; KEY_ID_LEN]) -> Option<&Key> {
        [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.id == id)
    }
}

/// `-32602`, with the same message for every reason.
#[must_use]
pub fn refused() -> RpcError {
    RpcError::invalid_params(
        "Invalid params: requestState is not one of this server's for this call, or has expired, or was used; call again without it",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn binding(user: &str, client: Option<&str>, name: &str, arguments: &str) -> Binding {
        let arguments = RawValue::from_string(arguments.to_owned()).unwrap();
        Binding::new(
            user.as_bytes(),
            client,
            "tools/call",
            name,
            Some(&arguments),
        )
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// P-07.
    #[test]
    fn a_state_opens_for_what_it_was_sealed_for_alone() {
        let sealer = Sealer::random();
        let ours = binding("a", Some("c"), "delete_entry", r#"{"id":1}"#);
        let state = sealer.seal(&ours, "payload", at(0));
        for other in [
            binding("b", Some("c"), "delete_entry", r#"{"id":1}"#),
            binding("a", Some("d"), "delete_entry", r#"{"id":1}"#),
            binding("a", None, "delete_entry", r#"{"id":1}"#),
            binding("a", Some("c"), "delete_tag", r#"{"id":1}"#),
            binding("a", Some("c"), "delete_entry", r#"{"id":2}"#),
        ] {
            assert!(sealer.open(&other, &state, at(0)).is_err());
        }
        let opened = sealer.open(&ours, &state, at(0)).unwrap();
        assert_eq!(opened.payload, "payload");
        let other = sealer.seal(&ours, "payload", at(0));
        assert_ne!(
            sealer.open(&ours, &other, at(0)).unwrap().nonce,
            opened.nonce
        );
    }

    #[test]
    fn whoever_has_the_key_opens_a_state_and_nobody_else() {
        let (old, new, other) = ([1; 32], [2; 32], [3; 32]);
        let ours = binding("a", None, "x", "{}");
        let opens = |by: &Sealer, from: &Sealer| {
            let state = from.seal(&ours, "", at(0));
            by.open(&ours, &state, at(0)).is_ok()
        };
        let before = Sealer::new(&old, None);
        let rotated = Sealer::new(&new, Some(&old));
        let after = Sealer::new(&new, None);
        for (by, from, does) in [
            (&before, &Sealer::new(&old, None), true),
            (&rotated, &before, true),
            (&rotated, &after, true),
            (&after, &rotated, true),
            // The previous key seals nothing.
            (&before, &rotated, false),
            (&after, &before, false),
            (&Sealer::new(&other, None), &after, false),
            (&Sealer::random(), &Sealer::random(), false),
        ] {
            assert_eq!(opens(by, from), does);
        }
    }

    #[test]
    fn a_key_is_named_in_the_state_and_not_given_away() {
        let key = *b"0123456789abcdefghijklmnopqrstuv";
        let ours = binding("a", None, "x", "{}");
        let bytes_of = |sealer: &Sealer| {
            let state = sealer.seal(&ours, "", at(0));
            URL_SAFE_NO_PAD.decode(&state[VERSION.len()..]).unwrap()
        };
        let sealed = bytes_of(&Sealer::new(&key, None));
        let again = bytes_of(&Sealer::new(&key, Some(&[7; 32])));
        assert_eq!(sealed[..KEY_ID_LEN], again[..KEY_ID_LEN]);
        assert_ne!(sealed[KEY_ID_LEN..], again[KEY_ID_LEN..]);
        assert_ne!(
            sealed[..KEY_ID_LEN],
            bytes_of(&Sealer::random())[..KEY_ID_LEN]
        );
        assert!(
            !sealed
                .windows(4)
                .any(|four| key.windows(4).any(|of_key| of_key == four))
        );
    }

    #[test]
    fn how_the_arguments_are_written_does_not_matter_and_what_they_say_does() {
        let sealer = Sealer::random();
        let of = |arguments: &str| binding("a", None, "x", arguments);
        let ours = of(r#"{"a":1,"b":{"c":[1,2],"d":"e"}}"#);
        for same in [
            r#"{"b":{"d":"e","c":[1,2]},"a":1}"#,
            "{ \"a\" : 1,\n\"b\": {\"\\u0063\": [1, 2], \"d\": \"\\u0065\"} }",
        ] {
            let state = sealer.seal(&ours, "", at(0));
            assert!(sealer.open(&of(same), &state, at(0)).is_ok(), "{same}");
        }
        for other in [
            r#"{"a":"1","b":{"c":[1,2],"d":"e"}}"#,
            r#"{"a":1,"b":{"c":[2,1],"d":"e"}}"#,
            r#"{"a":1,"b":{"c":[1,2],"d":"e"},"f":null}"#,
            r#"{"a":1}"#,
            "{}",
        ] {
            let state = sealer.seal(&ours, "", at(0));
            assert!(sealer.open(&of(other), &state, at(0)).is_err(), "{other}");
        }
    }

    #[test]
    fn a_number_is_the_same_when_it_is_written_again_and_none_is_passed_over() {
        let sealer = Sealer::random();
        let of = |arguments: &str| binding("a", None, "x", arguments);
        let opens = |by: &str, sealed: &str| {
            let state = sealer.seal(&of(sealed), "", at(0));
            sealer.open(&of(by), &state, at(0)).is_ok()
        };
        // As JavaScript writes it.
        assert!(opens("2.5555555555555556e+21", "2555555555555555555555"));
        // Numbers that no reader here can represent.
        assert!(opens("[1e999]", "[1e999]"));
        assert!(!opens("[2e999]", "[1e999]"));
        assert!(!opens("null", "[1e999]"));
    }

    /// SEC-10.
    #[test]
    fn a_state_expires() {
        let sealer = Sealer::random();
        let ours = binding("a", None, "x", "{}");
        let state = sealer.seal(&ours, "", at(0));
        assert!(sealer.open(&ours, &state, at(600)).is_err());
        assert!(sealer.open(&ours, &state, at(599)).is_ok());
    }

    proptest! {
        /// P-06, SEC-10.
        #[test]
        fn no_change_of_a_state_goes_unnoticed(payload in "\\PC{0,40}", place in 0usize..90, with in "[A-Za-z0-9_-]") {
            let sealer = Sealer::random();
            let ours = binding("a", None, "x", "{}");
            let state = sealer.seal(&ours, &payload, at(0));
            let place = VERSION.len() + place % (state.len() - VERSION.len());
            let mut changed = state.clone();
            changed.replace_range(place..=place, &with);
            if changed != state {
                // The last character may have bits that mean nothing; those are refused as well.
                prop_assert!(sealer.open(&ours, &changed, at(0)).is_err());
            }
            let longer = sealer.open(&ours, &format!("{state}-TAMPERED"), at(0));
            prop_assert!(longer.is_err());
            prop_assert_eq!(sealer.open(&ours, &state, at(0)).unwrap().payload, payload);
        }

        #[test]
        fn any_text_is_refused(text in "(v2\\.)?[A-Za-z0-9_-]{0,90}|\\PC*") {
            let opened = Sealer::random().open(&binding("a", None, "x", "{}"), &text, at(0));
            prop_assert!(opened.is_err());
        }
    }
}
