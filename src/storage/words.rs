//! The words of an entry, as its search document in PostgreSQL.

use std::fmt;

use diesel::{
    pg::Pg,
    serialize::{self, IsNull, Output, ToSql},
};

use super::schema::sql_types::Tsvector;

/// The form of the words that this program writes, in `entries.search_form`. The trigger writes 0.
macro_rules! form {
    () => {
        "1"
    };
}
pub(super) use form;

/// The words of a text, as PostgreSQL reads a `tsvector`: their number, then each with a zero byte at its end and the
/// number of its positions, which is none.
pub(super) struct Words(Vec<u8>);

/// As long as all words of a `tsvector` may be together, in bytes.
const LONGEST: usize = (1 << 20) - 1;

impl Words {
    /// Those of an entry.
    pub(super) fn of(title: &str, content: &str) -> Self {
        Self::from_lexemes(&full_text::lexemes(&[title, content]))
    }

    /// `lexemes` are in the order of their bytes, each once, so that PostgreSQL does not have to sort them.
    fn from_lexemes(lexemes: &[impl AsRef<str>]) -> Self {
        let mut bytes = vec![0; 4];
        let mut count: u32 = 0;
        let mut length = 0;
        for lexeme in lexemes.iter().map(AsRef::as_ref) {
            length += lexeme.len();
            if length > LONGEST {
                break;
            }
            bytes.extend_from_slice(lexeme.as_bytes());
            bytes.extend_from_slice(&[0; 3]);
            count += 1;
        }
        bytes[..4].copy_from_slice(&count.to_be_bytes());
        Self(bytes)
    }
}

impl ToSql<Tsvector, Pg> for Words {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        std::io::Write::write_all(out, &self.0)?;
        Ok(IsNull::No)
    }
}

/// As PostgreSQL writes it.
impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0[4..].split(|byte| *byte == 0);
        let words = words.filter(|word| !word.is_empty());
        let quoted: Vec<_> = words
            .map(|word| String::from_utf8_lossy(word).replace('\'', "''"))
            .map(|word| format!("'{}'", word.replace('\\', "\\\\")))
            .collect();
        fmt::Debug::fmt(&quoted.join(" "), f)
    }
}
