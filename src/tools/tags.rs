//! Tools for tags: create, read, list, update, delete.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    entries::Key,
    lists::{found, page_request},
};
use crate::{
    arguments::{
        pages::{After, Limit},
        texts::{Note, Visible},
    },
    domain::{
        journal::{JournalError, NewTag, TagChanges, TagId},
        names::LONGEST_TAG_NAME,
        page::{Cursor, NameCursor},
    },
    journal::{self, JournalHandle},
    scopes,
    views::{TagNameView, TagView, tag_link},
};
use mcp_protocol::outgoing::ClientCapability;
use mcp_server::features::{
    arguments::{Clearable, Id, clearable, not_null},
    context::Context,
    tool::{Effect, Tool, ToolResult},
    tool_error::ToolError,
};

pub(super) type Name = Visible<LONGEST_TAG_NAME>;
type Description = Note<500>;

/// `create_tag`
pub(super) struct CreateTag {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateTagArguments {
    /// The tag's name. No two of a user's tags share one: upper and lower case, accents written in one or two characters, and full width make no difference.
    name: Name,
    /// What the tag is for.
    description: Option<Description>,
    /// Any text of your choice that names this one write. Sending the same call with the same key
    /// again within 24 hours gives the first result and writes nothing.
    idempotency_key: Option<Key>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct TagOutput {
    tag: TagView,
}

impl Tool for CreateTag {
    const NAME: &'static str = "create_tag";
    const TITLE: &'static str = "Create Tag";
    const DESCRIPTION: &'static str =
        "Create a tag. See list_tags first: a fitting one may be there already.";
    const SCOPES: &'static [&'static str] = &[scopes::TAGS_WRITE];
    const EFFECT: Effect = Effect::Additive;

    type Arguments = CreateTagArguments;
    type Output = TagOutput;

    async fn call(
        &self,
        context: Context,
        arguments: CreateTagArguments,
    ) -> Result<ToolResult<TagOutput>, ToolError> {
        let tag = NewTag {
            name: arguments.name.into(),
            description: description(arguments.description),
        };
        let idempotency_key = arguments
            .idempotency_key
            .map(|key| super::idempotency_key(key, &tag));
        let tag = self
            .journal
            .ask(journal::CreateTag {
                owner: super::journal_owner(context.principal()),
                tag,
                idempotency_key,
            })
            .await?;
        context.is_about("tag", tag.id);
        Ok(ToolResult {
            text: format!("Created tag {}: {}.", tag.id, tag.name),
            content: super::links(&context, || [tag_link(tag.id, &tag.name)]),
            structured: TagOutput { tag: tag.into() },
        })
    }
}

/// `get_tag`
pub(super) struct GetTag {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TagArguments {
    /// The tag's id.
    id: Id,
}

impl Tool for GetTag {
    const NAME: &'static str = "get_tag";
    const TITLE: &'static str = "Get Tag";
    const DESCRIPTION: &'static str = "Read one tag with its description.";
    const SCOPES: &'static [&'static str] = &[scopes::TAGS_READ];
    const EFFECT: Effect = Effect::ReadOnly;

    type Arguments = TagArguments;
    type Output = TagOutput;

    async fn call(
        &self,
        context: Context,
        TagArguments { id }: TagArguments,
    ) -> Result<ToolResult<TagOutput>, ToolError> {
        let tag = self
            .journal
            .ask(journal::GetTag {
                user: context.principal().user,
                id: id.into(),
            })
            .await?;
        Ok(ToolResult {
            text: format!("Tag {}: {}.", tag.id, tag.name),
            content: super::links(&context, || [tag_link(tag.id, &tag.name)]),
            structured: TagOutput { tag: tag.into() },
        })
    }
}

/// `list_tags`
pub(super) struct ListTags {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListTagsArguments {
    /// How many tags; 50 unless said otherwise.
    limit: Option<Limit>,
    /// The `nextCursor` of an earlier page, to go on from there.
    cursor: Option<After<NameCursor>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListTagsOutput {
    tags: Vec<TagNameView>,
    /// Where the next page begins; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    next_cursor: Option<String>,
}

impl Tool for ListTags {
    const NAME: &'static str = "list_tags";
    const TITLE: &'static str = "List Tags";
    const DESCRIPTION: &'static str = "List the user's tags by name, page by page.";
    const SCOPES: &'static [&'static str] = &[scopes::TAGS_READ];
    const EFFECT: Effect = Effect::ReadOnly;

    type Arguments = ListTagsArguments;
    type Output = ListTagsOutput;

    async fn call(
        &self,
        context: Context,
        arguments: ListTagsArguments,
    ) -> Result<ToolResult<ListTagsOutput>, ToolError> {
        let page = self
            .journal
            .ask(journal::ListTags {
                user: context.principal().user,
                page: page_request(arguments.limit, arguments.cursor),
            })
            .await?;
        Ok(ToolResult {
            text: found(page.items.len(), "tag", "tags", page.next.is_some()),
            content: super::links(&context, || {
                let tags = page.items.iter();
                tags.map(|tag| tag_link(tag.id, &tag.name))
            }),
            structured: ListTagsOutput {
                next_cursor: page.next.map(|cursor| cursor.encode()),
                tags: page.items.into_iter().map(TagNameView::from).collect(),
            },
        })
    }
}

/// `update_tag`
pub(super) struct UpdateTag {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateTagArguments {
    /// The tag's id.
    id: Id,
    /// A new name; leave it out to keep the old one.
    #[serde(
        default,
        deserialize_with = "not_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Name")]
    name: Option<Name>,
    /// A new description; null clears it, leave it out to keep the old one.
    #[serde(
        default,
        deserialize_with = "clearable",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Clearable<Description>")]
    description: Option<Option<Description>>,
}

impl Tool for UpdateTag {
    const NAME: &'static str = "update_tag";
    const TITLE: &'static str = "Update Tag";
    const DESCRIPTION: &'static str = "Rename a tag or change its description. What is left out stays; null clears the description.";
    const SCOPES: &'static [&'static str] = &[scopes::TAGS_WRITE, scopes::TAGS_READ];
    const EFFECT: Effect = Effect::Idempotent;

    type Arguments = UpdateTagArguments;
    type Output = TagOutput;

    async fn call(
        &self,
        context: Context,
        arguments: UpdateTagArguments,
    ) -> Result<ToolResult<TagOutput>, ToolError> {
        let id = TagId::from(arguments.id);
        context.is_about("tag", id);
        let tag = self
            .journal
            .ask(journal::UpdateTag {
                user: context.principal().user,
                id,
                changes: TagChanges {
                    name: arguments.name.map(String::from),
                    description: arguments.description.map(description),
                },
            })
            .await?;
        Ok(ToolResult {
            text: format!("Updated tag {}: {}.", tag.id, tag.name),
            content: super::links(&context, || [tag_link(tag.id, &tag.name)]),
            structured: TagOutput { tag: tag.into() },
        })
    }
}

/// `delete_tag`
pub(super) struct DeleteTag {
    pub(super) journal: JournalHandle,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DeleteTagOutput {
    /// Whether a tag was deleted by this call.
    success: bool,
    /// What the call came to: deleted; declined by the user; not_found; or cannot_ask, because the user could not be asked.
    outcome: Outcome,
    /// The same in a sentence, for the user.
    summary: String,
    /// The tag as it was, or null if there was none.
    tag: Option<TagView>,
}

impl Tool for DeleteTag {
    const NAME: &'static str = "delete_tag";
    const TITLE: &'static str = "Delete Tag";
    const DESCRIPTION: &'static str = "Delete a tag for good; it also comes off every entry that has it. \
        The user is asked to confirm it where the host can ask; otherwise ask first.";
    const SCOPES: &'static [&'static str] = &[scopes::TAGS_WRITE, scopes::TAGS_READ];
    const EFFECT: Effect = Effect::Destructive;

    type Arguments = TagArguments;
    type Output = DeleteTagOutput;

    async fn call(
        &self,
        context: Context,
        TagArguments { id }: TagArguments,
    ) -> Result<ToolResult<DeleteTagOutput>, ToolError> {
        let (user, id) = (context.principal().user, TagId::from(id));
        context.is_about("tag", id);
        let can_ask = context.conversation().can(ClientCapability::ElicitForm);
        if can_ask {
            let tag = match self.journal.ask(journal::GetTag { user, id }).await {
                Ok(tag) => tag,
                Err(JournalError::NoSuchTag(_)) => return Ok(gone(id)),
                Err(error) => return Err(error.into()),
            };
            let question = format!(
                "Are you sure you want to delete tag {id}, “{}”? It comes off every entry that has it. This cannot be undone.",
                tag.name
            );
            let answer = context
                .conversation()
                .confirm(&question, "Delete it")
                .await?;
            if let Some(why) = answer.forbids() {
                let summary = format!("Tag {id} was not deleted: {why}.");
                return Ok(ToolResult {
                    text: summary.clone(),
                    content: super::links(&context, || [tag_link(id, &tag.name)]),
                    structured: DeleteTagOutput {
                        success: false,
                        outcome: Outcome::unconfirmed(answer),
                        summary,
                        tag: Some(tag.into()),
                    },
                });
            }
        }
        let tag = self.journal.delete_tag(user, id).await?;
        let Some(tag) = tag else {
            return Ok(gone(id));
        };
        if !can_ask {
            super::log_unconfirmed(&context, &tag_link(id, &tag.name));
        }
        let summary = format!("Deleted tag {id}: {}.", tag.name);
        Ok(ToolResult {
            text: summary.clone(),
            content: Vec::new(),
            structured: DeleteTagOutput {
                success: true,
                outcome: Outcome::Deleted,
                summary,
                tag: Some(tag.into()),
            },
        })
    }
}

fn gone(id: TagId) -> ToolResult<DeleteTagOutput> {
    let summary = format!("There is no tag {id}, so nothing was deleted.");
    ToolResult {
        text: summary.clone(),
        content: Vec::new(),
        structured: DeleteTagOutput {
            success: false,
            outcome: Outcome::NotFound,
            summary,
            tag: None,
        },
    }
}

fn description(description: Option<Description>) -> Option<String> {
    description.and_then(Description::text)
}
