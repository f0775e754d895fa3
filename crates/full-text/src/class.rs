//! What a character is to a search.

use icu_properties::{
    CodePointMapData,
    props::{GeneralCategory, Script},
};

/// What a character of folded text is to a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Between words.
    Separator,
    /// Part of a word of a script that has spaces between words.
    Word,
    /// Part of a sentence whose words touch each other, or of a Korean word, whose particles have no space before them.
    Unspaced,
    /// Searched for by itself, such as `+`, `€` and an emoji.
    Symbol,
    /// Belongs to the character before it.
    Mark,
    /// Not there as far as a search is concerned, such as a soft hyphen.
    Dropped,
}

/// Those of ASCII.
const ASCII: [Class; 128] = {
    let mut classes = [Class::Separator; 128];
    let mut byte = 0;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => Class::Word,
            b'#' | b'$' | b'%' | b'&' | b'+' | b'<' | b'=' | b'>' | b'@' | b'|' | b'~' => {
                Class::Symbol
            }
            _ => Class::Separator,
        };
        byte += 1;
    }
    classes
};

impl Class {
    pub(crate) fn of(c: char) -> Self {
        match c {
            '\0'..='\x7f' => ASCII[c as usize],
            // The most frequent of the others.
            'ß'..='ö' | 'ø'..='ɏ' | 'α'..='ώ' | 'а'..='ѿ' => Self::Word,
            '\u{e01}'..='\u{e2e}' | '\u{e30}'..='\u{e3a}' | '\u{e40}'..='\u{e4e}' => Self::Unspaced,
            '\u{2012}'..='\u{201f}' | '\u{3001}'..='\u{3002}' => Self::Separator,
            '\u{4e00}'..='\u{9fff}' | '\u{3005}'..='\u{3007}' | '\u{ac00}'..='\u{d7a3}' => {
                Self::Unspaced
            }
            '\u{30a0}' | '\u{30fb}' => Self::Separator,
            '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{30ff}' => Self::Unspaced,
            _ => Self::by_category(c),
        }
    }

    /// What a byte of ASCII is.
    pub(crate) fn of_byte(byte: u8) -> Option<Self> {
        ASCII.get(usize::from(byte)).copied()
    }

    fn by_category(c: char) -> Self {
        use GeneralCategory as Of;
        match CodePointMapData::<GeneralCategory>::new().get(c) {
            Of::UppercaseLetter
            | Of::LowercaseLetter
            | Of::TitlecaseLetter
            | Of::ModifierLetter
            | Of::OtherLetter => match () {
                () if is_filler(c) => Self::Dropped,
                () if is_unspaced(c) => Self::Unspaced,
                () => Self::Word,
            },
            // Numerals of Chinese merchants are written among its characters.
            Of::LetterNumber if is_unspaced(c) => Self::Unspaced,
            Of::DecimalNumber | Of::LetterNumber => Self::Word,
            Of::NonspacingMark | Of::SpacingMark => match () {
                () if is_optional_mark(c) => Self::Dropped,
                () if is_unspaced(c) => Self::Unspaced,
                () => Self::Mark,
            },
            // Key caps and circles around a character.
            Of::EnclosingMark | Of::Format => Self::Dropped,
            // Numbers that are no digits, such as a third in an Indic script, are no part of a word.
            Of::CurrencySymbol | Of::MathSymbol | Of::OtherSymbol | Of::OtherNumber => Self::Symbol,
            // Emoji newer than these tables, and symbols of fonts.
            Of::Unassigned | Of::PrivateUse => Self::Symbol,
            // Skin tones.
            Of::ModifierSymbol if ('\u{1f3fb}'..='\u{1f3ff}').contains(&c) => Self::Symbol,
            Of::OtherPunctuation if matches!(c, '§' | '‰') => Self::Symbol,
            _ => Self::Separator,
        }
    }
}

/// Whether a character is one of two that show a flag together.
pub(crate) fn is_regional_indicator(c: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

/// The letters that stand for nothing: Hangul fillers.
fn is_filler(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

/// Whether a mark is written by some and left out by others: vowel points of Hebrew and Arabic, and the selectors of
/// variants.
fn is_optional_mark(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180d}' | '\u{180f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
        // Hebrew.
        | '\u{591}'..='\u{5cf}'
        // Arabic, without the three that are part of a letter: madda and hamza above and below.
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{652}' | '\u{656}'..='\u{65f}' | '\u{670}'
        | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e8}' | '\u{6ea}'..='\u{6ed}' | '\u{8d3}'..='\u{8ff}')
}

/// Whether a script is written without spaces between words, and Hangul.
fn is_unspaced(c: char) -> bool {
    matches!(
        CodePointMapData::<Script>::new().get(c),
        Script::Han
            | Script::Hiragana
            | Script::Katakana
            | Script::Bopomofo
            | Script::Hangul
            | Script::Thai
            | Script::Lao
            | Script::Khmer
            | Script::Myanmar
            | Script::Tibetan
            | Script::TaiLe
            | Script::NewTaiLue
            | Script::TaiTham
            | Script::TaiViet
            | Script::Ahom
            | Script::Javanese
            | Script::Balinese
            | Script::Yi
            | Script::Nushu
            | Script::Tangut
            | Script::KhitanSmallScript
    )
}

/// Whether a place is within a syllable of Thai or Lao, so that no word begins or ends there: behind a vowel that is
/// written before its consonant, or before a vowel or tone mark that is written behind it.
pub(crate) fn is_within_syllable(text: &str, place: usize) -> bool {
    let is_thai_or_lao = |c: &char| ('\u{e01}'..='\u{eff}').contains(c);
    let before = text[..place].chars().next_back().filter(is_thai_or_lao);
    let after = text[place..].chars().next().filter(is_thai_or_lao);
    let (Some(before), Some(after)) = (before, after) else {
        return false;
    };
    matches!(before, '\u{e40}'..='\u{e44}' | '\u{ec0}'..='\u{ec4}')
        || matches!(after, '\u{e30}'..='\u{e3a}' | '\u{e45}' | '\u{e47}'..='\u{e4e}'
            | '\u{eb0}'..='\u{ebc}' | '\u{ec8}'..='\u{ece}')
}
