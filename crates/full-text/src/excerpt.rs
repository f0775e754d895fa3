//! A few words of a text around what was found in it.

use std::ops::{ControlFlow, Range};

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use crate::{class::is_within_syllable, matching::Texts, query::Query};

/// How long an excerpt usually is, in characters (Unicode scalar values).
pub const MOST_CHARACTERS: usize = 200;

/// So many occurrences of a term are looked at for the best place.
const MOST_OCCURRENCES: usize = 100;

/// What an excerpt begins or ends with where the text has more.
const MORE: &str = "…";

/// What is before and after a hit.
const MARK: &str = "**";

/// A hit has marks before and after it.
const MARKS: usize = 4;

/// The first hit has at most such a part of the excerpt before it.
const PART_BEFORE: usize = 3;

/// A part of a text, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The part, with `…` where the text has more.
    pub text: String,
    /// Where in it is what was looked for, in bytes, in order.
    pub hits: Vec<Range<usize>>,
}

impl Excerpt {
    /// The part with `**` before and after each hit.
    #[must_use]
    pub fn marked(&self) -> String {
        let mut marked = String::with_capacity(self.text.len() + MARKS * self.hits.len());
        let mut from = 0;
        for hit in &self.hits {
            marked.push_str(&self.text[from..hit.start]);
            marked.push_str(MARK);
            marked.push_str(&self.text[hit.clone()]);
            marked.push_str(MARK);
            from = hit.end;
        }
        marked.push_str(&self.text[from..]);
        marked
    }
}

impl Query {
    /// The part of a text where most of what is looked for comes together, from the beginning of a sentence or else of
    /// a word on, at most so many characters long with the marks of [`Excerpt::marked`]. Tags of HTML are left out.
    ///
    /// If nothing of it is in the text, because it is in the title, this is the beginning of the text, without hits.
    #[must_use]
    pub fn excerpt(&self, text: &str, most: usize) -> Excerpt {
        let hits = self.hits(text);
        let room = most.saturating_sub(2 * MORE.chars().count());
        let best = best(text, &hits, room);
        let first = hits.get(best.start).map(|hit| hit.place.start);
        let begin = first.map_or(0, |first| begin_before(text, first, room / PART_BEFORE));
        // Each takes a character at least.
        let places = merged(hits.iter().skip(best.start).take(most));
        Writer::new(text, begin, &places, room).write()
    }

    /// Where in a text is something that is looked for, in its order.
    fn hits(&self, text: &str) -> Vec<Hit> {
        let texts = Texts::new(self, &[text]);
        let mut hits = Vec::new();
        for ((folded, _), cut) in texts.each().zip(texts.cut()) {
            for (term, wanted) in self.required().enumerate() {
                let mut count = 0;
                let _ = cut.each(wanted, |start, end| {
                    let place = folded.written(text, start..end);
                    hits.push(Hit { place, term });
                    count += 1;
                    if count < MOST_OCCURRENCES {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                });
            }
        }
        hits.retain(|hit| !hit.place.is_empty());
        hits.sort_unstable_by_key(|hit| (hit.place.start, hit.place.end, hit.term));
        hits
    }
}

/// An occurrence.
#[derive(Debug, Clone)]
struct Hit {
    place: Range<usize>,
    /// The number of the term.
    term: usize,
}

/// Those that follow each other with most different terms, then with most hits, within so many characters.
fn best(text: &str, hits: &[Hit], room: usize) -> Range<usize> {
    let mut counts = vec![0_usize; hits.iter().map(|hit| hit.term + 1).max().unwrap_or(0)];
    let (mut different, mut start, mut characters) = (0, 0, 0);
    let (mut best, mut best_score) = (0..0, (0, 0));
    let mut from = 0;
    for (index, hit) in hits.iter().enumerate() {
        different += usize::from(counts[hit.term] == 0);
        counts[hit.term] += 1;
        let to = hit.place.end.max(from);
        characters += text[from..to].chars().count();
        from = to;
        if index == 0 {
            characters = text[hit.place.clone()].chars().count();
        }
        // What is before the first hit takes room too.
        while start < index && characters + characters / PART_BEFORE > room {
            counts[hits[start].term] -= 1;
            different -= usize::from(counts[hits[start].term] == 0);
            let (gone, next) = (hits[start].place.start, hits[start + 1].place.start);
            characters -= text[gone..next].chars().count();
            start += 1;
        }
        let score = (different, index + 1 - start);
        if score > best_score {
            (best, best_score) = (start..index + 1, score);
        }
    }
    best
}

/// Where the sentence, or else a word, begins that has a place in it, at most so many characters before that.
fn begin_before(text: &str, place: usize, most: usize) -> usize {
    let mut earliest = place;
    // A little more, to see whether a sentence begins there.
    for (at, _) in text[..place].char_indices().rev().take(2 * most) {
        earliest = at;
    }
    // A character as people see it may be longer than that.
    let before = &text[earliest..place];
    let distance = |at: usize| before[at..].chars().count();
    let sentence = before
        .split_sentence_bound_indices()
        .map(|(at, _)| at)
        .filter(|at| (*at > 0 || earliest == 0) && distance(*at) <= most)
        .last();
    if let Some(at) = sentence.filter(|at| *at < before.len()) {
        return earliest + at;
    }
    before
        .split_word_bound_indices()
        .filter(|(at, word)| (*at > 0 || earliest == 0) && !word.trim().is_empty())
        .map(|(at, _)| at)
        .filter(|at| is_between_characters(text, earliest + at))
        .find(|at| distance(*at) <= most)
        .map_or(place, |at| earliest + at)
}

/// Places that touch or overlap are one.
fn merged<'a>(hits: impl Iterator<Item = &'a Hit>) -> Vec<Range<usize>> {
    let mut merged: Vec<Range<usize>> = Vec::new();
    for hit in hits {
        match merged.last_mut() {
            Some(last) if hit.place.start <= last.end => last.end = last.end.max(hit.place.end),
            _ => merged.push(hit.place.clone()),
        }
    }
    merged
}

/// Writes an excerpt word by word.
struct Writer<'a> {
    text: &'a str,
    begin: usize,
    hits: &'a [Range<usize>],
    /// How many characters there may still be.
    room: usize,
    excerpt: Excerpt,
    is_space_due: bool,
}

/// A sentence that ends in the last part of an excerpt ends the excerpt.
const PART_AFTER: usize = 3;

impl<'a> Writer<'a> {
    fn new(text: &'a str, begin: usize, hits: &'a [Range<usize>], room: usize) -> Self {
        let mut excerpt = Excerpt {
            text: String::new(),
            hits: Vec::new(),
        };
        if !text[..begin].trim().is_empty() {
            excerpt.text.push_str(MORE);
        }
        Self {
            text,
            begin,
            hits,
            room,
            excerpt,
            is_space_due: false,
        }
    }

    fn write(mut self) -> Excerpt {
        let all = self.room;
        let mut at = self.begin;
        // What was written up to the last end of a sentence, and its hits.
        let mut sentence = None;
        let near = self.near();
        let sentence_ends: Vec<usize> = near
            .split_sentence_bound_indices()
            .map(|(start, sentence)| self.begin + start + sentence.len())
            .collect();
        let word_ends: Vec<usize> = near
            .split_word_bound_indices()
            .map(|(start, word)| self.begin + start + word.len())
            .filter(|end| is_between_characters(self.text, *end))
            .collect();
        let mut is_full = false;
        while at < self.text.len() {
            let end = self.end_of_unit(at, &word_ends);
            if !self.unit(at..end) {
                is_full = true;
                break;
            }
            at = end;
            if sentence_ends.binary_search(&at).is_ok() {
                sentence = Some((self.excerpt.text.len(), self.excerpt.hits.len(), at));
            }
        }
        if is_full && self.excerpt.text.trim_start_matches(MORE).is_empty() {
            // One word that is longer than the excerpt.
            at = self.graphemes(at);
        }
        if is_full
            && let Some((length, hits, end)) = sentence
            && hits == self.excerpt.hits.len()
            && self.excerpt.text[..length].chars().count() * PART_AFTER > all * (PART_AFTER - 1)
        {
            self.excerpt.text.truncate(length);
            at = end;
        }
        let kept = self.excerpt.text.trim_end().len();
        self.excerpt.text.truncate(kept);
        if !self.text[at..].trim().is_empty() {
            self.excerpt.text.push_str(MORE);
        }
        self.excerpt
    }

    /// The part of the text that the excerpt can be of: where it has tags and many spaces, some more.
    fn near(&self) -> &'a str {
        let rest = &self.text[self.begin..];
        let end = rest
            .char_indices()
            .nth(4 * self.room)
            .map_or(rest.len(), |(at, _)| at);
        &rest[..end]
    }

    /// Where a hit ends, or a tag, or a word, that begins at a place.
    fn end_of_unit(&self, at: usize, word_ends: &[usize]) -> usize {
        if let Some(hit) = self.hits.iter().find(|hit| hit.start == at) {
            return hit.end;
        }
        if let Some(tag) = tag_length(&self.text[at..]) {
            return at + tag;
        }
        let next_hit = self
            .hits
            .iter()
            .map(|hit| hit.start)
            .find(|start| *start > at);
        let word = word_ends.partition_point(|end| *end <= at);
        let word = word_ends.get(word).copied().unwrap_or(self.text.len());
        word.min(next_hit.unwrap_or(word))
    }

    /// Writes a part of the text if there is room for it.
    fn unit(&mut self, place: Range<usize>) -> bool {
        let part = &self.text[place.clone()];
        let is_hit = self.hits.contains(&place);
        if !is_hit && tag_length(part) == Some(part.len()) || part.trim().is_empty() {
            self.is_space_due = true;
            return true;
        }
        let is_first = self.excerpt.text.trim_start_matches(MORE).is_empty();
        let space = usize::from(self.is_space_due && !is_first);
        let marks = if is_hit { MARKS } else { 0 };
        let Some(room) = self
            .room
            .checked_sub(space + marks + one_line(part).count())
        else {
            return false;
        };
        self.room = room;
        self.is_space_due = false;
        if space > 0 {
            self.excerpt.text.push(' ');
        }
        let start = self.excerpt.text.len();
        self.excerpt.text.extend(one_line(part));
        if is_hit {
            self.excerpt.hits.push(start..self.excerpt.text.len());
        }
        true
    }

    /// Writes as much as there is room for of a word, and says where that ends.
    fn graphemes(&mut self, begin: usize) -> usize {
        let hit = self.hits.iter().find(|hit| hit.start == begin).cloned();
        let marks = if hit.is_some() { MARKS } else { 0 };
        self.room = self.room.saturating_sub(marks);
        let start = self.excerpt.text.len();
        let end = hit.as_ref().map_or(self.text.len(), |hit| hit.end);
        let mut at = begin;
        for character in self.text[begin..end].graphemes(true) {
            let Some(room) = self.room.checked_sub(character.chars().count()) else {
                break;
            };
            self.room = room;
            self.excerpt.text.extend(one_line(character));
            at += character.len();
        }
        if hit.is_some() && at > begin {
            self.excerpt.hits.push(start..self.excerpt.text.len());
        }
        at
    }
}

/// Whether a text can be cut at a place: not within a character as people see it, nor within a syllable of Thai.
fn is_between_characters(text: &str, at: usize) -> bool {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    cursor.is_boundary(text, 0) != Ok(false) && !is_within_syllable(text, at)
}

/// The characters of a text with single spaces instead of ends of lines and other spaces.
fn one_line(text: &str) -> impl Iterator<Item = char> {
    let mut is_after_space = false;
    text.chars().filter_map(move |c| {
        let is_space = c.is_whitespace() || c.is_control();
        let is_repeated = is_space && is_after_space;
        is_after_space = is_space;
        (!is_repeated).then_some(if is_space { ' ' } else { c })
    })
}

/// How long the tag is that the text begins with, in bytes. It has its end within a few hundred bytes.
fn tag_length(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('<')?.trim_start_matches('/');
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!') {
        return None;
    }
    let end = text.bytes().take(300).position(|byte| byte == b'>')?;
    Some(end + 1)
}
