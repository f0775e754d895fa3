//! The grammar of queries.

use crate::{
    alternative::{Alternative, NothingToSearch},
    atoms::Kind,
    class::Class,
    term::Term,
};

/// A part of a query, as it was written.
#[derive(Debug, Clone, Copy)]
struct Item<'a> {
    text: &'a str,
    is_phrase: bool,
    is_excluded: bool,
}

/// The alternatives of a query.
pub(crate) fn read(text: &str) -> Result<Vec<Alternative>, NothingToSearch> {
    let items = items(text);
    let mut alternatives = Vec::new();
    let mut current = Alternative::default();
    let mut symbols = Vec::new();
    // Between alternatives there is something on both sides of the word.
    let mut may_end = false;
    for (place, item) in items.iter().enumerate() {
        let is_last = place + 1 == items.len();
        if may_end && !is_last && item.is_or() {
            alternatives.push(std::mem::take(&mut current));
            may_end = false;
            continue;
        }
        may_end = true;
        match item.term(is_last) {
            None => {}
            Some(Meaning::Word(term)) if item.is_excluded => push(&mut current.excluded, term),
            Some(Meaning::Word(term)) => push(&mut current.required, term),
            Some(Meaning::Sign(term)) => symbols.push(term),
        }
    }
    alternatives.push(current);
    alternatives.retain(|one| !one.required.is_empty() || !one.excluded.is_empty());
    if alternatives.iter().all(|one| one.required.is_empty()) && !symbols.is_empty() {
        // A query of signs alone means them.
        let excluded = alternatives.pop().unwrap_or_default().excluded;
        alternatives = vec![Alternative {
            required: symbols,
            excluded,
        }];
    }
    if alternatives.is_empty() {
        return Err(NothingToSearch::NoWord);
    }
    if alternatives.iter().any(|one| one.required.is_empty()) {
        return Err(NothingToSearch::OnlyExclusions);
    }
    Ok(alternatives)
}

fn push(terms: &mut Vec<Term>, term: Term) {
    if !terms.contains(&term) {
        terms.push(term);
    }
}

/// Cuts a query at spaces and quotes. A quote without an end has no meaning.
fn items(text: &str) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
        if rest.is_empty() {
            return items;
        }
        let unsigned = rest.strip_prefix('-').filter(|word| {
            !word.starts_with(|c: char| c == '-' || c.is_whitespace() || c.is_control())
        });
        let is_excluded = unsigned.is_some();
        let word = unsigned.unwrap_or(rest);
        if let Some((phrase, after)) = phrase(word) {
            items.push(Item {
                text: phrase,
                is_phrase: true,
                is_excluded,
            });
            rest = after;
            continue;
        }
        let first = word.chars().next().map_or(0, char::len_utf8);
        let end = word[first..]
            .char_indices()
            .find(|(at, c)| {
                c.is_whitespace() || c.is_control() || phrase(&word[first + at..]).is_some()
            })
            .map_or(word.len(), |(at, _)| first + at);
        items.push(Item {
            text: &word[..end],
            is_phrase: false,
            is_excluded,
        });
        rest = &word[end..];
    }
}

/// The phrase that a text begins with, and what follows it.
fn phrase(text: &str) -> Option<(&str, &str)> {
    let open = text.chars().next()?;
    let closing: &[char] = match open {
        '"' | '＂' | '“' | '”' | '„' | '‟' => &['"', '＂', '“', '”', '‟'],
        '«' => &['»'],
        '»' => &['«'],
        _ => return None,
    };
    let inner = &text[open.len_utf8()..];
    let end = inner.find(closing)?;
    let close = inner[end..].chars().next()?;
    Some((&inner[..end], &inner[end + close.len_utf8()..]))
}

/// What an item is.
enum Meaning {
    Word(Term),
    /// Signs between words, such as the `&` of `tea & cake`.
    Sign(Term),
}

impl Item<'_> {
    fn is_or(&self) -> bool {
        !self.is_phrase && !self.is_excluded && self.text.eq_ignore_ascii_case("or")
    }

    fn term(&self, is_last: bool) -> Option<Meaning> {
        let mut term = Term::read(self.text, !self.is_phrase)?;
        if self.is_phrase {
            set_beginning(&mut term, self.text);
            return Some(Meaning::Word(term));
        }
        if term.parts.iter().all(|part| part.kind == Kind::Symbol) {
            let is_sign = self.text.chars().all(is_sign);
            return Some(if is_sign {
                Meaning::Sign(term)
            } else {
                Meaning::Word(term)
            });
        }
        let is_unspaced_or_word = |part: &crate::term::Part| part.kind != Kind::Symbol;
        // "#tag" and "@name" mean the word, "tea=" too; "C#", "C++", "50%" and "€5" are meant as they are.
        let before = term.parts.iter().position(is_unspaced_or_word).unwrap_or(0);
        let mut kept = 0;
        term.parts.retain(|part| {
            kept += 1;
            kept > before || !is_ornament(&part.forms, "#@&+<=>|~")
        });
        while term
            .parts
            .last()
            .is_some_and(|part| part.kind == Kind::Symbol && is_ornament(&part.forms, "@&<=>|~"))
        {
            term.parts.pop();
        }
        term.after_stop = is_after_stop(self.text);
        set_beginning(&mut term, self.text);
        if is_last
            && !self.is_excluded
            && let Some(last) = term.parts.last_mut()
            && last.may_be_beginning()
        {
            last.is_beginning = true;
        }
        Some(Meaning::Word(term))
    }
}

/// Signs that are no words by themselves: those of ASCII, and of mathematics.
fn is_sign(c: char) -> bool {
    use icu_properties::{CodePointMapData, props::GeneralCategory};
    c.is_ascii() || CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::MathSymbol
}

fn is_ornament(forms: &[String], signs: &str) -> bool {
    forms.iter().all(|form| signs.contains(form.as_str()))
}

/// Whether a word begins with a single full stop.
fn is_after_stop(text: &str) -> bool {
    text.strip_prefix('.').is_some_and(|word| {
        word.starts_with(|c| matches!(Class::of(c), Class::Word | Class::Unspaced))
    })
}

/// A star behind a word.
fn set_beginning(term: &mut Term, text: &str) {
    let ends_with_star = text.trim_end_matches(['*', '＊']).len() < text.len();
    let is_behind_word = text
        .trim_end_matches(['*', '＊'])
        .ends_with(|c: char| !matches!(Class::of(c), Class::Separator));
    if let Some(last) = term.parts.last_mut()
        && ends_with_star
        && is_behind_word
        && last.kind == Kind::Word
    {
        last.is_beginning = true;
        last.stem = None;
    }
}
