//! Texts without the differences that a search does not see.

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_normalizer::{
    ComposingNormalizer, ComposingNormalizerBorrowed,
    properties::{CanonicalDecomposition, CanonicalDecompositionBorrowed, Decomposed},
};
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use crate::{class::Class, fast::Fast};

/// Which of the two letters i an `I` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dots {
    /// `I` is `i`, as in most languages.
    Usual,
    /// `I` is `ı`, as in Turkish.
    Turkish,
}

/// A text in which everything that a search takes for equal is equal: NFKC and full case folding, without invisible
/// characters, vowel points and the accents of Greek, which capitals have not.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) text: String,
    /// Where pieces begin: in the folded text and in the text as it was written, in bytes. Pieces of ASCII have the
    /// same bytes in both. Others are at most some hundred bytes long, unless one character is longer.
    pieces: Vec<(usize, usize)>,
    dots: Dots,
}

/// After so many bytes a new piece is begun.
const PIECE: usize = 256;

impl Folded {
    pub(crate) fn new(written: &str) -> Self {
        Self::with_dots(written, Dots::Usual)
    }

    pub(crate) fn with_dots(written: &str, dots: Dots) -> Self {
        let mut folded = Self {
            text: String::with_capacity(written.len() + written.len() / 16),
            pieces: vec![(0, 0)],
            dots,
        };
        let fold = Fold::new(dots);
        let mut at = 0;
        while at < written.len() {
            let rest = &written[at..];
            let (ascii, others) = match dots {
                Dots::Usual => (end_of_ascii(rest), None),
                Dots::Turkish => (0, Some(rest.len())),
            };
            if ascii > 0 {
                folded.pieces.push((folded.text.len(), at));
                folded.text.push_str(&rest[..ascii]);
                let begin = folded.text.len() - ascii;
                folded.text[begin..].make_ascii_lowercase();
                at += ascii;
            }
            let others = others.unwrap_or_else(|| end_of_others(&written[at..]));
            let end = at + others;
            while at < end {
                let piece = end_of_piece(&written[at..end]);
                folded.pieces.push((folded.text.len(), at));
                fold.others(&written[at..at + piece], &mut folded.text);
                at += piece;
            }
        }
        folded
    }

    /// The part of the text as it was written that a part of the folded text comes from: whole characters as people
    /// see them.
    pub(crate) fn written(
        &self,
        written: &str,
        folded: std::ops::Range<usize>,
    ) -> std::ops::Range<usize> {
        let start = self.character(written, folded.start).start;
        let end = match folded.end.checked_sub(1) {
            Some(last) if folded.end > folded.start => self.character(written, last).end,
            _ => start,
        };
        start..end.max(start)
    }

    /// The character, as people see them, that a byte of the folded text comes from.
    fn character(&self, written: &str, place: usize) -> std::ops::Range<usize> {
        let next = self.pieces.partition_point(|(folded, _)| *folded <= place);
        let Some((mut folded, begin)) = next.checked_sub(1).map(|piece| self.pieces[piece]) else {
            return 0..0;
        };
        let end = self.pieces[next..]
            .iter()
            .find(|(_, end)| *end > begin)
            .map_or(written.len(), |(_, end)| *end);
        let piece = &written[begin..end];
        if piece.is_ascii() && self.dots == Dots::Usual {
            let start = (begin + place - folded).min(end);
            return start..(start + 1).min(end);
        }
        let fold = Fold::new(self.dots);
        let mut one = String::new();
        for (at, character) in piece.grapheme_indices(true) {
            one.clear();
            fold.others(character, &mut one);
            folded += one.len();
            if folded > place {
                return begin + at..begin + at + character.len();
            }
        }
        end..end
    }
}

/// How far a text is ASCII, up to a space before something else.
fn end_of_ascii(text: &str) -> usize {
    match text.bytes().position(|byte| !byte.is_ascii()) {
        None => text.len(),
        Some(end) => text.as_bytes()[..end]
            .iter()
            .rposition(u8::is_ascii_whitespace)
            .map_or(0, |space| space + 1),
    }
}

/// How far a text goes to the next space of ASCII.
fn end_of_others(text: &str) -> usize {
    text.bytes()
        .position(|byte| byte.is_ascii_whitespace())
        .unwrap_or(text.len())
}

/// How far a piece of a text goes that begins a new one.
fn end_of_piece(text: &str) -> usize {
    if text.len() <= 2 * PIECE {
        return text.len();
    }
    let mut end = text.ceil_char_boundary(PIECE);
    while end < text.len() {
        let mut cursor = GraphemeCursor::new(end, text.len(), true);
        if cursor.is_boundary(text, 0) != Ok(false) {
            return end;
        }
        end = text.ceil_char_boundary(end + 1);
    }
    end
}

/// The tables.
struct Fold {
    dots: Dots,
    case: CaseMapperBorrowed<'static>,
    nfkc: ComposingNormalizerBorrowed<'static>,
    decomposition: CanonicalDecompositionBorrowed<'static>,
}

impl Fold {
    fn new(dots: Dots) -> Self {
        Self {
            dots,
            case: CaseMapper::new(),
            nfkc: ComposingNormalizer::new_nfkc(),
            decomposition: CanonicalDecomposition::new(),
        }
    }

    fn others(&self, text: &str, folded: &mut String) {
        // Where the last character begins that a mark behind it could change, in both texts.
        let mut base = (0, folded.len());
        let mut class_before = 0;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            match self.fast(c) {
                Some(Fast::Starter(as_this)) => {
                    base = (at, folded.len());
                    class_before = 0;
                    folded.push(as_this);
                    at += c.len_utf8();
                }
                Some(Fast::Mark(class)) if class >= class_before && base.0 < at => {
                    class_before = class;
                    folded.push(c);
                    at += c.len_utf8();
                }
                _ => {
                    let rest = text[at..].char_indices().skip(1);
                    let mut rest =
                        rest.filter(|(_, c)| matches!(self.fast(*c), Some(Fast::Starter(_))));
                    let end = rest.next().map_or(text.len(), |(end, _)| at + end);
                    folded.truncate(base.1);
                    self.by_tables(&text[base.0..end], folded);
                    at = end;
                    base = (at, folded.len());
                }
            }
        }
    }

    fn fast(&self, c: char) -> Option<Fast> {
        match (self.dots, c) {
            (Dots::Turkish, 'I' | 'Ｉ') => Some(Fast::Starter('ı')),
            _ => Fast::of(c),
        }
    }

    /// Normalises first, so that both normal forms of a text go the same way from there.
    fn by_tables(&self, text: &str, folded: &mut String) {
        let text = self.nfkc.normalize(text);
        let cased = match self.dots {
            Dots::Usual => self.case.fold_string(&text),
            Dots::Turkish => self.case.fold_turkic_string(&text),
        };
        for c in self.nfkc.normalize(&cased).chars() {
            match c {
                '\0'..='\x7f' => folded.push(c),
                // What is left of İ.
                '\u{307}' if folded.ends_with('i') => {}
                'Ͱ'..='Ͽ' | '\u{1f00}'..='\u{1fff}' => folded.push(self.without_accents(c)),
                // Arabic lines are stretched by it.
                '\u{640}' => {}
                _ if Class::of(c) == Class::Dropped => {}
                _ => folded.push(c),
            }
        }
    }

    fn without_accents(&self, mut c: char) -> char {
        while let Decomposed::Expansion(base, _) = self.decomposition.decompose(c) {
            c = base;
        }
        c
    }
}

#[cfg(test)]
mod tests {
    use super::{Dots, Fold};
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    fn by_tables(text: &str, dots: Dots) -> String {
        let mut folded = String::new();
        Fold::new(dots).by_tables(text, &mut folded);
        folded
    }

    fn fast(text: &str, dots: Dots) -> String {
        let mut folded = String::new();
        Fold::new(dots).others(text, &mut folded);
        folded
    }

    #[test]
    fn every_character_is_folded_as_the_tables_say() {
        for c in '\0'..='\u{ffff}' {
            for text in [
                String::from(c),
                format!("{c}\u{301}"),
                format!("a{c}"),
                format!("ก{c}\u{e38}"),
            ] {
                for dots in [Dots::Usual, Dots::Turkish] {
                    assert_eq!(fast(&text, dots), by_tables(&text, dots), "{text:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn texts_are_folded_as_the_tables_say(text in "([a-zÀ-ſΑ-ώ\u{e01}-\u{e4e}ァ-ヺ\u{300}-\u{330}\u{3099}\u{1100}-\u{11ff}Iİ]|\\PC){0,12}") {
            for dots in [Dots::Usual, Dots::Turkish] {
                let whole = by_tables(&text, dots);
                prop_assert_eq!(&fast(&text, dots), &whole);
                let parts: String = text.graphemes(true).map(|part| by_tables(part, dots)).collect();
                prop_assert_eq!(parts, whole);
            }
        }
    }
}
