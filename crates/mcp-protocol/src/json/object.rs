//! Parsing of objects in one pass, at any depth: unknown members are skipped, duplicate ones detected, and
//! other types of JSON reported without an error of serde.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of an object, none for `null`, which some clients write for what they leave out; `None` if the value is
/// of another type, or if a known member appears twice, because two parsers could then read different requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LenientObject<T>(pub(crate) Option<T>);

/// The known members of an object.
pub(crate) trait ObjectMembers<'a>: Default {
    /// Reads the value of the member with this name, or skips it if the name is unknown. `false` if a known
    /// member appears twice.
    ///
    /// # Errors
    /// Errors of the deserializer.
    fn read_member<M: MapAccess<'a>>(
        &mut self,
        name: &str,
        object: &mut M,
    ) -> Result<bool, M::Error>;
}

/// Reads the value of a member; `false` if it was read before.
///
/// # Errors
/// Errors of the deserializer.
pub(crate) fn read_first<'a, T: Deserialize<'a>, M: MapAccess<'a>>(
    member: &mut Option<T>,
    object: &mut M,
) -> Result<bool, M::Error> {
    Ok(member.replace(object.next_value()?).is_none())
}

impl<'a, T: ObjectMembers<'a>> Deserialize<'a> for LenientObject<T> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);

        impl<'a, T: ObjectMembers<'a>> Visitor<'a> for Any<T> {
            type Value = LenientObject<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_map<M: MapAccess<'a>>(self, mut object: M) -> Result<Self::Value, M::Error> {
                let (mut members, mut once) = (T::default(), true);
                while let Some(CowStr(name)) = object.next_key()? {
                    once &= members.read_member(&name, &mut object)?;
                }
                Ok(LenientObject(once.then_some(members)))
            }

            fn visit_seq<S: SeqAccess<'a>>(self, mut array: S) -> Result<Self::Value, S::Error> {
                while array.next_element::<IgnoredAny>()?.is_some() {}
                Ok(LenientObject(None))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(LenientObject(Some(T::default())))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(LenientObject(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(LenientObject(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(LenientObject(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(LenientObject(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(LenientObject(None))
            }
        }

        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// Deserialises an optional member; `null` is present.
///
/// # Errors
/// Errors of the deserializer.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A string that is borrowed if it has no escapes.
#[derive(Debug, Deserialize)]
pub(crate) struct CowStr<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Whether a value is an object.
#[must_use]
pub fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// The text of a string.
#[must_use]
pub fn as_str(raw: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = raw.get().strip_prefix('"');
    if let Some(text) = quoted.and_then(|rest| rest.strip_suffix('"'))
        && !text.contains('\\')
    {
        return Some(Cow::Borrowed(text));
    }
    serde_json::from_str::<CowStr<'_>>(raw.get())
        .ok()
        .map(|CowStr(text)| text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Default)]
    struct Pair<'a> {
        left: Option<&'a RawValue>,
        within: Option<Box<LenientObject<Self>>>,
    }

    impl<'a> ObjectMembers<'a> for Pair<'a> {
        fn read_member<M: MapAccess<'a>>(
            &mut self,
            name: &str,
            object: &mut M,
        ) -> Result<bool, M::Error> {
            match name {
                "left" => read_first(&mut self.left, object),
                "within" => read_first(&mut self.within, object),
                _ => object.next_value().map(|IgnoredAny| true),
            }
        }
    }

    fn read(json: &str) -> Option<Pair<'_>> {
        serde_json::from_str::<LenientObject<Pair<'_>>>(json)
            .unwrap()
            .0
    }

    #[test]
    fn members_are_found_wherever_they_stand_and_however_deep() {
        let pair =
            read(r#"{"a":[{"left":0}],"within":{"left":null,"x":"}"},"l\u0065ft":{"b":[1]}}"#);
        let pair = pair.unwrap();
        assert_eq!(pair.left.map(RawValue::get), Some(r#"{"b":[1]}"#));
        let within = pair.within.unwrap().0.unwrap();
        assert_eq!(within.left.map(RawValue::get), Some("null"));
        assert!(within.within.is_none());
    }

    #[test]
    fn a_member_that_stands_there_twice_spoils_its_object_and_no_other() {
        assert!(read(r#"{"left":1,"left":1}"#).is_none());
        assert!(read(r#"{"left":1,"l\u0065ft":2}"#).is_none());
        assert!(read(r#"{"x":1,"x":2}"#).is_some());
        let outer = read(r#"{"within":{"left":1,"left":2},"left":3}"#).unwrap();
        assert!(outer.within.unwrap().0.is_none());
        assert_eq!(outer.left.map(RawValue::get), Some("3"));
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for json in ["[{},1]", "true", "-1", "1", "1.5", "\"a\\n\"", "\"left\""] {
            assert!(read(json).is_none(), "{json}");
            let outer = format!(r#"{{"within":{json},"left":1}}"#);
            let outer = read(&outer).unwrap();
            assert!(outer.within.unwrap().0.is_none(), "{json}");
            assert!(outer.left.is_some());
        }
    }

    #[test]
    fn null_is_an_object_without_members() {
        let outer = read(r#"{"within":null,"left":1}"#).unwrap();
        assert!(outer.within.unwrap().0.unwrap().left.is_none());
        assert!(read(r#"{"left":1,"left":null}"#).is_none());
    }

    proptest! {
        #[test]
        fn the_text_of_a_string_is_what_was_written(text in ".*", quoted in "[\"\\\\a]{0,9}") {
            for text in [text, quoted] {
                let raw = serde_json::value::to_raw_value(&text).unwrap();
                prop_assert_eq!(as_str(&raw), Some(Cow::Borrowed(text.as_str())));
            }
        }

        #[test]
        fn any_value_is_passed_over_to_its_end(text in ".*", number in any::<f64>(), list in any::<Vec<i64>>()) {
            let value = json!({ "other": { &text: [number, text, list, Value::Null] }, "left": text });
            let json = value.to_string();
            let pair = read(&json).unwrap();
            let left = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(pair.left.map(RawValue::get), Some(left.as_str()));
        }
    }
}
