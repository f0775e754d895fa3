//! A full-text query as PostgreSQL writes it.

use crate::domain::excerpt::SearchWord;

/// What has to be known of a query before it is run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextQuery {
    /// The words without which no entry matches as one query without phrases and exclusions, which the index
    /// answers without a look at the entries. `None` if entries without any of its words match.
    pub(super) narrow: Option<String>,
    /// Whether the index answers the query itself: it has no phrase and at least one word that must occur.
    pub(super) is_exact: bool,
    /// Its words that may occur in what matches.
    pub(super) words: Vec<SearchWord>,
}

/// The most exclusions before one word that PostgreSQL's parser has room for are 32.
const MOST_MINUSES: usize = 16;

impl TextQuery {
    /// `query` is a `tsquery` as text, and `tree` what `querytree` says of it: the query without what it
    /// excludes, or `T` if nothing is left by which an index can be searched.
    pub(super) fn read(query: &str, tree: &str) -> Self {
        let mut has_phrase = false;
        each_token(query, |token| {
            has_phrase |= matches!(token, Token::Phrase(_))
        });
        if tree == "T" {
            return Self {
                narrow: None,
                is_exact: false,
                words: Vec::new(),
            };
        }
        let mut narrow = String::with_capacity(tree.len());
        let mut words: Vec<SearchWord> = Vec::new();
        let mut distance = None;
        each_token(tree, |token| match token {
            Token::Phrase(words_apart) => {
                narrow.push('&');
                distance = Some(words_apart);
            }
            Token::Lexeme { quoted, text } => {
                narrow.push_str(quoted);
                let after = distance.take().filter(|_| !words.is_empty());
                words.push(SearchWord {
                    lexeme: text,
                    after,
                });
            }
            Token::Other(character) => {
                narrow.push(character);
                if character != ' ' {
                    distance = None;
                }
            }
        });
        Self {
            narrow: Some(narrow),
            is_exact: !has_phrase,
            words,
        }
    }
}

/// The query with no more minus signs in a row than PostgreSQL understands. Two cancel each other.
pub(super) fn with_few_minuses(query: &str) -> String {
    let mut short = String::with_capacity(query.len());
    let mut rest = query;
    while let Some(start) = rest.find('-') {
        let (before, run) = rest.split_at(start);
        let end = run
            .find(|c: char| c != '-' && !c.is_whitespace())
            .unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        let count = run.matches('-').count();
        short.push_str(before);
        if count > MOST_MINUSES {
            short.push_str(if count % 2 == 0 { " " } else { " -" });
        } else {
            short.push_str(run);
        }
        rest = after;
    }
    short.push_str(rest);
    short
}

enum Token<'a> {
    Lexeme {
        quoted: &'a str,
        text: String,
    },
    /// `<->` or `<3>`: how many words apart.
    Phrase(usize),
    Other(char),
}

fn each_token<'a>(query: &'a str, mut each: impl FnMut(Token<'a>)) {
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => {
                let (length, text) = lexeme(rest);
                each(Token::Lexeme {
                    quoted: &rest[..length],
                    text,
                });
                length
            }
            '<' => {
                let length = rest.find('>').map_or(rest.len(), |end| end + 1);
                let distance = rest[1..length].trim_end_matches('>');
                each(Token::Phrase(distance.parse().unwrap_or(1)));
                length
            }
            other => {
                each(Token::Other(other));
                other.len_utf8()
            }
        };
        rest = &rest[length..];
    }
}

/// The lexeme in quotes that the text begins with, and its length in bytes with the quotes.
fn lexeme(text: &str) -> (usize, String) {
    let mut lexeme = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\'' if characters.next_if(|(_, next)| *next == '\'').is_none() => {
                return (at + 1, lexeme);
            }
            '\\' => lexeme.extend(characters.next().map(|(_, escaped)| escaped)),
            c => lexeme.push(c),
        }
    }
    (text.len(), lexeme)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(lexeme: &str, after: Option<usize>) -> SearchWord {
        SearchWord {
            lexeme: lexeme.to_owned(),
            after,
        }
    }

    #[test]
    fn a_query_is_narrowed_to_its_words() {
        let phrase = TextQuery::read(
            "'quiet' <-> 'forest' & !'fire' | 'it''s' <3> 'a\\\\b'",
            "'quiet' <-> 'forest' | 'it''s' <3> 'a\\\\b'",
        );
        assert_eq!(
            phrase.narrow.as_deref(),
            Some("'quiet' & 'forest' | 'it''s' & 'a\\\\b'")
        );
        assert!(!phrase.is_exact);
        let words = [
            word("quiet", None),
            word("forest", Some(1)),
            word("it's", None),
            word("a\\b", Some(3)),
        ];
        assert_eq!(phrase.words, words);
    }

    #[test]
    fn the_index_answers_words_and_not_phrases_or_bare_exclusions() {
        let words = TextQuery::read("'a' & !'b' | 'c'", "'a' | 'c'");
        assert!(words.is_exact);
        // The phrase is excluded, so nothing of it is in the tree.
        assert!(!TextQuery::read("'a' & !( 'b' <-> 'c' )", "'a'").is_exact);
        assert_eq!(TextQuery::read("!'a'", "T").narrow, None);
        assert!(!TextQuery::read("!'a'", "T").is_exact);
        // A lexeme may look like an operator.
        assert!(TextQuery::read("'<->' & 'T'", "'<->' & 'T'").is_exact);
    }

    #[test]
    fn many_minuses_are_few() {
        assert_eq!(with_few_minuses("a --b - c foo--bar"), "a --b - c foo--bar");
        assert_eq!(with_few_minuses(&format!("x {}b", "-".repeat(33))), "x  -b");
        assert_eq!(with_few_minuses(&format!("x {}b", "- ".repeat(34))), "x  b");
    }
}
