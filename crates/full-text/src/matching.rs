//! Whether a document has what a query looks for, and where.

use std::ops::ControlFlow;

use memchr::memmem::Finder;

use crate::{
    atoms::Kind,
    fold::{Dots, Folded},
    query::Query,
    term::{Cut, Term},
};

impl Query {
    /// Whether a document of these parts matches: those that [`crate::lexemes()`] was given. A phrase is within one of
    /// them, words may be in different ones.
    #[must_use]
    pub fn matches(&self, parts: &[&str]) -> bool {
        let texts = Texts::new(self, parts);
        let cuts = texts.cut();
        self.alternatives.iter().any(|alternative| {
            let has = |term: &Term| cuts.iter().any(|cut| cut.has(term));
            alternative.required.iter().all(has) && !alternative.excluded.iter().any(has)
        })
    }
}

/// The parts of a document, folded as a query needs them.
pub(crate) struct Texts(Vec<(Folded, Dots)>);

impl Texts {
    pub(crate) fn new(query: &Query, parts: &[&str]) -> Self {
        let usual = parts.iter().map(|part| (Folded::new(part), Dots::Usual));
        let mut texts: Vec<_> = usual.collect();
        if query.has_dotless() {
            let turkish = parts
                .iter()
                .map(|part| (Folded::with_dots(part, Dots::Turkish), Dots::Turkish));
            texts.extend(turkish);
        }
        Self(texts)
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = &(Folded, Dots)> {
        self.0.iter()
    }

    pub(crate) fn cut(&self) -> Vec<Cut<'_>> {
        let texts = self.0.iter();
        texts
            .map(|(folded, dots)| Cut::new(&folded.text, *dots))
            .collect()
    }
}

impl Cut<'_> {
    /// Whether it has a term.
    pub(crate) fn has(&self, term: &Term) -> bool {
        self.each(term, |_, _| ControlFlow::Break(())).is_break()
    }

    /// Calls with the places in bytes where each occurrence of a term begins and ends.
    pub(crate) fn each<F>(&self, term: &Term, mut found: F) -> ControlFlow<()>
    where
        F: FnMut(usize, usize) -> ControlFlow<()>,
    {
        // A text in which `I` is `ı` is only for words that have this letter.
        if self.dots == Dots::Turkish && !term.is_dotless() {
            return ControlFlow::Continue(());
        }
        let Some(first) = term.parts.first() else {
            return ControlFlow::Continue(());
        };
        if first.stem.is_some() {
            return self.each_inflected(term, found);
        }
        for form in &first.forms {
            let finder = Finder::new(form.as_bytes());
            let mut at = 0;
            while let Some(place) = self
                .text
                .as_bytes()
                .get(at..)
                .and_then(|rest| finder.find(rest))
            {
                let place = at + place;
                let index = self.atoms.partition_point(|atom| atom.end <= place);
                let Some(atom) = self.atoms.get(index) else {
                    break;
                };
                let occurrence = term.at(self, index, place);
                at = match (first.kind, occurrence) {
                    (Kind::Unspaced, Some(_)) => place + form.len(),
                    // Another may overlap with what was none.
                    (Kind::Unspaced, None) => self.text.ceil_char_boundary(place + 1),
                    _ => atom.end.max(place + 1),
                };
                if let Some((start, end)) = occurrence {
                    found(start, end)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn each_inflected<F>(&self, term: &Term, mut found: F) -> ControlFlow<()>
    where
        F: FnMut(usize, usize) -> ControlFlow<()>,
    {
        let first_bytes: Vec<u8> = term.first_bytes().collect();
        for (index, atom) in self.atoms.iter().enumerate() {
            if atom.kind == Kind::Word
                && first_bytes.contains(&self.text.as_bytes()[atom.start])
                && let Some((start, end)) = term.at(self, index, atom.start)
            {
                found(start, end)?;
            }
        }
        ControlFlow::Continue(())
    }
}
