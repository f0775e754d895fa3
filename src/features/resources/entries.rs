//! Entries, one by one.

use crate::{
    domain::{
        journal::{Change, EntryId, JournalError},
        scope::{Scope, ScopeSet},
    },
    features::{completion::Source, resource::Template, tool::Reader, views::EntryView},
    journal,
};

/// `epicme://entries/{id}`
pub(in crate::features) struct Entry;

impl Template for Entry {
    const URI: &'static str = "epicme://entries/{id}";
    const NAME: &'static str = "entry";
    const TITLE: &'static str = "Journal Entry";
    const DESCRIPTION: &'static str = "One journal entry with its tags.";
    const SCOPES: ScopeSet = ScopeSet::of(&[Scope::EntriesRead]);
    const IDS: Source = Source::Entry;
    const CHANGES_WITH: fn(i64) -> Change = |id| Change::Entry(EntryId(id));

    type Contents = EntryView;

    async fn read(reader: Reader, id: i64) -> Result<EntryView, JournalError> {
        let user = reader.principal.user;
        let id = EntryId(id);
        let entry = reader.journal.ask(journal::GetEntry { user, id }).await?;
        Ok(entry.into())
    }
}
