//! Folded texts, cut into what is searched for.

use crate::class::{Class, is_regional_indicator};

/// What a part of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A word between separators.
    Word,
    /// Characters without spaces, which have words anywhere.
    Unspaced,
    /// One symbol, or the two of a flag.
    Symbol,
}

/// A part of a folded text that has nothing between its characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Atom {
    pub(crate) kind: Kind,
    /// Where it begins and ends, in bytes.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Atom {
    pub(crate) fn of<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.end]
    }
}

/// The parts of a folded text, in their order.
#[derive(Debug)]
pub(crate) struct Atoms<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Atoms<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The character at a place.
    fn peek(&self, at: usize) -> Option<(char, Class)> {
        let byte = *self.text.as_bytes().get(at)?;
        if let Some(class) = Class::of_byte(byte) {
            return Some((char::from(byte), class));
        }
        let c = self.text[at..].chars().next()?;
        Some((c, Class::of(c)))
    }

    /// Where the characters end that go on with a word or a sentence.
    fn end_of(&self, class: Class, mut at: usize) -> usize {
        let bytes = self.text.as_bytes();
        loop {
            while bytes
                .get(at)
                .is_some_and(|byte| Class::of_byte(*byte) == Some(class))
            {
                at += 1;
            }
            match self.peek(at) {
                Some((c, next))
                    if next == class || matches!(next, Class::Mark | Class::Dropped) =>
                {
                    at += c.len_utf8();
                }
                _ => return at,
            }
        }
    }
}

impl Iterator for Atoms<'_> {
    type Item = Atom;

    fn next(&mut self) -> Option<Atom> {
        loop {
            let (c, class) = self.peek(self.at)?;
            let start = self.at;
            self.at += c.len_utf8();
            let kind = match class {
                // A mark without a character before it is none.
                Class::Separator | Class::Dropped | Class::Mark => continue,
                Class::Word => {
                    self.at = self.end_of(Class::Word, self.at);
                    Kind::Word
                }
                Class::Unspaced => {
                    self.at = self.end_of(Class::Unspaced, self.at);
                    Kind::Unspaced
                }
                Class::Symbol => {
                    if is_regional_indicator(c)
                        && let Some((other, _)) = self.peek(self.at)
                        && is_regional_indicator(other)
                    {
                        self.at += other.len_utf8();
                    }
                    Kind::Symbol
                }
            };
            return Some(Atom {
                kind,
                start,
                end: self.at,
            });
        }
    }
}

/// The pairs of characters of a sentence without spaces, and its last character. Every part of the sentence of two or
/// more characters has its pairs among them, and every single character begins one of them.
pub(crate) fn pairs(sentence: &str) -> impl Iterator<Item = &str> {
    let ends = sentence.char_indices().skip(2).map(|(at, _)| at);
    let ends = ends.chain(std::iter::repeat_n(sentence.len(), 2));
    let starts = sentence.char_indices().map(|(at, _)| at);
    starts.zip(ends).map(|(start, end)| &sentence[start..end])
}
