//! A query for the words that PostgreSQL's parser has cut, which entries of before have.

/// The most exclusions before one word that PostgreSQL's parser has room for are 32.
const MOST_MINUSES: usize = 16;

/// The words of a query as PostgreSQL's `querytree` writes it, as one query without phrases: what the index answers
/// without a look at the entries. `None` if entries without any of its words match.
pub(super) fn without_phrases(tree: &str) -> Option<String> {
    if tree.is_empty() || tree == "T" {
        return None;
    }
    let mut narrow = String::with_capacity(tree.len());
    let mut rest = tree;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => quoted_length(rest),
            // `<->` or `<3>`: how many words apart.
            '<' => rest.find('>').map_or(rest.len(), |end| end + 1),
            other => other.len_utf8(),
        };
        narrow.push_str(if first == '<' { "&" } else { &rest[..length] });
        rest = &rest[length..];
    }
    Some(narrow)
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

/// How long the lexeme in quotes is that the text begins with, in bytes.
fn quoted_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\'' if characters.next_if(|(_, next)| *next == '\'').is_none() => return at + 1,
            '\\' => {
                characters.next();
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_narrowed_to_its_words() {
        assert_eq!(
            without_phrases("'quiet' <-> 'forest' | 'it''s' <3> 'a\\\\b'").as_deref(),
            Some("'quiet' & 'forest' | 'it''s' & 'a\\\\b'")
        );
        assert_eq!(without_phrases("T"), None);
        assert_eq!(without_phrases(""), None);
        // A lexeme may look like an operator.
        assert_eq!(
            without_phrases("'<->' & 'T'").as_deref(),
            Some("'<->' & 'T'")
        );
    }

    #[test]
    fn many_minuses_are_few() {
        assert_eq!(with_few_minuses("a --b - c foo--bar"), "a --b - c foo--bar");
        assert_eq!(with_few_minuses(&format!("x {}b", "-".repeat(33))), "x  -b");
        assert_eq!(with_few_minuses(&format!("x {}b", "- ".repeat(34))), "x  b");
    }
}
