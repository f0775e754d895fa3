//! URIs of the journal's resources.

/// The user of the connection.
pub const CURRENT_USER: &str = "epicme://users/current";

/// An entry.
pub const ENTRY: &str = "epicme://entries/{id}";

/// All tags.
pub const TAGS: &str = "epicme://tags";

/// A tag.
pub const TAG: &str = "epicme://tags/{id}";

/// An export of the journal.
pub const EXPORT: &str = "epicme://exports/{id}";
