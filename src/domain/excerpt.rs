//! A few words of an entry around what a search has found in it.
//!
//! PostgreSQL's `ts_headline` parses the whole text again, which takes some 50 ms for the longest entry. This
//! looks for the beginnings of words, which takes less than one, and compares endings by a list instead of a
//! stemmer: where it errs the excerpt is from another place of the entry, and the result is the same.

/// A word that a search looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchWord {
    /// As PostgreSQL's dictionary keeps it, in lower case and mostly without its ending: `happi`.
    pub lexeme: String,
    /// In a phrase: how many words after the one before it.
    pub after: Option<usize>,
}

/// The longest excerpt, in characters.
const MOST_CHARACTERS: usize = 500;

/// The most words of an excerpt.
const MOST_WORDS: usize = 30;

/// The words of an excerpt of a text in which nothing was found: it was in the title.
const WORDS_OF_THE_BEGINNING: usize = 10;

/// How many words, and characters, come before what was found.
const WORDS_BEFORE: usize = 8;
const CHARACTERS_BEFORE: usize = 150;

/// A completed phrase counts more than any number of words.
const PHRASE: usize = 1_000;

/// The endings that a word of the text may have beyond what its lexeme has.
const ENDINGS: [&str; 49] = [
    "s", "es", "e", "ed", "d", "ing", "ings", "ingly", "ly", "y", "ies", "ied", "ily", "iness",
    "er", "ers", "est", "ier", "iest", "ion", "ions", "ation", "ations", "ment", "ments", "ness",
    "ful", "fully", "less", "able", "ably", "ible", "ibly", "ability", "ity", "ities", "al",
    "ally", "ive", "ively", "ous", "ously", "ic", "ical", "ize", "ized", "ent", "ence", "i",
];

/// The most words of a query that are looked for. Of more than these an excerpt cannot show much.
const MOST_WANTED: usize = 16;

/// How often a word of a text is compared with one of the query for a page of results, about 100 ns each.
const COMPARISONS: usize = 500_000;

/// Cuts the excerpts of a page of results, with a bounded number of steps.
#[derive(Debug)]
pub struct Excerpts<'a> {
    words: &'a [SearchWord],
    /// For each text.
    comparisons: usize,
}

impl<'a> Excerpts<'a> {
    /// For so many texts.
    #[must_use]
    pub fn new(words: &'a [SearchWord], texts: usize) -> Self {
        Self {
            words: &words[..words.len().min(MOST_WANTED)],
            comparisons: COMPARISONS / texts.max(1),
        }
    }

    /// The words around the place of a text where most of what is looked for comes together, phrases first, on
    /// one line and without tags of HTML.
    #[must_use]
    pub fn of(&self, text: &str) -> String {
        match best_place(text, self.words, self.comparisons) {
            None => cut(text, 0, WORDS_OF_THE_BEGINNING),
            Some(found) => cut(text, before(text, found), MOST_WORDS),
        }
    }
}

/// What a lexeme is compared with.
struct Wanted<'a> {
    /// The lexeme without what it may have changed at its end.
    beginning: &'a str,
    /// The last letter of the beginning, which some endings double.
    last: Option<char>,
    /// Whether it is one word, and no address, number with a point or compound.
    is_word: bool,
    after: Option<usize>,
    /// The number of the last word of the text that it was found at, from one.
    found_at: usize,
    /// How many words of a phrase end there, and where the phrase begins.
    phrase: (usize, usize),
    /// How often it is among the words that an excerpt has room for.
    in_reach: usize,
}

impl<'a> Wanted<'a> {
    fn new(word: &'a SearchWord) -> Self {
        let lexeme = word
            .lexeme
            .trim_start_matches(|c: char| !c.is_alphanumeric());
        let is_word = lexeme.chars().all(char::is_alphanumeric);
        let is_changed = is_word && lexeme.len() > 3 && lexeme.ends_with(['i', 'e', 'y']);
        let beginning = &lexeme[..lexeme.len() - usize::from(is_changed)];
        Self {
            beginning,
            last: beginning.chars().next_back(),
            is_word,
            after: word.after,
            found_at: 0,
            phrase: (0, 0),
            in_reach: 0,
        }
    }

    /// Whether the text begins with a form of it.
    fn begins(&self, text: &str) -> bool {
        if self.beginning.is_empty() {
            return false;
        }
        let mut rest = text.chars();
        for wanted in self.beginning.chars() {
            if rest.next().is_none_or(|c| lower(c) != wanted) {
                return false;
            }
        }
        let rest = rest.as_str();
        if !self.is_word {
            return true;
        }
        let mut after_doubled = rest.chars();
        ends(rest) || (after_doubled.next().map(lower) == self.last && ends(after_doubled.as_str()))
    }
}

/// Whether a word goes on with one of the endings and then ends.
fn ends(rest: &str) -> bool {
    match rest.chars().next() {
        Some(c) if c.is_ascii_alphanumeric() => ENDINGS.iter().any(|ending| {
            rest.get(..ending.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(ending))
                && !rest[ending.len()..].starts_with(char::is_alphanumeric)
        }),
        Some(c) => !c.is_alphanumeric(),
        None => true,
    }
}

fn lower(c: char) -> char {
    if c.is_ascii() {
        c.to_ascii_lowercase()
    } else {
        c.to_lowercase().next().unwrap_or(c)
    }
}

/// Where in the text, in bytes, the best of what is looked for begins.
fn best_place(text: &str, words: &[SearchWord], mut comparisons: usize) -> Option<usize> {
    let mut wanted: Vec<Wanted<'_>> = words.iter().map(Wanted::new).collect();
    let first_letters = FirstLetters::of(&wanted);
    let perfect = perfect_score(words);
    // The number of the word, its place, and what was found there.
    let mut in_reach: std::collections::VecDeque<(usize, usize, usize)> =
        std::collections::VecDeque::new();
    let mut different = 0;
    let mut best = (0, None);
    for (number, place) in (1..).zip(WordStarts::new(text)) {
        if !first_letters.begin(&text[place..]) {
            continue;
        }
        let Some(left) = comparisons.checked_sub(wanted.len()) else {
            break;
        };
        comparisons = left;
        for which in 0..wanted.len() {
            if !wanted[which].begins(&text[place..]) {
                continue;
            }
            while let Some(&(old, _, gone)) = in_reach.front() {
                if number - old < MOST_WORDS - WORDS_BEFORE {
                    break;
                }
                in_reach.pop_front();
                wanted[gone].in_reach -= 1;
                different -= usize::from(wanted[gone].in_reach == 0);
            }
            in_reach.push_back((number, place, which));
            different += usize::from(wanted[which].in_reach == 0);
            wanted[which].in_reach += 1;
            wanted[which].phrase = match (wanted[which].after, which.checked_sub(1)) {
                (Some(distance), Some(before)) if wanted[before].found_at + distance == number => {
                    let (length, begin) = wanted[before].phrase;
                    (length + 1, begin)
                }
                _ => (0, place),
            };
            wanted[which].found_at = number;
            let (length, begin) = wanted[which].phrase;
            let score = different + PHRASE * length;
            if score > best.0 {
                let begin = if length > 0 {
                    begin
                } else {
                    in_reach.front().map_or(place, |(_, place, _)| *place)
                };
                best = (score, Some(begin));
            }
        }
        if best.0 >= perfect {
            break;
        }
    }
    best.1
}

/// The score that no place exceeds.
fn perfect_score(words: &[SearchWord]) -> usize {
    let mut longest = 0;
    let mut length = 0;
    for word in words {
        length = if word.after.is_some() { length + 1 } else { 0 };
        longest = longest.max(length);
    }
    words.len() + PHRASE * longest
}

/// The letters that what is looked for begins with.
struct FirstLetters {
    ascii: [bool; 128],
    others: Vec<char>,
}

impl FirstLetters {
    fn of(wanted: &[Wanted<'_>]) -> Self {
        let mut letters = Self {
            ascii: [false; 128],
            others: Vec::new(),
        };
        for first in wanted.iter().filter_map(|one| one.beginning.chars().next()) {
            for first in std::iter::once(first).chain(first.to_uppercase().take(1)) {
                match letters.ascii.get_mut(first as usize) {
                    Some(letter) => *letter = true,
                    None => letters.others.push(first),
                }
            }
        }
        letters
    }

    /// Whether the text begins with one of them, in either case.
    fn begin(&self, text: &str) -> bool {
        let Some(first) = text.chars().next() else {
            return false;
        };
        match self.ascii.get(first as usize) {
            Some(letter) => *letter,
            None => self.others.contains(&first),
        }
    }
}

/// The places in bytes where words begin. By bytes, for it goes through megabytes: a word is made of letters and
/// digits of ASCII and of every other character that is no common punctuation.
struct WordStarts<'a> {
    bytes: &'a [u8],
    at: usize,
    in_word: bool,
}

impl<'a> WordStarts<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            at: 0,
            in_word: false,
        }
    }
}

impl Iterator for WordStarts<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while let Some(&byte) = self.bytes.get(self.at) {
            let place = self.at;
            let (length, is_part_of_word) = match byte {
                0..0x80 => (1, byte.is_ascii_alphanumeric()),
                // Signs such as « and », and the space that does not break.
                0xC2 => (2, false),
                0x80..0xE0 => (2, true),
                // U+2000 to U+203F, and U+3000 to U+303F: spaces, dashes, quotation marks, full stops.
                0xE2 | 0xE3 => (3, self.bytes.get(place + 1) != Some(&0x80)),
                0xE0..0xF0 => (3, true),
                0xF0.. => (4, true),
            };
            self.at += length;
            let was_in_word = std::mem::replace(&mut self.in_word, is_part_of_word);
            if is_part_of_word && !was_in_word {
                return Some(place);
            }
        }
        None
    }
}

/// Some words before a place, but not far.
fn before(text: &str, place: usize) -> usize {
    let mut begin = place;
    let mut words = 0;
    let mut in_word = false;
    for (at, c) in text[..place].char_indices().rev().take(CHARACTERS_BEFORE) {
        if c.is_whitespace() {
            words += usize::from(in_word);
            if words == WORDS_BEFORE {
                return begin;
            }
        } else {
            begin = at;
        }
        in_word = !c.is_whitespace();
    }
    begin
}

/// The words from a place on, with single spaces between them, without tags.
fn cut(text: &str, from: usize, most_words: usize) -> String {
    let mut cut = String::new();
    let (mut characters, mut words) = (0, 0);
    let mut is_space_due = false;
    let mut rest = &text[from..];
    while let Some(c) = rest.chars().next() {
        let tag = if c == '<' { tag_length(rest) } else { None };
        if c.is_whitespace() || tag.is_some() {
            is_space_due |= !cut.is_empty();
            rest = &rest[tag.unwrap_or(c.len_utf8())..];
            continue;
        }
        if is_space_due || words == 0 {
            words += 1;
            if words > most_words || characters + 2 > MOST_CHARACTERS {
                break;
            }
            if is_space_due {
                cut.push(' ');
                characters += 1;
            }
            is_space_due = false;
        }
        if characters == MOST_CHARACTERS {
            break;
        }
        cut.push(c);
        characters += 1;
        rest = &rest[c.len_utf8()..];
    }
    cut
}

/// How long the tag is that the text begins with, in bytes. It has its end within a few hundred bytes.
fn tag_length(text: &str) -> Option<usize> {
    let inner = text[1..].trim_start_matches('/');
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!') {
        return None;
    }
    let end = text.bytes().take(300).position(|byte| byte == b'>')?;
    Some(end + 1)
}

#[cfg(test)]
#[path = "excerpt_tests.rs"]
mod tests;
