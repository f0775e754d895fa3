//! What PostgreSQL does with lexemes and a `tsquery`.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::BTreeSet;

use full_text::{Query, lexemes};

/// Whether a document is found, as a server does it: by the index, then by a look at the text where that is needed.
pub(crate) fn finds(query: &str, parts: &[&str]) -> bool {
    match Query::read(query) {
        Err(_) => false,
        Ok(query) => is_found(&query, &lexemes(parts), parts),
    }
}

/// The same with what is derived from both.
pub(crate) fn is_found(query: &Query, lexemes: &[String], parts: &[&str]) -> bool {
    let selected = selects(&query.tsquery(), lexemes);
    let matches = query.matches(parts);
    assert!(selected || !matches, "{query:?} loses {parts:?}");
    if query.is_exact() {
        assert_eq!(selected, matches, "{query:?} is not exact for {parts:?}");
    }
    selected && matches
}

/// Whether a `tsquery` selects a document.
pub(crate) fn selects(tsquery: &str, lexemes: &[String]) -> bool {
    let lexemes: BTreeSet<&str> = lexemes.iter().map(String::as_str).collect();
    let mut parser = Parser {
        rest: tsquery,
        lexemes: &lexemes,
    };
    let selects = parser.any();
    assert_eq!(parser.rest, "", "{tsquery}");
    selects
}

struct Parser<'a> {
    rest: &'a str,
    lexemes: &'a BTreeSet<&'a str>,
}

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        rest.inspect(|rest| self.rest = rest).is_some()
    }

    fn any(&mut self) -> bool {
        let mut any = self.all();
        while self.eat("|") {
            any |= self.all();
        }
        any
    }

    fn all(&mut self) -> bool {
        let mut all = self.one();
        while self.eat("&") {
            all &= self.one();
        }
        all
    }

    fn one(&mut self) -> bool {
        if self.eat("!") {
            return !self.one();
        }
        if self.eat("(") {
            let any = self.any();
            assert!(self.eat(")"), "{}", self.rest);
            return any;
        }
        let lexeme = self.lexeme();
        if self.eat(":*") {
            let from = self.lexemes.range(lexeme.as_str()..).next();
            return from.is_some_and(|found| found.starts_with(&lexeme));
        }
        self.lexemes.contains(lexeme.as_str())
    }

    fn lexeme(&mut self) -> String {
        assert!(self.eat("'"), "{}", self.rest);
        let mut lexeme = String::new();
        loop {
            let c = self
                .rest
                .chars()
                .next()
                .expect("a lexeme ends with a quote");
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                '\'' if self.rest.starts_with('\'') => {}
                '\'' => return lexeme,
                '\\' => {}
                _ => {
                    lexeme.push(c);
                    continue;
                }
            }
            let c = self.rest.chars().next().expect("a quoted character");
            self.rest = &self.rest[c.len_utf8()..];
            lexeme.push(c);
        }
    }
}
