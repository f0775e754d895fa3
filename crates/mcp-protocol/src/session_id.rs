//! `Mcp-Session-Id` (MCP 2025-11-25, Transports, Session Management): what a session began with, encrypted, so
//! that every process with the key can go on with it.
//!
//! An id is a name and no credential: it is valid for its owner alone, who is authenticated with every request.
//! This module does no I/O: the caller has to know whether the session has ended.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};

use crate::{outgoing::ClientCapabilities, random, version::ProtocolVersion};

/// The first byte, which names the format.
const FORMAT: u8 = 1;

/// The bytes that are encrypted: 18 random ones, the begin, the revision and the capabilities.
const SEALED: usize = RANDOM + 8 + 1 + 1;

/// Random bytes besides the nonce: 240 random bits in all.
const RANDOM: usize = 18;

/// The length of the tag of Poly1305.
const TAG: usize = 16;

/// The length of an id in bytes. A multiple of three, so that every character of its text counts.
const BYTES: usize = 1 + NONCE_LEN + SEALED + TAG;

/// The length of an id as text.
pub const LENGTH: usize = BYTES / 3 * 4;

/// The id of a session, as the client sends it. Parsing checks its form alone; [`SessionSealer::open`] tells whether
/// this server issued it to this owner.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionId([u8; BYTES]);

/// What distinguishes a session from all others, and from which its id cannot be derived: for tables and for
/// messages between processes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionName([u8; NONCE_LEN]);

/// What a session began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionStart {
    /// The negotiated revision, a legacy one.
    pub version: ProtocolVersion,
    /// The capabilities of the client.
    pub capabilities: ClientCapabilities,
    /// When it began, to the microsecond.
    pub begun_at: DateTime<Utc>,
}

/// The owner of a session: a user, and the client if the authorization server names it.
#[derive(Clone, Debug)]
pub struct SessionOwner(Vec<u8>);

/// Encrypts and decrypts ids (ChaCha20-Poly1305, RFC 8439). Its keys are derived from those that it is given
/// (HKDF, RFC 5869), so that neither an id nor anything else that is encrypted with them can be taken for the
/// other.
pub struct SessionSealer {
    current: LessSafeKey,
    previous: Option<LessSafeKey>,
}

impl SessionId {
    /// Parses an id; `None` if it has not the form of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        let mut bytes = [0; BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (length == BYTES && bytes[0] == FORMAT).then_some(Self(bytes))
    }

    /// The name of the session.
    #[must_use]
    pub fn name(&self) -> SessionName {
        let mut name = [0; NONCE_LEN];
        name.copy_from_slice(&self.0[1..=NONCE_LEN]);
        SessionName(name)
    }
}

impl SessionName {
    /// The name with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; NONCE_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, for storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; NONCE_LEN] {
        &self.0
    }

    /// Parses what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl SessionOwner {
    /// The owner.
    #[must_use]
    pub fn new(user: &[u8], client: Option<&str>) -> Self {
        let mut bytes = Vec::with_capacity(1 + 8 + user.len() + client.map_or(0, str::len));
        // Distinguishes an absent client from an empty one.
        bytes.push(u8::from(client.is_some()));
        bytes.extend_from_slice(&(user.len() as u64).to_be_bytes());
        bytes.extend_from_slice(user);
        bytes.extend_from_slice(client.unwrap_or_default().as_bytes());
        Self(bytes)
    }
}

impl SessionSealer {
    /// A sealer with keys that are derived from these. The previous one only decrypts.
    #[must_use]
    pub fn new(current: &[u8; 32], previous: Option<&[u8; 32]>) -> Self {
        Self {
            current: derived(current),
            previous: previous.map(derived),
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

    /// The id of a new session of this owner.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    #[must_use]
    pub fn seal(&self, owner: &SessionOwner, start: &SessionStart) -> SessionId {
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let mut sealed = [0; SEALED];
        sealed[..RANDOM].copy_from_slice(&random::bytes::<RANDOM>());
        sealed[RANDOM..RANDOM + 8]
            .copy_from_slice(&start.begun_at.timestamp_micros().to_be_bytes());
        sealed[SEALED - 2] = code_of(start.version);
        sealed[SEALED - 1] = start.capabilities.to_bits();
        let tag = self
            .current
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&owner.0),
                &mut sealed,
            )
            .expect("an id is far shorter than the cipher's limit");
        let mut bytes = [FORMAT; BYTES];
        bytes[1..=NONCE_LEN].copy_from_slice(&nonce);
        bytes[1 + NONCE_LEN..BYTES - TAG].copy_from_slice(&sealed);
        bytes[BYTES - TAG..].copy_from_slice(tag.as_ref());
        SessionId(bytes)
    }

    /// What a session of this owner began with. `None` if the id was not issued with one of the keys, or not for
    /// this owner: nobody can tell which.
    #[must_use]
    pub fn open(&self, owner: &SessionOwner, id: &SessionId) -> Option<SessionStart> {
        let keys = [Some(&self.current), self.previous.as_ref()];
        keys.into_iter().flatten().find_map(|key| {
            let mut sealed = [0; SEALED + TAG];
            sealed.copy_from_slice(&id.0[1 + NONCE_LEN..]);
            let nonce = Nonce::assume_unique_for_key(id.name().0);
            let opened = key
                .open_in_place(nonce, Aad::from(&owner.0), &mut sealed)
                .ok()?;
            let (_, rest) = opened.split_at_checked(RANDOM)?;
            let (begun_at, rest) = rest.split_first_chunk::<8>()?;
            let [version, capabilities] = rest.try_into().ok()?;
            Some(SessionStart {
                version: version_of(version)?,
                capabilities: ClientCapabilities::from_bits(capabilities),
                begun_at: DateTime::from_timestamp_micros(i64::from_be_bytes(*begun_at))?,
            })
        })
    }
}

/// The key of the sealer.
fn derived(key: &[u8; 32]) -> LessSafeKey {
    let extracted = Salt::new(HKDF_SHA256, b"mcp session id").extract(key);
    let expanded = extracted.expand(&[b"key"], &CHACHA20_POLY1305);
    let expanded = expanded.expect("the length of the key is one that HKDF can give");
    LessSafeKey::new(UnboundKey::from(expanded))
}

/// The code of a revision. It never changes.
const fn code_of(version: ProtocolVersion) -> u8 {
    match version {
        ProtocolVersion::V2025_03_26 => 1,
        ProtocolVersion::V2025_06_18 => 2,
        ProtocolVersion::V2025_11_25 => 3,
        ProtocolVersion::V2026_07_28 => 4,
    }
}

/// The legacy revision with this code.
fn version_of(code: u8) -> Option<ProtocolVersion> {
    let mut legacy = ProtocolVersion::ALL.into_iter();
    legacy.find(|version| !version.is_modern() && code_of(*version) == code)
}

impl Hash for SessionId {
    /// The name alone: the ids that a server keeps are those that it issued, and no two have the same.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0[1..=NONCE_LEN].hash(state);
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({:?})", self.name())
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionName({}…)", &URL_SAFE_NO_PAD.encode(self.0)[..6])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::request_state::{Binding, Sealer};

    fn owner(user: &str, client: Option<&str>) -> SessionOwner {
        SessionOwner::new(user.as_bytes(), client)
    }

    fn start(version: ProtocolVersion, capabilities: &str, micros: i64) -> SessionStart {
        let capabilities = RawValue::from_string(capabilities.to_owned()).unwrap();
        SessionStart {
            version,
            capabilities: ClientCapabilities::read(&capabilities),
            begun_at: DateTime::from_timestamp_micros(micros).unwrap(),
        }
    }

    fn some() -> SessionStart {
        start(
            ProtocolVersion::V2025_11_25,
            r#"{"sampling":{}}"#,
            1_911_729_600_123_456,
        )
    }

    /// L-05, L-06.
    #[test]
    fn an_id_is_visible_ascii_and_says_what_the_session_began_with_to_whoever_has_the_key() {
        let sealer = SessionSealer::random();
        let ann = owner("ann", Some("host"));
        let versions = ProtocolVersion::ALL.into_iter();
        for version in versions.filter(|version| !version.is_modern()) {
            for capabilities in [
                "{}",
                r#"{"elicitation":{}}"#,
                r#"{"sampling":{},"roots":{}}"#,
            ] {
                for micros in [0, -1, 1_911_729_600_123_456] {
                    let start = start(version, capabilities, micros);
                    let id = sealer.seal(&ann, &start);
                    let text = id.to_string();
                    assert!(text.len() == LENGTH && LENGTH <= 160);
                    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
                    assert_eq!(SessionId::parse(&text), Some(id));
                    assert_eq!(sealer.open(&ann, &id), Some(start));
                    assert_ne!(sealer.seal(&ann, &start).name(), id.name());
                    assert_eq!(SessionName::parse(&id.name().to_string()), Some(id.name()));
                }
            }
        }
    }

    /// Written by another implementation: processes of different versions have to understand each other.
    #[test]
    fn the_format_stays_as_it_is() {
        let id = "AQABAgMEBQYHCAkKC4mMsfnbtA2ntspHdpKx6EaMZLmdzeW0cgqMnHH8rOgXNEpqgBJUt93EQWsy";
        let id = SessionId::parse(id).unwrap();
        let able = r#"{"elicitation":{},"sampling":{},"roots":{}}"#;
        assert_eq!(
            SessionSealer::new(&[7; 32], None).open(&owner("ann", Some("host")), &id),
            Some(start(
                ProtocolVersion::V2025_11_25,
                able,
                1_911_729_600_123_456
            ))
        );
        assert_eq!(
            id.name().as_bytes(),
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
        );
    }

    /// L-08, SEC-01.
    #[test]
    fn an_id_opens_for_its_owner_alone() {
        let sealer = SessionSealer::random();
        let id = sealer.seal(&owner("ann", Some("host")), &some());
        for stranger in [
            owner("bob", Some("host")),
            owner("ann", Some("other")),
            owner("ann", Some("")),
            owner("ann", None),
            owner("annh", Some("ost")),
        ] {
            assert_eq!(sealer.open(&stranger, &id), None);
        }
        let nameless = sealer.seal(&owner("ann", None), &some());
        assert_eq!(sealer.open(&owner("ann", Some("")), &nameless), None);
        assert!(sealer.open(&owner("ann", None), &nameless).is_some());
    }

    #[test]
    fn the_previous_key_opens_and_seals_nothing() {
        let (old, new) = ([1; 32], [2; 32]);
        let ann = owner("ann", None);
        let before = SessionSealer::new(&old, None);
        let rotated = SessionSealer::new(&new, Some(&old));
        let after = SessionSealer::new(&new, None);
        for (by, from, does) in [
            (&rotated, &before, true),
            (&rotated, &after, true),
            (&after, &rotated, true),
            (&before, &rotated, false),
            (&after, &before, false),
            (&SessionSealer::random(), &after, false),
        ] {
            let id = from.seal(&ann, &some());
            assert_eq!(by.open(&ann, &id).is_some(), does);
        }
    }

    #[test]
    fn neither_an_id_nor_a_request_state_is_taken_for_the_other() {
        let key = [7; 32];
        let (sessions, states) = (SessionSealer::new(&key, None), Sealer::new(&key, None));
        let binding = Binding::new(b"ann", None, "tools/call", "x", None);
        let ann = owner("ann", None);
        let id = sessions.seal(&ann, &some()).to_string();
        for state in [id.clone(), format!("v2.{id}")] {
            assert!(states.open(&binding, &state, some().begun_at).is_err());
        }
        let state = states.seal(&binding, &"x".repeat(13), some().begun_at);
        for text in [&state[..], &state[3..]] {
            let opened = SessionId::parse(text).and_then(|id| sessions.open(&ann, &id));
            assert_eq!(opened, None);
        }
        // Nor with what it is bound to in the other's place.
        let cipher = UnboundKey::new(&CHACHA20_POLY1305, &key).unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(&id).unwrap();
        let nonce = Nonce::try_assume_unique_for_key(&bytes[1..=NONCE_LEN]).unwrap();
        let opened = LessSafeKey::new(cipher).open_in_place(
            nonce,
            Aad::from(&ann.0),
            &mut bytes[1 + NONCE_LEN..],
        );
        assert!(opened.is_err(), "the key itself opens no id");
    }

    #[test]
    fn an_id_gives_nothing_away() {
        let sealer = SessionSealer::random();
        let ids = ["ann", "bob"].map(|user| {
            let id = sealer.seal(&owner(user, Some("host")), &some());
            URL_SAFE_NO_PAD.decode(id.to_string()).unwrap()
        });
        let same = ids[0].iter().zip(&ids[1]).filter(|(a, b)| a == b).count();
        // The format, and what is the same by chance.
        assert!(same < 10, "{same}");
        let begun = some().begun_at.timestamp_micros().to_be_bytes();
        for id in ids {
            assert!(
                !id.windows(4)
                    .any(|four| begun.windows(4).any(|of| of == four))
            );
        }
    }

    proptest! {
        /// P-06, SEC-10.
        #[test]
        fn no_change_of_an_id_goes_unnoticed(place in 0..LENGTH, with in "[A-Za-z0-9_-]", begun in 0i64..4_000_000_000_000_000) {
            let sealer = SessionSealer::random();
            let ann = owner("ann", Some("host"));
            let start = start(ProtocolVersion::V2025_06_18, "{}", begun);
            let id = sealer.seal(&ann, &start).to_string();
            let mut changed = id.clone();
            changed.replace_range(place..=place, &with);
            let opened = SessionId::parse(&changed).and_then(|id| sealer.open(&ann, &id));
            prop_assert_eq!(opened, (changed == id).then_some(start));
            prop_assert_eq!(SessionId::parse(&format!("{id}A")), None);
            prop_assert_eq!(SessionId::parse(&id[1..]), None);
        }

        #[test]
        fn any_text_is_unknown(text in "[A-Za-z0-9_-]{76}|AQ[A-Za-z0-9_-]{74}|\\PC*") {
            let opened = SessionId::parse(&text)
                .and_then(|id| SessionSealer::random().open(&owner("ann", None), &id));
            prop_assert_eq!(opened, None);
        }
    }
}
