//! Reading the access token from a request (RFC 6750 §2.1, RFC 9449 §7.1).

use derive_more::Debug;
use secrecy::{ExposeSecret, SecretString};

use crate::{fingerprint::fingerprint, validation::Refusal};

/// The longest token that is accepted, in bytes.
pub(crate) const LONGEST_TOKEN: usize = 4 * 1024;

/// An access token as a client presented it. It is never printed; the log shows its
/// [fingerprint](BearerToken::fingerprint). Its memory is overwritten when it is dropped.
///
/// ```
/// use resource_server::bearer::{Presentation, Scheme};
///
/// let fields = [&b"Bearer mF_9.B5f-4.1JqM"[..]];
/// let Presentation { token, scheme } = Presentation::from_authorization(fields.into_iter()).unwrap();
/// assert_eq!(scheme, Scheme::Bearer);
/// assert_eq!(token.expose(), "mF_9.B5f-4.1JqM");
/// assert!(!format!("{token:?}").contains("mF_9"));
/// ```
#[derive(Clone, Debug)]
#[debug("BearerToken({})", self.fingerprint())]
pub struct BearerToken(SecretString);

/// The authentication scheme of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer` (RFC 6750 §2.1).
    Bearer,
    /// `DPoP`, with a proof of the key that the token is bound to (RFC 9449 §7.1).
    Dpop,
}

impl Scheme {
    /// The name in `Authorization` and `WWW-Authenticate`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }

    fn parse(name: &[u8]) -> Option<Self> {
        [Self::Bearer, Self::Dpop]
            .into_iter()
            .find(|scheme| name.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
    }

    /// The scheme of the first `Authorization` field, even if the rest is malformed.
    #[must_use]
    pub fn of<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let value = values.next()?.trim_ascii();
        Self::parse(value.split(|byte| *byte == b' ').next()?)
    }
}

/// A token and its scheme.
#[derive(Clone, Debug)]
pub struct Presentation {
    /// The token.
    pub token: BearerToken,
    /// The scheme.
    pub scheme: Scheme,
}

impl Presentation {
    /// Reads the token from the values of all `Authorization` fields of a request.
    ///
    /// Visible ASCII except space, comma and quote is accepted. This is more than the `b64token` of
    /// RFC 6750 §2.1, because tokens of some authorization servers contain `:` and other characters.
    ///
    /// # Errors
    /// [`Refusal::Missing`] if there is no field, one of another scheme such as `Basic`, or one with nothing after the
    /// scheme, as a client sends it whose token is an empty text.
    /// [`Refusal::Malformed`] if the token is malformed, or if there are several fields (RFC 6750 §3.1
    /// `invalid_request`).
    pub fn from_authorization<'a>(
        mut values: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Self, Refusal> {
        let Some(value) = values.next() else {
            return Err(Refusal::Missing);
        };
        if values.next().is_some() {
            return Err(Refusal::Malformed("more than one Authorization field"));
        }
        let value = value.trim_ascii();
        let (scheme, rest) = match value.iter().position(|byte| *byte == b' ') {
            Some(space) => value.split_at(space),
            None => (value, &value[value.len()..]),
        };
        let Some(scheme) = Scheme::parse(scheme) else {
            return Err(Refusal::Missing);
        };
        let token = rest.trim_ascii_start();
        if token.is_empty() {
            return Err(Refusal::Missing);
        }
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::Malformed("the token is longer than 4096 bytes"));
        }
        if !token.iter().copied().all(is_token_byte) {
            return Err(Refusal::Malformed(
                "the token has a character that no token has",
            ));
        }
        let token = str::from_utf8(token).expect("visible ASCII is UTF-8");
        Ok(Self {
            token: BearerToken(SecretString::from(token)),
            scheme,
        })
    }
}

impl BearerToken {
    /// The token itself. Never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A short hash of the token for the log: see [`fingerprint`].
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(self.expose())
    }
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b',' | b'"')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&str]) -> Result<String, Refusal> {
        Presentation::from_authorization(values.iter().map(|value| value.as_bytes()))
            .map(|presented| presented.token.expose().to_owned())
    }

    #[test]
    fn the_scheme_is_read_without_regard_to_case_and_the_token_to_the_letter() {
        for value in [
            "Bearer 1:abC:x_-",
            "bearer 1:abC:x_-",
            " BEARER   1:abC:x_- ",
        ] {
            assert_eq!(read(&[value]).unwrap(), "1:abC:x_-", "{value}");
        }
    }

    #[test]
    fn other_schemes_are_no_bearer_credential() {
        for value in ["Basic dXNlcjpwYXNz", "abc", "", "Bearerx y", "Digest abc"] {
            assert_eq!(read(&[value]), Err(Refusal::Missing), "{value}");
        }
        assert_eq!(read(&[]), Err(Refusal::Missing));
    }

    #[test]
    fn the_scheme_says_whether_a_proof_comes_along() {
        for (value, scheme) in [("Bearer a", Scheme::Bearer), ("dpop a", Scheme::Dpop)] {
            let presented = Presentation::from_authorization([value.as_bytes()].into_iter());
            assert_eq!(presented.unwrap().scheme, scheme);
            assert_eq!(Scheme::of([value.as_bytes()].into_iter()), Some(scheme));
        }
        assert_eq!(Scheme::of([&b"Basic a"[..]].into_iter()), None);
        assert_eq!(Scheme::of(std::iter::empty()), None);
    }

    #[test]
    fn a_scheme_with_nothing_behind_it_is_as_no_field() {
        for value in ["", "Bearer", "Bearer ", "bearer   ", "DPoP"] {
            assert_eq!(read(&[value]), Err(Refusal::Missing), "{value:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_token_is_malformed() {
        let long = format!("Bearer {}", "a".repeat(LONGEST_TOKEN + 1));
        for value in [
            "Bearer a b",
            "Bearer a,b",
            "Bearer \"a\"",
            "Bearer é",
            &long,
        ] {
            assert!(
                matches!(read(&[value]), Err(Refusal::Malformed(_))),
                "{value}"
            );
        }
        assert!(matches!(
            read(&["Bearer a", "Bearer a"]),
            Err(Refusal::Malformed(_))
        ));
        assert!(matches!(
            read(&["Basic a", "Bearer a"]),
            Err(Refusal::Malformed(_))
        ));
    }

    #[test]
    fn a_token_is_not_printed() {
        let token = Presentation::from_authorization([&b"Bearer hunter2"[..]].into_iter())
            .unwrap()
            .token;
        assert_eq!(format!("{token:?}"), "BearerToken(f52fbd32)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(values: Vec<Vec<u8>>) {
            let _ = Presentation::from_authorization(values.iter().map(Vec::as_slice));
        }

        #[test]
        fn every_visible_token_comes_back(token in "[!#-+\\--~]{1,200}") {
            prop_assert_eq!(read(&[&format!("Bearer {token}")]).unwrap(), token);
        }
    }
}
