//! Redirect URIs: which may be registered, when two are the same, and the way back through them.

use std::net::IpAddr;

use url::{Host, Url};

/// Schemes of desktop hosts in the field that RFC 8252 §7.1 would have named after a domain. They open an app, never a script in
/// the browser, as `javascript` or `data` would.
const SCHEMES_IN_USE: [&str; 18] = [
    "antigravity",
    "cherrystudio",
    "claude",
    "code-oss",
    "cursor",
    "goose",
    "kiro",
    "lmstudio",
    "raycast",
    "trae",
    "vscode",
    "vscode-insiders",
    "vscodium",
    "warp",
    "warppreview",
    "windsurf",
    "windsurf-next",
    "zed",
];

/// Why a redirect URI may not be registered, if it may not: OAuth 2.1 §2.3.1 and RFC 8252 §7.
pub(crate) fn fault_of(text: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(text) else {
        return Some("is not an absolute URI");
    };
    if text.len() > 1024 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some("is longer than 1024 bytes or has characters that no URI has");
    }
    if url.fragment().is_some() {
        return Some("has a fragment");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("has a user name or password");
    }
    match url.scheme() {
        // A host goes into the page's policy as it is, so only plain ones pass: `;` and `,` are legal
        // in a URL's host and would end a directive there.
        "https" if plain_host(&url) => None,
        "http" if is_loopback(&url) => None,
        "https" => Some("has a host with unusual characters"),
        "http" => Some("is http and not on loopback"),
        // A dot tells an app's own scheme (RFC 8252 §7.1) from `javascript`, `data`, `file` and the like.
        scheme if scheme.contains('.') || SCHEMES_IN_USE.contains(&scheme) => None,
        _ => Some("has a scheme that is neither https nor an app's own, such as com.example.app"),
    }
}

/// Whether the URI asked for is the registered one: the same text (RFC 9700 §4.1.3), but for the port
/// of a loopback URI, which an app may only learn when it starts to listen (RFC 8252 §7.3).
pub(crate) fn matches(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    if fault_of(asked).is_some() {
        return false;
    }
    let (Ok(registered), Ok(asked)) = (Url::parse(registered), Url::parse(asked)) else {
        return false;
    };
    [&registered, &asked]
        .iter()
        .all(|url| url.scheme() == "http" && is_loopback(url))
        && registered.host() == asked.host()
        && registered.path() == asked.path()
        && registered.query() == asked.query()
}

/// The redirect URI with these parameters added to its query.
pub(crate) fn with(uri: &str, pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse(uri).expect("a redirect URI was parsed before it was stored");
    url.query_pairs_mut().extend_pairs(pairs);
    url.into()
}

/// The source expression that lets a form end at this URI. Chromium applies `form-action` to the
/// redirect that answers a form, too.
pub(crate) fn source(uri: &str) -> String {
    let url = Url::parse(uri).expect("a redirect URI was parsed before it was stored");
    match url.host() {
        // CSP has no syntax for IPv6 hosts, and an app's own scheme has no origin.
        Some(Host::Domain(_) | Host::Ipv4(_)) if matches!(url.scheme(), "http" | "https") => {
            url.origin().ascii_serialization()
        }
        _ => format!("{}:", url.scheme()),
    }
}

/// How a person knows the place: its host, or for an app its scheme.
pub(crate) fn place(uri: &str) -> String {
    let url = Url::parse(uri).expect("a redirect URI was parsed before it was stored");
    match (url.scheme(), url.host_str(), url.port()) {
        ("http" | "https", Some(host), port) if is_loopback(&url) => {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("this computer ({host}{port})")
        }
        ("https", Some(host), None) => host.to_owned(),
        ("https", Some(host), Some(port)) => format!("{host}:{port}"),
        (scheme, _, _) => format!("the app behind {scheme}:"),
    }
}

/// Whether this redirect URI leads to a program on the computer of the browser, by http or https.
pub(crate) fn is_on_this_computer(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && is_loopback(&url))
}

/// Whether the URL's host is `localhost` or a loopback address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

fn plain_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
        host => host.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_may_be_registered() {
        for good in [
            "https://app.example/cb?x=1",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:3000/cb",
            "http://[::1]:3000/cb",
            "http://localhost:8080/",
            "com.example.app:/cb",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "vscode://vscode.github-authentication/did-authenticate",
            "windsurf://codeium.windsurf/oauth",
        ] {
            assert_eq!(fault_of(good), None, "{good}");
        }
        for bad in [
            "/cb",
            "http://app.example/cb",
            "http://localhost.example/cb",
            "http://127.0.0.1.example/cb",
            "https://app.example/cb#x",
            "https://user@app.example/cb",
            "https://a;script-src/cb",
            "https://app.example/c b",
            "https://app.example/cb\n",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "myapp:/cb",
        ] {
            assert!(fault_of(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn only_the_port_of_a_loopback_uri_may_differ() {
        assert!(matches("http://127.0.0.1/cb", "http://127.0.0.1:5151/cb"));
        assert!(matches("http://[::1]:1/cb?a=b", "http://[::1]:2/cb?a=b"));
        for (registered, asked) in [
            ("http://127.0.0.1/cb", "http://localhost/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1/cb/"),
            ("http://127.0.0.1/cb", "http://127.0.0.1/cb?x"),
            ("http://127.0.0.1/cb", "http://x@127.0.0.1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1/cb\t"),
            ("https://app.example/cb", "https://app.example:444/cb"),
            ("https://app.example/cb", "https://app.example/CB"),
            ("https://app.example/cb", "https://app.example:443/cb"),
        ] {
            assert!(!matches(registered, asked), "{registered} {asked}");
        }
    }

    #[test]
    fn the_way_back_keeps_the_query() {
        assert_eq!(
            with(
                "https://app.example/cb?x=1",
                &[("code", "a b"), ("state", "&")]
            ),
            "https://app.example/cb?x=1&code=a+b&state=%26"
        );
        assert_eq!(
            with("com.example.app:/cb", &[("code", "c")]),
            "com.example.app:/cb?code=c"
        );
    }

    #[test]
    fn a_form_may_end_at_the_redirect() {
        assert_eq!(source("http://127.0.0.1:99/cb"), "http://127.0.0.1:99");
        assert_eq!(source("https://app.example/cb"), "https://app.example");
        assert_eq!(source("http://[::1]:99/cb"), "http:");
        assert_eq!(source("com.example.app:/cb"), "com.example.app:");
    }

    proptest! {
        #[test]
        fn whatever_passes_can_be_sent_to(text in "[a-z.]{1,8}:[ -~]{0,40}") {
            if fault_of(&text).is_none() {
                let back = with(&text, &[("code", "c"), ("iss", "http://127.0.0.1:7788")]);
                prop_assert!(back.contains("code=c") && back.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(!source(&text).contains([';', ',', ' ']));
                let _ = place(&text);
            }
        }
    }
}
