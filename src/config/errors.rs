//! The faults of a configuration, each with its key.

use std::fmt;

use super::options::Source;

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Fault>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, by its name in the environment.
    pub key: String,
    /// Where the value came from.
    pub source: Source,
    /// What is wrong with it; never the value of a secret.
    pub reason: String,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "fault" } else { "faults" };
        writeln!(f, "the configuration has {count} {noun}:")?;
        for fault in &self.0 {
            let source = match fault.source {
                Source::Default => "not set".to_owned(),
                source => source.to_string(),
            };
            writeln!(f, "  {} ({source}): {}", fault.key, fault.reason)?;
        }
        write!(f, "`epicme serve --help` explains every key")
    }
}

impl std::error::Error for ConfigErrors {}
