//! The list of tags, and single tags.

use crate::{
    completers,
    domain::{
        journal::{JournalError, TagId, TagName},
        page::{Cursor, NameCursor, Page, PageLimit, PageRequest},
        uris,
    },
    journal::{GetTag, JournalHandle, ListTags},
    scopes,
    views::{TagNameView, TagView},
};
use mcp_server::features::{
    completion::Completer,
    context::ReadContext,
    resource::{Contents, Listed, Resource, ResourceTemplate},
    tool_error::ToolError,
};
use resource_server::principal::UserId;

/// At most this many tags are read.
const MOST_TAGS: usize = 10_000;

/// `epicme://tags`
pub(crate) struct Tags {
    pub(super) journal: JournalHandle,
}

impl Resource for Tags {
    const URI: &'static str = uris::TAGS;
    const NAME: &'static str = "tags";
    const TITLE: &'static str = "Tags";
    const DESCRIPTION: &'static str =
        "All of the user's tags by name, each with its id; the first 10,000 if there are more.";
    const SCOPES: &'static [&'static str] = &[scopes::TAGS_READ];

    async fn read(&self, context: ReadContext) -> Result<Contents, ToolError> {
        let user = context.principal().user;
        let tags = first_tags(&self.journal, user, MOST_TAGS).await?;
        Contents::json(&tags.items)
    }
}

/// `epicme://tags/{id}`
pub(crate) struct Tag {
    pub(super) journal: JournalHandle,
}

impl ResourceTemplate for Tag {
    const URI_TEMPLATE: &'static str = uris::TAG;
    const NAME: &'static str = "tag";
    const TITLE: &'static str = "Tag";
    const DESCRIPTION: &'static str = "One tag with its description.";
    const SCOPES: &'static [&'static str] = &[scopes::TAGS_READ];
    const LISTED: bool = true;

    type Id = i64;

    async fn read(&self, context: ReadContext, id: i64) -> Result<Contents, ToolError> {
        let user = context.principal().user;
        let id = TagId(id);
        let tag = self.journal.ask(GetTag { user, id }).await?;
        Contents::json(&TagView::from(tag))
    }

    async fn list(
        &self,
        context: ReadContext,
        cursor: Option<String>,
    ) -> Result<Listed<i64>, ToolError> {
        let unknown = || ToolError::refused("unknown cursor");
        let after = cursor
            .map(|cursor| NameCursor::decode(&cursor).ok_or_else(unknown))
            .transpose()?;
        let page = page(&self.journal, context.principal().user, after).await?;
        let resources = page.items.into_iter();
        Ok(Listed {
            resources: resources.map(|tag| (tag.id.0, tag.name)).collect(),
            next_cursor: page.next.map(|cursor| cursor.encode()),
        })
    }

    fn completer(&self) -> Option<Completer> {
        Some(completers::tag(&self.journal))
    }
}

/// The user's first tags by name, read in whole pages until the given number is reached.
///
/// # Errors
/// Those of the journal.
pub(crate) async fn first_tags(
    journal: &JournalHandle,
    user: UserId,
    most: usize,
) -> Result<Page<TagNameView, NameCursor>, JournalError> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let page = page(journal, user, after).await?;
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

async fn page(
    journal: &JournalHandle,
    user: UserId,
    after: Option<NameCursor>,
) -> Result<Page<TagName, NameCursor>, JournalError> {
    journal
        .ask(ListTags {
            user,
            page: PageRequest {
                limit: PageLimit::LONGEST,
                after,
            },
        })
        .await
}
