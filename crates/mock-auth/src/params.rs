//! Parameters of queries and forms.

use url::form_urlencoded;

/// The longest query or form that is read at all. The bodies' limit of the server is the same.
pub(crate) const LONGEST: usize = 64 * 1024;

/// The parameters of a query or a form. Those without a value count as left out, and most may stand
/// there once only (RFC 6749 §3.1 and §3.2).
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(
            form_urlencoded::parse(encoded)
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// The value, if there is exactly one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Every value, for a parameter that may be repeated.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the parameter stands there twice or more.
    pub(crate) fn repeats(&self, name: &str) -> bool {
        self.all(name).nth(1).is_some()
    }

    /// Whether a parameter that is not `resource` (RFC 8707 §2) stands there twice or more.
    pub(crate) fn any_repeats(&self) -> bool {
        self.0
            .iter()
            .any(|(name, _)| name != "resource" && self.repeats(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_repeated_parameter_has_no_value() {
        let params = Params::parse(b"a=1&a=2&b=%20x&c=&c=3");
        assert_eq!(params.get("a"), None);
        assert!(params.any_repeats() && params.repeats("a"));
        assert_eq!(params.get("b"), Some(" x"));
        assert_eq!(params.get("c"), Some("3"));
    }

    #[test]
    fn only_resource_may_be_repeated() {
        assert!(!Params::parse(b"resource=a&resource=b&x=1").any_repeats());
        assert!(Params::parse(b"x=1&x=1").any_repeats());
    }

    proptest! {
        #[test]
        fn any_bytes_parse(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let params = Params::parse(&bytes);
            let _ = (params.get("a"), params.any_repeats());
        }
    }
}
