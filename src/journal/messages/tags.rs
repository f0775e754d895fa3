//! The messages about tags.

use actix::Message;

use crate::{
    domain::{
        journal::{
            Change, Costly, IdempotencyKey, JournalError, JournalOwner, NewTag, Tag, TagChanges,
            TagId, TagName,
        },
        page::{NameCursor, Page, PageRequest},
    },
    journal::metrics::Operation,
    storage::{Connection, StorageError, tags},
};
use resource_server::principal::UserId;

use crate::journal::message::{JournalMessage, Kind};

/// Create a tag. Fails with `TagNameTaken` or `IdempotencyKeyReused`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Tag, JournalError>")]
pub struct CreateTag {
    /// The user who will own it, created in the database with the first row.
    pub owner: JournalOwner,
    /// The tag's fields.
    pub tag: NewTag,
    /// The client's key for this write: a repeat with the same key returns the first result.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl JournalMessage for CreateTag {
    type Reply = Tag;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::CreateTag;

    fn user(&self) -> Option<UserId> {
        Some(self.owner.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::create_tag(
            connection,
            &self.owner,
            self.tag.clone(),
            self.idempotency_key.as_ref(),
        )
    }

    fn changes(&self, _: &Tag) -> Option<(UserId, Vec<Change>)> {
        Some((self.owner.user, vec![Change::TagList]))
    }
}

/// Read a tag. Fails with `NoSuchTag`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Tag, JournalError>")]
pub struct GetTag {
    /// The owner of the journal.
    pub user: UserId,
    /// The tag's id.
    pub id: TagId,
}

impl JournalMessage for GetTag {
    type Reply = Tag;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::GetTag;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::get_tag(connection, self.user, self.id)
    }
}

/// List tags by name, ignoring case.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Page<TagName, NameCursor>, JournalError>")]
pub struct ListTags {
    /// The owner of the journal.
    pub user: UserId,
    /// The page to return.
    pub page: PageRequest<NameCursor>,
}

impl JournalMessage for ListTags {
    type Reply = Page<TagName, NameCursor>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::ListTags;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::list_tags(connection, self.user, &self.page)
    }
}

/// Change a tag; returns the whole changed tag. Fails with `NoSuchTag` or `TagNameTaken`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Tag, JournalError>")]
pub struct UpdateTag {
    /// The owner of the journal.
    pub user: UserId,
    /// The tag's id.
    pub id: TagId,
    /// The fields to change.
    pub changes: TagChanges,
}

impl JournalMessage for UpdateTag {
    type Reply = Tag;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::UpdateTag;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::update_tag(connection, self.user, self.id, self.changes.clone())
    }

    fn changes(&self, _: &Tag) -> Option<(UserId, Vec<Change>)> {
        let mut changes = vec![Change::Tag(self.id)];
        if self.changes.name.is_some() {
            changes.push(Change::TagList);
        }
        Some((self.user, changes))
    }
}

/// Take a tag that very many entries have off some of them, as a part of its deletion; returns whether more may be
/// left than [`DeleteTag`] takes off at once.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<bool, JournalError>")]
pub(crate) struct TakeTagOffSome {
    /// The owner of the journal.
    pub user: UserId,
    /// The tag's id.
    pub id: TagId,
}

impl JournalMessage for TakeTagOffSome {
    type Reply = bool;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::DeleteTag;
    const COSTLY: Option<Costly> = Some(Costly::DeleteTag);

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::take_tag_off_some(connection, self.user, self.id)
    }
}

/// Delete a tag and remove it from every entry; returns the deleted tag, or `None` if there is none.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<Tag>, JournalError>")]
pub struct DeleteTag {
    /// The owner of the journal.
    pub user: UserId,
    /// The tag's id.
    pub id: TagId,
}

impl JournalMessage for DeleteTag {
    type Reply = Option<Tag>;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::DeleteTag;
    const COSTLY: Option<Costly> = Some(Costly::DeleteTag);

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::delete_tag(connection, self.user, self.id)
    }

    fn changes(&self, deleted: &Option<Tag>) -> Option<(UserId, Vec<Change>)> {
        deleted
            .as_ref()
            .map(|_| (self.user, vec![Change::Tag(self.id), Change::TagList]))
    }
}
