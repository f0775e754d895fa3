//! The filter of the log, as people write it.

/// The target of the access log until it moved to the library.
pub const FORMER_ACCESS_LOG: &str = "epicme::access";

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
