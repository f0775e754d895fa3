//! Texts of others inside a Markdown document, so that none changes what is around it.
//!
//! A heading, a rule, HTML, a code block that nobody ends, a definition of a link: each would reach beyond the entry that
//! has it, or look like the document's own. What does so is found by a parser of CommonMark and escaped where it begins;
//! everything else of a text stays the Markdown that it was.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag};

/// How often a text is parsed: what is escaped may uncover something else.
const ROUNDS: usize = 4;

/// What stands before and after a text while it is parsed, as in the document.
const BEFORE: &str = "Details\n\n";
const AFTER: &str = "\n\n## Next\n";

/// A text as a block of a document, to stand between empty lines. Where a few backslashes do not keep it in its place it
/// becomes a code block, which shows it as it is.
#[must_use]
pub fn contained(text: &str) -> String {
    // Parsers disagree about a carriage return that stands alone.
    let text = text.trim_end().replace("\r\n", "\n").replace('\r', "\n");
    if !text.contains(['#', '<', '`', '~', '=', '-', '_', '*', '[', '+']) {
        return text;
    }
    let mut document = [BEFORE, &text, AFTER].concat();
    for _ in 0..ROUNDS {
        let content = BEFORE.len()..document.len() - AFTER.len();
        match reaching_out(&document, &content) {
            None => break,
            Some(places) if places.is_empty() => return document[content].to_owned(),
            Some(places) => document = escaped(&document, places),
        }
    }
    in_code_block(&text)
}

/// A text as one line of a heading, or behind a label: its characters and nothing else.
#[must_use]
pub fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let text: String = text
        .chars()
        .map(|c| if breaks(c) { ' ' } else { c })
        .collect();
    let text = text.trim_matches(' ');
    let mut line = String::with_capacity(text.len());
    let mut before = None;
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        let is_mark = match c {
            '\\' | '`' | '*' | '[' | '~' | '{' => true,
            // Within a word it is a letter.
            '_' => {
                !(before.is_some_and(char::is_alphanumeric)
                    && rest.starts_with(char::is_alphanumeric))
            }
            '<' => {
                rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
            }
            '&' => is_entity(rest),
            // At the end it would close the heading.
            '#' => rest.is_empty(),
            _ => false,
        };
        if is_mark {
            line.push('\\');
        }
        line.push(c);
        before = Some(c);
    }
    line
}

/// The same at the beginning of a line or an item, where more characters have a meaning.
#[must_use]
pub fn item(text: &str) -> String {
    let line = one_line(text);
    let digits = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    if digits > 0 && line[digits..].starts_with(['.', ')']) {
        return format!("{}\\{}", &line[..digits], &line[digits..]);
    }
    if line.starts_with(['#', '+', '-', '=', '>', ':', '|']) {
        return format!("\\{line}");
    }
    line
}

/// Whether what follows an ampersand makes it a character reference.
fn is_entity(rest: &str) -> bool {
    let name = rest.split(';').next().unwrap_or_default();
    name.len() < rest.len()
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '#')
}

/// Where a backslash is needed so that the content stays in its place; `None` if that is not known.
fn reaching_out(document: &str, content: &Range<usize>) -> Option<Vec<usize>> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(document, options).into_offset_iter();
    let definitions = events.reference_definitions().iter();
    let definitions = definitions.map(|(_, link)| first(document, &link.span, |c| c == '['));
    let mut places: Vec<Option<usize>> = definitions.collect();
    if !places.is_empty() {
        places.extend(lines_like_definitions(document, content).map(Some));
    }
    let next = content.end + AFTER.len() - "## Next\n".len();
    let (mut depth, mut is_followed) = (0_u32, false);
    for (event, range) in events {
        match &event {
            Event::Start(Tag::Heading { level, .. }) if range.start >= next => {
                is_followed = depth == 0 && range.start == next && *level == HeadingLevel::H2;
            }
            Event::Start(Tag::Heading { level, .. }) if *level <= HeadingLevel::H2 => {
                places.push(mark_of_heading(document, &range));
            }
            Event::Rule | Event::Start(Tag::MetadataBlock(_)) => {
                places.push(first(document, &range, |c| !c.is_whitespace() && c != '>'));
            }
            Event::Start(Tag::FootnoteDefinition(_)) => {
                places.push(first(document, &range, |c| c == '['));
            }
            Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_) => {
                places.extend(tags(document, &range).map(Some));
            }
            // One that nobody ends goes on to the end of the document.
            Event::Start(Tag::CodeBlock(_)) if range.end > content.end + 1 => {
                places.push(first(document, &range, |c| matches!(c, '`' | '~')));
            }
            _ => {}
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            _ => {}
        }
    }
    let mut places: Vec<usize> = places.into_iter().collect::<Option<_>>()?;
    places.sort_unstable();
    places.dedup();
    let is_known = places.iter().all(|place| content.contains(place));
    (is_known && (is_followed || !places.is_empty())).then_some(places)
}

/// The first character of this kind in a range.
fn first(document: &str, range: &Range<usize>, is_it: impl Fn(char) -> bool) -> Option<usize> {
    document[range.clone()]
        .find(is_it)
        .map(|at| range.start + at)
}

/// What makes a heading: its first number sign, or the first character of the line below its text.
fn mark_of_heading(document: &str, range: &Range<usize>) -> Option<usize> {
    let text = document[range.clone()].trim_end();
    match text.rfind('\n') {
        Some(line) => text[line..]
            .find(['=', '-'])
            .map(|at| range.start + line + at),
        None => text.find('#').map(|at| range.start + at),
    }
}

/// Where tags begin in HTML.
fn tags<'a>(document: &'a str, range: &Range<usize>) -> impl Iterator<Item = usize> + use<'a> {
    let (start, html) = (range.start, &document[range.clone()]);
    let begins = |at: &usize| {
        html[at + 1..]
            .starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
            && !html[..*at].ends_with('\\')
    };
    let found: Vec<usize> = html
        .match_indices('<')
        .map(|(at, _)| at)
        .filter(begins)
        .collect();
    found.into_iter().map(move |at| start + at)
}

/// Where lines begin that define a link, or would if another did not define the same.
fn lines_like_definitions<'a>(
    document: &'a str,
    content: &Range<usize>,
) -> impl Iterator<Item = usize> + use<'a> {
    let (start, text) = (content.start, &document[content.clone()]);
    let mut at = start;
    text.split_inclusive('\n').filter_map(move |line| {
        let begins = at;
        at += line.len();
        let mark = line.find(|c: char| !c.is_whitespace() && c != '>')?;
        (line[mark..].starts_with('[') && line.contains("]:")).then_some(begins + mark)
    })
}

/// The text with a backslash at each of these places, which are in order.
fn escaped(text: &str, places: Vec<usize>) -> String {
    let mut result = String::with_capacity(text.len() + places.len());
    let mut last = 0;
    for place in places {
        result.push_str(&text[last..place]);
        result.push('\\');
        last = place;
    }
    result.push_str(&text[last..]);
    result
}

/// The text in a code block whose fence is longer than any in it.
fn in_code_block(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_that_stays_in_its_place_is_not_changed() {
        for text in [
            "Two lines\nand *emphasis*, **more** and `code <b>`.",
            "- a list\n- of two\n  1. nested",
            "> quoted\n> twice",
            "```rust\nfn main() { /* # <pre> */ }\n```",
            "~~~\n## not a heading\n~~~",
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "### A part of it\n\nText",
            "[a link](https://example.com) and <no tag",
            "C++ & C#, a_b, 2 * 3 < 7, x --- y",
            "    indented",
            "- [ ] to do\n- [x] done",
        ] {
            assert_eq!(contained(text), text);
        }
    }

    #[test]
    fn what_would_reach_beyond_its_entry_is_escaped_where_it_begins() {
        for (text, kept) in [
            ("# Big\n## Second\ntext", "\\# Big\n\\## Second\ntext"),
            ("Title\n=====\nOther\n---", "Title\n\\=====\nOther\n\\---"),
            ("---\ntitle: x\n---\ntext", "\\---\ntitle: x\n\\---\ntext"),
            ("* * *", "\\* * *"),
            ("> ## quoted", "> \\## quoted"),
            ("- # item\n- ---", "- \\# item\n\\- ---"),
            ("```\nnever ended", "\\```\nnever ended"),
            ("~~~text\n## x", "\\~~~text\n\\## x"),
            ("<!-- never ended", "\\<!-- never ended"),
            ("<pre>\n\n<div>\n</pre>", "\\<pre>\n\n\\<div>\n\\</pre>"),
            ("a <details> b", "a \\<details> b"),
            (
                "[a]: https://example.com\n[a]: https://example.org",
                "\\[a]: https://example.com\n\\[a]: https://example.org",
            ),
            ("[^1]: a note", "\\[^1]: a note"),
            ("> ```\n> only quoted", "> ```\n> only quoted"),
        ] {
            assert_eq!(contained(text), kept);
        }
    }

    #[test]
    fn what_cannot_be_escaped_in_a_few_rounds_is_shown_as_it_is() {
        // Each begins a code block that none of the next ends.
        let fences = (3..4 + ROUNDS).rev().map(|length| "`".repeat(length));
        let text = Vec::from_iter(fences).join("\n");
        let shown = contained(&text);
        let fence = "`".repeat(ROUNDS + 4);
        assert_eq!(shown, format!("{fence}text\n{text}\n{fence}"));
    }

    #[test]
    fn a_line_is_its_characters() {
        for (text, line) in [
            ("plain", "plain"),
            ("snake_case and _this_", "snake_case and \\_this\\_"),
            ("AT&T &amp; C#", "AT&T \\&amp; C\\#"),
            ("a\r\n## b\u{2028}c", "a  ## b c"),
            (
                "<b> *x* [y] `z` \\ {#id}",
                "\\<b> \\*x\\* \\[y] \\`z\\` \\\\ \\{#id}",
            ),
            ("2 < 3", "2 < 3"),
        ] {
            assert_eq!(one_line(text), line);
        }
        for (text, line) in [
            ("1986. A year", "1986\\. A year"),
            ("- x", "\\- x"),
            ("2026", "2026"),
        ] {
            assert_eq!(item(text), line);
        }
    }
}
