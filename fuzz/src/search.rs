//! Queries of the search, and the texts that they are compared with.

use full_text::{LONGEST_LEXEME, MOST_BYTES, MOST_CHARACTERS, Query, caseless, lexemes};

/// A query, then in further lines a title and a text.
pub fn search(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else {
        return false;
    };
    let mut lines = text.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (query, title, content) = (next(), next(), next());
    assert_eq!(caseless(&caseless(title)), caseless(title));
    let found = lexemes(&[title, content]);
    assert!(found.is_sorted_by(|one, other| one < other));
    assert!(found.iter().map(String::len).sum::<usize>() <= MOST_BYTES);
    assert!(found.iter().all(|lexeme| lexeme.len() <= LONGEST_LEXEME));
    let Ok(query) = Query::read(query) else {
        return false;
    };
    assert!(!query.tsquery().is_empty());
    let is_match = query.matches(&[title, content]);
    assert!(!is_match || !found.is_empty(), "a match has lexemes");
    let relevance = query.relevance(title, content);
    assert!(relevance.is_finite() && relevance >= 0.0);
    let excerpt = query.excerpt(content, MOST_CHARACTERS);
    assert!(excerpt.marked().chars().count() <= MOST_CHARACTERS);
    // What a document is has itself.
    if let Ok(itself) = Query::read(&format!("\"{}\"", title.replace(is_quote, " "))) {
        assert!(itself.matches(&[title]), "{title:?}");
    }
    true
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '＂' | '“' | '”' | '„' | '‟' | '«' | '»')
}
