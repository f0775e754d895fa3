//! Where requests go: an address, how to get there, and what is refused.

use std::{net::SocketAddr, sync::Arc};

use hyper::{Uri, header::HeaderValue};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::error::LoadError;

/// A server that may be talked to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) addresses: Vec<SocketAddr>,
    /// What is asked for there.
    pub(crate) path: Uri,
    pub(crate) host: HeaderValue,
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Target {
    /// Looks a URL's host up. `host` is what to say in `Host`, if not the URL's own.
    ///
    /// # Errors
    /// For a URL to which nothing secret may be sent, or a name that nobody knows.
    pub(crate) async fn find(
        url: &Url,
        host: Option<&str>,
        insecure_http: bool,
    ) -> Result<Self, LoadError> {
        check(url, insecure_http).map_err(LoadError::Usage)?;
        let own = authority(url);
        let host = HeaderValue::from_str(host.unwrap_or(&own))
            .map_err(|_| LoadError::Usage("--host-header is no host".to_owned()))?;
        let path = url[url::Position::BeforePath..url::Position::AfterQuery]
            .parse()
            .map_err(|error| LoadError::Usage(format!("{url}: {error}")))?;
        let tls = (url.scheme() == "https").then(|| tls(url)).transpose()?;
        let port = url.port_or_known_default().unwrap_or_default();
        let unreachable = |why: String| LoadError::Unreachable {
            what: own.clone(),
            why,
        };
        let name = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(LoadError::Usage(format!("{url} has no host"))),
        };
        let found = tokio::net::lookup_host((name, port)).await;
        let addresses: Vec<_> = found
            .map_err(|error| unreachable(error.to_string()))?
            .collect();
        if addresses.is_empty() {
            return Err(unreachable("the name has no address".to_owned()));
        }
        Ok(Self {
            name: own,
            addresses,
            path,
            host,
            tls,
        })
    }
}

/// The host and port of a URL, as they stand in `Host`.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Tokens go over https, or within this machine.
fn check(url: &Url, insecure_http: bool) -> Result<(), String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with credentials in it is not asked".to_owned());
    }
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(format!("{url} has no host")),
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here || insecure_http => Ok(()),
        "http" => Err(format!(
            "{url}: tokens would go over the network in clear; --insecure-http does it all the same"
        )),
        _ => Err(format!("{url} is neither https nor http")),
    }
}

fn tls(url: &Url) -> Result<(TlsConnector, ServerName<'static>), LoadError> {
    let mut roots = RootCertStore::empty();
    // One that cannot be read is no reason to trust none.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| LoadError::Usage(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = url.host_str().unwrap_or_default();
    let name = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = ServerName::try_from(name)
        .map_err(|_| LoadError::Usage(format!("{host} is no server's name")))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_asked(url: &str, insecure_http: bool) -> bool {
        check(&Url::parse(url).unwrap(), insecure_http).is_ok()
    }

    #[test]
    fn a_token_leaves_the_machine_encrypted_or_by_order() {
        for url in [
            "https://a.example/mcp",
            "http://127.0.0.1:1/mcp",
            "http://[::1]:1/mcp",
            "http://localhost/mcp",
        ] {
            assert!(is_asked(url, false), "{url}");
        }
        for url in [
            "http://a.example/mcp",
            "http://epicme:8787/mcp",
            "http://10.0.0.1/",
            "http://localhost.a.example/",
        ] {
            assert!(!is_asked(url, false), "{url}");
            assert!(is_asked(url, true), "{url}");
        }
        for url in ["ftp://127.0.0.1/", "https://u:p@a.example/", "file:///mcp"] {
            assert!(!is_asked(url, true), "{url}");
        }
    }

    #[test]
    fn a_host_is_said_with_its_port_unless_it_is_the_schemes() {
        for (url, host) in [
            ("http://127.0.0.1:8787/mcp", "127.0.0.1:8787"),
            ("https://a.example/mcp", "a.example"),
            ("http://[::1]:1/", "[::1]:1"),
        ] {
            assert_eq!(authority(&Url::parse(url).unwrap()), host);
        }
    }
}
