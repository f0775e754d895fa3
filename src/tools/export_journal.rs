//! Exports the whole journal as one document.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::export_writer::Writer;
use crate::{
    domain::{
        export::{ExportFormat, ExportId},
        journal::{JournalError, LimitReached},
        page::TimeCursor,
        uris,
    },
    journal::{AppendToExport, BeginExport, FinishExport, JournalHandle, NextEntries, NextTags},
    resources::exports::SCOPES,
};
use mcp_protocol::answer::ResourceLink;
use mcp_server::features::{
    context::Context,
    tool::{Effect, Tool, ToolResult},
    tool_error::ToolError,
    uri,
};
use resource_server::{clock::Timestamp, principal::UserId};

/// At most this much content is read from the database at once, in bytes, unless one entry has more.
const PAGE: u32 = 1 << 20;

/// The minimum size of a part except the last, in bytes.
const PART: usize = 256 << 10;

/// The longest document that is part of the result, in bytes: about what fits a model's context.
const LONGEST_INCLUDED: usize = 64 << 10;

/// `export_journal`
pub(super) struct ExportJournal {
    pub(super) journal: JournalHandle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportJournalArguments {
    /// What the document is written in; json unless said otherwise.
    #[serde(default)]
    format: Format,
}

/// `json` for programs, `markdown` for people.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Format {
    #[default]
    Json,
    Markdown,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExportJournalOutput {
    /// Where the document can be read until it expires.
    uri: String,
    mime_type: &'static str,
    /// How long the document is, in bytes of UTF-8.
    bytes: usize,
    entries: usize,
    tags: usize,
    expires_at: Timestamp,
    /// What was exported, and where to read it, in a sentence.
    summary: String,
    /// The document itself, if it is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    document: Option<Arc<str>>,
}

impl Tool for ExportJournal {
    const NAME: &'static str = "export_journal";
    const TITLE: &'static str = "Export Journal";
    const DESCRIPTION: &'static str = "Write the whole journal, all entries with their tags, into one JSON or Markdown document. \
        A short document comes with the answer; a long one is read by its URI, as a resource. It can be read for an hour.";
    const SCOPES: &'static [&'static str] = SCOPES;
    const EFFECT: Effect = Effect::ReadOnly;

    type Arguments = ExportJournalArguments;
    type Output = ExportJournalOutput;

    async fn call(
        &self,
        context: Context,
        arguments: ExportJournalArguments,
    ) -> Result<ToolResult<ExportJournalOutput>, ToolError> {
        let format = match arguments.format {
            Format::Json => ExportFormat::Json,
            Format::Markdown => ExportFormat::Markdown,
        };
        let (user, id) = (context.principal().user, draw_id());
        context.is_about("export", id.0);
        let begun = self.journal.ask(BeginExport { user, id, format }).await?;
        let mut export = Parts {
            journal: &self.journal,
            user,
            id,
            writer: Writer::new(format, begun.at),
            most: self.journal.quota().longest_export(),
            written: 0,
            bytes: 0,
            first: Arc::from(""),
        };
        export.tags().await?;
        export.entries(&context, begun.at, begun.entries).await?;
        export.writer.end();
        export.keep().await?;
        let parts = export.written;
        let finished = self.journal.ask(FinishExport { user, id, parts }).await?;
        let (entries, tags) = export.writer.counts();
        let is_short = export.bytes <= LONGEST_INCLUDED;
        let mut output = ExportJournalOutput {
            uri: uri::expand(uris::EXPORT, &id.0),
            mime_type: format.media_type(),
            bytes: export.bytes,
            entries,
            tags,
            expires_at: finished.expires_at,
            summary: String::new(),
            document: is_short.then_some(export.first),
        };
        output.summary = summary(&output);
        Ok(ToolResult {
            text: output.summary.clone(),
            content: super::links(&context, || [link(&output)]),
            structured: output,
        })
    }
}

/// A random id.
fn draw_id() -> ExportId {
    let bits = getrandom::u64().expect("the operating system gives random bytes");
    ExportId::from_random(bits)
}

/// An export that is being written to the database.
struct Parts<'a> {
    journal: &'a JournalHandle,
    user: UserId,
    id: ExportId,
    writer: Writer,
    /// The most bytes, if there is a limit.
    most: Option<u64>,
    /// The number of stored parts, and their size in bytes.
    written: u32,
    bytes: usize,
    /// The first part, which is all of a short document.
    first: Arc<str>,
}

impl Parts<'_> {
    async fn tags(&mut self) -> Result<(), JournalError> {
        let (user, mut after) = (self.user, None);
        loop {
            let tags = self.journal.ask(NextTags { user, after }).await?;
            let Some(last) = tags.last() else {
                return Ok(());
            };
            after = Some(last.id);
            for tag in tags {
                self.writer.tag(tag);
            }
            self.keep_if_long().await?;
        }
    }

    async fn entries(
        &mut self,
        context: &Context,
        at: Timestamp,
        total: Option<usize>,
    ) -> Result<(), JournalError> {
        let mut after = None;
        loop {
            let next = NextEntries {
                user: self.user,
                after,
                at,
                bytes: PAGE,
            };
            let entries = self.journal.ask(next).await?;
            let Some(last) = entries.last() else {
                return Ok(());
            };
            after = Some(TimeCursor {
                micros: last.created_at.timestamp_micros(),
                id: last.id.0,
            });
            for entry in entries {
                self.writer.entry(entry);
                self.keep_if_long().await?;
            }
            let (done, _) = self.writer.counts();
            // Entries may have been deleted or written since they were counted.
            let total = total.map(|total| total.max(done));
            let message = match total {
                Some(total) => format!("Exported {done} of {total} entries"),
                None => format!("Exported {done} entries"),
            };
            context
                .conversation()
                .progress(float(done), total.map(float), &message);
        }
    }

    async fn keep_if_long(&mut self) -> Result<(), JournalError> {
        if self.writer.len() >= PART {
            self.keep().await?;
        }
        Ok(())
    }

    async fn keep(&mut self) -> Result<(), JournalError> {
        let content: Arc<str> = self.writer.take().into();
        if self.written == 0 {
            self.first = Arc::clone(&content);
        }
        self.bytes += content.len();
        if let Some(most) = self.most
            && self.bytes as u64 > most
        {
            return Err(JournalError::LimitReached(LimitReached::Export { most }));
        }
        let part = AppendToExport {
            user: self.user,
            id: self.id,
            number: self.written,
            content,
        };
        self.journal.ask(part).await?;
        self.written += 1;
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nobody has more than 2^52 entries"
)]
fn float(count: usize) -> f64 {
    count as f64
}

fn summary(output: &ExportJournalOutput) -> String {
    let ExportJournalOutput {
        entries,
        tags,
        bytes,
        mime_type,
        uri,
        ..
    } = output;
    let entries = match entries {
        1 => "1 entry".to_owned(),
        entries => format!("{entries} entries"),
    };
    let tags = match tags {
        1 => "1 tag".to_owned(),
        tags => format!("{tags} tags"),
    };
    let exported = format!("Exported {entries} and {tags} as {mime_type}, {bytes} bytes.");
    if output.document.is_some() {
        exported
    } else {
        format!("{exported} The document is too long to stand here; read the resource {uri}.")
    }
}

fn link(output: &ExportJournalOutput) -> ResourceLink {
    ResourceLink {
        uri: output.uri.clone().into(),
        name: "Journal".into(),
        description: "The whole journal",
        mime_type: output.mime_type,
    }
}
