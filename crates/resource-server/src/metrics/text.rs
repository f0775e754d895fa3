//! The Prometheus text format 0.0.4.

use std::fmt::{Display, Write};

/// Builds a page of metrics.
#[derive(Debug)]
pub struct Text {
    text: String,
    /// The prefix of every family name, with an underscore; may be empty.
    prefix: String,
}

impl Text {
    /// An empty page with this prefix for family names.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let prefix = match prefix {
            "" => String::new(),
            prefix => format!("{prefix}_"),
        };
        Self {
            text: String::new(),
            prefix,
        }
    }

    /// Drops the prefix for the following families: those whose names are standard, such as `process_*`.
    pub fn without_prefix(&mut self) {
        self.prefix.clear();
    }

    /// Starts a family.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let prefix = &self.prefix;
        let head = format!("# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {kind}\n");
        self.text.push_str(&head);
    }

    /// Writes one sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.part(name, "", labels, value);
    }

    /// Writes the `_sum` or `_count` of a histogram.
    pub(crate) fn part(
        &mut self,
        name: &str,
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) {
        self.text.push_str(&self.prefix);
        self.write(format_args!("{name}{suffix}"));
        self.labels(labels, None);
        self.write(format_args!(" {value}\n"));
    }

    /// Writes a bucket of a histogram.
    pub(crate) fn bucket(&mut self, name: &str, labels: &[(&str, &str)], bound: &str, count: u64) {
        self.text.push_str(&self.prefix);
        self.write(format_args!("{name}_bucket"));
        self.labels(labels, Some(("le", bound)));
        self.write(format_args!(" {count}\n"));
    }

    /// The finished page.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn labels(&mut self, labels: &[(&str, &str)], last: Option<(&str, &str)>) {
        let mut before = '{';
        for (name, value) in labels.iter().copied().chain(last) {
            self.text.push(before);
            self.write(format_args!("{name}=\""));
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(arguments)
            .expect("writing to a string does not fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_before_every_name_until_it_is_dropped() {
        let mut text = Text::new("files");
        text.family("x", "gauge", "Help.");
        text.sample("x", &[], 1);
        text.without_prefix();
        text.sample("y", &[], 2);
        let page = "# HELP files_x Help.\n# TYPE files_x gauge\nfiles_x 1\ny 2\n";
        assert_eq!(text.finish(), page);
    }

    #[test]
    fn no_value_ends_its_label() {
        let mut text = Text::new("");
        text.sample("x", &[("a", "\"} 1\nb\\")], 1);
        text.sample("y", &[], 2);
        assert_eq!(text.finish(), "x{a=\"\\\"} 1\\nb\\\\\"} 1\ny 2\n");
    }
}
