//! Allowed hosts and origins.

use actix_web::{
    dev::RequestHead,
    http::header::{HOST, HeaderMap, ORIGIN},
};
use resource_server::url::PublicUrl;
use url::Url;

/// The hosts of this server, and the origins that may use it from a browser.
#[derive(Clone, Debug)]
pub(crate) struct HostPolicy {
    hosts: Vec<String>,
    origins: Vec<String>,
    loopback_origins: bool,
}

impl HostPolicy {
    /// The host and the origin of the public URL, and further ones. `loopback_origins` allows pages of this
    /// machine.
    #[must_use]
    pub(crate) fn new(
        public_url: &PublicUrl,
        hosts: impl IntoIterator<Item = String>,
        origins: impl IntoIterator<Item = String>,
        loopback_origins: bool,
    ) -> Self {
        Self {
            hosts: [public_url.authority()]
                .into_iter()
                .chain(hosts)
                .map(|host| host.to_ascii_lowercase())
                .collect(),
            origins: [public_url.origin()]
                .into_iter()
                .chain(origins)
                .map(|origin| origin.to_ascii_lowercase())
                .collect(),
            loopback_origins,
        }
    }

    /// Whether a request is for this server. Protects from DNS rebinding (MCP, Transports, Security Warning).
    ///
    /// If the request line names a host, that one counts, and `Host` does not (RFC 9112 §3.2.2). A host with user
    /// information or in another scheme is none of this server's.
    pub(crate) fn admits_host(&self, head: &RequestHead) -> bool {
        let mut hosts = head.headers().get_all(HOST);
        let (field, another) = (hosts.next(), hosts.next());
        if another.is_some() {
            return false;
        }
        // As most clients write it: compared before it is taken apart.
        if let (None, Some(host)) = (head.uri.authority(), field)
            && self.hosts.iter().any(|known| known.as_bytes() == host)
        {
            return true;
        }
        let is_http = head
            .uri
            .scheme_str()
            .is_none_or(|scheme| matches!(scheme, "http" | "https"));
        let host = match head.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => field.and_then(|host| host.to_str().ok()).map(str::trim),
        };
        is_http && host.is_some_and(|host| self.is_ours(host))
    }

    fn is_ours(&self, host: &str) -> bool {
        self.hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(host))
    }

    /// Whether a request may use the endpoint: it has no `Origin`, or an allowed one (MCP, Transports,
    /// Security Warning).
    pub(crate) fn admits_origin(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN);
        match (origins.next(), origins.next()) {
            (None, _) => true,
            (Some(origin), None) => origin.to_str().is_ok_and(|origin| self.knows(origin)),
            (Some(_), Some(_)) => false,
        }
    }

    /// Whether the origin is allowed.
    pub(crate) fn knows(&self, origin: &str) -> bool {
        self.origins
            .iter()
            .any(|known| known.eq_ignore_ascii_case(origin))
            || (self.loopback_origins && is_loopback_origin(origin))
    }
}

fn is_loopback_origin(origin: &str) -> bool {
    Url::parse(origin).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && match url.host() {
                Some(url::Host::Domain(name)) => name == "localhost",
                Some(url::Host::Ipv4(address)) => address.is_loopback(),
                Some(url::Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            }
    })
}
