//! The messages of an export: the journal as one document, stored in parts.

use std::sync::Arc;

use actix::Message;

use crate::{
    domain::{
        clock::Timestamp,
        export::{Export, ExportBegun, ExportFormat, ExportId},
        journal::{Entry, JournalError, Tag, TagId},
        page::TimeCursor,
        principal::UserId,
    },
    metrics::Operation,
    storage::{Connection, StorageError, exports, tags},
};

use super::super::message::{JournalMessage, Kind};

/// Begin an export.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<ExportBegun, JournalError>")]
pub struct BeginExport {
    /// Whose journal.
    pub user: UserId,
    /// The export's id, drawn by whoever begins it.
    pub id: ExportId,
    /// What it will be written in.
    pub format: ExportFormat,
}

impl JournalMessage for BeginExport {
    type Reply = ExportBegun;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Export;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::begin_export(connection, self.user, self.id, self.format)
    }
}

/// Read the next entries of an export, oldest first; none at the end of the journal.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<Entry>, JournalError>")]
pub struct NextEntries {
    /// Whose journal.
    pub user: UserId,
    /// Where the last page ended.
    pub after: Option<TimeCursor>,
    /// When the export was begun.
    pub at: Timestamp,
    /// At most this many bytes of content, but for the first entry.
    pub bytes: u32,
}

impl JournalMessage for NextEntries {
    type Reply = Vec<Entry>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Export;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::next_entries(connection, self.user, self.after, self.at, self.bytes)
    }
}

/// Read the next tags of an export in full.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<Tag>, JournalError>")]
pub struct NextTags {
    /// Whose tags.
    pub user: UserId,
    /// The last tag of the page before.
    pub after: Option<TagId>,
}

impl JournalMessage for NextTags {
    type Reply = Vec<Tag>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Export;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        tags::tags_after(connection, self.user, self.after)
    }
}

/// Add a part to an export. `NoSuchExport` if it has given way to another.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), JournalError>")]
pub struct AppendToExport {
    /// Whose export.
    pub user: UserId,
    /// Which export.
    pub id: ExportId,
    /// The part's place, from 0.
    pub number: u32,
    /// The part's text.
    pub content: Arc<str>,
}

impl JournalMessage for AppendToExport {
    type Reply = ();
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Export;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::append_to_export(connection, self.user, self.id, self.number, &self.content)
    }
}

/// Declare an export whole. `NoSuchExport` if it has given way to another.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Export, JournalError>")]
pub struct FinishExport {
    /// Whose export.
    pub user: UserId,
    /// Which export.
    pub id: ExportId,
    /// How many parts it has.
    pub parts: u32,
}

impl JournalMessage for FinishExport {
    type Reply = Export;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::Export;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::finish_export(connection, self.user, self.id, self.parts)
    }
}

/// Find an export that can be read. `NoSuchExport`.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Export, JournalError>")]
pub struct GetExport {
    /// Whose export.
    pub user: UserId,
    /// Which export.
    pub id: ExportId,
}

impl JournalMessage for GetExport {
    type Reply = Export;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Export;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::get_export(connection, self.user, self.id)
    }
}

/// Read one part of an export. `NoSuchExport`.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<String, JournalError>")]
pub struct ReadExportPart {
    /// Whose export.
    pub user: UserId,
    /// Which export.
    pub id: ExportId,
    /// Which part, from 0.
    pub number: u32,
}

impl JournalMessage for ReadExportPart {
    type Reply = String;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::Export;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        exports::read_export_part(connection, self.user, self.id, self.number)
    }
}
