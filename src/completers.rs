//! Completions of prompt arguments and of ids in resource templates.

use std::{fmt::Display, sync::OnceLock};

use jiff::tz;

use crate::{
    domain::journal::{MOST_SUGGESTIONS, Suggestions},
    journal::{JournalHandle, SuggestEntries, SuggestTags},
    scopes,
};
use mcp_protocol::answer::Completion;
use mcp_server::features::{completion::Completer, context::ReadContext, tool_error::ToolError};

/// The longest list of ids that is completed, in bytes: fifty of the longest ids, with commas and spaces.
/// Every suggested value repeats the list before the last id.
const LONGEST_LIST: usize = 1_100;

/// The id of an entry, by the beginning of the id or a part of the title.
pub(super) fn entry(journal: &JournalHandle) -> Completer {
    let journal = journal.clone();
    Completer::new(&[scopes::ENTRIES_READ], move |context, typed| {
        let journal = journal.clone();
        async move {
            let user = context.principal().user;
            let found = journal.ask(SuggestEntries { user, typed }).await?;
            Ok(from_ids(found, ""))
        }
    })
}

/// The id of a tag, by the beginning of the id or a part of the name.
pub(super) fn tag(journal: &JournalHandle) -> Completer {
    let journal = journal.clone();
    Completer::new(&[scopes::TAGS_READ], move |context, typed| {
        let journal = journal.clone();
        async move { suggest_tags(&journal, &context, "", &typed).await }
    })
}

/// Ids of tags with commas between them; the last is the one that is being typed.
pub(super) fn tag_list(journal: &JournalHandle) -> Completer {
    let journal = journal.clone();
    Completer::new(&[scopes::TAGS_READ], move |context, typed| {
        let journal = journal.clone();
        async move {
            let last = typed.rfind(',').map_or(0, |comma| comma + 1);
            let (before, last) = typed.split_at(last);
            suggest_tags(&journal, &context, before, last.trim_start()).await
        }
    })
}

/// A time zone, by the beginning of its name or of a part of it.
pub(super) fn time_zone() -> Completer {
    Completer::new(&[], |_, typed| async move { Ok(time_zones(&typed)) })
}

async fn suggest_tags(
    journal: &JournalHandle,
    context: &ReadContext,
    before: &str,
    typed: &str,
) -> Result<Completion, ToolError> {
    if before.len() > LONGEST_LIST {
        return Ok(Completion::nothing());
    }
    let suggest = SuggestTags {
        user: context.principal().user,
        typed: typed.to_owned(),
    };
    Ok(from_ids(journal.ask(suggest).await?, before))
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
        assert_eq!(time_zones("nowhere"), Completion::nothing());
        let all = time_zones("");
        assert_eq!((all.values.len(), all.has_more), (100, true));
        assert!(all.total > Some(400));
    }
}
