//! Who calls: client authentication at the endpoints that clients call (RFC 6749 §2.3).

use actix_web::http::header::{self, HeaderMap};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

use crate::{answer::OAuthError, params::Params, secret::Digest};

/// Who the caller says that it is, and its proof.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) id: String,
    pub(crate) secret: Option<SecretString>,
}

impl Claim {
    /// Reads the claim from the `Authorization` header or from the form.
    ///
    /// # Errors
    /// `invalid_request` where two methods are mixed (§2.3), `invalid_client` where no client is named or
    /// the header cannot be read.
    pub(crate) fn read(headers: &HeaderMap, form: &Params) -> Result<Self, OAuthError> {
        if form.repeats("client_id") || form.repeats("client_secret") {
            return Err(OAuthError::invalid_request(
                "client credentials are repeated",
            ));
        }
        let mut authorization = headers.get_all(header::AUTHORIZATION);
        let Some(value) = authorization.next() else {
            let id = form.get("client_id");
            let id = id.ok_or_else(|| OAuthError::invalid_client("no client is named"))?;
            return Ok(Self {
                id: id.to_owned(),
                secret: form.get("client_secret").map(SecretString::from),
            });
        };
        if authorization.next().is_some() || form.get("client_secret").is_some() {
            let once = "client credentials belong into the header or into the form, once";
            return Err(OAuthError::invalid_request(once));
        }
        let claim = value
            .to_str()
            .ok()
            .and_then(Self::from_basic)
            .ok_or_else(|| {
                OAuthError::invalid_client("the Authorization header is no Basic credential")
            })?;
        if form.get("client_id").is_some_and(|id| id != claim.id) {
            let differ = "client_id differs between header and form";
            return Err(OAuthError::invalid_request(differ));
        }
        Ok(claim)
    }

    /// `Basic` credentials. Both parts are form-encoded before they are joined (§2.3.1), which clients
    /// forget; that matters only for ids and secrets with `%` or `+`, and ours have neither.
    fn from_basic(value: &str) -> Option<Self> {
        let (scheme, credentials) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = STANDARD.decode(credentials.trim()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (id, secret) = decoded.split_once(':')?;
        Some(Self {
            id: form_decoded(id),
            secret: Some(form_decoded(secret).into()),
        })
    }

    /// Whether the secret has this digest.
    pub(crate) fn proves(&self, digest: &Digest) -> bool {
        self.secret
            .as_ref()
            .is_some_and(|secret| Digest::of(secret.expose_secret()).matches(digest))
    }
}

fn form_decoded(text: &str) -> String {
    // As the value of a parameter, in which `&` has to stand encoded.
    let pair = format!("v={}", text.replace('&', "%26"));
    form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        headers
    }

    fn basic(id: &str, secret: &str) -> HeaderMap {
        headers(&format!(
            "bAsIc {}",
            STANDARD.encode(format!("{id}:{secret}"))
        ))
    }

    #[test]
    fn both_parts_are_form_decoded() {
        let claim = Claim::read(&basic("a%3Ab+c", "%25&d"), &Params::default()).unwrap();
        assert_eq!(claim.id, "a:b c");
        assert!(claim.proves(&Digest::of("%&d")));
        assert!(!claim.proves(&Digest::of("other")));
    }

    #[test]
    fn two_methods_at_once_are_refused() {
        let form = Params::parse(b"client_id=a&client_secret=s");
        let error = Claim::read(&basic("a", "s"), &form).unwrap_err();
        assert_eq!(error.code.as_str(), "invalid_request");
        let form = Params::parse(b"client_id=b");
        assert!(Claim::read(&basic("a", "s"), &form).is_err());
        let form = Params::parse(b"client_id=a");
        assert!(Claim::read(&basic("a", "s"), &form).is_ok());
    }

    #[test]
    fn a_header_that_is_not_basic_is_refused() {
        for value in ["Bearer x", "Basic", "Basic !", "Basic YWJj"] {
            let error = Claim::read(&headers(value), &Params::default()).unwrap_err();
            assert_eq!(error.code.as_str(), "invalid_client", "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_visible_header_is_refused_or_read(value in "[ -~]{0,80}") {
            let _ = Claim::read(&headers(&value), &Params::default());
        }

        #[test]
        fn encoded_parts_come_back(id in "[^:]{1,20}", secret in ".{1,20}") {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let claim = Claim::read(&basic(&encode(&id), &encode(&secret)), &Params::default()).unwrap();
            prop_assert_eq!(&claim.id, &id);
            prop_assert!(claim.proves(&Digest::of(&secret)));
        }
    }
}
