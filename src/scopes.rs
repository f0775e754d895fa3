//! The journal's scopes.

use std::{fmt, sync::LazyLock};

use resource_server::scope::{ScopeSet, Scopes};

/// The user behind the token.
pub const USER_READ: &str = "user:read";
/// Stored entries.
pub const ENTRIES_READ: &str = "entries:read";
/// Create entries, and with [`ENTRIES_READ`] change and delete them.
pub const ENTRIES_WRITE: &str = "entries:write";
/// Stored tags.
pub const TAGS_READ: &str = "tags:read";
/// Create tags, and with [`TAGS_READ`] change and delete them.
pub const TAGS_WRITE: &str = "tags:write";

/// Each scope with its description for consent pages, in the order of the metadata. No scope implies another:
/// a client for dictation may append to a journal that it cannot read.
pub const DESCRIPTIONS: [(&str, &str); 5] = [
    (USER_READ, "See who you are"),
    (ENTRIES_READ, "Read your journal entries"),
    (ENTRIES_WRITE, "Write journal entries"),
    (TAGS_READ, "Read your tags"),
    (TAGS_WRITE, "Write tags"),
];

/// The scopes with which what is stored can be lost, if the one that reads comes with them. Consent pages mark them.
pub const DELETING: [&str; 2] = [ENTRIES_WRITE, TAGS_WRITE];

/// The scopes that only read.
pub const READING: [&str; 3] = [USER_READ, ENTRIES_READ, TAGS_READ];

static DECLARED: LazyLock<Scopes> =
    LazyLock::new(|| Scopes::declare(DESCRIPTIONS).expect("five different scope tokens"));

/// The declared scopes.
#[must_use]
pub fn declared() -> Scopes {
    DECLARED.clone()
}

/// A set of the journal's scopes, as the value of a configuration key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalScopes(pub ScopeSet);

impl fmt::Display for JournalScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&DECLARED.list(self.0))
    }
}
