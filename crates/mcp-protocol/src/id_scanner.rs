//! The id of a request whose body is not parsed: because it is refused unread, too long, cut off, or not JSON.
//!
//! A client that waits for the answer to its request finds an error only by its id (JSON-RPC 2.0, Response object);
//! some wait until their time-out for an answer without one.

use std::mem;

use memchr::memchr2;
use serde_json::value::RawValue;

use crate::jsonrpc::{Id, LONGEST_ID};

/// The longest member name that is kept, in bytes of JSON: `id` or `method`, each character escaped.
const LONGEST_NAME: usize = 40;

/// Finds the id in the bytes of a body, which come in pieces. Keeps a few hundred bytes at most.
///
/// ```
/// use mcp_protocol::id_scanner::IdScanner;
///
/// let mut scanner = IdScanner::default();
/// scanner.push(br#"{"jsonrpc":"2.0","method":"tools/call","params":{"id":7},"id":"#);
/// scanner.push(br#""a-1"}"#);
/// assert_eq!(scanner.finish().unwrap().as_json(), r#""a-1""#);
/// ```
#[derive(Debug, Default)]
pub struct IdScanner {
    place: Place,
    /// Within how many objects and arrays.
    depth: usize,
    /// Whether the next byte is within a string, and whether it is escaped.
    in_string: bool,
    is_escaped: bool,
    /// The bytes of the name or value that is being kept.
    kept: Vec<u8>,
    id: Found,
    has_method: bool,
}

/// Where in the outermost object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before it.
    #[default]
    Before,
    /// At the name of a member.
    Name,
    /// After the name.
    Colon(Member),
    /// In the value.
    Value(Member),
    /// Nothing more is of interest.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Id,
    Method,
    Other,
}

#[derive(Debug, Default)]
enum Found {
    #[default]
    Nothing,
    One(Vec<u8>),
    /// Two parsers might read different ones.
    Several,
}

impl IdScanner {
    /// Reads the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while self.place != Place::End
            && let Some((first, rest)) = bytes.split_first()
        {
            if self.in_string && !self.is_escaped && !self.is_kept() {
                // The text of a call is most of its body.
                let Some(next) = memchr2(b'"', b'\\', bytes) else {
                    return;
                };
                self.step(bytes[next]);
                bytes = &bytes[next + 1..];
            } else {
                self.step(*first);
                bytes = rest;
            }
        }
    }

    /// The id, if what was read is a request, even in part: has a `method`, and one `id` that is valid.
    #[must_use]
    pub fn finish(self) -> Option<Id> {
        let Found::One(id) = self.id else {
            return None;
        };
        let raw: &RawValue = serde_json::from_slice(&id).ok()?;
        Id::parse(raw).filter(|_| self.has_method)
    }

    fn is_kept(&self) -> bool {
        self.depth == 1 && matches!(self.place, Place::Name | Place::Value(Member::Id))
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            if mem::take(&mut self.is_escaped) {
            } else if byte == b'\\' {
                self.is_escaped = true;
            } else if byte == b'"' {
                self.in_string = false;
                if self.depth == 1 && self.place == Place::Name {
                    self.place = Place::Colon(self.member());
                }
            }
            return;
        }
        match (byte, self.place) {
            (b' ' | b'\t' | b'\r' | b'\n', place) if place != Place::Value(Member::Id) => {}
            (b'{', Place::Before) => {
                self.depth = 1;
                self.place = Place::Name;
            }
            (_, Place::Before) => self.place = Place::End,
            (b'"', Place::Value(member)) => {
                self.has_method |= member == Member::Method && self.depth == 1;
                self.in_string = true;
                self.keep(byte);
            }
            (b'"', Place::Name) => {
                self.in_string = true;
                self.keep(byte);
            }
            (b':', Place::Colon(member)) => {
                self.kept.clear();
                self.place = Place::Value(member);
            }
            (b'{' | b'[', Place::Value(_)) => {
                self.keep(byte);
                self.depth += 1;
            }
            (b',', Place::Value(member)) if self.depth == 1 => {
                self.end_value(member);
                self.place = Place::Name;
            }
            (b'}', Place::Value(member)) if self.depth == 1 => {
                self.end_value(member);
                self.place = Place::End;
            }
            (b'}' | b']', Place::Value(_)) if self.depth > 1 => self.depth -= 1,
            (_, Place::Value(_)) => self.keep(byte),
            // Not JSON from here on.
            (_, Place::Name | Place::Colon(_) | Place::End) => self.place = Place::End,
        }
    }

    fn keep(&mut self, byte: u8) {
        // One byte more than is valid tells that it is not.
        if self.is_kept() && self.kept.len() <= LONGEST_ID {
            self.kept.push(byte);
        }
    }

    fn member(&mut self) -> Member {
        let name = mem::take(&mut self.kept);
        if name.len() > LONGEST_NAME {
            return Member::Other;
        }
        match serde_json::from_slice::<String>(&name).as_deref() {
            Ok("id") => Member::Id,
            Ok("method") => Member::Method,
            _ => Member::Other,
        }
    }

    fn end_value(&mut self, member: Member) {
        let value = mem::take(&mut self.kept);
        if member == Member::Id {
            self.id = match self.id {
                Found::Nothing => Found::One(value),
                Found::One(_) | Found::Several => Found::Several,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn scan(body: &str) -> Option<String> {
        let mut scanner = IdScanner::default();
        scanner.push(body.as_bytes());
        scanner.finish().map(|id| id.to_string())
    }

    #[test]
    fn the_id_of_a_request_is_found_wherever_it_stands() {
        for (body, id) in [
            (r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, "7"),
            (r#" { "method" : "ping" , "id" : "a b" } "#, r#""a b""#),
            (
                r#"{"params":{"id":1,"a":[{"id":2}]},"id":-3,"method":"x"}"#,
                "-3",
            ),
            (r#"{"method":"x","params":"}{\"id\":5","id":6}"#, "6"),
            (r#"{"\u0069d":8,"m\u0065thod":"x"}"#, "8"),
            (r#"{"method":"x","id":"\"}"}"#, r#""\"}""#),
            // Cut off, or not JSON from some point on.
            (r#"{"id":7,"method":"x","params":{"conte"#, "7"),
            (r#"{"id":7,"method":"x","params":nonsense}"#, "7"),
            (r#"{"id":7,"method":"x"}}}"#, "7"),
        ] {
            assert_eq!(scan(body).as_deref(), Some(id), "{body}");
        }
    }

    #[test]
    fn what_is_no_request_has_no_id() {
        for body in [
            "",
            "7",
            r#""id""#,
            r#"[{"id":7,"method":"x"}]"#,
            // A notification, responses, and ids that are none.
            r#"{"method":"x"}"#,
            r#"{"id":7,"result":{"method":"x"}}"#,
            r#"{"id":7,"error":{}}"#,
            r#"{"id":7,"method":1}"#,
            r#"{"id":null,"method":"x"}"#,
            r#"{"id":7.5,"method":"x"}"#,
            r#"{"id":{"id":7},"method":"x"}"#,
            r#"{"id":[7],"method":"x"}"#,
            r#"{"id":7 8,"method":"x"}"#,
            r#"{"id":7,"id":7,"method":"x"}"#,
            r#"{id:7,"method":"x"}"#,
            // Cut off within the id, so that it may be another.
            r#"{"method":"x","id":7"#,
        ] {
            assert_eq!(scan(body), None, "{body}");
        }
        let long = "a".repeat(LONGEST_ID);
        assert_eq!(scan(&format!(r#"{{"id":"{long}","method":"x"}}"#)), None);
    }

    /// Any JSON value, with member names that are of interest among others.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("id|method|\\PC{0,6}", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_id_is_found_among_any_members_however_the_body_is_cut(
            params in any_json(), id in "[a-z\"\\\\{}]{1,9}", is_first: bool, piece in 1usize..9,
        ) {
            let (id, params) = (json!(id).to_string(), params.to_string());
            let body = if is_first {
                format!(r#"{{"id":{id},"method":"x","params":{params}}}"#)
            } else {
                format!(r#"{{"params":{params},"method":"x","id":{id}}}"#)
            };
            let mut scanner = IdScanner::default();
            for piece in body.as_bytes().chunks(piece) {
                scanner.push(piece);
            }
            prop_assert_eq!(scanner.finish().unwrap().to_string(), id);
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut scanner = IdScanner::default();
            scanner.push(&bytes);
            let _ = scanner.finish();
        }
    }
}
