//! The filter of the log, as people write it.

/// The target of the access log until it moved to the library.
const FORMER_ACCESS_LOG: &str = "epicme::access";

/// Words that people take for levels. env_logger takes them for targets, of which there are no lines.
const NO_LEVELS: [(&str, &str); 9] = [
    ("warning", "warn"),
    ("warnings", "warn"),
    ("err", "error"),
    ("errors", "error"),
    ("critical", "error"),
    ("fatal", "error"),
    ("notice", "info"),
    ("verbose", "debug"),
    ("all", "trace"),
];

/// What the author of a filter should know: a directive that writes nothing, and a former name.
#[must_use]
pub fn doubts(filter: &str) -> Vec<String> {
    let directives = filter.split('/').next().unwrap_or_default().split(',');
    let mut doubts: Vec<_> = directives
        .filter_map(|directive| {
            let (target, level) = match directive.split_once('=') {
                Some((target, level)) => (Some(target), level.trim()),
                None => (None, directive.trim()),
            };
            let mut known = NO_LEVELS.iter();
            let (word, meant) = known.find(|(word, _)| level.eq_ignore_ascii_case(word))?;
            Some(match target {
                Some(target) => format!("in --log, {target}={word} is ignored; is {target}={meant} meant?"),
                None => format!("in --log, {word} is not a level, and no line is of a target of that name; is {meant} meant?"),
            })
        })
        .collect();
    if filter.contains(FORMER_ACCESS_LOG) {
        doubts.push(format!(
            "in --log, {FORMER_ACCESS_LOG} is now called `access`"
        ));
    }
    doubts
}

/// The filter for env_logger. A directive for `epicme` covers the library crates too.
#[must_use]
pub fn with_libraries(filter: &str) -> String {
    const CRATES: [&str; 4] = ["epicme", "mcp_server", "mcp_protocol", "resource_server"];
    let with_all = |directive: &str| match directive.trim().strip_prefix(CRATES[0]) {
        Some(level) if level.is_empty() || level.starts_with('=') => {
            CRATES.map(|name| format!("{name}{level}")).join(",")
        }
        _ => directive.replace(FORMER_ACCESS_LOG, "access"),
    };
    // A regular expression for the messages may follow the directives.
    let directives = filter.find('/').unwrap_or(filter.len());
    let (directives, expression) = filter.split_at(directives);
    let directives: Vec<_> = directives.split(',').map(with_all).collect();
    directives.join(",") + expression
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_doubted() {
        for (filter, doubt) in [
            ("warning", "is warn meant?"),
            ("info,epicme=verbose", "epicme=debug meant?"),
            ("epicme::access=off", "now called `access`"),
        ] {
            let said = doubts(filter);
            assert!(said.len() == 1 && said[0].contains(doubt), "{said:?}");
        }
        for filter in ["info,actix_server=warn", "epicme=debug/all", "off", "sqlx"] {
            assert_eq!(doubts(filter), [""; 0], "{filter}");
        }
    }

    #[test]
    fn a_log_filter_covers_the_libraries_and_knows_former_targets() {
        let all = "epicme=debug,mcp_server=debug,mcp_protocol=debug,resource_server=debug";
        for (given, expected) in [
            ("info", "info"),
            ("info,epicme::access=off", "info,access=off"),
            ("epicme=debug", all),
            ("warn, epicme=debug", &format!("warn,{all}")),
            ("epicme=debug/a,b", &format!("{all}/a,b")),
            ("epicme", "epicme,mcp_server,mcp_protocol,resource_server"),
            ("epicme::journal=trace", "epicme::journal=trace"),
        ] {
            assert_eq!(with_libraries(given), expected, "{given}");
        }
    }
}
