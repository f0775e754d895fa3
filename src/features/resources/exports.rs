//! Exports of the journal, one by one.

use std::sync::Arc;

use rmcp::model;

use crate::{
    cause::Cause,
    domain::{
        export::{Export, ExportId},
        journal::JournalError,
        principal::UserId,
        scope::{Scope, ScopeSet},
    },
    features::{resource::DeclaredTemplate, tool::Reader, uri},
    journal::{GetExport, JournalHandle, ReadExportPart},
    mcp::answer::{Document, PieceFuture, Pieces},
};

/// Where exports are.
pub(in crate::features) const URI: &str = "epicme://exports/{id}";

/// What making or reading one needs: it has every entry and every tag in it.
pub(in crate::features) const SCOPES: ScopeSet =
    ScopeSet::of(&[Scope::EntriesRead, Scope::TagsRead]);

/// `epicme://exports/{id}`. Its media type is that of the single export.
pub(super) fn template() -> DeclaredTemplate {
    let descriptor = model::ResourceTemplate::new(URI, "export")
        .with_title("Journal Export")
        .with_description(
            "The whole journal as one document, made by the tool export_journal and kept for an hour.",
        );
    DeclaredTemplate::raw(descriptor, SCOPES, read)
}

async fn read(reader: Reader, id: i64) -> Result<Document, JournalError> {
    let user = reader.principal.user;
    let id = ExportId(id);
    let export = reader.journal.ask(GetExport { user, id }).await?;
    Ok(Document {
        uri: uri::expand(URI, id.0).to_string(),
        mime_type: export.format.media_type(),
        pieces: Arc::new(Parts {
            journal: reader.journal,
            user,
            export,
        }),
    })
}

/// The parts of an export, as the journal keeps them.
struct Parts {
    journal: JournalHandle,
    user: UserId,
    export: Export,
}

impl Pieces for Parts {
    fn count(&self) -> u32 {
        self.export.parts
    }

    fn fetch(&self, place: u32) -> PieceFuture {
        let journal = self.journal.clone();
        let part = ReadExportPart {
            user: self.user,
            id: self.export.id,
            number: place,
        };
        Box::pin(async move { journal.ask(part).await.map_err(Cause::new) })
    }
}
