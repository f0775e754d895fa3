//! Whether something has the shape that a chapter shows. In a shape, `…` is any text within a line, and a line with nothing
//! else is any lines. Everything else is the text itself.

const ANY: &str = "…";

/// Whether a text has the shape of these lines. Spaces at the ends of lines do not count.
pub(crate) fn has_lines(shape: &str, text: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.trim_end().lines();
        lines.map(|line| line.trim_end().to_owned()).collect()
    };
    lines_match(&lines(shape), &lines(text))
}

fn lines_match(shape: &[String], lines: &[String]) -> bool {
    match shape.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == ANY => {
            (0..=lines.len()).any(|start| lines_match(rest, &lines[start..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, lines)| line_matches(first, line) && lines_match(rest, lines)),
    }
}

/// Whether a JSON text has a shape, however each is broken into lines.
pub(crate) fn has_json(shape: &str, text: &str) -> bool {
    line_matches(&squeezed(shape), &squeezed(text))
}

/// Without the spaces outside of strings.
fn squeezed(json: &str) -> String {
    let (mut is_string, mut is_escaped) = (false, false);
    json.chars()
        .filter(|character| {
            let is_kept = is_string || !character.is_whitespace();
            if *character == '"' && !is_escaped {
                is_string = !is_string;
            }
            is_escaped = is_string && *character == '\\' && !is_escaped;
            is_kept
        })
        .collect()
}

/// Whether a line has a shape.
pub(crate) fn line_matches(shape: &str, line: &str) -> bool {
    let Some((start, rest)) = shape.split_once(ANY) else {
        return shape == line;
    };
    let Some(line) = line.strip_prefix(start) else {
        return false;
    };
    // Something has to be there.
    let mut ends = line.char_indices().map(|(at, it)| at + it.len_utf8());
    ends.any(|end| line_matches(rest, &line[end..]))
}

#[test]
fn text_is_itself_and_an_ellipsis_is_any_text() {
    assert!(has_lines("token: epa_…\nend", "token: epa_x1\nend\n"));
    for other in [
        "token: epa_\nend",
        "token: epb_x1\nend",
        "token: epa_x1",
        "token: epa_x1\nend\nmore",
        "token: epa_x1\nand\nend",
    ] {
        assert!(!has_lines("token: epa_…\nend", other), "{other}");
    }
    assert!(has_lines("a\n…\nz", "a\nb\nc\nz"));
    assert!(has_lines("a\n…\nz", "a\nz"));
    assert!(!has_lines("a\n…\nz", "a\nb"));
    assert!(has_lines("", "\n"));
    assert!(!has_lines("", "something"));
}

#[test]
fn json_may_be_broken_into_lines_and_its_strings_may_not() {
    let shape = "{\n  \"a\": \"b c\",\n  \"d\": …,\n  …\n}";
    assert!(has_json(shape, r#"{"a":"b c","d":[1,2],"e":0}"#));
    assert!(!has_json(shape, r#"{"a":"bc","d":[1,2],"e":0}"#));
    assert!(!has_json(shape, r#"{"a":"b c","d":[1,2]"#));
    assert!(has_json(r#"{"a": "\" b"}"#, r#"{"a":"\" b"}"#));
}
