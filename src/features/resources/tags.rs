//! Tags, all at once and one by one.

use rmcp::model;

use crate::{
    domain::{
        journal::{Change, JournalError, TagId, TagName},
        page::{NameCursor, Page, PageLimit, PageRequest},
        scope::{Scope, ScopeSet},
    },
    features::{
        completion::Source,
        resource::{Listing, Resource, Template, listed},
        tool::Reader,
        views::{TagNameView, TagView},
    },
    journal,
};

/// How many tags are read at most.
const MOST_TAGS: usize = 10_000;

/// `epicme://tags`
pub(in crate::features) struct Tags;

impl Resource for Tags {
    const URI: &'static str = "epicme://tags";
    const NAME: &'static str = "tags";
    const TITLE: &'static str = "Tags";
    const DESCRIPTION: &'static str =
        "All of the user's tags by name, each with its id; the first 10,000 if there are more.";
    const SCOPES: ScopeSet = ScopeSet::of(&[Scope::TagsRead]);
    const CHANGES_WITH: Option<Change> = Some(Change::TagList);

    type Contents = Vec<TagNameView>;

    async fn read(reader: Reader) -> Result<Vec<TagNameView>, JournalError> {
        Ok(first_tags(&reader, MOST_TAGS).await?.items)
    }
}

/// `epicme://tags/{id}`
pub(in crate::features) struct Tag;

impl Template for Tag {
    const URI: &'static str = "epicme://tags/{id}";
    const NAME: &'static str = "tag";
    const TITLE: &'static str = "Tag";
    const DESCRIPTION: &'static str = "One tag with its description.";
    const SCOPES: ScopeSet = ScopeSet::of(&[Scope::TagsRead]);
    const IDS: Source = Source::Tag;
    const CHANGES_WITH: fn(i64) -> Change = |id| Change::Tag(TagId(id));
    const LISTING: Option<Listing> = Some(|reader, after| Box::pin(list(reader, after)));

    type Contents = TagView;

    async fn read(reader: Reader, id: i64) -> Result<TagView, JournalError> {
        let user = reader.principal.user;
        let id = TagId(id);
        let tag = reader.journal.ask(journal::GetTag { user, id }).await?;
        Ok(tag.into())
    }
}

async fn list(
    reader: Reader,
    after: Option<NameCursor>,
) -> Result<Page<model::Resource, NameCursor>, JournalError> {
    let page = ask(&reader, after).await?;
    Ok(Page {
        items: page
            .items
            .into_iter()
            .map(|tag| listed::<Tag>(tag.id.0, tag.name))
            .collect(),
        next: page.next,
    })
}

/// The user's first tags by name, in whole pages until there are so many.
///
/// # Errors
/// Those of the journal.
pub(in crate::features) async fn first_tags(
    reader: &Reader,
    most: usize,
) -> Result<Page<TagNameView, NameCursor>, JournalError> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = ask(reader, after).await?;
        items.extend(page.items.into_iter().map(TagNameView::from));
        if page.next.is_none() || items.len() >= most {
            return Ok(Page {
                items,
                next: page.next,
            });
        }
        after = page.next;
    }
}

async fn ask(
    reader: &Reader,
    after: Option<NameCursor>,
) -> Result<Page<TagName, NameCursor>, JournalError> {
    reader
        .journal
        .ask(journal::ListTags {
            user: reader.principal.user,
            page: PageRequest {
                limit: PageLimit::LONGEST,
                after,
            },
        })
        .await
}
