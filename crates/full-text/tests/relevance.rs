//! Queries over journal entries in eight languages, and the entries that each finds.

mod support;

use std::collections::BTreeSet;

use full_text::{MOST_CHARACTERS, Query, lexemes};
use support::is_found;

/// Number, title and text, a line each.
const ENTRIES: &str = include_str!("relevance/entries.tsv");

/// A query, and the numbers of all entries that it finds.
const QUERIES: &str = include_str!("relevance/queries.tsv");

#[test]
fn every_query_finds_its_entries_and_no_others() {
    let entries: Vec<_> = ENTRIES
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [number, title, text] = fields[..] else {
                panic!("three fields: {line}");
            };
            (number, [title, text], lexemes(&[title, text]))
        })
        .collect();
    let mut wrong = Vec::new();
    for line in QUERIES.lines() {
        let (query, numbers) = line.split_once('\t').expect("two fields");
        let wanted: BTreeSet<&str> = numbers.split(' ').collect();
        let read = Query::read(query).expect("something to search for");
        let found: BTreeSet<&str> = entries
            .iter()
            .filter(|(_, parts, lexemes)| is_found(&read, lexemes, parts))
            .map(|(number, ..)| *number)
            .collect();
        if found != wanted {
            wrong.push(format!("{query}: finds {found:?} instead of {wanted:?}"));
        }
        for (_, [title, text], _) in entries.iter().filter(|(number, ..)| found.contains(number)) {
            let has_hit = |part| !read.excerpt(part, MOST_CHARACTERS).hits.is_empty();
            assert!(
                has_hit(title) || has_hit(text),
                "{query} shows nothing of {title}"
            );
            assert!(read.relevance(title, text) > 0.0);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
