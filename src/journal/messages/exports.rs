//! The messages of an export: the journal as one document, stored in parts.

use std::sync::Arc;

use actix::Message;

use crate::{
    domain::{
        export::{Export, ExportBegun, ExportFormat, ExportId},
        journal::{Costly, Entry, JournalError, Tag, TagId},
        page::TimeCursor,
    },
    journal::metrics::Operation,
    storage::{Connection, StorageError, exports, tags},
};
use resource_server::{clock::Timestamp, principal::UserId};

use crate::journal::message::{JournalMessage, Kind};

/// Begin an export. A user keeps two at most: older ones are deleted.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<ExportBegun, JournalError>")]
pub struct BeginExport {
    /// The owner of the journal.
    pub user: UserId,
    /// The export's id, a random one that the caller draws.
    pub id: ExportId,
    /// The format of the document.
    pub format: ExportFormat,
}

impl JournalMessage for BeginExport {
    type Reply = ExportBegun;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Export;
    const COSTLY: Option<Costly> = Some(Costly::Export);

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::begin_export(connection, self.user, self.id, self.format)
    }
}

/// Read the next entries of an export, oldest first. Returns none at the end of the journal.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<Entry>, JournalError>")]
pub struct NextEntries {
    /// The owner of the journal.
    pub user: UserId,
    /// The end of the page before; `None` for the first page.
    pub after: Option<TimeCursor>,
    /// When the export began: later entries are left out.
    pub at: Timestamp,
    /// The most bytes of content in all; the first entry is returned even if it is longer.
    pub bytes: u32,
}

impl JournalMessage for NextEntries {
    type Reply = Vec<Entry>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Export;
    const COSTLY: Option<Costly> = Some(Costly::Export);

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::next_entries(connection, self.user, self.after, self.at, self.bytes)
    }
}

/// Read the next tags of an export in full.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<Tag>, JournalError>")]
pub struct NextTags {
    /// The owner of the tags.
    pub user: UserId,
    /// The last tag of the page before; `None` for the first page.
    pub after: Option<TagId>,
}

impl JournalMessage for NextTags {
    type Reply = Vec<Tag>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Export;
    const COSTLY: Option<Costly> = Some(Costly::Export);

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::tags_after(connection, self.user, self.after)
    }
}

/// Add a part to an export. Fails with `NoSuchExport` if another export replaced it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), JournalError>")]
pub struct AppendToExport {
    /// The owner of the export.
    pub user: UserId,
    /// The export's id.
    pub id: ExportId,
    /// The part's number, from 0.
    pub number: u32,
    /// The part's text.
    pub content: Arc<str>,
}

impl JournalMessage for AppendToExport {
    type Reply = ();
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Export;
    // PostgreSQL compresses it.
    const COSTLY: Option<Costly> = Some(Costly::Export);

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::append_to_export(connection, self.user, self.id, self.number, &self.content)
    }
}

/// Finish an export, which can be read from then on. Fails with `NoSuchExport` if another export replaced it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Export, JournalError>")]
pub struct FinishExport {
    /// The owner of the export.
    pub user: UserId,
    /// The export's id.
    pub id: ExportId,
    /// The number of its parts.
    pub parts: u32,
}

impl JournalMessage for FinishExport {
    type Reply = Export;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Export;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::finish_export(connection, self.user, self.id, self.parts)
    }
}

/// Find a finished export. Fails with `NoSuchExport`.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Export, JournalError>")]
pub struct GetExport {
    /// The owner of the export.
    pub user: UserId,
    /// The export's id.
    pub id: ExportId,
}

impl JournalMessage for GetExport {
    type Reply = Export;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Export;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::get_export(connection, self.user, self.id)
    }
}

/// Read one part of an export. Fails with `NoSuchExport`.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<String, JournalError>")]
pub struct ReadExportPart {
    /// The owner of the export.
    pub user: UserId,
    /// The export's id.
    pub id: ExportId,
    /// The part's number, from 0.
    pub number: u32,
}

impl JournalMessage for ReadExportPart {
    type Reply = String;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Export;

    fn user(&self) -> Option<UserId> {
        Some(self.user)
    }

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::read_export_part(connection, self.user, self.id, self.number)
    }
}
