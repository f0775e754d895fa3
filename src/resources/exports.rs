//! Exports of the journal.

use std::sync::Arc;

use crate::{
    domain::{
        export::{Export, ExportId},
        uris,
    },
    journal::{GetExport, JournalHandle, ReadExportPart},
    scopes,
};
use mcp_protocol::answer::{ChunkFuture, Chunks};
use mcp_server::features::{
    context::ReadContext,
    resource::{Contents, ResourceTemplate},
    tool_error::ToolError,
};
use resource_server::principal::UserId;

/// The scopes for creating or reading an export, which contains every entry and tag.
pub(crate) const SCOPES: &[&str] = &[scopes::ENTRIES_READ, scopes::TAGS_READ];

/// `epicme://exports/{id}`. Its media type is that of the single export.
pub(super) struct ExportedJournal {
    pub(super) journal: JournalHandle,
}

impl ResourceTemplate for ExportedJournal {
    const URI_TEMPLATE: &'static str = uris::EXPORT;
    const NAME: &'static str = "export";
    const TITLE: &'static str = "Journal Export";
    const DESCRIPTION: &'static str =
        "The whole journal as one document, made by the tool export_journal and kept for an hour.";
    const SCOPES: &'static [&'static str] = SCOPES;
    const MIME_TYPE: Option<&'static str> = None;

    type Id = i64;

    async fn read(&self, context: ReadContext, id: i64) -> Result<Contents, ToolError> {
        let user = context.principal().user;
        let id = ExportId(id);
        let export = self.journal.ask(GetExport { user, id }).await?;
        let mime_type = export.format.media_type();
        let parts = Parts {
            journal: self.journal.clone(),
            user,
            export,
        };
        Ok(Contents::streamed(Arc::new(parts)).with_mime_type(mime_type))
    }
}

/// The parts of an export, as stored.
struct Parts {
    journal: JournalHandle,
    user: UserId,
    export: Export,
}

impl Chunks for Parts {
    fn count(&self) -> u32 {
        self.export.parts
    }

    fn chunk(&self, index: u32) -> ChunkFuture {
        let journal = self.journal.clone();
        let part = ReadExportPart {
            user: self.user,
            id: self.export.id,
            number: index,
        };
        Box::pin(async move { Ok(journal.ask(part).await?) })
    }
}
