//! Where resources are: `epicme://tags/7`.

use crate::mcp::answer::Phrase;

/// Longer than any URI that leads somewhere, in bytes.
const LONGEST: usize = 128;

/// How a template says where the id stands.
const ID: &str = "{id}";

/// A URI like those of this server, taken apart. Scheme and host are compared without regard to case
/// (RFC 3986 §6.2.2.1); everything else is compared to the letter, so that a resource has one URI: no
/// escapes, no ports, no queries, no empty segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    scheme: &'a str,
    host: &'a str,
    path: &'a str,
}

impl<'a> Uri<'a> {
    /// Takes a URI apart; `None` if it cannot be one of this server's.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Some(Self { scheme, host, path })
    }

    /// Whether both lead to the same place.
    #[must_use]
    pub fn is(self, other: Uri<'_>) -> bool {
        self.is_beside(other) && self.path == other.path
    }

    fn is_beside(self, other: Uri<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme) && self.host.eq_ignore_ascii_case(other.host)
    }

    /// The id in a template's place for it, if the URI is of the template (RFC 6570, level 1).
    #[must_use]
    pub fn id_in(self, template: Uri<'_>) -> Option<i64> {
        let (before, after) = template.path.split_once(ID)?;
        if !self.is_beside(template) {
            return None;
        }
        parse_id(self.path.strip_prefix(before)?.strip_suffix(after)?)
    }
}

/// A template with the id in its place.
#[must_use]
pub fn expand(template: &'static str, id: i64) -> Phrase {
    // By hand, for lists have a link for each item: a search for a text costs many times what the rest does.
    let place = template.bytes().position(|byte| byte == b'{');
    match place.filter(|place| template[*place..].starts_with(ID)) {
        Some(place) => Phrase::Numbered {
            before: &template[..place],
            number: id,
            after: &template[place + ID.len()..],
        },
        None => Phrase::Text(template.to_owned()),
    }
}

/// An id in the one way that it is written: decimal digits, no sign, no leading zero.
#[must_use]
pub fn parse_id(text: &str) -> Option<i64> {
    text.parse()
        .ok()
        .filter(|id: &i64| *id >= 1 && id.to_string() == text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEMPLATE: &str = "epicme://entries/{id}";

    fn id(uri: &str) -> Option<i64> {
        Uri::parse(uri)?.id_in(Uri::parse(TEMPLATE).unwrap())
    }

    #[test]
    fn an_id_is_written_in_one_way_only() {
        assert_eq!(id("epicme://entries/7"), Some(7));
        assert_eq!(id("EpicMe://ENTRIES/7"), Some(7));
        assert_eq!(id("epicme://entries/9223372036854775807"), Some(i64::MAX));
        for uri in [
            "",
            "epicme",
            "epicme:entries/7",
            "epicme:/entries/7",
            "epicme:///entries/7",
            "epicme://entries",
            "epicme://entries/",
            "epicme://entries//7",
            "epicme://entries/7/",
            "epicme://entries/07",
            "epicme://entries/0",
            "epicme://entries/-7",
            "epicme://entries/+7",
            "epicme://entries/7.0",
            "epicme://entries/ 7",
            "epicme://entries/7 ",
            "epicme://entries/7\n",
            "epicme://entries/%37",
            "epicme://%65ntries/7",
            "epicme://entries/\u{667}",
            "epicme://entries/7?",
            "epicme://entries/7#",
            "epicme://entries/7?x=1",
            "epicme://entries:80/7",
            "epicme://me@entries/7",
            "epicme://entries./7",
            "epicme://entries/./7",
            "epicme://entries/../entries/7",
            "epicme://entries\\7",
            "epicme://entries/{id}",
            "epicme://entries/9223372036854775808",
            "epicme://entries/99999999999999999999999999999999999999",
            " epicme://entries/7",
            "epicmé://entries/7",
            "https://entries/7",
            "file:///entries/7",
        ] {
            assert_eq!(id(uri), None, "{uri}");
        }
        assert_eq!(id(&format!("epicme://entries/{}", "7".repeat(200))), None);
    }

    #[test]
    fn an_id_may_stand_in_the_middle() {
        let template = Uri::parse("epicme://entries/{id}/tags").unwrap();
        let id = |uri| Uri::parse(uri)?.id_in(template);
        assert_eq!(id("epicme://entries/7/tags"), Some(7));
        for uri in [
            "epicme://entries/7",
            "epicme://entries//tags",
            "epicme://entries/7/8/tags",
            "epicme://entries/7/tags/",
            "epicme://entries/tags",
            "other://entries/7/tags",
        ] {
            assert_eq!(id(uri), None, "{uri}");
        }
    }

    #[test]
    fn only_the_case_of_scheme_and_host_makes_no_difference() {
        let place = Uri::parse("epicme://users/current").unwrap();
        let is = |uri: &str| Uri::parse(uri).is_some_and(|uri| uri.is(place));
        assert!(is("epicme://users/current"));
        assert!(is("EPICME://Users/current"));
        for uri in [
            "epicme://users/Current",
            "epicme://users/current/",
            "epicme://users//current",
            "epicme://users",
            "epicme://users/%63urrent",
        ] {
            assert!(!is(uri), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn an_id_survives_its_template(number in 1i64..) {
            prop_assert_eq!(id(&expand(TEMPLATE, number).to_string()), Some(number));
        }

        #[test]
        fn any_text_is_taken_apart_or_refused(text in "\\PC{0,200}") {
            let _ = id(&text);
        }

        #[test]
        fn what_leads_somewhere_is_the_one_way_to_write_it(tail in "[0-9+\\-./%?# ]{0,22}") {
            let uri = format!("epicme://entries/{tail}");
            if let Some(number) = id(&uri) {
                prop_assert_eq!(expand(TEMPLATE, number).to_string(), uri);
            }
        }
    }
}
