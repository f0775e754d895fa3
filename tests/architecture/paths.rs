//! Finds the paths in Rust source, with the trees of `use` written out.

/// Every path in a piece of code, with the trees of `use` written out.
pub(crate) fn of(code: &str) -> Vec<String> {
    let mut reader = Reader {
        rest: code,
        found: Vec::new(),
    };
    let mut before = ' ';
    while let Some(character) = reader.rest.chars().next() {
        if !is_name(before) && before != ':' && is_name(character) && !character.is_ascii_digit() {
            let name = reader.name();
            if reader.rest.starts_with("::") {
                reader.tree(name);
            }
            before = 'x';
        } else {
            before = character;
            reader.rest = &reader.rest[character.len_utf8()..];
        }
    }
    reader.found
}

struct Reader<'a> {
    rest: &'a str,
    found: Vec<String>,
}

impl Reader<'_> {
    fn name(&mut self) -> String {
        let end = self
            .rest
            .find(|character| !is_name(character))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name.to_owned()
    }

    /// Reads on from a name, up to the end of its path or of its tree.
    fn tree(&mut self, mut path: String) {
        while let Some(rest) = self.rest.strip_prefix("::") {
            self.rest = rest;
            if let Some(rest) = rest.strip_prefix('{') {
                self.rest = rest;
                return self.branches(&path);
            }
            let name = self.name();
            if name.is_empty() {
                self.rest = self.rest.strip_prefix('*').unwrap_or(self.rest);
                break;
            }
            path = format!("{path}::{name}");
        }
        self.found.push(path);
    }

    fn branches(&mut self, path: &str) {
        loop {
            self.rest = self.rest.trim_start_matches(|character: char| {
                character.is_whitespace() || character == ','
            });
            if let Some(rest) = self.rest.strip_prefix('}') {
                self.rest = rest;
                return;
            }
            let name = self.name();
            if name.is_empty() {
                // A star.
                self.rest = &self.rest[1..];
                self.found.push(path.to_owned());
            } else {
                self.tree(format!("{path}::{name}"));
            }
            let rest = self.rest.trim_start();
            if let Some(rest) = rest.strip_prefix("as ") {
                self.rest = rest;
                self.name();
            }
        }
    }
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}
