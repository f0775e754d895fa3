//! Writes a journal as one document, part by part.

use std::fmt::Write;

use serde::Serialize;

use crate::domain::{
    export::ExportFormat,
    journal::{Entry, Tag},
};
use crate::views::{EntryView, TagView};
use resource_server::clock::Timestamp;

/// Writes a document: first the tags, then the entries. The text is taken from it in parts, so that only one
/// part is in memory.
pub(super) struct Writer {
    format: ExportFormat,
    text: String,
    tags: usize,
    entries: usize,
}

impl Writer {
    /// Begins a document about the journal at this time.
    #[must_use]
    pub(super) fn new(format: ExportFormat, at: Timestamp) -> Self {
        let at = rfc3339(at);
        let text = match format {
            ExportFormat::Json => format!(
                "{{\n\"format\": \"epicme-journal\",\n\"version\": 1,\n\"exportedAt\": \"{at}\",\n\"tags\": ["
            ),
            ExportFormat::Markdown => format!("# Journal\n\nAs of {at}. All times are in UTC.\n"),
        };
        Self {
            format,
            text,
            tags: 0,
            entries: 0,
        }
    }

    /// Writes a tag. All tags come before the first entry.
    pub(super) fn tag(&mut self, tag: Tag) {
        match self.format {
            ExportFormat::Json => self.json_item(self.tags, &TagView::from(tag)),
            ExportFormat::Markdown => {
                if self.tags == 0 {
                    self.text.push_str("\n## Tags\n\n");
                }
                self.text.push_str("- ");
                self.text.push_str(&one_line(&tag.name));
                if let Some(description) = &tag.description {
                    self.text.push_str(": ");
                    self.text.push_str(&one_line(description));
                }
                self.text.push('\n');
            }
        }
        self.tags += 1;
    }

    /// Writes an entry.
    pub(super) fn entry(&mut self, entry: Entry) {
        match self.format {
            ExportFormat::Json => {
                if self.entries == 0 {
                    self.text.push_str("\n],\n\"entries\": [");
                }
                self.json_item(self.entries, &EntryView::from(entry));
            }
            ExportFormat::Markdown => self.markdown_entry(&entry),
        }
        self.entries += 1;
    }

    /// The size of the text that has not been taken, in bytes.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// How many entries and tags were written.
    #[must_use]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.entries, self.tags)
    }

    /// Takes the text written so far.
    #[must_use]
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Ends the document.
    pub(super) fn end(&mut self) {
        if self.format == ExportFormat::Json {
            if self.entries == 0 {
                self.text.push_str("\n],\n\"entries\": [");
            }
            self.text.push_str("\n]\n}\n");
        }
    }

    /// One line per item, for people and for programs that read lines.
    fn json_item(&mut self, before: usize, item: &impl Serialize) {
        self.text.push_str(if before == 0 { "\n" } else { ",\n" });
        self.text.push_str(
            &serde_json::to_string(item).expect("views are made of strings, numbers and lists"),
        );
    }

    fn markdown_entry(&mut self, entry: &Entry) {
        let Entry {
            title,
            content,
            mood,
            location,
            weather,
            is_favorite,
            created_at,
            ..
        } = entry;
        let tags: Vec<_> = entry.tags.iter().map(|tag| one_line(&tag.name)).collect();
        let text = &mut self.text;
        write_line(text, format_args!("\n---\n\n## {}\n", one_line(title)));
        write_line(text, format_args!("- Written: {}", rfc3339(*created_at)));
        let details = [("Mood", mood), ("Location", location), ("Weather", weather)];
        for (name, detail) in details {
            if let Some(detail) = detail {
                write_line(text, format_args!("- {name}: {}", one_line(detail)));
            }
        }
        if !tags.is_empty() {
            write_line(text, format_args!("- Tags: {}", tags.join(", ")));
        }
        if *is_favorite {
            write_line(text, format_args!("- Favorite"));
        }
        write_line(text, format_args!("\n{}", content.trim_end()));
    }
}

fn write_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes whatever is written to it");
}

fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A heading or an item of a list ends with its line.
fn one_line(text: &str) -> String {
    Vec::from_iter(text.split_whitespace()).join(" ")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::domain::journal::{EntryId, TagId, TagName};

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn entry(id: i64, title: &str, content: &str, tags: &[&str]) -> Entry {
        Entry {
            id: EntryId(id),
            title: title.to_owned(),
            content: content.to_owned(),
            mood: Some("calm".to_owned()),
            location: None,
            weather: None,
            is_private: true,
            is_favorite: id % 2 == 0,
            created_at: at(id),
            updated_at: at(id),
            tags: tags
                .iter()
                .map(|name| TagName {
                    id: TagId(1),
                    name: (*name).to_owned(),
                })
                .collect(),
        }
    }

    fn tag(name: &str, description: Option<&str>) -> Tag {
        Tag {
            id: TagId(1),
            name: name.to_owned(),
            description: description.map(str::to_owned),
            created_at: at(0),
            updated_at: at(0),
        }
    }

    fn document(format: ExportFormat, tags: Vec<Tag>, entries: Vec<Entry>) -> String {
        let mut writer = Writer::new(format, at(0));
        let mut text = String::new();
        for tag in tags {
            writer.tag(tag);
            text.push_str(&writer.take());
        }
        for entry in entries {
            writer.entry(entry);
            text.push_str(&writer.take());
        }
        writer.end();
        text + &writer.take()
    }

    #[test]
    fn a_person_can_read_a_journal_in_markdown() {
        let text = document(
            ExportFormat::Markdown,
            vec![tag("sea", Some("Salt\nwater")), tag("dog", None)],
            vec![
                entry(1, "First", "A line.\n\nAnother.\n", &[]),
                entry(2, "Second\n# with a break", "Text", &["sea", "dog"]),
            ],
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn an_empty_journal_is_a_document_too() {
        let text = document(ExportFormat::Json, Vec::new(), Vec::new());
        insta::assert_snapshot!(text);
    }

    proptest! {
        #[test]
        fn a_journal_in_json_says_what_was_written(
            tags in prop::collection::vec("\\PC{1,20}", 0..3),
            entries in prop::collection::vec(("\\PC{1,20}", any::<String>()), 0..4),
        ) {
            let text = document(
                ExportFormat::Json,
                tags.iter().map(|name| tag(name, None)).collect(),
                (1..).zip(&entries).map(|(id, (title, content))| entry(id, title, content, &["t"])).collect(),
            );
            let read: Value = serde_json::from_str(&text).unwrap();
            let names: Vec<_> = read["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
            prop_assert_eq!(names, tags);
            let said: Vec<_> = read["entries"].as_array().unwrap().iter()
                .map(|entry| (entry["title"].as_str().unwrap().to_owned(), entry["content"].as_str().unwrap().to_owned()))
                .collect();
            prop_assert_eq!(said, entries);
        }
    }
}
