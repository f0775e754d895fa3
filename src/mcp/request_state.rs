//! `requestState`: what a modern server hands a client to bring back with its answers. To the client
//! it is opaque; to the server it is what an attacker may have written (P-06, SEC-10).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};

use super::jsonrpc::RpcError;
use crate::domain::{
    clock::Timestamp,
    principal::{Principal, UserId},
};

/// How long a person may think about a question.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// How many used states of one user are remembered, each for [`LIFETIME`] at most. While so many are,
/// no further one of that user is accepted: nobody confirms so often, and nobody else is kept from it.
const REMEMBERED_PER_USER: usize = 1_000;

/// How many are remembered in all.
const REMEMBERED: usize = 100_000;

/// What is written in front, so that another form can follow one day.
const VERSION: &str = "v1.";

/// Seals states so that only this server can have written one, for the principal, the operation and
/// the arguments that it was written for, once and within its time.
pub struct Sealer {
    key: LessSafeKey,
    used: Mutex<Used>,
}

/// The states that were used and have not expired since, by user.
#[derive(Default)]
struct Used {
    by_user: HashMap<UserId, HashMap<[u8; NONCE_LEN], Timestamp>>,
    in_all: usize,
}

/// What a state is bound to. Another principal, operation or argument does not open it.
#[derive(Clone, Debug)]
pub struct Binding {
    user: UserId,
    bytes: Vec<u8>,
}

impl Binding {
    /// The binding of an operation on something with certain arguments, by a principal. The order
    /// of the arguments and the space between them do not matter.
    #[must_use]
    pub fn new(
        principal: &Principal,
        method: &str,
        name: &str,
        arguments: Option<&RawValue>,
    ) -> Self {
        let arguments: Value = arguments
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default();
        let digest = Sha256::digest(arguments.to_string());
        let client = principal.client.as_deref();
        let mut bytes = Vec::new();
        for part in [
            principal.user.as_uuid().as_bytes().as_slice(),
            // An absent client and one without a name are not the same.
            &[u8::from(client.is_some())],
            client.unwrap_or_default().as_bytes(),
            method.as_bytes(),
            name.as_bytes(),
            &digest,
        ] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        Self {
            user: principal.user,
            bytes,
        }
    }
}

impl Sealer {
    /// A sealer with a key of its own, which is gone with the process.
    ///
    /// # Panics
    /// If the operating system gives no random bytes.
    #[must_use]
    pub fn new() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).expect("the key has the right length");
        Self {
            key: LessSafeKey::new(key),
            used: Mutex::default(),
        }
    }

    /// Seals what has to come back.
    ///
    /// # Panics
    /// If the operating system gives no random bytes.
    #[must_use]
    pub fn seal(&self, binding: &Binding, carried: &str, now: Timestamp) -> String {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        let expires = (now + LIFETIME).timestamp();
        let mut sealed = expires.to_be_bytes().to_vec();
        sealed.extend_from_slice(carried.as_bytes());
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&binding.bytes),
                &mut sealed,
            )
            .expect("a state is far shorter than the cipher's limit");
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Opens a state, once.
    ///
    /// # Errors
    /// `-32602`, the same for every reason: not ours, another's, expired, used.
    pub fn open(&self, binding: &Binding, state: &str, now: Timestamp) -> Result<String, RpcError> {
        self.try_open(binding, state, now).ok_or_else(|| {
            RpcError::invalid_params(
                "Invalid params: requestState is not one of this server's for this call, or has expired, or was used; call again without it",
            )
        })
    }

    fn try_open(&self, binding: &Binding, state: &str, now: Timestamp) -> Option<String> {
        let mut bytes = URL_SAFE_NO_PAD.decode(state.strip_prefix(VERSION)?).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = *nonce;
        let opened = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&binding.bytes),
                sealed,
            )
            .ok()?;
        let (expires, carried) = opened.split_first_chunk::<8>()?;
        let expires = DateTime::from_timestamp(i64::from_be_bytes(*expires), 0)?;
        let carried = str::from_utf8(carried).ok()?.to_owned();
        (now < expires && self.use_up(binding.user, nonce, expires, now)).then_some(carried)
    }

    fn use_up(
        &self,
        user: UserId,
        nonce: [u8; NONCE_LEN],
        expires: Timestamp,
        now: Timestamp,
    ) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.use_up(user, nonce, expires, now)
    }
}

impl Used {
    fn use_up(
        &mut self,
        user: UserId,
        nonce: [u8; NONCE_LEN],
        expires: Timestamp,
        now: Timestamp,
    ) -> bool {
        if self.in_all >= REMEMBERED {
            self.by_user.retain(|_, own| {
                own.retain(|_, expires| now < *expires);
                !own.is_empty()
            });
            self.in_all = self.by_user.values().map(HashMap::len).sum();
        }
        let in_all = self.in_all;
        let own = self.by_user.entry(user).or_default();
        let before = own.len();
        if before >= REMEMBERED_PER_USER {
            own.retain(|_, expires| now < *expires);
        }
        let room = own.len() < REMEMBERED_PER_USER && in_all < REMEMBERED;
        let is_new = room && own.insert(nonce, expires).is_none();
        self.in_all = in_all + own.len() - before;
        is_new
    }
}

impl Default for Sealer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{principal::UserId, scope::ScopeSet};

    fn principal(subject: &str, client: Option<&str>) -> Principal {
        Principal {
            issuer: "i".to_owned(),
            subject: subject.to_owned(),
            client: client.map(str::to_owned),
            username: None,
            scopes: ScopeSet::ALL,
            expires_at: None,
            user: UserId::derive("i", subject),
        }
    }

    fn binding(subject: &str, client: Option<&str>, name: &str, arguments: &str) -> Binding {
        let arguments = RawValue::from_string(arguments.to_owned()).unwrap();
        let principal = principal(subject, client);
        Binding::new(&principal, "tools/call", name, Some(&arguments))
    }

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// P-07.
    #[test]
    fn a_state_opens_once_and_for_what_it_was_sealed_for_alone() {
        let sealer = Sealer::new();
        let ours = binding("a", Some("c"), "delete_entry", r#"{"id":1}"#);
        let state = sealer.seal(&ours, "carried", at(0));
        for other in [
            binding("b", Some("c"), "delete_entry", r#"{"id":1}"#),
            binding("a", Some("d"), "delete_entry", r#"{"id":1}"#),
            binding("a", None, "delete_entry", r#"{"id":1}"#),
            binding("a", Some("c"), "delete_tag", r#"{"id":1}"#),
            binding("a", Some("c"), "delete_entry", r#"{"id":2}"#),
        ] {
            assert!(sealer.open(&other, &state, at(0)).is_err());
        }
        assert!(Sealer::new().open(&ours, &state, at(0)).is_err());
        assert_eq!(sealer.open(&ours, &state, at(0)).unwrap(), "carried");
        assert!(sealer.open(&ours, &state, at(0)).is_err());
    }

    #[test]
    fn how_the_arguments_are_written_does_not_matter_and_what_they_say_does() {
        let sealer = Sealer::new();
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

    /// SEC-10.
    #[test]
    fn a_state_expires() {
        let sealer = Sealer::new();
        let ours = binding("a", None, "x", "{}");
        let state = sealer.seal(&ours, "", at(0));
        assert!(sealer.open(&ours, &state, at(600)).is_err());
        assert!(sealer.open(&ours, &state, at(599)).is_ok());
    }

    /// P-09.
    #[test]
    fn who_uses_very_many_states_keeps_nobody_else_from_it() {
        let sealer = Sealer::new();
        let many = binding("a", None, "x", "{}");
        let open = |binding: &Binding, now| {
            let state = sealer.seal(binding, "", at(now));
            sealer.open(binding, &state, at(now)).is_ok()
        };
        for _ in 0..REMEMBERED_PER_USER {
            assert!(open(&many, 0));
        }
        assert!(!open(&many, 0));
        assert!(open(&binding("b", None, "x", "{}"), 0));
        assert!(open(&many, 601));
        assert_eq!(sealer.used.lock().unwrap().in_all, 2);
    }

    proptest! {
        /// P-06, SEC-10.
        #[test]
        fn no_change_of_a_state_goes_unnoticed(carried in "\\PC{0,40}", place in 0usize..60, with in "[A-Za-z0-9_-]") {
            let sealer = Sealer::new();
            let ours = binding("a", None, "x", "{}");
            let state = sealer.seal(&ours, &carried, at(0));
            let place = VERSION.len() + place % (state.len() - VERSION.len());
            let mut changed = state.clone();
            changed.replace_range(place..=place, &with);
            if changed != state {
                // The last character may have bits that mean nothing; those are refused as well.
                prop_assert!(sealer.open(&ours, &changed, at(0)).is_err());
            }
            let longer = sealer.open(&ours, &format!("{state}-TAMPERED"), at(0));
            prop_assert!(longer.is_err());
            prop_assert_eq!(sealer.open(&ours, &state, at(0)).unwrap(), carried);
        }

        #[test]
        fn any_text_is_refused(text in "\\PC*") {
            let opened = Sealer::new().open(&binding("a", None, "x", "{}"), &text, at(0));
            prop_assert!(opened.is_err());
        }
    }
}
