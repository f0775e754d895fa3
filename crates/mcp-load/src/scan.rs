//! Finds members of a JSON object without building a tree, and without looking into what is not asked for.

use memchr::memchr2;

/// The text is no JSON object, or ends within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// A key without its quotes, and a value.
type Member<'a> = (&'a [u8], &'a [u8]);

/// The members of a JSON object, as they stand in the text. Values are skipped by their brackets and quotes alone, so
/// this is no validation: it finds what a correct answer has, and does not see all faults of another.
pub(crate) struct Members<'a> {
    text: &'a [u8],
    at: usize,
    begun: bool,
    ended: bool,
}

impl<'a> Members<'a> {
    pub(crate) fn of(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            begun: false,
            ended: false,
        }
    }

    fn next_member(&mut self) -> Result<Option<Member<'a>>, Broken> {
        self.space();
        if !self.begun {
            self.expect(b'{')?;
            self.begun = true;
            self.space();
            if self.peek() == Some(b'}') {
                return Ok(None);
            }
        } else if self.peek() == Some(b'}') {
            return Ok(None);
        } else {
            self.expect(b',')?;
            self.space();
        }
        let key = self.value()?;
        let key = key
            .strip_prefix(b"\"")
            .and_then(|key| key.strip_suffix(b"\""))
            .ok_or(Broken)?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(Some((key, self.value()?)))
    }

    fn value(&mut self) -> Result<&'a [u8], Broken> {
        let begin = self.at;
        match self.peek().ok_or(Broken)? {
            b'"' => self.at = end_of_string(self.text, begin)?,
            b'{' | b'[' => self.at = end_of_nest(self.text, begin)?,
            _ => {
                let is_end = |byte: &u8| b",}] \t\r\n".contains(byte);
                let rest = &self.text[begin..];
                self.at += rest.iter().position(is_end).unwrap_or(rest.len());
            }
        }
        if self.at == begin {
            return Err(Broken);
        }
        Ok(&self.text[begin..self.at])
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.peek() != Some(byte) {
            return Err(Broken);
        }
        self.at += 1;
        Ok(())
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_member().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The place after the string that begins here.
fn end_of_string(text: &[u8], begin: usize) -> Result<usize, Broken> {
    let mut at = begin + 1;
    loop {
        let rest = text.get(at..).ok_or(Broken)?;
        let found = at + memchr2(b'"', b'\\', rest).ok_or(Broken)?;
        if text[found] == b'"' {
            return Ok(found + 1);
        }
        at = found + 2;
    }
}

/// The place after the object or array that begins here.
fn end_of_nest(text: &[u8], begin: usize) -> Result<usize, Broken> {
    let mut at = begin;
    let mut depth = 0_usize;
    loop {
        match text.get(at).ok_or(Broken)? {
            b'"' => {
                at = end_of_string(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Ok(at);
        }
    }
}

/// The values of these members of an object; of a name that stands twice, the last.
pub(crate) fn members<'a, const N: usize>(
    text: &'a [u8],
    names: [&[u8]; N],
) -> Result<[Option<&'a [u8]>; N], Broken> {
    let mut found = [None; N];
    for member in Members::of(text) {
        let (key, value) = member?;
        if let Some(place) = names.iter().position(|name| *name == key) {
            found[place] = Some(value);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn members_are_found_past_anything() {
        let text =
            br#" { "a" : [1, {"id": 2}, "]}\""], "id":7 , "b":"\\", "result":{"x":{"y":[]}} }"#;
        let [id, result, none] = members(text, [b"id", b"result", b"error"]).unwrap();
        assert_eq!(id, Some(&b"7"[..]));
        assert_eq!(result, Some(&br#"{"x":{"y":[]}}"#[..]));
        assert_eq!(none, None);
        assert_eq!(members(b"{}", [b"id"]), Ok([None]));
    }

    #[test]
    fn what_breaks_off_is_broken() {
        for text in [
            "",
            "[]",
            "{",
            r#"{"a"#,
            r#"{"a""#,
            r#"{"a":"#,
            r#"{"a":1"#,
            r#"{"a":[1}"#,
            r#"{"a":"\"#,
            r#"{"a":1 "b":2}"#,
            "{1:2}",
            "null",
        ] {
            let closed_early = members(text.as_bytes(), [b"id"]);
            assert_eq!(closed_early, Err(Broken), "{text}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map("[a-z]{1,4}", inner, 0..6).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        /// What serde_json writes, this reads the same.
        #[test]
        fn it_agrees_with_a_parser(values in prop::collection::vec(json(), 0..6), pretty: bool) {
            let object: Value = values
                .iter()
                .enumerate()
                .map(|(number, value)| (format!("m{number}"), value.clone()))
                .collect();
            let text = if pretty {
                serde_json::to_string_pretty(&object).unwrap()
            } else {
                object.to_string()
            };
            let mut found = 0;
            for member in Members::of(text.as_bytes()) {
                let (key, value) = member.unwrap();
                let key = str::from_utf8(key).unwrap();
                prop_assert_eq!(&serde_json::from_slice::<Value>(value).unwrap(), &object[key]);
                found += 1;
            }
            prop_assert_eq!(found, values.len());
        }

        #[test]
        fn it_never_panics(text in "[ \\]\\[{}\":,\\\\a1]{0,40}") {
            for member in Members::of(text.as_bytes()) {
                if member.is_err() {
                    break;
                }
            }
        }
    }
}
