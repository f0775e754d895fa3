//! Imports a document that `export_journal` has written as JSON.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::import_items::{EntryItem, TagItem, read_item};
use crate::{
    domain::{
        import::{EntryImport, ImportedEntry, ImportedTag, TagImport},
        journal::TagId,
        names::TagLabel,
    },
    journal::{ImportEntries, ImportTags, JournalHandle},
    scopes,
    tool_errors::limit_reached,
};
use mcp_server::features::{
    arguments::Text,
    context::Context,
    tool::{Effect, Tool, ToolResult},
    tool_error::ToolError,
};

/// How many tags, and how many entries, one message has.
const TAGS: usize = 500;
const ENTRIES: usize = 50;

/// `import_journal`
pub(super) struct ImportJournal {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportJournalArguments {
    /// The JSON document that export_journal wrote, as text. Of a longer one import a part after the other: each has the
    /// same `format` and `version`, and some of the `tags` and `entries`.
    document: Text<1, 500_000>,
}

#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImportJournalOutput {
    /// How many entries are new.
    entries_added: usize,
    /// How many entries the journal had already: of the same time, with the same title or text.
    entries_there: usize,
    /// How many tags are new.
    tags_added: usize,
    /// How many tags the journal had already, by their names.
    tags_there: usize,
    /// What was not taken.
    refused: Vec<Refused>,
    /// All of this in a sentence.
    summary: String,
}

/// A part of the document that was not taken.
#[derive(Serialize, JsonSchema)]
struct Refused {
    /// Whether it is one of the `tags` or of the `entries`.
    list: List,
    /// Its place in that list, from 0.
    index: usize,
    /// Why.
    reason: String,
}

#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum List {
    Tags,
    Entries,
}

/// The document. What else it says is passed over.
#[derive(Deserialize)]
struct Document {
    format: String,
    version: u32,
    #[serde(default)]
    tags: Vec<Box<RawValue>>,
    #[serde(default)]
    entries: Vec<Box<RawValue>>,
}

impl Tool for ImportJournal {
    const NAME: &'static str = "import_journal";
    const TITLE: &'static str = "Import Journal";
    const DESCRIPTION: &'static str = "Add the entries and tags of a JSON document from export_journal, with their times and labels. \
        What the journal has already stays as it is, so a document can be imported again. What cannot be taken is listed with the reason; the rest is added.";
    const SCOPES: &'static [&'static str] =
        &[scopes::ENTRIES_WRITE, scopes::TAGS_WRITE, scopes::TAGS_READ];
    const EFFECT: Effect = Effect::Idempotent;

    type Arguments = ImportJournalArguments;
    type Output = ImportJournalOutput;

    async fn call(
        &self,
        context: Context,
        arguments: ImportJournalArguments,
    ) -> Result<ToolResult<ImportJournalOutput>, ToolError> {
        let document = read(arguments.document.as_ref())?;
        let mut import = Import {
            journal: &self.journal,
            context: &context,
            tags: HashMap::new(),
            output: ImportJournalOutput::default(),
        };
        import.tags_of_document(&document.tags).await?;
        import.entries(&document.entries).await?;
        let mut output = import.output;
        output
            .refused
            .sort_by_key(|one| (matches!(one.list, List::Entries), one.index));
        output.summary = summary(&output);
        Ok(ToolResult {
            text: output.summary.clone(),
            content: Vec::new(),
            structured: output,
        })
    }
}

fn read(text: &str) -> Result<Document, ToolError> {
    let document: Document = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ToolError::Refused(format!(
            "Invalid arguments: `document` must be a JSON document of export_journal; it cannot be read at line {line}, column {column}."
        ))
    })?;
    if document.format != "epicme-journal" || document.version != 1 {
        return Err(ToolError::refused(
            "Invalid arguments: `document` must have the `format` \"epicme-journal\" and the `version` 1.",
        ));
    }
    Ok(document)
}

/// An import that is under way.
struct Import<'a> {
    journal: &'a JournalHandle,
    context: &'a Context,
    /// By the key of its name: the tag, or why there is none.
    tags: HashMap<String, Result<TagId, String>>,
    output: ImportJournalOutput,
}

impl Import<'_> {
    async fn tags_of_document(&mut self, items: &[Box<RawValue>]) -> Result<(), ToolError> {
        let mut tags = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match read_item::<TagItem>("tag", item).and_then(ImportedTag::try_from) {
                Ok(tag) => tags.push((Some(index), tag)),
                Err(reason) => self.refuse(List::Tags, index, reason),
            }
        }
        self.add_tags(tags).await
    }

    /// Adds tags, each with its place in the document, if it has one.
    async fn add_tags(&mut self, tags: Vec<(Option<usize>, ImportedTag)>) -> Result<(), ToolError> {
        for batch in tags.chunks(TAGS) {
            let message = ImportTags {
                owner: super::journal_owner(self.context.principal()),
                tags: batch.iter().map(|(_, tag)| tag.clone()).collect(),
            };
            let done = self.journal.ask(message).await?;
            for ((index, tag), outcome) in batch.iter().zip(done) {
                let id = match outcome {
                    TagImport::Added(id) => {
                        self.output.tags_added += 1;
                        Ok(id)
                    }
                    TagImport::There(id) => {
                        self.output.tags_there += usize::from(index.is_some());
                        Ok(id)
                    }
                    TagImport::Refused(limit) => Err(limit_reached(limit)),
                };
                if let (Some(index), Err(reason)) = (index, &id) {
                    self.refuse(List::Tags, *index, reason.clone());
                }
                if let Some(label) = TagLabel::read(&tag.name) {
                    self.tags.insert(label.key, id);
                }
            }
        }
        Ok(())
    }

    async fn entries(&mut self, items: &[Box<RawValue>]) -> Result<(), ToolError> {
        let mut at = 0;
        for batch in items.chunks(ENTRIES) {
            let mut read = Vec::with_capacity(batch.len());
            for item in batch {
                match read_item::<EntryItem>("entry", item).and_then(EntryItem::checked) {
                    Ok(entry) => read.push((at, entry)),
                    Err(reason) => self.refuse(List::Entries, at, reason),
                }
                at += 1;
            }
            self.add_missing_tags(&read).await?;
            self.add_entries(read).await?;
            let message = format!("Read {at} of {} entries", items.len());
            let float = |count: usize| u32::try_from(count).map(f64::from).unwrap_or(f64::MAX);
            self.context
                .conversation()
                .progress(float(at), Some(float(items.len())), &message);
        }
        Ok(())
    }

    /// Tags that entries name and the document does not list.
    async fn add_missing_tags(&mut self, entries: &[(usize, EntryItem)]) -> Result<(), ToolError> {
        let mut missing: HashMap<String, ImportedTag> = HashMap::new();
        for label in entries.iter().flat_map(|(_, entry)| entry.tags()) {
            if !self.tags.contains_key(&label.key) {
                missing.entry(label.key).or_insert(ImportedTag {
                    name: label.name,
                    description: None,
                    created_at: None,
                    updated_at: None,
                });
            }
        }
        let missing = missing.into_values().map(|tag| (None, tag));
        self.add_tags(missing.collect()).await
    }

    async fn add_entries(&mut self, read: Vec<(usize, EntryItem)>) -> Result<(), ToolError> {
        let (mut places, mut entries): (Vec<usize>, Vec<ImportedEntry>) = Default::default();
        for (index, item) in read {
            match self.tags_of(&item) {
                Ok(tags) => {
                    places.push(index);
                    entries.push(item.with_tags(tags));
                }
                Err(reason) => self.refuse(List::Entries, index, reason),
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        let owner = super::journal_owner(self.context.principal());
        let done = self.journal.ask(ImportEntries { owner, entries }).await?;
        for (index, outcome) in places.into_iter().zip(done) {
            match outcome {
                EntryImport::Added(_) => self.output.entries_added += 1,
                EntryImport::There => self.output.entries_there += 1,
                EntryImport::Refused(limit) => {
                    self.refuse(List::Entries, index, limit_reached(limit));
                }
            }
        }
        Ok(())
    }

    /// The ids of an entry's tags, each once.
    fn tags_of(&self, entry: &EntryItem) -> Result<Vec<TagId>, String> {
        let mut ids = Vec::new();
        for label in entry.tags() {
            match self.tags.get(&label.key) {
                Some(Ok(id)) if !ids.contains(id) => ids.push(*id),
                Some(Ok(_)) | None => {}
                Some(Err(reason)) => {
                    return Err(format!("It has a tag that could not be made. {reason}"));
                }
            }
        }
        Ok(ids)
    }

    fn refuse(&mut self, list: List, index: usize, reason: String) {
        self.output.refused.push(Refused {
            list,
            index,
            reason,
        });
    }
}

fn summary(output: &ImportJournalOutput) -> String {
    let of = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let mut summary = format!(
        "Added {} and {}.",
        of(output.entries_added, "entry", "entries"),
        of(output.tags_added, "tag", "tags")
    );
    if output.entries_there + output.tags_there > 0 {
        summary += &format!(
            " There already: {} and {}.",
            of(output.entries_there, "entry", "entries"),
            of(output.tags_there, "tag", "tags")
        );
    }
    if !output.refused.is_empty() {
        summary += &format!(" Not taken: {}; see `refused`.", output.refused.len());
    }
    summary
}
