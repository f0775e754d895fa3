//! Reads SQL as far as the rules of migrations need it.

/// The statements of a text, without comments, each as its words. A word is a name or keyword in lower case, a mark, or a
/// literal as it stands.
pub(crate) fn statements(sql: &str) -> Vec<Vec<String>> {
    let mut statements = vec![Vec::new()];
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '-' if rest.starts_with("--") => {
                rest = rest.split_once('\n').map_or("", |(_, after)| after);
                continue;
            }
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            '$' => {
                let tag = &rest[..rest[1..].find('$').map_or(1, |end| end + 2)];
                let end = rest[tag.len()..].find(tag);
                end.map_or(rest.len(), |end| end + 2 * tag.len())
            }
            _ if first.is_alphanumeric() || first == '_' => rest
                .find(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '.')
                .unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        rest = after;
        if word == ";" {
            statements.push(Vec::new());
        } else if !word.trim().is_empty() {
            let is_literal = word.starts_with(['\'', '"', '$']);
            let word = if is_literal {
                word.to_owned()
            } else {
                word.to_lowercase()
            };
            statements.last_mut().unwrap().push(word);
        }
    }
    statements.retain(|words| !words.is_empty());
    statements
}

/// Whether the words are found in this order, one after the other.
pub(crate) fn has(words: &[String], phrase: &str) -> bool {
    at(words, phrase).is_some()
}

/// Where the first of the words is that are found in this order.
pub(crate) fn at(words: &[String], phrase: &str) -> Option<usize> {
    let phrase: Vec<_> = phrase.split(' ').collect();
    words
        .windows(phrase.len())
        .position(|found| found.iter().eq(phrase.iter().copied()))
}

/// Whether the statement begins with the words.
pub(crate) fn begins(words: &[String], phrase: &str) -> bool {
    at(words, phrase) == Some(0)
}

/// The word after a phrase, behind `if exists`, `if not exists` and `only`.
pub(crate) fn name_after<'a>(words: &'a [String], phrase: &str) -> Option<&'a str> {
    let from = at(words, phrase)? + phrase.split(' ').count();
    words[from..]
        .iter()
        .map(String::as_str)
        .find(|word| !["if", "not", "exists", "only"].contains(word))
}

/// The actions of an `ALTER TABLE`, which commas separate.
pub(crate) fn actions(words: &[String]) -> Vec<&[String]> {
    let mut depth = 0;
    words
        .split(move |word| {
            match word.as_str() {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            depth == 0 && word == ","
        })
        .collect()
}
