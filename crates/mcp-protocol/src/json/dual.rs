//! Structured content of tools. It is sent twice, as `structuredContent` and as the text of a content block
//! (MCP, Tools, Structured Content), so one pass writes both: JSON, and the same JSON escaped for a JSON
//! string.
//!
//! Member names of structs are not checked for characters that need escaping. See docs/PERFORMANCE_LOG.md.

use std::cell::Cell;

use serde::{
    Serialize, Serializer,
    ser::{
        Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
        SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    },
};
use serde_json::Error;

/// A serialised value.
#[derive(Clone, Debug)]
pub struct DualJson(Writer);

thread_local! {
    /// A buffer that is reused.
    static WRITER: Cell<Writer> = Cell::default();
}

/// A larger buffer is not reused, in bytes.
const ORDINARY: usize = 64 * 1_024;

impl DualJson {
    /// Serialises a value.
    ///
    /// # Errors
    /// For maps with keys that are not strings, for bytes, and for errors of the value's `Serialize`.
    pub fn of(value: &impl Serialize) -> Result<Self, Error> {
        let mut writer = WRITER.take();
        writer.json.clear();
        writer.within_string.clear();
        value.serialize(&mut writer)?;
        let written = Self(writer.clone());
        if writer.within_string.capacity() <= ORDINARY {
            WRITER.set(writer);
        }
        Ok(written)
    }

    /// The JSON.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.0.json
    }

    /// The JSON, escaped for a JSON string (RFC 8259 §7), without quotes.
    #[must_use]
    pub fn within_string(&self) -> &[u8] {
        &self.0.within_string
    }
}

/// Whether a text needs no escaping in JSON (RFC 8259 §7).
#[must_use]
pub(crate) fn is_plain(text: &str) -> bool {
    // Without an early exit, so that the loop is vectorised.
    let special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    !text.bytes().fold(false, |any, byte| any | special(byte))
}

#[derive(Clone, Debug, Default)]
struct Writer {
    json: Vec<u8>,
    within_string: Vec<u8>,
}

impl Writer {
    /// Writes what is the same in both forms.
    fn put(&mut self, plain: &[u8]) {
        self.json.extend_from_slice(plain);
        self.within_string.extend_from_slice(plain);
    }

    fn number(&mut self, number: impl itoa::Integer) {
        self.put(itoa::Buffer::new().format(number).as_bytes());
    }

    fn quote(&mut self) {
        self.json.push(b'"');
        self.within_string.extend_from_slice(b"\\\"");
    }

    fn text(&mut self, text: &str) {
        if is_plain(text) {
            self.quote();
            self.put(text.as_bytes());
            self.quote();
            return;
        }
        let begin = self.json.len();
        serde_json::to_writer(&mut self.json, text).expect("a text can be written to memory");
        // Control characters are escaped already.
        for byte in &self.json[begin..] {
            if matches!(byte, b'"' | b'\\') {
                self.within_string.push(b'\\');
            }
            self.within_string.push(*byte);
        }
    }

    /// Writes the name of a member, which is a constant of the program.
    fn name(&mut self, name: &'static str) {
        debug_assert!(is_plain(name), "{name}");
        self.quote();
        self.put(name.as_bytes());
        self.quote();
        self.put(b":");
    }

    fn open<'a>(&'a mut self, open: &[u8], close: &'static [u8]) -> Items<'a> {
        self.put(open);
        Items {
            writer: self,
            is_first: true,
            close,
        }
    }

    /// Writes `{"variant":`, the externally tagged form of serde_json.
    fn variant(&mut self, variant: &'static str) {
        self.put(b"{");
        self.name(variant);
    }
}

/// The items of an array or the members of an object.
struct Items<'a> {
    writer: &'a mut Writer,
    is_first: bool,
    close: &'static [u8],
}

impl Items<'_> {
    fn comma(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.writer.put(b",");
        }
    }

    fn item(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.comma();
        value.serialize(&mut *self.writer)
    }

    fn member(
        &mut self,
        name: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Error> {
        self.comma();
        self.writer.name(name);
        value.serialize(&mut *self.writer)
    }

    fn close(self) {
        self.writer.put(self.close);
    }
}

macro_rules! numbers {
    ($($method:ident: $number:ty),*) => {
        $(fn $method(self, number: $number) -> Result<(), Error> {
            self.number(number);
            Ok(())
        })*
    };
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    numbers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
             serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.put(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_f32(self, number: f32) -> Result<(), Error> {
        self.put(serde_json::to_string(&number)?.as_bytes());
        Ok(())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Error> {
        self.put(serde_json::to_string(&number)?.as_bytes());
        Ok(())
    }

    fn serialize_char(self, character: char) -> Result<(), Error> {
        self.text(character.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        self.text(text);
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Error> {
        Err(Error::custom("JSON has no bytes"))
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.put(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.text(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(variant);
        value.serialize(&mut *self)?;
        self.put(b"}");
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Error> {
        Ok(self.open(b"[", b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Error> {
        Ok(self.open(b"[", b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Error> {
        Ok(self.open(b"[", b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Error> {
        self.variant(variant);
        Ok(self.open(b"[", b"]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Items<'a>, Error> {
        Ok(self.open(b"{", b"}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Error> {
        Ok(self.open(b"{", b"}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Error> {
        self.variant(variant);
        Ok(self.open(b"{", b"}}"))
    }
}

macro_rules! compounds {
    ($($kind:ident::$method:ident($($name:ident)?) by $put:ident),*) => {
        $(impl $kind for Items<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<(), Error> {
                self.$put($($name,)? value)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        })*
    };
}

compounds!(
    SerializeSeq::serialize_element() by item,
    SerializeTuple::serialize_element() by item,
    SerializeTupleStruct::serialize_field() by item,
    SerializeTupleVariant::serialize_field() by item,
    SerializeStruct::serialize_field(name) by member,
    SerializeStructVariant::serialize_field(name) by member
);

/// For maps and flattened structs, whose keys may need escaping.
impl SerializeMap for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let begin = self.writer.json.len() + usize::from(!self.is_first);
        self.item(key)?;
        match self.writer.json.get(begin) {
            Some(b'"') => Ok(()),
            _ => Err(Error::custom("a key is a text in JSON")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.writer.put(b":");
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, Serialize)]
    enum Choice {
        Nothing,
        One(String),
        Two(i64, bool),
        Named { text: char },
    }

    #[derive(Clone, Debug, Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Inner {
        some_text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<i32>,
    }

    #[derive(Clone, Debug, Serialize)]
    struct Outer {
        #[serde(flatten)]
        inner: Inner,
        list: Vec<Choice>,
        none: Option<u8>,
        map: BTreeMap<String, (f64, u64)>,
        unit: (),
        empty: [Inner; 0],
    }

    fn choice() -> impl Strategy<Value = Choice> {
        prop_oneof![
            Just(Choice::Nothing),
            any::<String>().prop_map(Choice::One),
            any::<(i64, bool)>().prop_map(|(a, b)| Choice::Two(a, b)),
            any::<char>().prop_map(|text| Choice::Named { text }),
        ]
    }

    proptest! {
        #[test]
        fn data_is_what_serde_json_writes_and_once_more_as_a_text_of_it(
            text in any::<String>(),
            left_out in any::<Option<i32>>(),
            list in prop::collection::vec(choice(), 0..4),
            none in any::<Option<u8>>(),
            map in prop::collection::btree_map(any::<String>(), any::<(f64, u64)>(), 0..3),
        ) {
            let inner = Inner { some_text: text, left_out };
            let value = Outer { inner, list, none, map, unit: (), empty: [] };
            let data = DualJson::of(&value).unwrap();
            prop_assert_eq!(data.json(), serde_json::to_vec(&value).unwrap());
            let text = [b"\"", data.within_string(), b"\""].concat();
            let read: String = serde_json::from_slice(&text).unwrap();
            prop_assert_eq!(read.as_bytes(), data.json());
        }
    }

    #[test]
    fn what_json_does_not_have_is_refused() {
        assert!(DualJson::of(&BTreeMap::from([(1, "one")])).is_err());
        assert!(DualJson::of(&BTreeMap::from([((), "one")])).is_err());
    }
}
