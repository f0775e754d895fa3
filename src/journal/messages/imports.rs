//! The messages of an import: batches of what a document has.

use actix::Message;

use crate::{
    domain::{
        import::{EntryImport, ImportedEntry, ImportedTag, TagImport},
        journal::{Change, JournalError, JournalOwner},
    },
    journal::metrics::Operation,
    storage::{Connection, StorageError, imports},
};
use resource_server::principal::UserId;

use crate::journal::message::{JournalMessage, Kind};

/// Add the tags that the user does not have. Answers for each, in their order.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<TagImport>, JournalError>")]
pub struct ImportTags {
    /// The user who will own them, created in the database with the first row.
    pub owner: JournalOwner,
    /// The tags.
    pub tags: Vec<ImportedTag>,
}

impl JournalMessage for ImportTags {
    type Reply = Vec<TagImport>;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Import;

    fn user(&self) -> Option<UserId> {
        Some(self.owner.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        imports::import_tags(connection, &self.owner, &self.tags)
    }

    fn changes(&self, done: &Self::Reply) -> Option<(UserId, Vec<Change>)> {
        let is_new = |tag: &TagImport| matches!(tag, TagImport::Added(_));
        done.iter()
            .any(is_new)
            .then(|| (self.owner.user, vec![Change::TagList]))
    }
}

/// Add the entries that the user does not have. Answers for each, in their order.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<EntryImport>, JournalError>")]
pub struct ImportEntries {
    /// The user who will own them, created in the database with the first row.
    pub owner: JournalOwner,
    /// The entries.
    pub entries: Vec<ImportedEntry>,
}

impl JournalMessage for ImportEntries {
    type Reply = Vec<EntryImport>;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Import;

    fn user(&self) -> Option<UserId> {
        Some(self.owner.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        imports::import_entries(connection, &self.owner, &self.entries)
    }
}
