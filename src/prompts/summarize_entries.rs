//! Summarises the entries of a period.

use chrono::SecondsFormat;
use serde::Deserialize;

use super::DATA_NOT_INSTRUCTIONS;
use crate::{
    arguments::{
        dates::{self, DateOrTime, Zone},
        ids::IdList,
    },
    completers,
    domain::{
        journal::{EntryDigest, TagId},
        page::PageLimit,
        uris,
    },
    journal::{DigestEntries, JournalHandle},
    scopes,
    views::EntryView,
};
use mcp_protocol::answer::Content;
use mcp_server::features::{
    completion::Completer,
    context::ReadContext,
    prompt::{Argument, Prompt, unless_blank},
    resource::embedded,
    tool_error::ToolError,
    uri::expand,
};
use resource_server::clock::Timestamp;

/// At most this much content is embedded, in bytes. The newest entry is always embedded; the size of an entry
/// is limited.
const MOST_BYTES: u32 = 200_000;

/// `summarize_entries`
pub(super) struct SummarizeEntries {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SummarizeEntriesArguments {
    #[serde(default, deserialize_with = "unless_blank")]
    from: Option<DateOrTime>,
    #[serde(default, deserialize_with = "unless_blank")]
    to: Option<DateOrTime>,
    #[serde(default, deserialize_with = "unless_blank")]
    time_zone: Option<Zone>,
    #[serde(default, deserialize_with = "unless_blank")]
    tags: Option<IdList<50>>,
}

impl Prompt for SummarizeEntries {
    const NAME: &'static str = "summarize_entries";
    const TITLE: &'static str = "Summarize Entries";
    const DESCRIPTION: &'static str =
        "Tell what the journal says about a span of time or some tags.";
    const SCOPES: &'static [&'static str] = &[scopes::ENTRIES_READ];
    const ARGUMENTS: &'static [Argument] = &[
        Argument {
            name: "from",
            title: "From",
            description: "The first day, such as 2026-07-01, or an RFC 3339 time.",
            required: false,
        },
        Argument {
            name: "to",
            title: "To",
            description: "The day or time before which it ends: with 2026-08-01, July 31 is the last day.",
            required: false,
        },
        Argument {
            name: "timeZone",
            title: "Time zone",
            description: "The time zone in which days begin, such as Europe/Berlin. UTC unless said otherwise.",
            required: false,
        },
        Argument {
            name: "tags",
            title: "Tags",
            description: "Ids of tags with commas between them: only entries that have at least one of them.",
            required: false,
        },
    ];

    type Arguments = SummarizeEntriesArguments;

    async fn get(
        &self,
        context: ReadContext,
        arguments: SummarizeEntriesArguments,
    ) -> Result<Vec<Content>, ToolError> {
        let zone = arguments.time_zone.unwrap_or_default();
        let (from, to) =
            dates::span(arguments.from, arguments.to, &zone).map_err(ToolError::Refused)?;
        let tags: Vec<TagId> = arguments.tags.map(Vec::from).unwrap_or_default();
        let which = which(from, to, &tags);
        let digest = self
            .journal
            .ask(DigestEntries {
                user: context.principal().user,
                tags,
                from,
                to,
                limit: PageLimit::default(),
                bytes: MOST_BYTES,
            })
            .await?;
        let mut messages = vec![Content::text(instruction(&which, &digest, &zone))];
        for entry in digest.entries {
            let uri = expand(uris::ENTRY, &entry.id);
            messages.push(Content::Resource {
                resource: embedded(uri, &EntryView::from(entry))?,
            });
        }
        Ok(messages)
    }

    fn completers(&self) -> Vec<(&'static str, Completer)> {
        vec![
            ("timeZone", completers::time_zone()),
            ("tags", completers::tag_list(&self.journal)),
        ]
    }
}

/// A phrase that describes the selected entries.
fn which(from: Option<Timestamp>, to: Option<Timestamp>, tags: &[TagId]) -> String {
    let time = |instant: Timestamp| instant.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let from = from.map(|from| format!("written at {} or later", time(from)));
    let to = to.map(|to| format!("written before {}", time(to)));
    let ids = Vec::from_iter(tags.iter().map(TagId::to_string)).join(", ");
    let tags = (!tags.is_empty()).then(|| format!("with at least one of the tags {ids}"));
    let conditions = Vec::from_iter([from, to, tags].into_iter().flatten());
    if conditions.is_empty() {
        String::new()
    } else {
        format!(" ({})", conditions.join(", "))
    }
}

fn instruction(which: &str, digest: &EntryDigest, zone: &Zone) -> String {
    let shown = digest.entries.len();
    if shown == 0 {
        return format!(
            "There are no such entries in my journal{which}. Tell me so, and ask whether I meant another time or other tags."
        );
    }
    let left_out = match digest.matching - shown {
        0 => String::new(),
        older => {
            let at_least = if digest.matching >= EntryDigest::COUNTED {
                "at least "
            } else {
                ""
            };
            format!(
                " They are the newest {shown}; {at_least}{older} older ones were left out, which the summary must say."
            )
        }
    };
    let zone = zone.name().map_or_else(String::new, |name| {
        format!(" Their times are in UTC; speak of them in {name}.")
    });
    format!(
        "Summarize these entries of my journal{which}. They follow as JSON, newest first.{left_out}{zone} \
         {DATA_NOT_INSTRUCTIONS}\n\n\
         Begin with what mattered most, in a few sentences. Then go through the time from its beginning to its end: \
         what happened, who was there, how I felt. Say what comes back again and again, and what changed. Keep to \
         what the entries say, and name the ids of the entries that a statement rests on."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conditions_are_named() {
        assert_eq!(which(None, None, &[]), "");
        let at = chrono::DateTime::from_timestamp(1_785_196_800, 0);
        assert_eq!(
            which(at, at, &[TagId(3), TagId(7)]),
            " (written at 2026-07-28T00:00:00Z or later, written before 2026-07-28T00:00:00Z, with at least one of the tags 3, 7)"
        );
    }
}
