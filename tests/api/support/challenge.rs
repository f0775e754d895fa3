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

/// Reads the first challenge of a field value.
pub(crate) fn parse_challenge(field: &str) -> Result<Challenge, String> {
    parse_challenges(field).map(|challenges| challenges[0].clone())
}

/// Reads a field value of challenges whose every parameter is a quoted-string, as RFC 6750 §3 and
/// RFC 9728 §5.1 have it.
pub(crate) fn parse_challenges(field: &str) -> Result<Vec<Challenge>, String> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = field;
    loop {
        let (mut name, mut after) = token(rest.trim_start_matches([' ', '\t']))?;
        if let Some(parameters) = after.strip_prefix(' ') {
            challenges.push(Challenge {
                scheme: name.to_owned(),
                parameters: BTreeMap::new(),
            });
            (name, after) = token(parameters)?;
        }
        let challenge = challenges.last_mut().ok_or("no space after the scheme")?;
        let after = after.strip_prefix('=').ok_or("no = after a name")?;
        let (value, after) = quoted_string(after)?;
        let known = challenge
            .parameters
            .insert(name.to_ascii_lowercase(), value);
        if known.is_some() {
            return Err(format!("{name} stands twice"));
        }
        let after = after.trim_start_matches([' ', '\t']);
        if after.is_empty() {
            return Ok(challenges);
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
    let read = parse_challenge(r#"Bearer realm="a \"b\"", scope="x y""#).unwrap();
    assert_eq!(
        (read.get("realm"), read.get("scope")),
        (Some("a \"b\""), Some("x y"))
    );
    let both = parse_challenges(r#"Bearer realm="a", DPoP realm="b", algs="c""#).unwrap();
    let schemes: Vec<_> = both.iter().map(|one| one.scheme.as_str()).collect();
    assert_eq!(schemes, ["Bearer", "DPoP"]);
    assert_eq!(
        (both[0].get("algs"), both[1].get("algs")),
        (None, Some("c"))
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
        assert!(parse_challenge(bad).is_err(), "{bad}");
    }
}
