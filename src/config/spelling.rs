//! What a value that breaks a rule was probably meant to be, for the sentence about it.

use url::Url;

/// The rule, and how to write the value, if that is known.
pub(super) fn with_right(rule: &str, right: Option<String>) -> String {
    match right {
        Some(right) => format!("{rule}: write {right}"),
        None => rule.to_owned(),
    }
}

/// Whether a text is a host as `Host` has it (RFC 9110 §7.2), with or without a port.
pub(super) fn is_host(text: &str) -> bool {
    !text.contains("://") && host(text).is_some_and(|host| host.eq_ignore_ascii_case(text))
}

/// The host of a URL, or of a text that would be one with a scheme.
pub(super) fn host(text: &str) -> Option<String> {
    let url = lenient(text)?;
    let host = url.host_str()?;
    Some(match explicit_port(text, &url) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// The host of a URL without its port.
pub(super) fn bare_host(text: &str) -> Option<String> {
    let host = lenient(text)?.host_str()?.to_owned();
    (host != text).then_some(host)
}

/// The origin of a URL (RFC 6454 §6.2).
pub(super) fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    if text.contains('*') {
        return None;
    }
    match url.scheme() {
        "http" | "https" => Some(url.origin().ascii_serialization()),
        // Neither is sent as the origin of a page.
        "ws" | "wss" | "ftp" | "file" => None,
        // Desktop apps and extensions: to RFC 6454 their origins are opaque, but web views send them like this.
        scheme => {
            let host = url.host_str().filter(|host| !host.is_empty())?;
            let port = url
                .port()
                .map_or_else(String::new, |port| format!(":{port}"));
            Some(format!("{scheme}://{host}{port}"))
        }
    }
}

/// The issuer whose metadata is at this URL (RFC 8414 §3.1, OpenID Connect Discovery 1.0 §4.1); `None` if it is
/// not the URL of metadata.
pub(super) fn issuer_of_metadata(text: &str) -> Option<String> {
    const WELL_KNOWN: &str = "/.well-known/";
    let (before, after) = text.split_once(WELL_KNOWN)?;
    let rest = after.find('/').map_or("", |slash| &after[slash..]);
    Some(format!("{before}{}", rest.trim_end_matches('/')))
}

/// A URL, or what is one with a scheme before it. An asterisk would look like a wildcard, which nothing here has.
fn lenient(text: &str) -> Option<Url> {
    let has_scheme = text.contains("://");
    let url = if has_scheme {
        Url::parse(text)
    } else {
        Url::parse(&format!("http://{text}"))
    };
    url.ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && !text.contains('*'))
}

/// The port as it was written, also if it is the usual one of the scheme.
fn explicit_port(text: &str, url: &Url) -> Option<u16> {
    let default = if text.contains("://") { None } else { Some(80) };
    let written = text.split('/').next()?.ends_with(":80");
    url.port().or(default.filter(|_| written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_a_client_sends_and_anything_else_has_a_right_spelling() {
        for host in [
            "journal.example",
            "Journal.Example:8443",
            "localhost:80",
            "10.0.0.7",
            "[::1]:8787",
            "journal_internal",
        ] {
            assert!(is_host(host), "{host}");
        }
        for (text, right) in [
            ("https://journal.example", Some("journal.example")),
            (
                "https://journal.example:8443/mcp",
                Some("journal.example:8443"),
            ),
            ("journal.example/mcp", Some("journal.example")),
            (
                "https://ann:secret@journal.example/",
                Some("journal.example"),
            ),
            ("*.example", None),
            ("::1", None),
            ("ftp://journal.example", None),
        ] {
            assert!(!is_host(text), "{text}");
            assert_eq!(host(text).as_deref(), right, "{text}");
        }
    }

    #[test]
    fn the_url_of_metadata_names_the_issuer_in_every_form() {
        for (text, issuer) in [
            (
                "https://login.example/.well-known/openid-configuration",
                Some("https://login.example"),
            ),
            (
                "https://login.example/tenant/.well-known/openid-configuration",
                Some("https://login.example/tenant"),
            ),
            (
                "https://login.example/.well-known/oauth-authorization-server/tenant",
                Some("https://login.example/tenant"),
            ),
            ("https://login.example/tenant", None),
        ] {
            assert_eq!(issuer_of_metadata(text).as_deref(), issuer, "{text}");
        }
    }
}
