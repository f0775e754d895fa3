//! Single entries.

use crate::{
    completers,
    domain::{journal::EntryId, uris},
    journal::{GetEntry, JournalHandle},
    scopes,
    views::EntryView,
};
use mcp_server::features::{
    completion::Completer,
    context::ReadContext,
    resource::{Contents, ResourceTemplate},
    tool_error::ToolError,
};

/// `epicme://entries/{id}`
pub(crate) struct Entry {
    pub(super) journal: JournalHandle,
}

impl ResourceTemplate for Entry {
    const URI_TEMPLATE: &'static str = uris::ENTRY;
    const NAME: &'static str = "entry";
    const TITLE: &'static str = "Journal Entry";
    const DESCRIPTION: &'static str = "One journal entry with its tags.";
    const SCOPES: &'static [&'static str] = &[scopes::ENTRIES_READ];

    type Id = i64;

    async fn read(&self, context: ReadContext, id: i64) -> Result<Contents, ToolError> {
        let user = context.principal().user;
        let id = EntryId(id);
        let entry = self.journal.ask(GetEntry { user, id }).await?;
        Contents::json(&EntryView::from(entry))
    }

    fn completer(&self) -> Option<Completer> {
        Some(completers::entry(&self.journal))
    }
}
