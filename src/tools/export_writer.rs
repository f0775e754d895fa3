//! Writes a journal as one document, part by part.

use std::fmt::Write;

use serde::Serialize;

use crate::domain::{
    export::ExportFormat,
    journal::{Entry, Tag},
    markdown,
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
                // Headings of the second level are those of entries.
                if self.tags == 0 {
                    self.text.push_str("\n# Tags\n\n");
                }
                self.text.push_str("- ");
                self.text.push_str(&markdown::item(&tag.name));
                if let Some(description) = &tag.description {
                    self.text.push_str(": ");
                    self.text.push_str(&markdown::one_line(description));
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
        let tags = entry.tags.iter().map(|tag| markdown::one_line(&tag.name));
        let tags = Vec::from_iter(tags).join(", ");
        // In one paragraph: after a list, what an entry begins with could become an item of it.
        let mut details = vec![format!("**Written:** {}", rfc3339(*created_at))];
        let named = [("Mood", mood), ("Location", location), ("Weather", weather)];
        for (name, detail) in named {
            if let Some(detail) = detail {
                details.push(format!("**{name}:** {}", markdown::one_line(detail)));
            }
        }
        if !tags.is_empty() {
            details.push(format!("**Tags:** {tags}"));
        }
        if *is_favorite {
            details.push("**Favorite**".to_owned());
        }
        let text = &mut self.text;
        if self.entries == 0 {
            text.push_str("\n# Entries\n");
        }
        // Two spaces at the end of a line break it.
        write_line(
            text,
            format_args!(
                "\n## {}\n\n{}\n\n{}",
                markdown::one_line(title),
                details.join("  \n"),
                markdown::contained(content)
            ),
        );
    }
}

fn write_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes whatever is written to it");
}

fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use comrak::{Arena, Options, nodes::NodeValue, parse_document};
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

    /// What a document has by comrak, which is not the parser that escapes: headings of the first two levels, and whether it
    /// has anything that reaches beyond a block.
    fn read_by_another(document: &str) -> (Vec<(u8, String)>, bool) {
        let arena = Arena::new();
        let mut options = Options::default();
        options.extension.table = true;
        options.extension.strikethrough = true;
        options.extension.footnotes = true;
        options.extension.front_matter_delimiter = Some("---".to_owned());
        let root = parse_document(&arena, document, &options);
        let (mut headings, mut reaches_out) = (Vec::new(), false);
        for node in root.descendants() {
            match &node.data.borrow().value {
                NodeValue::Heading(heading) if heading.level <= 2 => {
                    let is_ours = node.parent().is_some_and(|parent| parent.same_node(root));
                    let mut text = String::new();
                    for part in node.descendants() {
                        match &part.data.borrow().value {
                            NodeValue::Text(part) => text.push_str(part),
                            NodeValue::Heading(_) => {}
                            other => text.push_str(&format!("<{other:?}>")),
                        }
                    }
                    headings.push((heading.level, text));
                    reaches_out |= !is_ours;
                }
                NodeValue::HtmlBlock(_)
                | NodeValue::HtmlInline(_)
                | NodeValue::ThematicBreak
                | NodeValue::FrontMatter(_)
                | NodeValue::FootnoteDefinition(_) => reaches_out = true,
                _ => {}
            }
        }
        (headings, reaches_out)
    }

    /// Lines of which many mean something to Markdown.
    fn hostile_text() -> impl Strategy<Value = String> {
        let mark = prop::sample::select(vec![
            "# ",
            "## ",
            "### ",
            "#",
            "---",
            "===",
            "***",
            "* * *",
            "```",
            "~~~",
            "````",
            "    ",
            "\t",
            "> ",
            "- ",
            "1. ",
            "+ ",
            "<!--",
            "-->",
            "<pre>",
            "</pre>",
            "<div>",
            "<details>",
            "<script>",
            "<?",
            "<![CDATA[",
            "<a",
            "[a]: /x",
            "[a]",
            "[^1]: n",
            "[^1]",
            "| a |",
            "|---|",
            "`",
            "``",
            "*",
            "_",
            "\\",
            "&lt;",
            "&#35;",
            "$$",
            ":::",
            "\n",
            "\n\n",
            "\r",
            "\r\n",
            " ",
            "  ",
            "x",
            "text",
            "é",
            "\u{2028}",
            "title: x",
            "![",
            "](x)",
            "<http://x>",
            "{#id}",
            ": ",
        ]);
        let word = prop_oneof![8 => mark.prop_map(str::to_owned), 1 => "\\PC{1,6}"];
        prop::collection::vec(word, 1..24).prop_map(|words| words.concat())
    }

    #[test]
    fn an_empty_journal_is_a_document_too() {
        let text = document(ExportFormat::Json, Vec::new(), Vec::new());
        insta::assert_snapshot!(text);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_text_of_an_entry_changes_the_markdown_around_it(
            tags in prop::collection::vec((hostile_text(), hostile_text()), 0..3),
            entries in prop::collection::vec((hostile_text(), hostile_text(), hostile_text()), 1..5),
        ) {
            let mut expected = vec![(1, "Journal".to_owned())];
            if !tags.is_empty() {
                expected.push((1, "Tags".to_owned()));
            }
            expected.push((1, "Entries".to_owned()));
            let shown = |title: &str| {
                let shown = title.replace(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'), " ");
                (2, shown.trim_matches(' ').to_owned())
            };
            expected.extend(entries.iter().map(|(title, ..)| shown(title)));
            let tags = tags.iter().map(|(name, about)| tag(name, Some(about))).collect();
            let written = (1..).zip(&entries).map(|(id, (title, content, mood))| Entry {
                mood: Some(mood.clone()),
                ..entry(id, title, content, &[title, mood])
            });
            let document = document(ExportFormat::Markdown, tags, written.collect());
            let (headings, reaches_out) = read_by_another(&document);
            prop_assert_eq!(headings, expected, "{}", document);
            prop_assert!(!reaches_out, "{}", document);
        }

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
