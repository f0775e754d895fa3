//! The table of keys as a page for people: docs/CONFIGURATION.md.

use std::fmt::Write;

use super::{
    key::{Heading, Key, flag},
    keys::{KEYS, LOG, LOG_FORMAT},
    reader::EffectiveValue,
};

/// The page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         The keys of `epicme serve`. Each is an environment variable and a flag; a flag wins. A secret can also be given in a file, \
         named by the same key with `_FILE` at its end (`--…-file`).\n\
         Durations have a unit: `250ms`, `30s`, `5m`, `24h`. `epicme check-config` prints the values in effect and their sources; `epicme doctor` tests whether they work.\n\
         A variable that begins with `EPICME_` but is not a key causes a warning at start, which names the nearest key.\n\n\
         `epicme config-keys > docs/CONFIGURATION.md` writes this page from the table in `src/config/keys.rs`.\n",
    );
    for heading in Heading::ALL {
        let _ = write!(
            page,
            "\n## {}\n\n| Key | Flag | Value | Default | |\n|---|---|---|---|---|\n",
            heading.title()
        );
        let keys = KEYS.iter().copied().chain([&LOG, &LOG_FORMAT]);
        for key in keys.filter(|key| key.heading == heading && !key.is_member_only) {
            page += &row(key);
        }
    }
    page += "\n## Members of an issuer in `EPICME_ISSUERS_FILE`\n\n\
             The file is a JSON object; its member `issuers` is an array of 1 to 20 objects with these members \
             ([an example](AUTHORIZATION.md)). Switches are `true` or `false`, lists\n\
             arrays of strings, numbers numbers. A member and its key have the same default.\n\n\
             | Member | As the key |\n|---|---|\n";
    for key in KEYS {
        let Some(member) = key.member else { continue };
        let same = match (key.file_name(), key.is_member_only) {
            (Some(file), _) => code(&file),
            (None, true) => key.help.to_owned(),
            (None, false) => code(key.name),
        };
        let _ = writeln!(page, "| {} | {same} |", code(member));
    }
    page
}

/// Effective values as lines for people, for `check-config`.
#[must_use]
pub fn table(values: &[EffectiveValue]) -> String {
    let mut text = String::new();
    let mut heading = "";
    // Writing to a string does not fail.
    for line in values {
        if line.heading != heading {
            let gap = if heading.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}{}", line.heading);
            heading = line.heading;
        }
        let source = line.source.to_string();
        let _ = writeln!(text, "  {:<42} {source:<12} {}", line.key, line.value);
    }
    text
}

fn row(key: &Key) -> String {
    let name = match key.file_name() {
        Some(file) => format!("{}, {}", code(key.name), code(&file)),
        None => code(key.name),
    };
    let default = match key.default {
        Some("") | None => String::new(),
        Some(default) => code(default),
    };
    format!(
        "| {name} | {} | {} | {default} | {} |\n",
        code(&format!("--{}", flag(key.name))),
        code(&key.value_name.replace('|', "\\|")),
        key.help
    )
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::HTTP;

    const PAGE: &str = include_str!("../../docs/CONFIGURATION.md");
    const MEND: &str = "run `cargo run -- config-keys > docs/CONFIGURATION.md`";

    /// The names of keys that the page does not explain as the table does.
    fn undocumented<'k>(keys: impl IntoIterator<Item = &'k Key>) -> Vec<&'k str> {
        let keys = keys.into_iter().filter(|key| !key.is_member_only);
        keys.filter(|key| !PAGE.contains(&row(key)))
            .map(|key| key.name)
            .collect()
    }

    #[test]
    fn every_key_is_documented() {
        let keys = KEYS.iter().copied().chain([&LOG, &LOG_FORMAT]);
        assert_eq!(undocumented(keys), [""; 0], "{MEND}");
    }

    #[test]
    fn a_new_key_without_documentation_is_named() {
        let new = Key::new("EPICME_NEW", "N").described("A key.", Heading::Server);
        assert_eq!(undocumented([&HTTP.bind, &new]), ["EPICME_NEW"]);
    }

    #[test]
    fn the_page_is_written_from_the_table() {
        assert!(
            PAGE == reference(),
            "docs/CONFIGURATION.md is out of date; {MEND}"
        );
    }

    #[test]
    fn every_key_is_explained_in_a_sentence() {
        for key in KEYS.iter().chain([&&LOG, &&LOG_FORMAT]) {
            let is_sentence =
                key.help.starts_with(char::is_uppercase) || key.help.starts_with("libpq");
            assert!(
                is_sentence && key.help.ends_with('.'),
                "{}: {}",
                key.name,
                key.help
            );
        }
    }
}
