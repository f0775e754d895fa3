//! Escaping untrusted names for the log.

use std::borrow::Cow;

/// How much of a name is logged, in characters.
const LONGEST: usize = 128;

/// Escapes an untrusted name for a log line, in which a space could start a forged key and a control character
/// a forged line: everything except visible ASCII is escaped. It is truncated after 128 characters.
#[must_use]
pub fn printable(name: &str) -> Cow<'_, str> {
    // Without an early exit, so that the loop is vectorized.
    let is_plain = |plain, byte: u8| plain & byte.is_ascii_graphic();
    if name.len() <= LONGEST && name.bytes().fold(true, is_plain) {
        return Cow::Borrowed(name);
    }
    let mut printable = String::new();
    for character in name.chars().take(LONGEST) {
        if character.is_ascii_graphic() {
            printable.push(character);
        } else {
            printable.extend(character.escape_unicode());
        }
    }
    Cow::Owned(printable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_name_forges_a_key_or_a_line(name in ".{0,200}") {
            let printable = printable(&name);
            prop_assert!(printable.bytes().all(|byte| byte.is_ascii_graphic()));
            // Ten bytes are the longest escape there is.
            prop_assert!(printable.len() <= 10 * LONGEST);
        }

        #[test]
        fn an_ordinary_name_is_unchanged(name in "[!-~]{0,128}") {
            prop_assert_eq!(printable(&name), name.as_str());
        }
    }
}
