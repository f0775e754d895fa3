//! Text on its way into HTML.

use std::fmt;

/// Displays text so that it is text in HTML, between tags and inside quoted attributes.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Marks that turn the direction of text around could make a name look like another;
                // `<bdi>` keeps them inside, but not from the eye.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {}
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_becomes_text() {
        let shown = Escaped("<script a='b'>&\"\u{202e}x").to_string();
        assert_eq!(shown, "&lt;script a=&#39;b&#39;&gt;&amp;&quot;x");
    }

    proptest! {
        #[test]
        fn nothing_gets_out(text in ".*") {
            prop_assert!(!Escaped(&text).to_string().contains(['<', '>', '"', '\'']));
        }
    }
}
