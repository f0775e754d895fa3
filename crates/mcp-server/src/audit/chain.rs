//! The chain of the lines of an audit file: each has a number, the hash of the line before it, and its own hash.
//!
//! A line is a JSON object that ends with `,"seq":N,"prev":"HASH","hash":"HASH"}`. The hash is that of everything
//! before `,"hash"`, by SHA-256, or by HMAC-SHA-256 (RFC 2104) if there is a key. Without a key, the chain
//! reveals accidental changes only, because anybody who can write to the file can write a new chain. With a key, only
//! the holders of the key can.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The length of a hash in hexadecimal.
const HEX: usize = 64;

/// The key of a chain.
#[derive(Clone)]
pub(super) struct ChainKey(Hmac<Sha256>);

impl ChainKey {
    pub(super) fn new(key: &[u8]) -> Self {
        let key = Hmac::new_from_slice(key).expect("a key of any length");
        Self(key.chain_update("audit chain"))
    }
}

/// Where a chain ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// The number of the last line; 0 before the first.
    pub(super) sequence: u64,
    /// Its hash; zeros before the first.
    pub(super) hash: [u8; 32],
}

/// A line that was taken apart.
pub(super) struct Chained<'a> {
    /// What is hashed.
    body: &'a [u8],
    /// Its link.
    pub(super) link: Link,
    /// The hash that it has for the line before.
    pub(super) previous: [u8; 32],
}

/// Appends a JSON object as the next line, and returns its link.
pub(super) fn append(out: &mut Vec<u8>, object: &[u8], last: Link, key: Option<&ChainKey>) -> Link {
    let begin = out.len();
    out.extend_from_slice(object.strip_suffix(b"}").unwrap_or(object));
    let sequence = last.sequence + 1;
    let end = format!(",\"seq\":{sequence},\"prev\":\"{}\"", hex(&last.hash));
    out.extend_from_slice(end.as_bytes());
    let hash = hash(&out[begin..], key);
    out.extend_from_slice(format!(",\"hash\":\"{}\"}}\n", hex(&hash)).as_bytes());
    Link { sequence, hash }
}

/// Parses a line, without its line break. `None` if it is not a line of an audit file. Quotes within values are
/// escaped, so no value can look like the end of the line.
pub(super) fn read(line: &[u8]) -> Option<Chained<'_>> {
    let (body, hash) = strip_hash(line.strip_suffix(b"}")?, b",\"hash\":\"")?;
    let (start, previous) = strip_hash(body, b",\"prev\":\"")?;
    let digits = start
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (start, sequence) = start.split_at(start.len() - digits);
    start.strip_suffix(b",\"seq\":")?.strip_prefix(b"{")?;
    let sequence = str::from_utf8(sequence).ok()?.parse().ok()?;
    Some(Chained {
        body,
        link: Link { sequence, hash },
        previous,
    })
}

impl Chained<'_> {
    /// Whether the hash is that of the line.
    pub(super) fn is_intact(&self, key: Option<&ChainKey>) -> bool {
        hash(self.body, key) == self.link.hash
    }

    /// Whether the line records that the previous line is incomplete.
    pub(super) fn tells_of_a_torn_line(&self) -> bool {
        let mark = b",\"event\":\"log\",\"outcome\":\"torn\"";
        self.body.windows(mark.len()).any(|part| part == mark)
    }
}

fn strip_hash<'a>(text: &'a [u8], name: &[u8]) -> Option<(&'a [u8], [u8; 32])> {
    let text = text.strip_suffix(b"\"")?;
    let (rest, digits) = text.split_at_checked(text.len().checked_sub(HEX)?)?;
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        });
        *byte = high? * 16 + low?;
    }
    Some((rest.strip_suffix(name)?, hash))
}

fn hash(body: &[u8], key: Option<&ChainKey>) -> [u8; 32] {
    match key {
        Some(key) => key
            .0
            .clone()
            .chain_update(body)
            .finalize()
            .into_bytes()
            .into(),
        None => Sha256::digest(body).into(),
    }
}

/// A hash in hexadecimal.
pub(super) fn hex(hash: &[u8; 32]) -> String {
    hash.iter()
        .fold(String::with_capacity(HEX), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_line_is_read_as_it_was_written_and_no_change_of_it_goes_unnoticed(
            text in "\\PC{0,60}", place in any::<prop::sample::Index>(), byte: u8, keyed: bool,
        ) {
            let key = keyed.then(|| ChainKey::new(b"k"));
            let object = serde_json::json!({ "event": text }).to_string();
            let last = Link { sequence: 41, hash: [7; 32] };
            let mut out = Vec::new();
            let link = append(&mut out, object.as_bytes(), last, key.as_ref());
            let line = out.strip_suffix(b"\n").unwrap();
            let chained = read(line).unwrap();
            prop_assert!(chained.is_intact(key.as_ref()));
            prop_assert_eq!((chained.link, chained.previous), (link, last.hash));
            prop_assert_eq!(link.sequence, 42);
            let other = ChainKey::new(b"other");
            prop_assert!(!chained.is_intact(Some(&other)));
            prop_assert!(serde_json::from_slice::<serde_json::Value>(line).is_ok());
            let mut changed = line.to_vec();
            let place = place.index(changed.len());
            changed[place] = byte;
            if changed != line {
                prop_assert!(!read(&changed).is_some_and(|line| line.is_intact(key.as_ref())));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(line: Vec<u8>) {
            let _ = read(&line);
        }
    }
}
