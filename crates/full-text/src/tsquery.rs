//! Queries in PostgreSQL's syntax.

use crate::{
    alternative::Alternative,
    term::{Part, Term},
};

/// The text of a `tsquery`.
pub(crate) fn of(alternatives: &[Alternative]) -> String {
    joined(alternatives.iter().map(alternative).collect(), " | ")
}

fn alternative(alternative: &Alternative) -> String {
    let mut conditions: Vec<String> = Vec::new();
    for condition in alternative.required.iter().flat_map(required) {
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    }
    // An exclusion that the lexemes do not decide would exclude too much.
    for term in alternative.excluded.iter().filter(|term| term.is_exact()) {
        conditions.extend(required(term).map(|condition| format!("!({condition})")));
    }
    joined(conditions, " & ")
}

fn required(term: &Term) -> impl Iterator<Item = String> {
    term.parts.iter().map(part)
}

fn part(part: &Part) -> String {
    let mut choices = Vec::new();
    for (lexemes, is_beginning) in part.lexemes() {
        let star = if is_beginning { ":*" } else { "" };
        let all = lexemes
            .iter()
            .map(|lexeme| format!("{}{star}", quoted(lexeme)));
        choices.push(joined(all.collect(), " & "));
    }
    joined(choices, " | ")
}

/// One condition as it is, several in parentheses.
fn joined(conditions: Vec<String>, operator: &str) -> String {
    match conditions.as_slice() {
        [one] => one.clone(),
        several => format!("({})", several.join(operator)),
    }
}

fn quoted(lexeme: &str) -> String {
    format!("'{}'", lexeme.replace('\\', "\\\\").replace('\'', "''"))
}
