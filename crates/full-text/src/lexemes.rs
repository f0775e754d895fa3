//! What a document is found by.

use crate::{
    atoms::{Atoms, Kind, pairs},
    fold::Folded,
    stem::stem,
};

/// The most bytes that the lexemes of a document have together: a `tsvector` holds less than 1 MiB. A text of 100,000
/// characters stays below, whatever they are; of more, the first ones in the order of their bytes are kept.
pub const MOST_BYTES: usize = 1_000_000;

/// The most bytes of a lexeme. Of a longer word the beginning is kept, and [`crate::Query::matches`] compares the rest.
pub const LONGEST_LEXEME: usize = 255;

/// How many bytes of a longer word are kept. One byte is left for the `~` with which some lexemes begin.
pub(crate) const LONGEST_WORD: usize = LONGEST_LEXEME - 1;

/// How a lexeme begins that is a word with each `ı` as `i`.
const DOTTED: char = '~';

/// The distinct lexemes of a document that has these parts (title, text), in the order of their bytes. None has a NUL.
///
/// - a word, folded;
/// - its stem;
/// - for a word with `ı`, a `~` and the word with `i` in its place, because both letters have the same capital;
/// - each symbol;
/// - of sentences without spaces, each pair of characters, and the last character.
#[must_use]
pub fn lexemes(parts: &[&str]) -> Vec<String> {
    let folded: Vec<Folded> = parts.iter().map(|part| Folded::new(part)).collect();
    let mut found: Vec<&str> = Vec::with_capacity(64);
    let mut dotted = Vec::new();
    for Folded { text, .. } in &folded {
        for atom in Atoms::new(text) {
            let atom_text = atom.of(text);
            match atom.kind {
                Kind::Word => {
                    found.push(beginning(atom_text));
                    dotted
                        .extend(with_dots(atom_text).map(|word| marked(DOTTED, beginning(&word))));
                }
                Kind::Symbol => found.push(atom_text),
                Kind::Unspaced => found.extend(pairs(atom_text)),
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    let mut lexemes = Vec::with_capacity(found.len() * 3 / 2);
    for word in &found {
        let stem = stem(word);
        if stem != *word {
            lexemes.push(stem.into_owned());
        }
    }
    lexemes.extend(dotted);
    let others = lexemes.len();
    lexemes.extend(found.into_iter().map(str::to_owned));
    if others > 0 {
        lexemes.sort_unstable();
        lexemes.dedup();
    }
    let mut bytes = 0;
    let fitting = lexemes.iter().take_while(|lexeme| {
        bytes += lexeme.len();
        bytes <= MOST_BYTES
    });
    lexemes.truncate(fitting.count());
    lexemes
}

/// A lexeme that begins with a mark, which no word does.
fn marked(mark: char, text: &str) -> String {
    let mut lexeme = String::with_capacity(1 + text.len());
    lexeme.push(mark);
    lexeme.push_str(text);
    lexeme
}

/// The lexemes of words that are this one when `I` is `ı`: of those that have no `ı` after the usual folding, and of
/// those that have.
pub(crate) fn of_dotless(word: &str) -> [String; 2] {
    let dotted = with_dots(word);
    let dotted = beginning(dotted.as_deref().unwrap_or(word));
    [dotted.to_owned(), marked(DOTTED, dotted)]
}

/// A word that has a `ı`, with `i` instead.
fn with_dots(word: &str) -> Option<String> {
    word.contains('ı').then(|| word.replace('ı', "i"))
}

/// As much of a word as a lexeme has.
pub(crate) fn beginning(word: &str) -> &str {
    &word[..word.floor_char_boundary(LONGEST_WORD)]
}
