//! Lists of entries, and full-text search.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    arguments::{
        dates::{self, DateOrTime, Zone},
        pages::{After, Limit},
    },
    domain::{
        journal::{EntryFilter, EntryListItem, TagId},
        page::{Cursor, PageRequest, TimeCursor},
        search::{SearchCursor, SearchPage, SearchQuery, SearchRequest},
    },
    journal::{self, JournalHandle},
    scopes,
    views::{EntryListItemView, entry_link},
};
use mcp_protocol::answer::{LazyText, ResourceLink};
use mcp_server::features::{
    arguments::{Id, Text, UpTo},
    context::Context,
    tool::{Effect, Tool, ToolResult},
    tool_error::ToolError,
};

/// `list_entries`
pub(super) struct ListEntries {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListEntriesArguments {
    /// Only entries that have at least one of these tags.
    tag_ids: Option<UpTo<Id, 50>>,
    /// Only entries written at this time or later: a date such as 2026-07-28, which means its beginning, or a time such as
    /// 2026-07-28T09:30:00+02:00.
    from: Option<DateOrTime>,
    /// Only entries written before this time, in the same form; a date means its beginning, so that day is not in it.
    to: Option<DateOrTime>,
    /// The time zone of dates, and of times without an offset, such as Europe/Berlin. UTC unless said otherwise.
    time_zone: Option<Zone>,
    /// Only favorites, or only others.
    is_favorite: Option<bool>,
    /// How many entries; 50 unless said otherwise.
    limit: Option<Limit>,
    /// The `nextCursor` of an earlier page, to go on from there with the same filters.
    cursor: Option<After<TimeCursor>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListEntriesOutput {
    entries: Vec<EntryListItemView>,
    /// Where the next page begins; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    next_cursor: Option<String>,
}

impl Tool for ListEntries {
    const NAME: &'static str = "list_entries";
    const TITLE: &'static str = "List Entries";
    const DESCRIPTION: &'static str =
        "List journal entries, newest first, page by page; by tag, date or favorite if wanted.";
    const SCOPES: &'static [&'static str] = &[scopes::ENTRIES_READ];
    const EFFECT: Effect = Effect::ReadOnly;

    type Arguments = ListEntriesArguments;
    type Output = ListEntriesOutput;

    async fn call(
        &self,
        context: Context,
        arguments: ListEntriesArguments,
    ) -> Result<ToolResult<ListEntriesOutput>, ToolError> {
        let zone = arguments.time_zone.unwrap_or_default();
        let (from, to) =
            dates::span(arguments.from, arguments.to, &zone).map_err(ToolError::Refused)?;
        let filter = EntryFilter {
            tags: arguments
                .tag_ids
                .map(|tags| tags.0.into_iter().map(TagId::from).collect())
                .unwrap_or_default(),
            from,
            to,
            is_favorite: arguments.is_favorite,
        };
        let page = self
            .journal
            .ask(journal::ListEntries {
                user: context.principal().user,
                filter,
                page: page_request(arguments.limit, arguments.cursor),
            })
            .await?;
        Ok(ToolResult {
            text: found(page.items.len(), "entry", "entries", page.next.is_some()),
            content: super::links(&context, || page.items.iter().map(link)),
            structured: ListEntriesOutput {
                next_cursor: page.next.map(|cursor| cursor.encode()),
                entries: page
                    .items
                    .into_iter()
                    .map(EntryListItemView::from)
                    .collect(),
            },
        })
    }
}

/// `search_entries`
pub(super) struct SearchEntries {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchEntriesArguments {
    /// What to look for in titles and texts: words that must all occur, "a phrase in quotes",
    /// `or` between alternatives, a minus before what must not occur, a star behind the beginning of a word.
    query: Text<1, 200>,
    /// `newest`, unless said otherwise, or `relevance`: of the newest 500 that match, those first that have most of the
    /// query.
    order: Option<SearchOrder>,
    /// How many entries; 50 unless said otherwise.
    limit: Option<Limit>,
    /// The `nextCursor` of an earlier page, to go on from there with the same query and order.
    cursor: Option<After<SearchCursor>>,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum SearchOrder {
    #[default]
    Newest,
    Relevance,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchEntriesOutput {
    entries: Vec<SearchHitView>,
    /// Where the next page begins; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct SearchHitView {
    #[serde(flatten)]
    entry: EntryListItemView,
    /// A part of the text around what was found, which is between `**`.
    excerpt: String,
}

impl Tool for SearchEntries {
    const NAME: &'static str = "search_entries";
    const TITLE: &'static str = "Search Entries";
    const DESCRIPTION: &'static str = "Search titles and texts of journal entries, in any language, newest first or by relevance, page by page.";
    const SCOPES: &'static [&'static str] = &[scopes::ENTRIES_READ];
    const EFFECT: Effect = Effect::ReadOnly;

    type Arguments = SearchEntriesArguments;
    type Output = SearchEntriesOutput;

    async fn call(
        &self,
        context: Context,
        arguments: SearchEntriesArguments,
    ) -> Result<ToolResult<SearchEntriesOutput>, ToolError> {
        let text: String = arguments.query.into();
        let query = SearchQuery::read(&text)
            .map_err(|why| ToolError::refused(format!("Invalid `query`: {why}.")))?;
        let page = search_page(arguments.order.unwrap_or_default(), arguments.cursor)?;
        let page = self
            .journal
            .ask(journal::SearchEntries {
                user: context.principal().user,
                query,
                page: SearchRequest {
                    limit: arguments.limit.unwrap_or_default().0,
                    page,
                },
            })
            .await?;
        Ok(ToolResult {
            text: found(page.items.len(), "entry", "entries", page.next.is_some()),
            content: super::links(&context, || page.items.iter().map(|hit| link(&hit.entry))),
            structured: SearchEntriesOutput {
                next_cursor: page.next.map(|cursor| cursor.encode()),
                entries: page
                    .items
                    .into_iter()
                    .map(|hit| SearchHitView {
                        entry: hit.entry.into(),
                        excerpt: hit.excerpt,
                    })
                    .collect(),
            },
        })
    }
}

fn search_page(
    order: SearchOrder,
    cursor: Option<After<SearchCursor>>,
) -> Result<SearchPage, ToolError> {
    match (order, cursor.map(|After(cursor)| cursor)) {
        (SearchOrder::Newest, None) => Ok(SearchPage::NewestFirst(None)),
        (SearchOrder::Newest, Some(SearchCursor::NewestFirst(after))) => {
            Ok(SearchPage::NewestFirst(Some(after)))
        }
        (SearchOrder::Relevance, None) => Ok(SearchPage::ByRelevance(None)),
        (SearchOrder::Relevance, Some(SearchCursor::ByRelevance(after))) => {
            Ok(SearchPage::ByRelevance(Some(after)))
        }
        _ => Err(ToolError::refused(
            "Invalid `cursor`: it is of a search in another `order`.",
        )),
    }
}

pub(super) fn page_request<C>(limit: Option<Limit>, cursor: Option<After<C>>) -> PageRequest<C> {
    PageRequest {
        limit: limit.unwrap_or_default().0,
        after: cursor.map(|After(cursor)| cursor),
    }
}

pub(super) fn found(count: usize, one: &str, many: &str, more: bool) -> String {
    let noun = if count == 1 { one } else { many };
    let rest = if more { " There are more." } else { "" };
    format!("Found {count} {noun}.{rest}")
}

/// A link named by the id: the data has the title, and every word of a list costs the model tokens.
fn link(item: &EntryListItem) -> ResourceLink {
    let name = LazyText::Numbered {
        before: "entry ",
        number: item.id.0,
        after: "",
    };
    entry_link(item.id, name)
}
