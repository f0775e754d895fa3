//! URLs that identify a resource or an issuer, and endpoint URLs.

use std::{fmt, str::FromStr, sync::Arc};

use derive_more::{Display, Error};
use url::Url;

/// Why a URL is not accepted. The messages follow the name of the setting.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub enum UrlFault {
    /// Not an absolute URL.
    #[display("is not an absolute URL")]
    NotAUrl,
    /// Neither `https` nor `http` on a loopback host.
    #[display("must use https (http is allowed on a loopback host only)")]
    NotSecure,
    /// An endpoint with `http` on a host that is neither loopback nor in [`PlainHttpHosts`].
    #[display(
        "must use https (http is allowed on loopback hosts and on the configured plain HTTP hosts only)"
    )]
    EndpointNotSecure,
    /// Not a host name.
    #[display("must be host names such as auth or auth.internal, in lower case, without a port")]
    NotAHost,
    /// It has a part that is not allowed (RFC 8414 §2, RFC 9728 §1.2).
    #[display("must have neither user information nor a query nor a fragment")]
    NotPlain,
    /// An identifier that a URL parser would repair. Audiences are compared as text (RFC 7519 §2), so that a
    /// token for the text as it was written would never match.
    #[display(
        "must be written as it is compared: no `.` or `..` segment, no space, tab, line break or backslash, \
         and the host as a name in ASCII or as an address in its usual form"
    )]
    NotNormal,
}

/// The base URL of this server as clients know it. URLs in responses are built from it and never from the
/// request, so that a forged `Host` has no effect.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

/// The resource identifier: the audience of tokens (RFC 8707 §2), and `resource` in the metadata
/// (RFC 9728 §2).
#[derive(Clone, PartialEq, Eq)]
pub struct ResourceUri(String);

/// The issuer identifier of an authorization server, exactly as configured: RFC 8414 §3.3 and RFC 9207
/// compare it as a string.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuerUrl {
    text: String,
    url: Url,
}

/// Hosts of a private network whose endpoints may use plain HTTP. This does not apply to identifiers, which
/// clients see too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainHttpHosts(Arc<[String]>);

impl PlainHttpHosts {
    /// Reads host names. They are compared exactly.
    ///
    /// # Errors
    /// One of them is not a host name as it is written in a URL.
    pub fn read(names: Vec<String>) -> Result<Self, UrlFault> {
        // An asterisk would look like a wildcard, which is not supported.
        let is_host = |name: &String| {
            !name.contains('*')
                && Url::parse(&format!("http://{name}/"))
                    .is_ok_and(|url| url.host_str() == Some(name))
        };
        names
            .iter()
            .all(is_host)
            .then(|| Self(names.into()))
            .ok_or(UrlFault::NotAHost)
    }

    /// The host names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    fn contains(&self, url: &Url) -> bool {
        self.0.iter().any(|name| url.host_str() == Some(name))
    }
}

impl PublicUrl {
    /// The identifier of the resource at a path of this server. The path begins with a slash.
    #[must_use]
    pub fn resource(&self, path: &str) -> ResourceUri {
        ResourceUri(self.join(path))
    }

    /// An absolute URL of this server. `path` begins with a slash.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_str().trim_end_matches('/'))
    }

    /// The path of the URL without a trailing slash; empty for the root.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// Whether the scheme is `http`.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Host and port in the form of a `Host` field.
    #[must_use]
    pub fn authority(&self) -> String {
        authority(&self.0)
    }

    /// Scheme, host and port in the form of an `Origin` field.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl ResourceUri {
    /// The identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Scheme, host and port in the form of an `Origin` field.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.0.split_at(self.path_start()).0
    }

    /// The path without a trailing slash; empty for the root.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.split_at(self.path_start()).1.trim_end_matches('/')
    }

    fn path_start(&self) -> usize {
        let host = self.0.find("://").map_or(0, |scheme| scheme + 3);
        let path = self.0[host..].find('/');
        path.map_or(self.0.len(), |path| host + path)
    }

    /// Whether an audience is this resource. Audiences are compared as text (RFC 7519 §2), except that scheme
    /// and host may be in capitals (RFC 3986 §6.2.2.1). Nothing is decoded, resolved or completed: whatever a
    /// URL parser would repair is another audience.
    #[must_use]
    pub fn is_named_by(&self, audience: &str) -> bool {
        // The bounds are those of characters in `self`, which has only ASCII before its path.
        let (origin, path) = self.0.split_at(self.path_start());
        match audience.split_at_checked(origin.len()) {
            Some((its_origin, its_path)) => {
                its_path == path && its_origin.eq_ignore_ascii_case(origin)
            }
            None => false,
        }
    }
}

impl IssuerUrl {
    /// The identifier, as configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The candidate URLs of the metadata: RFC 8414 §3.1 (the well-known part before the path), then the two
    /// forms of OpenID Connect Discovery, then the well-known part of RFC 8414 after the path, which is where some
    /// servers have their only document.
    #[must_use]
    pub fn metadata_urls(&self) -> Vec<Url> {
        let path = self.url.path().trim_end_matches('/');
        let at = |path: String| {
            let mut url = self.url.clone();
            url.set_path(&path);
            url
        };
        let mut urls = vec![
            at(format!("/.well-known/oauth-authorization-server{path}")),
            at(format!("/.well-known/openid-configuration{path}")),
        ];
        if !path.is_empty() {
            urls.push(at(format!("{path}/.well-known/openid-configuration")));
            urls.push(at(format!("{path}/.well-known/oauth-authorization-server")));
        }
        urls
    }
}

/// Reads an endpoint URL to which secrets may be sent: `https`, or `http` on loopback hosts and on `plain`.
///
/// # Errors
/// The first rule that the text breaks.
pub fn endpoint(text: &str, plain: &PlainHttpHosts) -> Result<Url, UrlFault> {
    let url = Url::parse(text).map_err(|_| UrlFault::NotAUrl)?;
    if !url.has_host() {
        return Err(UrlFault::NotAUrl);
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) || plain.contains(&url) => {}
        _ => return Err(UrlFault::EndpointNotSecure),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(UrlFault::NotPlain);
    }
    Ok(url)
}

/// Host and port in the form of a `Host` field: the port only if it is not the default of the scheme.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn identifier(text: &str) -> Result<Url, UrlFault> {
    let url = endpoint(text, &PlainHttpHosts::default()).map_err(|fault| match fault {
        UrlFault::EndpointNotSecure => UrlFault::NotSecure,
        fault => fault,
    })?;
    if url.query().is_some() {
        return Err(UrlFault::NotPlain);
    }
    Ok(url)
}

/// An identifier that tokens name. Only the case of scheme and host, a default port and the slash of an empty
/// path may differ from the normal form.
fn audience(text: &str) -> Result<Url, UrlFault> {
    let url = identifier(text)?;
    let (scheme, rest) = text.split_once("://").ok_or(UrlFault::NotNormal)?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let default_port = if url.scheme() == "https" {
        ":443"
    } else {
        ":80"
    };
    let host = host.strip_suffix(default_port).unwrap_or(host);
    let is_normal = scheme.eq_ignore_ascii_case(url.scheme())
        && host.eq_ignore_ascii_case(&authority(&url))
        && url.path() == if path.is_empty() { "/" } else { path };
    is_normal.then_some(url).ok_or(UrlFault::NotNormal)
}

impl FromStr for PublicUrl {
    type Err = UrlFault;

    fn from_str(text: &str) -> Result<Self, UrlFault> {
        audience(text).map(Self)
    }
}

impl FromStr for ResourceUri {
    type Err = UrlFault;

    fn from_str(text: &str) -> Result<Self, UrlFault> {
        let url = audience(text)?;
        // As it was stated: the parser adds a slash to an identifier without a path.
        let has_path = text.matches('/').count() > 2;
        let normal = url.as_str();
        let stated = if has_path {
            normal
        } else {
            normal.trim_end_matches('/')
        };
        Ok(Self(stated.to_owned()))
    }
}

impl FromStr for IssuerUrl {
    type Err = UrlFault;

    fn from_str(text: &str) -> Result<Self, UrlFault> {
        Ok(Self {
            url: identifier(text)?,
            text: text.to_owned(),
        })
    }
}

macro_rules! prints_as_its_text {
    ($type:ty, |$this:ident| $text:expr) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $this = self;
                f.write_str($text)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

prints_as_its_text!(PublicUrl, |this| this.0.as_str().trim_end_matches('/'));
prints_as_its_text!(ResourceUri, |this| &this.0);
prints_as_its_text!(IssuerUrl, |this| &this.text);

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
