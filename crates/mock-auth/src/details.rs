//! Rich authorization requests (RFC 9396): `authorization_details`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::{ErrorCode, OAuthError};

/// How many objects a request may have.
const MOST: usize = 20;

/// The objects of an `authorization_details` parameter (§2). Each has a `type` that is known here; the rest of it belongs to that
/// type, and is kept as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Details(Vec<Value>);

impl Details {
    /// Reads the parameter, if it is there.
    ///
    /// # Errors
    /// `invalid_authorization_details` (§5): it is no array of at most 20 objects, or one has a `type` that is not among these.
    pub(crate) fn read(text: Option<&str>, types: &[String]) -> Result<Self, OAuthError> {
        let Some(text) = text else {
            return Ok(Self::default());
        };
        let list = serde_json::from_str(text).map_err(|_| refused("it is no JSON array"))?;
        Self::check(list, types)
    }

    /// The same, of objects that were read.
    pub(crate) fn check(list: Vec<Value>, types: &[String]) -> Result<Self, OAuthError> {
        if list.len() > MOST {
            return Err(refused(format!("it has more than {MOST} objects")));
        }
        for detail in &list {
            let name = detail.get("type").and_then(Value::as_str);
            let name = name.ok_or_else(|| refused("each of its objects needs a type"))?;
            if !types.iter().any(|known| known == name) {
                return Err(refused(format!("the type {name} is not known here")));
            }
        }
        Ok(Self(list))
    }

    /// Objects of any type, for a token that a test mints.
    pub(crate) const fn unchecked(list: Vec<Value>) -> Self {
        Self(list)
    }

    /// Those objects among the granted ones that a token request asks for (§6), or all if it names none.
    ///
    /// # Errors
    /// `invalid_authorization_details`: one was not granted as it is.
    pub(crate) fn narrow(&self, asked: Self) -> Result<Self, OAuthError> {
        if asked.is_empty() {
            return Ok(self.clone());
        }
        if asked.0.iter().all(|detail| self.0.contains(detail)) {
            return Ok(asked);
        }
        Err(refused("it has an object that was not granted"))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.0.iter()
    }
}

fn refused(why: impl std::fmt::Display) -> OAuthError {
    let words = format!("authorization_details: {why}");
    OAuthError::new(ErrorCode::InvalidAuthorizationDetails, words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Details, OAuthError> {
        Details::read(Some(text), &["account".to_owned()])
    }

    #[test]
    fn objects_of_known_types_are_kept_as_they_are() {
        let one = r#"[{"type":"account","ids":[1,2]}]"#;
        let details = read(one).unwrap();
        assert_eq!(serde_json::to_string(&details).unwrap(), one);
        assert!(Details::read(None, &[]).unwrap().is_empty());
    }

    #[test]
    fn anything_else_is_refused_with_the_code_of_rfc_9396() {
        let many = format!("[{}]", [r#"{"type":"account"}"#; 21].join(","));
        for text in ["", "x", "{}", "[1]", "[{}]", r#"[{"type":"other"}]"#, &many] {
            let error = read(text).unwrap_err();
            assert_eq!(
                error.code.as_str(),
                "invalid_authorization_details",
                "{text}"
            );
        }
    }

    #[test]
    fn a_token_request_may_ask_for_some_of_what_was_granted() {
        let [a, b] = [
            r#"{"type":"account","id":1}"#,
            r#"{"type":"account","id":2}"#,
        ];
        let granted = read(&format!("[{a},{b}]")).unwrap();
        assert_eq!(granted.narrow(Details::default()).unwrap(), granted);
        let one = read(&format!("[{b}]")).unwrap();
        assert_eq!(granted.narrow(one.clone()).unwrap(), one);
        assert!(one.narrow(granted).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ -~]{0,80}") {
            let _ = read(&text);
        }
    }
}
