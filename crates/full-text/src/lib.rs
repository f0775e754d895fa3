//! Full-text search in every language, as far as it needs no database.
//!
//! [`lexemes()`] cuts a document into the words that a `tsvector` keeps. [`Query`] reads what a person looks for,
//! writes it as a `tsquery`, checks a document that the index has named, and cuts an excerpt from it. [`caseless()`]
//! compares names.
//!
//! # What finds what
//! - Words are what is between spaces and punctuation: `tea` is in `coffee/tea`, `then` in `home.Then`. A word of the
//!   query that has punctuation in it is several that follow each other: `don't`, `snake_case`, `2026-11-30`.
//! - Symbols are searched for where they belong to a word, such as `C++`, `AT&T` and `50%`, and where they are emoji.
//! - Case makes no difference, nor does the form in which Unicode has a character (NFKC), nor vowel points of Hebrew
//!   and Arabic, nor the accents of Greek. Other accents do: `München` is found by `MÜNCHEN` and not by `Munchen`.
//!   A `ı` is found by `ı` and `I`, a `i` by `i`, `I` and `İ`.
//! - Scripts without spaces between words are found by any part of a sentence. So are Korean words, which end with
//!   particles. There is no dictionary, so a word is also found inside a longer one
//!   that happens to contain it.
//! - A word also finds its English inflections, a phrase in quotes does not.

mod alternative;
mod atoms;
mod caseless;
mod class;
mod excerpt;
mod fast;
mod fold;
mod lexemes;
mod matching;
mod query;
mod read;
mod relevance;
mod stem;
mod term;
mod tsquery;

pub use alternative::{MOST_WORDS, NothingToSearch};
pub use caseless::caseless;
pub use excerpt::{Excerpt, MOST_CHARACTERS};
pub use lexemes::{LONGEST_LEXEME, MOST_BYTES, lexemes};
pub use query::Query;
