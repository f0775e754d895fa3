//! A strict reader of `WWW-Authenticate` (RFC 9110 §11.6.1): it takes what the grammar allows and
//! nothing else.

use std::collections::BTreeMap;

/// One challenge: a scheme and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Challenge {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

/// Reads a field value of one challenge whose every parameter is a quoted-string, as RFC 6750 §3 and
/// RFC 9728 §5.1 have it.
pub(crate) fn parse_challenges(field: &str) -> Result<Challenge, String> {
    let (scheme, mut rest) = token(field)?;
    rest = rest.strip_prefix(' ').ok_or("no space after the scheme")?;
    let mut parameters = BTreeMap::new();
    loop {
        let (name, after) = token(rest.trim_start_matches([' ', '\t']))?;
        let after = after.strip_prefix('=').ok_or("no = after a name")?;
        let (value, after) = quoted_string(after)?;
        if parameters
            .insert(name.to_ascii_lowercase(), value)
            .is_some()
        {
            return Err(format!("{name} stands twice"));
        }
        let after = after.trim_start_matches([' ', '\t']);
        if after.is_empty() {
            return Ok(Challenge {
                scheme: scheme.to_owned(),
                parameters,
            });
        }
        rest = after
            .strip_prefix(',')
            .ok_or("no comma between parameters")?;
    }
}

fn token(text: &str) -> Result<(&str, &str), String> {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_alphanumeric() && !b"!#$%&'*+-.^_`|~".contains(&byte))
        .unwrap_or(text.len());
    if end == 0 {
        return Err(format!("no token at {text:?}"));
    }
    Ok(text.split_at(end))
}

fn quoted_string(text: &str) -> Result<(String, &str), String> {
    let inner = text.strip_prefix('"').ok_or("a value without quotes")?;
    let mut value = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &inner[at + 1..])),
            '\\' => value.push(characters.next().ok_or("a lonely backslash")?.1),
            '\t' | ' '..='~' => value.push(character),
            other => return Err(format!("{other:?} in a quoted-string")),
        }
    }
    Err("a quoted-string without an end".to_owned())
}

#[test]
fn the_challenge_reader_is_strict() {
    let read = parse_challenges(r#"Bearer realm="a \"b\"", scope="x y""#).unwrap();
    assert_eq!(
        (read.get("realm"), read.get("scope")),
        (Some("a \"b\""), Some("x y"))
    );
    for bad in [
        "",
        "Bearer",
        "Bearer realm=x",
        r#"Bearer realm="x" scope="y""#,
        r#"Bearer realm="x", realm="y""#,
        r#"Bearer realm="x"#,
        r#"Bearer realm="x","#,
    ] {
        assert!(parse_challenges(bad).is_err(), "{bad}");
    }
}
