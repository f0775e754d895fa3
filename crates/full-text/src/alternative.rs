//! What a query is made of, and why one is refused.

use crate::term::Term;

/// Why a query finds nothing whatever there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, derive_more::Display, derive_more::Error)]
pub enum NothingToSearch {
    /// The query has no word.
    #[display("the query has nothing to search for; it needs a word, a number or a symbol")]
    NoWord,
    /// The query, or one of its alternatives, has only what must not occur.
    #[display("the query has only exclusions; each alternative needs a word that must occur")]
    OnlyExclusions,
    /// There are more words than are looked for.
    #[display("the query has too many words; at most {MOST_WORDS} are searched for")]
    TooManyWords,
}

/// The most words of a query.
pub const MOST_WORDS: usize = 1_000;

/// What is between the `or`s of a query. Something is required.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Alternative {
    pub(crate) required: Vec<Term>,
    pub(crate) excluded: Vec<Term>,
}
