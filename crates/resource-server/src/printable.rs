//! Names that others gave out, on their way into a line of the log.

use std::borrow::Cow;

/// How much of a name is logged, in characters.
const LONGEST: usize = 128;

/// A name of which nobody knows what is in it, for a line of text, where a space could begin a key of its
/// own, and a control character a line of its own. What is not visible ASCII is escaped, and the rest left
/// out after 128 characters.
#[must_use]
pub fn printable(name: &str) -> Cow<'_, str> {
    // Without an early end, so that many bytes are looked at in one step.
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
        fn no_name_begins_a_key_or_a_line_of_its_own(name in ".{0,200}") {
            let printable = printable(&name);
            prop_assert!(printable.bytes().all(|byte| byte.is_ascii_graphic()));
            // Ten bytes are the longest escape there is.
            prop_assert!(printable.len() <= 10 * LONGEST);
        }

        #[test]
        fn an_ordinary_name_is_said_as_it_is(name in "[!-~]{0,128}") {
            prop_assert_eq!(printable(&name), name.as_str());
        }
    }
}
