//! Objects read in one pass, however deep they lie: their members one by one, those that nobody knows passed
//! over, and what is no object left for whoever knows what to say of it.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// What may be an object: its members, or `None` if it is no object, or names a member twice, so that two
/// readers could see two different requests.
#[derive(Clone, Copy, Debug)]
pub struct Object<T>(pub Option<T>);

/// The members of an object that somebody knows.
pub trait Members<'a>: Default {
    /// Takes the value of the member of this name from the object; a member that nobody knows has to be
    /// taken as well. Says whether it is the first of its name, as far as that matters.
    ///
    /// # Errors
    /// Those of the object.
    fn take<M: MapAccess<'a>>(&mut self, name: &str, object: &mut M) -> Result<bool, M::Error>;
}

/// Takes a value for a member, and says whether it is the first.
///
/// # Errors
/// Those of the object.
pub fn first<'a, T: Deserialize<'a>, M: MapAccess<'a>>(
    member: &mut Option<T>,
    object: &mut M,
) -> Result<bool, M::Error> {
    Ok(member.replace(object.next_value()?).is_none())
}

impl<'a, T: Members<'a>> Deserialize<'a> for Object<T> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);

        impl<'a, T: Members<'a>> Visitor<'a> for Any<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_map<M: MapAccess<'a>>(self, mut object: M) -> Result<Self::Value, M::Error> {
                let (mut members, mut once) = (T::default(), true);
                while let Some(CowStr(name)) = object.next_key()? {
                    once &= members.take(&name, &mut object)?;
                }
                Ok(Object(once.then_some(members)))
            }

            fn visit_seq<S: SeqAccess<'a>>(self, mut array: S) -> Result<Self::Value, S::Error> {
                while array.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Object(None))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Object(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Object(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Object(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Object(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Object(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Object(None))
            }
        }

        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// Reads a member that may be absent but keeps a `null` apart from that.
///
/// # Errors
/// Those of the deserializer.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A string that is borrowed where it has no escapes.
#[derive(Debug, Deserialize)]
pub(crate) struct CowStr<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Whether a value is a JSON object.
#[must_use]
pub fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// The text of a JSON string.
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
        within: Option<Box<Object<Self>>>,
    }

    impl<'a> Members<'a> for Pair<'a> {
        fn take<M: MapAccess<'a>>(&mut self, name: &str, object: &mut M) -> Result<bool, M::Error> {
            match name {
                "left" => first(&mut self.left, object),
                "within" => first(&mut self.within, object),
                _ => object.next_value().map(|IgnoredAny| true),
            }
        }
    }

    fn read(json: &str) -> Option<Pair<'_>> {
        serde_json::from_str::<Object<Pair<'_>>>(json).unwrap().0
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
        for json in [
            "[{},1]", "null", "true", "-1", "1", "1.5", "\"a\\n\"", "\"left\"",
        ] {
            assert!(read(json).is_none(), "{json}");
            let outer = format!(r#"{{"within":{json},"left":1}}"#);
            let outer = read(&outer).unwrap();
            assert!(outer.within.unwrap().0.is_none(), "{json}");
            assert!(outer.left.is_some());
        }
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
