//! What a query looks for at one place of a text.

use crate::{
    atoms::{Atom, Atoms, Kind},
    class::is_within_syllable,
    fold::{Dots, Folded},
    lexemes::{LONGEST_WORD, beginning, of_dotless},
    stem::{self, is_latin, stem},
};

/// A word, or several without anything else between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Term {
    /// At least one.
    pub(crate) parts: Vec<Part>,
    /// Whether a full stop must come before it: `.NET`.
    pub(crate) after_stop: bool,
}

/// A word of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    /// The word as it may occur, folded. Several only where an `I` can be either letter of Turkish.
    pub(crate) forms: Vec<String>,
    /// What its inflections have in common.
    pub(crate) stem: Option<String>,
    /// Whether words that begin with it are meant too.
    pub(crate) is_beginning: bool,
    /// Whether it has a `ı`, and so is also compared with the text in which every `I` is that letter.
    pub(crate) is_dotless: bool,
}

impl Term {
    /// Reads what has no operators. `inflected` are the words outside of quotes.
    pub(crate) fn read(text: &str, inflected: bool) -> Option<Self> {
        let usual = Folded::new(text);
        let has_dotless = text.contains('ı');
        let turkish = text
            .contains(['I', 'ı'])
            .then(|| Folded::with_dots(text, Dots::Turkish));
        let mut turkish = turkish
            .iter()
            .flat_map(|folded| Atoms::new(&folded.text).map(|atom| atom.of(&folded.text)));
        let mut parts: Vec<Part> = Vec::new();
        for atom in Atoms::new(&usual.text) {
            let word = atom.of(&usual.text);
            let turkish = turkish.next().unwrap_or(word);
            parts.push(Part::new(atom.kind, word, turkish, inflected, has_dotless));
        }
        (!parts.is_empty()).then_some(Self {
            parts,
            after_stop: false,
        })
    }

    /// Whether every document that has its lexemes has the term.
    pub(crate) fn is_exact(&self) -> bool {
        match self.parts.as_slice() {
            [part] => !self.after_stop && part.is_exact(),
            _ => false,
        }
    }

    /// Where the term begins and ends that has its first part in an atom of a text, at a place in bytes, if it is there.
    pub(crate) fn at(&self, text: &Cut<'_>, index: usize, start: usize) -> Option<(usize, usize)> {
        let atom = text.atoms.get(index)?;
        let part = self.parts.first()?;
        if self.after_stop && !text.text[..start].ends_with('.') {
            return None;
        }
        let end = part.end_at(atom, text.text, start)?;
        let end = self.rest_from(text, index, end)?;
        Some((start, end))
    }

    /// The first bytes of the words that the first part means.
    pub(crate) fn first_bytes(&self) -> impl Iterator<Item = u8> {
        let first = self.parts.first();
        let words = first
            .into_iter()
            .flat_map(|part| part.forms.iter().chain(&part.stem));
        words.filter_map(|word| word.bytes().next())
    }

    /// Where the parts behind the first one end, which ends at a place in an atom.
    fn rest_from(&self, text: &Cut<'_>, mut index: usize, mut place: usize) -> Option<usize> {
        for part in self.parts.iter().skip(1) {
            let atom = text.atoms.get(index)?;
            // A part goes on within the same sentence, or is the next atom. Symbols in between are skipped unless the
            // part is a symbol itself.
            if place == atom.end {
                index += 1;
                if part.kind != Kind::Symbol {
                    let others = &text.atoms[index..];
                    index += others
                        .iter()
                        .take_while(|atom| atom.kind == Kind::Symbol)
                        .count();
                }
                place = text.atoms.get(index)?.start;
            }
            place = part.end_at(text.atoms.get(index)?, text.text, place)?;
        }
        Some(place)
    }

    /// Whether a part of a folded text has the term without an inflection.
    pub(crate) fn is_written(&self, text: &str) -> bool {
        match self.parts.as_slice() {
            [part] => part.forms.iter().any(|form| form == text),
            _ => true,
        }
    }

    /// Whether a text in which `I` is `ı` has to be looked at too.
    pub(crate) fn is_dotless(&self) -> bool {
        self.parts.iter().any(|part| part.is_dotless)
    }
}

/// A folded text and its atoms.
#[derive(Debug)]
pub(crate) struct Cut<'a> {
    pub(crate) text: &'a str,
    pub(crate) atoms: Vec<Atom>,
    pub(crate) dots: Dots,
}

impl<'a> Cut<'a> {
    pub(crate) fn new(text: &'a str, dots: Dots) -> Self {
        let mut atoms = Vec::with_capacity(text.len() / 6);
        atoms.extend(Atoms::new(text));
        Self { text, atoms, dots }
    }
}

impl Part {
    /// A word as it is usually folded, and as it is in Turkish if that differs.
    fn new(kind: Kind, usual: &str, turkish: &str, inflected: bool, has_dotless: bool) -> Self {
        let is_dotless = has_dotless && turkish.contains('ı');
        let mut forms = vec![turkish.to_owned()];
        if !is_dotless && turkish != usual {
            forms.push(usual.to_owned());
            forms.extend(with_capital(turkish));
        }
        let is_inflected = inflected && kind == Kind::Word && !is_dotless;
        let stem = is_inflected.then(|| stem::of_query(usual)).flatten();
        Self {
            kind,
            forms,
            stem,
            is_beginning: false,
            is_dotless,
        }
    }

    /// Where it ends in an atom of a text, if it is there at a place in bytes.
    fn end_at(&self, atom: &Atom, text: &str, place: usize) -> Option<usize> {
        if atom.kind != self.kind {
            return None;
        }
        let rest = &text[place..atom.end];
        if self.kind == Kind::Unspaced {
            let mut forms = self.forms.iter();
            let form = forms.find(|form| rest.starts_with(form.as_str()))?;
            let end = place + form.len();
            let is_cut = |at| atom.start < at && at < atom.end && is_within_syllable(text, at);
            let is_whole = !is_cut(place) && !is_cut(end);
            return is_whole.then_some(end);
        }
        let is_form = self.forms.iter().any(|form| {
            if self.is_beginning {
                rest.starts_with(form.as_str())
            } else {
                rest == form
            }
        });
        let is_word = place == atom.start && (is_form || self.is_inflected_as(rest));
        is_word.then_some(atom.end)
    }

    /// Whether a word of a text is an inflection of it, or begins as one of its inflections does.
    fn is_inflected_as(&self, word: &str) -> bool {
        let Some(wanted) = &self.stem else {
            return false;
        };
        // Inflections begin alike, but for "dying" and "die" also in the second letter.
        if word.as_bytes().first() != wanted.as_bytes().first() {
            return false;
        }
        let stem = stem(word);
        let begins = |form: &String| self.is_beginning && stem.starts_with(form.as_str());
        stem == wanted.as_str() || word == wanted || self.forms.iter().any(begins)
    }

    /// Whether this is the form that the stem is of.
    fn has_stem(&self, form: &str) -> bool {
        self.stem
            .as_deref()
            .is_some_and(|wanted| stem(form) == wanted)
    }

    /// Whether the lexemes of this part alone decide.
    fn is_exact(&self) -> bool {
        match self.kind {
            Kind::Symbol => true,
            // A word in quotes may be there as the stem of another one only.
            Kind::Word if self.stem.is_none() && self.forms.iter().any(|form| is_latin(form)) => {
                false
            }
            Kind::Word => {
                !self.is_dotless && self.forms.iter().all(|form| form.len() < LONGEST_WORD - 3)
            }
            Kind::Unspaced => self.forms.iter().all(|form| {
                form.chars().count() <= 2
                    && !form.contains(|c| ('\u{e01}'..='\u{eff}').contains(&c))
            }),
        }
    }

    /// The lexemes that stand for it, one of which a document must have; each a list of those that it must all have,
    /// and whether lexemes that begin with them count.
    pub(crate) fn lexemes(&self) -> Vec<(Vec<String>, bool)> {
        let mut all: Vec<(Vec<String>, bool)> = Vec::new();
        for form in &self.forms {
            match self.kind {
                Kind::Unspaced if form.chars().nth(1).is_some() => {
                    let count = form.chars().count() - 1;
                    let pairs = crate::atoms::pairs(form).take(count);
                    let mut pairs: Vec<String> = pairs.map(str::to_owned).collect();
                    pairs.sort_unstable();
                    pairs.dedup();
                    all.push((pairs, false));
                }
                Kind::Unspaced => all.push((vec![form.clone()], true)),
                Kind::Word if self.is_dotless => {
                    let either = of_dotless(form).map(|lexeme| (vec![lexeme], self.is_beginning));
                    all.extend(either);
                }
                // Every document that has the word has its stem.
                Kind::Word if self.has_stem(form) && !self.is_beginning => {}
                Kind::Word | Kind::Symbol => {
                    all.push((vec![beginning(form).to_owned()], self.is_beginning));
                }
            }
        }
        all.extend(self.stem.iter().map(|stem| (vec![stem.clone()], false)));
        all
    }
}

/// A word that begins with `ı`, as it is usually folded when it begins with a capital.
fn with_capital(turkish: &str) -> Option<String> {
    let rest = turkish.strip_prefix('ı')?;
    Some(format!("i{rest}"))
}
