//! Names that others gave out, on their way into a line of the log.

use std::fmt::{self, Write};

/// How much of a name is logged, in characters.
const LONGEST: usize = 128;

/// A name of which nobody knows what is in it: in a line of text, a space could begin a key of its own,
/// and a control character a line of its own. What is not visible ASCII is escaped, and the rest left out
/// after 128 characters.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0;
        if name.len() <= LONGEST && name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return f.write_str(name);
        }
        for character in name.chars().take(LONGEST) {
            if character.is_ascii_graphic() {
                f.write_char(character)?;
            } else {
                write!(f, "{}", character.escape_unicode())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_name_begins_a_key_or_a_line_of_its_own(name in ".{0,200}") {
            let printable = Printable(&name).to_string();
            prop_assert!(printable.bytes().all(|byte| byte.is_ascii_graphic()));
            // Ten bytes are the longest escape there is.
            prop_assert!(printable.len() <= 10 * LONGEST);
        }

        #[test]
        fn an_ordinary_name_is_said_as_it_is(name in "[!-~]{0,128}") {
            prop_assert_eq!(Printable(&name).to_string(), name);
        }
    }
}
