//! The configuration: its faults, and what is valid and risky.

use super::report::Report;
use crate::config::{Config, Options, Source};

pub(super) fn examine(options: &Options, doubts: Vec<String>, report: &mut Report) {
    let mut section = report.section("Configuration");
    match (Config::read(options), Config::effective(options)) {
        (Ok(config), Ok(values)) => {
            let set = values
                .iter()
                .filter(|value| value.source != Source::Default);
            section.ok(format!("every key is valid; {} are set", set.count()));
            for warning in config.warnings() {
                section.warning(warning, None);
            }
        }
        (Err(errors), _) | (_, Err(errors)) => {
            for fault in errors.0 {
                let origin = match fault.source {
                    Source::Default => "not set".to_owned(),
                    source => source.to_string(),
                };
                section.wrong(format!("{} ({origin}): {}", fault.key, fault.reason), None);
            }
        }
    }
    for doubt in options.deprecated().iter().chain(&doubts) {
        section.warning(doubt, None);
    }
}
