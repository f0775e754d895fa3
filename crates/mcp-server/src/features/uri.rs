//! URIs of resources, such as `files://reports/7`.

use std::fmt::Display;

use mcp_protocol::answer::LazyText;

/// The longest URI that is parsed, in bytes.
const LONGEST: usize = 128;

/// The longest textual id, in bytes.
const LONGEST_ID: usize = 64;

/// The variable of a template.
const ID: &str = "{id}";

/// The id of a resource of a template. Each id has one representation, so that a resource has one URI.
pub trait ResourceId: Display + Sized + 'static {
    /// Parses an id; `None` if it is invalid.
    fn parse(text: &str) -> Option<Self>;
}

/// An integer from 1 in decimal digits, without sign or leading zeros.
impl ResourceId for i64 {
    fn parse(text: &str) -> Option<Self> {
        text.parse()
            .ok()
            .filter(|id: &Self| *id >= 1 && id.to_string() == text)
    }
}

/// 1 to 64 unreserved characters (RFC 3986 §2.3: letters, digits, `-`, `.`, `_`, `~`), except `.` and `..`.
impl ResourceId for String {
    fn parse(text: &str) -> Option<Self> {
        let is_unreserved =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        ((1..=LONGEST_ID).contains(&text.len())
            && text.bytes().all(is_unreserved)
            && text != "."
            && text != "..")
            .then(|| text.to_owned())
    }
}

/// A parsed URI. Scheme and host are compared case-insensitively (RFC 3986 §6.2.2.1), everything else
/// exactly, so that a resource has one URI: there are no escapes, ports, queries or empty segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uri<'a> {
    scheme: &'a str,
    host: &'a str,
    path: &'a str,
}

impl<'a> Uri<'a> {
    /// Parses a URI; `None` if it has no scheme or is too long.
    #[must_use]
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Some(Self { scheme, host, path })
    }

    /// Whether both identify the same resource.
    #[must_use]
    pub(crate) fn is(self, other: Uri<'_>) -> bool {
        self.is_beside(other) && self.path == other.path
    }

    fn is_beside(self, other: Uri<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme) && self.host.eq_ignore_ascii_case(other.host)
    }

    /// The id, if the URI matches a template (RFC 6570, level 1).
    #[must_use]
    pub(crate) fn id_in(self, template: Uri<'_>) -> Option<&'a str> {
        let (before, after) = template.path.split_once(ID)?;
        if !self.is_beside(template) {
            return None;
        }
        self.path.strip_prefix(before)?.strip_suffix(after)
    }
}

/// Whether a text is a URI template with `{id}` once, in its path.
#[must_use]
pub(crate) fn is_template(text: &str) -> bool {
    let uri = Uri::parse(text);
    uri.is_some_and(|uri| uri.path.matches(ID).count() == 1)
        && text.matches(['{', '}']).count() == 2
}

/// Replaces `{id}` in a template.
#[must_use]
pub fn expand(template: &str, id: &impl Display) -> String {
    template.replacen(ID, &id.to_string(), 1)
}

/// Like [`expand`], but the number is inserted when the answer is serialised. For the links of long lists.
#[must_use]
pub fn expand_number(template: &'static str, id: i64) -> LazyText {
    // Written by hand, because a list has a link for each item, and a substring search is slower.
    let index = template.bytes().position(|byte| byte == b'{');
    match index.filter(|index| template[*index..].starts_with(ID)) {
        Some(index) => LazyText::Numbered {
            before: &template[..index],
            number: id,
            after: &template[index + ID.len()..],
        },
        None => LazyText::Text(template.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEMPLATE: &str = "files://reports/{id}";

    fn id(uri: &str) -> Option<i64> {
        i64::parse(Uri::parse(uri)?.id_in(Uri::parse(TEMPLATE).unwrap())?)
    }

    #[test]
    fn an_id_is_written_in_one_way_only() {
        assert_eq!(id("files://reports/7"), Some(7));
        assert_eq!(id("Files://REPORTS/7"), Some(7));
        assert_eq!(id("files://reports/9223372036854775807"), Some(i64::MAX));
        for uri in [
            "",
            "files",
            "files:reports/7",
            "files:/reports/7",
            "files:///reports/7",
            "files://reports",
            "files://reports/",
            "files://reports//7",
            "files://reports/7/",
            "files://reports/07",
            "files://reports/0",
            "files://reports/-7",
            "files://reports/+7",
            "files://reports/7.0",
            "files://reports/ 7",
            "files://reports/7 ",
            "files://reports/7\n",
            "files://reports/%37",
            "files://%72eports/7",
            "files://reports/\u{667}",
            "files://reports/7?",
            "files://reports/7#",
            "files://reports/7?x=1",
            "files://reports:80/7",
            "files://me@reports/7",
            "files://reports./7",
            "files://reports/./7",
            "files://reports/../reports/7",
            "files://reports\\7",
            "files://reports/{id}",
            "files://reports/9223372036854775808",
            "files://reports/99999999999999999999999999999999999999",
            " files://reports/7",
            "filés://reports/7",
            "https://reports/7",
            "file:///reports/7",
        ] {
            assert_eq!(id(uri), None, "{uri}");
        }
        assert_eq!(id(&format!("files://reports/{}", "7".repeat(200))), None);
    }

    #[test]
    fn an_id_may_stand_in_the_middle() {
        let template = Uri::parse("files://reports/{id}/tags").unwrap();
        let id = |uri| i64::parse(Uri::parse(uri)?.id_in(template)?);
        assert_eq!(id("files://reports/7/tags"), Some(7));
        for uri in [
            "files://reports/7",
            "files://reports//tags",
            "files://reports/7/8/tags",
            "files://reports/7/tags/",
            "files://reports/tags",
            "other://entries/7/tags",
        ] {
            assert_eq!(id(uri), None, "{uri}");
        }
    }

    #[test]
    fn only_the_case_of_scheme_and_host_makes_no_difference() {
        let place = Uri::parse("files://users/current").unwrap();
        let is = |uri: &str| Uri::parse(uri).is_some_and(|uri| uri.is(place));
        assert!(is("files://users/current"));
        assert!(is("FILES://Users/current"));
        for uri in [
            "files://users/Current",
            "files://users/current/",
            "files://users//current",
            "files://users",
            "files://users/%63urrent",
        ] {
            assert!(!is(uri), "{uri}");
        }
    }

    #[test]
    fn a_text_id_is_written_as_it_stands() {
        for text in ["a", "2026-07-28", "a.b_c~d", &"x".repeat(64)] {
            assert_eq!(String::parse(text).as_deref(), Some(text));
        }
        for text in [
            "",
            ".",
            "..",
            "a b",
            "a/b",
            "%61",
            "\u{e4}",
            &"x".repeat(65),
        ] {
            assert_eq!(String::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_template_has_one_place_for_an_id() {
        for template in ["files://reports/{id}", "a://b/{id}/c"] {
            assert!(is_template(template), "{template}");
        }
        for text in [
            "files://reports",
            "files://{id}",
            "{id}",
            "a://b/{id}/{x}",
            "a://b/{name}",
        ] {
            assert!(!is_template(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_survives_its_template(number in 1i64..) {
            prop_assert_eq!(id(&expand_number(TEMPLATE, number).to_string()), Some(number));
        }

        #[test]
        fn any_text_is_taken_apart_or_refused(text in "\\PC{0,200}") {
            let _ = id(&text);
        }

        #[test]
        fn what_leads_somewhere_is_the_one_way_to_write_it(tail in "[0-9+\\-./%?# ]{0,22}") {
            let uri = format!("files://reports/{tail}");
            if let Some(number) = id(&uri) {
                prop_assert_eq!(expand_number(TEMPLATE, number).to_string(), uri);
            }
        }
    }
}
