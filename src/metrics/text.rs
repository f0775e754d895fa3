//! Prometheus's text format 0.0.4.

use std::fmt::{Display, Write};

/// What is written so far.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family of series.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A series and its value.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.part(name, "", labels, value);
    }

    /// A part of a histogram.
    pub(super) fn part(
        &mut self,
        name: &str,
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) {
        self.write(format_args!("{name}{suffix}"));
        self.labels(labels, None);
        self.write(format_args!(" {value}\n"));
    }

    /// A bucket of a histogram.
    pub(super) fn bucket(&mut self, name: &str, labels: &[(&str, &str)], bound: &str, count: u64) {
        self.write(format_args!("{name}_bucket"));
        self.labels(labels, Some(("le", bound)));
        self.write(format_args!(" {count}\n"));
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn labels(&mut self, labels: &[(&str, &str)], last: Option<(&str, &str)>) {
        let mut before = '{';
        for (name, value) in labels.iter().copied().chain(last) {
            self.0.push(before);
            self.write(format_args!("{name}=\""));
            for character in value.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
            before = ',';
        }
        if before == ',' {
            self.0.push('}');
        }
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.0
            .write_fmt(arguments)
            .expect("a string takes what is written to it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_its_label() {
        let mut text = Text::default();
        text.sample("x", &[("a", "\"} 1\nb\\")], 1);
        text.sample("y", &[], 2);
        assert_eq!(text.finish(), "x{a=\"\\\"} 1\\nb\\\\\"} 1\ny 2\n");
    }
}
