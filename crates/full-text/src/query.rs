//! What a person looks for.

use crate::{
    alternative::{Alternative, MOST_WORDS, NothingToSearch},
    atoms::Kind,
    read::read,
    term::{Part, Term},
    tsquery,
};

/// What a person looks for, read by [`Query::read`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub(crate) alternatives: Vec<Alternative>,
}

impl Query {
    /// Reads a query: words that must all occur, `"a phrase"`, `or` between alternatives, a minus before what must not
    /// occur, a star behind the beginning of a word. The last word is such a beginning too if it has three letters.
    ///
    /// Words outside of quotes also find their English inflections.
    ///
    /// # Errors
    /// If no document could match, or the query has more than [`MOST_WORDS`].
    pub fn read(text: &str) -> Result<Self, NothingToSearch> {
        let alternatives = read(text)?;
        let terms = alternatives
            .iter()
            .flat_map(|one| one.required.iter().chain(&one.excluded));
        if terms.map(|term| term.parts.len()).sum::<usize>() > MOST_WORDS {
            return Err(NothingToSearch::TooManyWords);
        }
        Ok(Self { alternatives })
    }

    /// The query as the text of a `tsquery`, which every document that matches satisfies. It always requires a lexeme.
    #[must_use]
    pub fn tsquery(&self) -> String {
        tsquery::of(&self.alternatives)
    }

    /// Whether every document that satisfies the `tsquery` matches. Otherwise [`Query::matches`] decides.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        let mut terms = self.terms();
        terms.all(Term::is_exact)
    }

    /// The terms of all alternatives.
    fn terms(&self) -> impl Iterator<Item = &Term> {
        self.alternatives
            .iter()
            .flat_map(|one| one.required.iter().chain(&one.excluded))
    }

    /// What an excerpt shows: the terms that are required by some alternative.
    pub(crate) fn required(&self) -> impl Iterator<Item = &Term> {
        self.alternatives.iter().flat_map(|one| &one.required)
    }

    pub(crate) fn has_dotless(&self) -> bool {
        self.terms().any(Term::is_dotless)
    }
}

impl Part {
    /// Whether the last word of a query may be the beginning of one.
    pub(crate) fn may_be_beginning(&self) -> bool {
        self.kind == Kind::Word
            && self
                .forms
                .iter()
                .all(|form| form.chars().nth(2).is_some() && !form.chars().all(|c| c.is_numeric()))
    }
}
