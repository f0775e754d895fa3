//! The addresses that endpoints of an authorization server may have. Whoever can write its metadata could
//! otherwise have this server send requests into the network that it stands in.

use std::{
    collections::HashSet,
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use actix_tls::connect::{Connector, ConnectorService, Resolve, Resolver};
use derive_more::Display;
use futures_util::future::LocalBoxFuture;
use tokio::net::lookup_host;
use url::{Host, Url};

use super::settings::IssuerSettings;
use crate::{address_range::AddressRange, printable::printable};

/// Where the endpoints of one authorization server may be: anywhere on the internet, and at private and loopback
/// addresses where a setting names the host, or where the issuer itself is configured at such an address. Other
/// special addresses, such as link-local ones, have to be configured themselves.
#[derive(Clone, Debug)]
pub(crate) struct Destinations(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    /// The hosts that settings name, as they are written in URLs.
    named_hosts: HashSet<String>,
    /// Whether the issuer itself is configured at a private or loopback address.
    is_private: bool,
    /// Addresses that are allowed whatever they are.
    allowed: Vec<AddressRange>,
}

/// An address of a host at which no endpoint may be.
#[derive(Clone, Debug, Display, PartialEq, Eq)]
#[display(
    "{host} is at {address}, an address that is not on the internet; allow it as a private address of issuers, \
     or configure the URL"
)]
pub(crate) struct NotAllowed {
    host: String,
    address: IpAddr,
}

impl Error for NotAllowed {}

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Anywhere on the internet.
    Public,
    /// Within an organisation, or this machine.
    Private,
    /// A link, a group, nothing, or something special (RFC 6890).
    Special,
}

impl Destinations {
    pub(crate) fn of(settings: &IssuerSettings) -> Self {
        let mut named_hosts: HashSet<String> =
            settings.plain_http_hosts.names().iter().cloned().collect();
        let url = Url::parse(settings.url.as_str()).ok();
        let urls = [
            &url,
            &settings.metadata_url,
            &settings.introspection_url,
            &settings.keys_url,
        ];
        for url in urls.into_iter().flatten() {
            named_hosts.extend(url.host_str().map(str::to_owned));
        }
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let is_private = host == "localhost"
            || literal(host).is_some_and(|address| reach(address) == Reach::Private);
        Self(Arc::new(Settings {
            named_hosts,
            is_private,
            allowed: settings.private_addresses.clone(),
        }))
    }

    /// Checks the host of a URL if it is an address. Names are checked when they are resolved.
    ///
    /// # Errors
    /// The address is not allowed.
    pub(crate) fn check(&self, url: &Url) -> Result<(), NotAllowed> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.admit(url.host_str().unwrap_or_default(), address)
    }

    /// What connects, to allowed addresses alone. The address that is checked is the one that is connected to.
    pub(crate) fn connector(&self) -> ConnectorService {
        Connector::new(Resolver::custom(self.clone())).service()
    }

    fn admit(&self, host: &str, address: IpAddr) -> Result<(), NotAllowed> {
        let is_named = self.0.named_hosts.contains(host);
        let is_allowed = match reach(address) {
            Reach::Public => true,
            Reach::Private => is_named || self.0.is_private,
            Reach::Special => is_named && literal(host) == Some(address),
        };
        if is_allowed || self.0.allowed.iter().any(|range| range.contains(address)) {
            return Ok(());
        }
        Err(NotAllowed {
            host: printable(host).into_owned(),
            address,
        })
    }
}

impl Resolve for Destinations {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> LocalBoxFuture<'a, Result<Vec<SocketAddr>, Box<dyn Error>>> {
        Box::pin(async move {
            let name = host.trim_start_matches('[').trim_end_matches(']');
            let mut refused = None;
            let mut addresses = Vec::new();
            for address in lookup_host((name, port)).await? {
                match self.admit(host, address.ip()) {
                    Ok(()) => addresses.push(address),
                    Err(error) => refused = Some(error),
                }
            }
            match refused {
                Some(error) if addresses.is_empty() => Err(error.into()),
                _ => Ok(addresses),
            }
        })
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok()
}

/// RFC 6890 and the registries of IANA that it began.
fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (10 | 127, ..) | (172, 16..=31, _) | (192, 168, _) => Reach::Private,
        // Between a provider and its customers (RFC 6598); some clouds use it as private.
        (100, 64..=127, _) => Reach::Private,
        (0 | 224..=255, ..) | (169, 254, _) | (192, 0, 0 | 2) | (192, 88, 99) => Reach::Special,
        (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => Reach::Special,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let embedded = |at: usize| {
        let octets = address.octets();
        reach_v4(Ipv4Addr::new(
            octets[at],
            octets[at + 1],
            octets[at + 2],
            octets[at + 3],
        ))
    };
    match address.segments() {
        _ if address.is_loopback() => Reach::Private,
        // IPv4-compatible, NAT64 (RFC 6052) and 6to4 (RFC 3056) addresses lead to the IPv4 address in them.
        [0, 0, 0, 0, 0, 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => embedded(12),
        [0x2002, ..] => embedded(2),
        [0xfc00..=0xfdff, ..] => Reach::Private,
        // Local NAT64 (RFC 8215), Teredo and other protocols (RFC 2928), documentation, and what is not global
        // unicast: link-local, site-local, multicast.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Special,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Special,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn destinations(issuer: &str, allowed: &[&str]) -> Destinations {
        let mut settings = IssuerSettings::new(issuer.parse().unwrap());
        let ranges = allowed.iter().map(|range| range.parse().unwrap());
        settings.private_addresses = ranges.collect();
        Destinations::of(&settings)
    }

    fn admits(destinations: &Destinations, host: &str, address: &str) -> bool {
        destinations.admit(host, address.parse().unwrap()).is_ok()
    }

    #[test]
    fn a_host_that_no_setting_names_is_on_the_internet() {
        let destinations = destinations("https://login.example", &[]);
        for address in [
            "1.1.1.1",
            "192.0.1.1",
            "172.32.0.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
        ] {
            assert!(admits(&destinations, "other.example", address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(
                !admits(&destinations, "other.example", address),
                "{address}"
            );
        }
    }

    #[test]
    fn a_host_that_a_setting_names_may_be_private() {
        let destinations = destinations("https://auth.internal", &[]);
        assert!(admits(&destinations, "auth.internal", "10.0.0.5"));
        assert!(admits(&destinations, "auth.internal", "::1"));
        assert!(!admits(&destinations, "other.internal", "10.0.0.5"));
        for address in ["169.254.169.254", "fe80::1", "0.0.0.0"] {
            assert!(
                !admits(&destinations, "auth.internal", address),
                "{address}"
            );
        }
        for issuer in [
            "http://127.0.0.1:7788",
            "http://localhost",
            "https://[fd00::1]",
        ] {
            let private = self::destinations(issuer, &[]);
            assert!(admits(&private, "other.internal", "10.0.0.5"), "{issuer}");
            assert!(
                !admits(&private, "other.internal", "169.254.169.254"),
                "{issuer}"
            );
        }
        let literal = self::destinations("https://169.254.1.1", &[]);
        assert!(admits(&literal, "169.254.1.1", "169.254.1.1"));
        assert!(!admits(&literal, "169.254.1.1", "169.254.169.254"));
    }

    #[test]
    fn what_is_allowed_by_its_address_may_have_any_name() {
        let destinations = destinations("https://login.example", &["10.1.0.0/16", "fe80::/10"]);
        assert!(admits(&destinations, "any.example", "10.1.2.3"));
        assert!(admits(&destinations, "any.example", "::ffff:10.1.2.3"));
        assert!(admits(&destinations, "any.example", "fe80::1"));
        assert!(!admits(&destinations, "any.example", "10.2.0.1"));
    }

    #[test]
    fn an_address_in_a_url_is_checked_however_it_is_written() {
        let destinations = destinations("https://login.example", &[]);
        for url in [
            "https://127.0.0.1/",
            "https://0177.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:7f00:1]/",
            "https://10.0.0.1:8443/keys",
        ] {
            let url = Url::parse(url).unwrap();
            assert!(destinations.check(&url).is_err(), "{url}");
        }
        for url in [
            "https://1.1.1.1/",
            "https://localhost/",
            "https://a.example/",
        ] {
            assert!(
                destinations.check(&Url::parse(url).unwrap()).is_ok(),
                "{url}"
            );
        }
    }

    #[actix_rt::test]
    async fn a_name_is_checked_by_the_address_that_it_has_when_it_is_connected_to() {
        let destinations = destinations("https://login.example", &[]);
        let refused = destinations.lookup("localhost", 443).await.unwrap_err();
        assert!(
            refused.to_string().contains("localhost is at "),
            "{refused}"
        );
        assert!(destinations.lookup("[::1]", 443).await.is_err());
        let named = self::destinations("https://localhost", &[]);
        assert!(!named.lookup("localhost", 443).await.unwrap().is_empty());
        let allowed = self::destinations("https://login.example", &["127.0.0.0/8", "::1"]);
        assert!(!allowed.lookup("localhost", 443).await.unwrap().is_empty());
    }

    proptest! {
        /// An IPv4 address means the same however it is embedded.
        #[test]
        fn an_embedded_address_reaches_no_further(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let expected = reach(IpAddr::V4(v4));
            for v6 in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                prop_assert_eq!(reach(IpAddr::V6(v6)), expected, "{}", v6);
            }
        }
    }
}
