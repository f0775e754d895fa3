//! What can be suggested to somebody who fills in an argument of a prompt or the id of a template.

use std::{fmt::Display, sync::OnceLock};

use jiff::tz;

use super::tool::Reader;
use crate::{
    domain::{
        journal::{JournalError, MOST_SUGGESTIONS, Suggestions},
        scope::{Scope, ScopeSet},
    },
    journal,
    mcp::answer::Completion,
};

/// The longest list that is completed any further, in bytes: fifty ids of the longest kind, with
/// commas and spaces. Each value repeats what stands before.
const LONGEST_LIST: usize = 1_100;

/// Where suggestions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The id of an entry, by the beginning of the id or a part of the title.
    Entry,
    /// The id of a tag, by the beginning of the id or a part of the name.
    Tag,
    /// Ids of tags with commas between them; the last is the one that is being typed.
    TagList,
    /// A time zone, by the beginning of its name or of a part of it.
    TimeZone,
    /// Nowhere.
    Nothing,
}

impl Source {
    /// What suggestions give away, and therefore need besides what they are suggested for.
    #[must_use]
    pub const fn scopes(self) -> ScopeSet {
        match self {
            Self::Entry => ScopeSet::of(&[Scope::EntriesRead]),
            Self::Tag | Self::TagList => ScopeSet::of(&[Scope::TagsRead]),
            Self::TimeZone | Self::Nothing => ScopeSet::EMPTY,
        }
    }

    /// Suggestions for what was typed, for the user of the reader.
    ///
    /// # Errors
    /// Those of the journal.
    pub async fn suggest(self, reader: Reader, typed: &str) -> Result<Completion, JournalError> {
        match self {
            Self::Nothing => Ok(nothing()),
            Self::TimeZone => Ok(time_zones(typed)),
            Self::Entry => {
                let found = reader
                    .journal
                    .ask(journal::SuggestEntries {
                        user: reader.principal.user,
                        typed: typed.to_owned(),
                    })
                    .await?;
                Ok(from_ids(found, ""))
            }
            Self::Tag => suggest_tags(reader, "", typed).await,
            Self::TagList => {
                let last = typed.rfind(',').map_or(0, |comma| comma + 1);
                let (before, last) = typed.split_at(last);
                suggest_tags(reader, before, last.trim_start()).await
            }
        }
    }
}

async fn suggest_tags(
    reader: Reader,
    before: &str,
    typed: &str,
) -> Result<Completion, JournalError> {
    if before.len() > LONGEST_LIST {
        return Ok(nothing());
    }
    let found = reader
        .journal
        .ask(journal::SuggestTags {
            user: reader.principal.user,
            typed: typed.to_owned(),
        })
        .await?;
    Ok(from_ids(found, before))
}

fn nothing() -> Completion {
    Completion {
        values: Vec::new(),
        total: Some(0),
        has_more: false,
    }
}

fn from_ids<Id: Display>(found: Suggestions<Id>, before: &str) -> Completion {
    Completion {
        has_more: found.total.is_none_or(|total| total > found.ids.len()),
        total: found.total,
        values: found
            .ids
            .into_iter()
            .map(|id| format!("{before}{id}"))
            .collect(),
    }
}

fn time_zones(typed: &str) -> Completion {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let mut names: Vec<String> = tz::db().available().map(|name| name.to_string()).collect();
        names.sort_unstable();
        names
    });
    let typed = typed.to_ascii_lowercase();
    let fits = |name: &&String| {
        let name = name.to_ascii_lowercase();
        name.starts_with(&typed) || name.split('/').any(|part| part.starts_with(&typed))
    };
    let mut values: Vec<String> = names.iter().filter(fits).cloned().collect();
    let total = values.len();
    values.truncate(MOST_SUGGESTIONS);
    Completion {
        values,
        total: Some(total),
        has_more: total > MOST_SUGGESTIONS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones_are_found_by_any_part_of_their_names() {
        assert_eq!(time_zones("europe/berl").values, ["Europe/Berlin"]);
        assert!(
            time_zones("Berlin")
                .values
                .contains(&"Europe/Berlin".to_owned())
        );
        assert_eq!(time_zones("nowhere"), nothing());
        let all = time_zones("");
        assert_eq!((all.values.len(), all.has_more), (100, true));
        assert!(all.total > Some(400));
    }
}
