//! Names of tags, compared as people compare them, and texts of which nothing can be seen.
//!
//! Two names are one by compatibility caseless matching (The Unicode Standard, D146): without regard to case in any
//! script, to the normal form in which a keyboard writes an accent, and to forms such as full width. Accents and letters
//! that are others stay others: `sınır` and `sinir` are two names.

use full_text::caseless;
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed,
    props::{DefaultIgnorableCodePoint, Emoji, GeneralCategory, PrependedConcatenationMark},
};
use sha2::{Digest, Sha256};

const IGNORABLE: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<DefaultIgnorableCodePoint>();
const EMOJI: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<Emoji>();
const PREPENDED: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<PrependedConcatenationMark>();
const CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();

/// The most characters of a tag's name.
pub const LONGEST_TAG_NAME: usize = 60;

/// The longest key, in bytes: what the column and a cursor have room for.
const LONGEST_KEY: usize = 1_024;

/// How much of the beginning of a longer key stays, in bytes, so that it is sorted where it belongs.
const BEGINNING_OF_KEY: usize = 900;

/// The name of a tag, and the key by which names are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagLabel {
    /// As it was written: without white space and invisible characters at its edges, in normal form C.
    pub name: String,
    /// The same for all names that are one. 1 to 1,024 bytes.
    pub key: String,
}

impl TagLabel {
    /// Reads a name; `None` if none of its characters can be seen, or it is longer than [`LONGEST_TAG_NAME`].
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let written = trim(text);
        if written.is_empty() {
            return None;
        }
        let composed = ComposingNormalizerBorrowed::new_nfc().normalize(written);
        // Some characters have no composed form, and are several in normal form C.
        let fits = |name: &str| name.chars().nth(LONGEST_TAG_NAME).is_none();
        let name = if fits(&composed) { &*composed } else { written };
        fits(name).then(|| Self {
            key: shortened(caseless(name)),
            name: name.to_owned(),
        })
    }
}

/// Whether any character of a text can be seen.
#[must_use]
pub fn is_visible(text: &str) -> bool {
    text.chars().any(|c| !is_invisible(c))
}

/// The text without white space and invisible characters at its edges. What follows an emoji and chooses how it looks
/// belongs to it: a variation selector, or the letters of a flag.
#[must_use]
pub fn trim(text: &str) -> &str {
    let start = text.trim_start_matches(is_invisible);
    let trimmed = start.trim_end_matches(is_invisible);
    let rest = &start[trimmed.len()..];
    let is_emoji = trimmed
        .chars()
        .next_back()
        .is_some_and(|c| EMOJI.contains(c) && !c.is_ascii());
    let of_emoji: usize = rest
        .chars()
        .take_while(|c| {
            is_emoji && matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{e0020}'..='\u{e007f}')
        })
        .map(char::len_utf8)
        .sum();
    &start[..trimmed.len() + of_emoji]
}

/// Whether nothing is seen of a character: white space, a control character, what is ignored when text is shown
/// (Default_Ignorable_Code_Point), and two signs that are blank by definition.
fn is_invisible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_whitespace() || c.is_ascii_control();
    }
    c.is_whitespace()
        || IGNORABLE.contains(c)
        || matches!(c, '\u{2800}' | '\u{1d159}')
        || match CATEGORY.get(c) {
            GeneralCategory::Control => true,
            // Some of these are signs in front of numbers.
            GeneralCategory::Format => !PREPENDED.contains(c),
            _ => false,
        }
}

/// A key that has room in its column. Of a longer one the beginning stays, with a digest of the whole.
fn shortened(key: String) -> String {
    if key.len() <= LONGEST_KEY {
        return key;
    }
    let digest = Sha256::digest(&key);
    let beginning = &key[..key.floor_char_boundary(BEGINNING_OF_KEY)];
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{beginning}{digest}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str) -> String {
        TagLabel::read(name).unwrap().key
    }

    #[test]
    fn names_are_one_by_compatibility_caseless_matching() {
        for (one, other) in [
            ("Work", "wORK"),
            ("ÄRGER", "ärger"),
            ("Caf\u{e9}", "CAFE\u{301}"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("Straße", "STRASSE"),
            ("STRA\u{1e9e}E", "strasse"),
            ("ﬁsh", "fish"),
            ("ＷＯＲＫ", "work"),
            ("ｶﾞｷﾞ", "ガギ"),
            ("①", "1"),
            ("Å", "\u{212b}"),
            ("Ꭰ", "ꭰ"),
            ("\u{3a9}", "\u{2126}"),
            ("\u{345}", "\u{3b9}"),
            (" work\u{a0}", "work"),
            ("\u{200b}work\u{200d}", "work"),
            ("\u{feff}work\u{2028}", "work"),
        ] {
            assert_eq!(key(one), key(other), "{one:?} {other:?}");
        }
        for (one, other) in [
            ("sınır", "sinir"),
            ("İ", "i"),
            ("resume", "résumé"),
            ("か", "が"),
            ("a b", "ab"),
            (
                "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
                "🏴",
            ),
        ] {
            assert_ne!(key(one), key(other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_name_stays_as_it_was_written_without_its_edges_and_composed() {
        for (text, name) in [
            ("  Home Office\t", "Home Office"),
            ("Cafe\u{301}", "Café"),
            ("ＷＯＲＫ", "ＷＯＲＫ"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("work\u{fe0f}", "work"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("\u{600}١", "\u{600}١"),
        ] {
            assert_eq!(TagLabel::read(text).unwrap().name, name);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_no_name() {
        for text in [
            "",
            " ",
            "\t\r\n",
            "\u{a0}\u{3000}\u{2003}",
            "\u{200b}\u{200d}\u{2060}",
            "\u{feff}",
            "\u{ad}",
            "\u{115f}\u{3164}\u{ffa0}",
            "\u{2800}",
            "\u{202e}\u{2066}",
            "\u{e0001}\u{e0067}",
            "\u{1}\u{7f}\u{85}",
            "\u{2028}\u{2029}",
            "\u{fe0f}",
        ] {
            assert_eq!(TagLabel::read(text), None, "{text:?}");
            assert!(!is_visible(text));
        }
    }

    #[test]
    fn a_name_that_grows_when_it_is_composed_or_folded_still_fits() {
        for text in ["\u{958}", "\u{fb2c}", "\u{1d160}", "\u{fdfa}", "ΐ"] {
            let name = text.repeat(LONGEST_TAG_NAME);
            let label = TagLabel::read(&name).unwrap();
            assert!(
                label.name.chars().count() <= LONGEST_TAG_NAME && label.key.len() <= LONGEST_KEY
            );
            let other = format!("{}x", text.repeat(LONGEST_TAG_NAME - 1));
            assert_ne!(label.key, key(&other));
        }
    }

    proptest! {
        #[test]
        fn a_name_is_read_the_same_again(text in "\\PC{1,60}") {
            if let Some(label) = TagLabel::read(&text) {
                prop_assert!((1..=LONGEST_KEY).contains(&label.key.len()));
                prop_assert!((1..=LONGEST_TAG_NAME).contains(&label.name.chars().count()));
                prop_assert_eq!(TagLabel::read(&label.name), Some(label));
            }
        }

        #[test]
        fn every_normal_form_of_a_name_is_one(text in "\\PC{1,60}") {
            let composed = ComposingNormalizerBorrowed::new_nfc().normalize(&text);
            let decomposed = icu_normalizer::DecomposingNormalizerBorrowed::new_nfd().normalize(&text);
            prop_assert_eq!(caseless(&composed), caseless(&decomposed));
        }
    }
}
