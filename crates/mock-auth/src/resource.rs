//! Resource indicators (RFC 8707): which server a token is for.

use url::Url;

use crate::answer::OAuthError;

/// The most resources that one token may be for.
const MOST: usize = 10;

/// Which resources tokens may be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Resources {
    /// Any, if empty.
    pub(crate) allowed: Vec<String>,
    /// What a request without `resource` means.
    pub(crate) default: Option<String>,
}

impl Resources {
    /// Reads the `resource` parameters of an authorization request; if there are none, the default.
    ///
    /// # Errors
    /// `invalid_target` (§2) for what is no absolute URI, has a fragment, or is not allowed.
    pub(crate) fn read<'a>(
        &self,
        asked: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<String>, OAuthError> {
        let mut resources = Vec::new();
        for text in asked {
            let resource = self.read_one(text)?;
            if !resources.contains(&resource) {
                resources.push(resource);
            }
        }
        if resources.len() > MOST {
            return Err(OAuthError::invalid_target("too many resources"));
        }
        if resources.is_empty() {
            resources.extend(self.default.clone());
        }
        Ok(resources)
    }

    fn read_one(&self, text: &str) -> Result<String, OAuthError> {
        let url = Url::parse(text)
            .ok()
            .filter(|url| url.fragment().is_none() && text.len() <= 2048)
            .filter(|_| text.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(|| {
                OAuthError::invalid_target("resource has to be an absolute URI without fragment")
            })?;
        if self.allowed.is_empty() && self.default.as_deref().is_none_or(|it| !same(it, &url)) {
            return Ok(text.to_owned());
        }
        // The configured spelling goes into the token, whatever equal spelling the client used.
        self.allowed
            .iter()
            .chain(&self.default)
            .find(|known| same(known, &url))
            .cloned()
            .ok_or_else(|| {
                OAuthError::invalid_target("this server issues no tokens for that resource")
            })
    }
}

/// The resources that a token request asks for, out of those granted; all of these if it names none.
///
/// # Errors
/// `invalid_target` for one that was not granted.
pub(crate) fn narrow<'a>(
    granted: &[String],
    asked: impl Iterator<Item = &'a str>,
) -> Result<Vec<String>, OAuthError> {
    let mut resources = Vec::new();
    for text in asked {
        let resource = granted
            .iter()
            .find(|it| Url::parse(text).is_ok_and(|url| same(it, &url)))
            .ok_or_else(|| {
                OAuthError::invalid_target("that resource is not part of what was granted")
            })?;
        if !resources.contains(resource) {
            resources.push(resource.clone());
        }
    }
    if resources.is_empty() {
        resources.extend_from_slice(granted);
    }
    Ok(resources)
}

/// Whether both are one resource: a slash at the end makes no other, for hosts put one there or take it away.
fn same(known: &str, url: &Url) -> bool {
    Url::parse(known).is_ok_and(|known| without_slash(known) == without_slash(url.clone()))
}

fn without_slash(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(allowed: &[&str], default: Option<&str>) -> Resources {
        Resources {
            allowed: allowed.iter().map(ToString::to_string).collect(),
            default: default.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn a_resource_is_an_absolute_uri_without_fragment() {
        let any = resources(&[], None);
        for bad in [
            "/mcp",
            "mcp",
            "https://a.example/mcp#x",
            "https://a.example/\u{e9}",
            "",
        ] {
            assert!(any.read([bad].into_iter()).is_err(), "{bad}");
        }
        let good = "https://a.example/mcp";
        assert_eq!(any.read([good, good].into_iter()).unwrap(), [good]);
    }

    #[test]
    fn the_configured_spelling_is_the_audience() {
        let one = resources(&["https://a.example"], None);
        let read = one.read(["https://A.example:443/"].into_iter()).unwrap();
        assert_eq!(read, ["https://a.example"]);
        assert!(one.read(["https://b.example"].into_iter()).is_err());
        let mcp = resources(&[], Some("https://a.example/mcp"));
        for (asked, audience) in [
            ("https://a.example/mcp/", "https://a.example/mcp"),
            ("https://a.example/mcp?x", "https://a.example/mcp?x"),
            ("https://a.example/", "https://a.example/"),
        ] {
            assert_eq!(mcp.read([asked].into_iter()).unwrap(), [audience]);
        }
    }

    #[test]
    fn the_default_stands_in_for_none() {
        let with_default = resources(&[], Some("https://a.example/mcp"));
        assert_eq!(
            with_default.read(std::iter::empty()).unwrap(),
            ["https://a.example/mcp"]
        );
        assert!(
            resources(&[], None)
                .read(std::iter::empty())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_token_is_never_for_more_than_was_granted() {
        let granted = [
            "https://a.example/".to_owned(),
            "https://b.example/".to_owned(),
        ];
        assert_eq!(narrow(&granted, std::iter::empty()).unwrap(), granted);
        assert_eq!(
            narrow(&granted, ["https://b.example"].into_iter()).unwrap(),
            granted[1..]
        );
        assert!(narrow(&granted, ["https://c.example"].into_iter()).is_err());
        assert!(narrow(&[], ["https://c.example"].into_iter()).is_err());
    }
}
