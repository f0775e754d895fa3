//! Warnings about valid but risky configurations, logged at start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{keys::HTTP, relaxations, sections::Config};
use crate::storage::{DatabaseAddress, Encryption};

/// The port of the default public URL.
const DEFAULT_PORT: u16 = 8787;

impl Config {
    /// What an operator should know about a configuration that is valid.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for issuer in &self.issuers {
            warnings.extend(relaxations::warnings(issuer));
        }
        warnings.extend(relaxations::different_prefixes(&self.issuers));
        let plain = self.issuers.first().map(|issuer| &issuer.plain_http_hosts);
        if let Some(hosts) = plain.filter(|hosts| !hosts.names().is_empty()) {
            warnings.push(format!(
                "tokens and secrets are sent without TLS to {} (EPICME_PLAIN_HTTP_HOSTS); anyone who can read that traffic can use them",
                hosts.names().join(", ")
            ));
        }
        let database = DatabaseAddress::of(&self.database.url);
        if !database.is_local() && database.encryption() == Encryption::Optional {
            warnings.push(format!(
                "connections to {database} may be without TLS (EPICME_PLAIN_DATABASE_HOSTS); anyone who can read that traffic can read every entry"
            ));
        }
        if self.http.tls.is_some() && self.http.public_url.is_plain() {
            warnings.push(format!(
                "the listener uses TLS, but EPICME_PUBLIC_URL ({}) begins with http: clients that use that URL cannot connect",
                self.http.public_url
            ));
        }
        let default = HTTP.public_url.default;
        let is_default = default == Some(self.http.public_url.to_string().as_str());
        if is_default && ![0, DEFAULT_PORT].contains(&self.http.bind.port()) {
            warnings.push(format!(
                "clients are told {} (EPICME_PUBLIC_URL), and the server listens on {} (EPICME_BIND); if nothing in between leads from one to the other, set EPICME_PUBLIC_URL to the URL under which clients reach the server",
                self.http.public_url, self.http.bind
            ));
        }
        let of_all = |address: IpAddr| {
            let mut ranges = self.http.trusted_proxies.iter();
            ranges.any(|range| range.contains(address))
        };
        if of_all(Ipv4Addr::UNSPECIFIED.into()) || of_all(Ipv6Addr::UNSPECIFIED.into()) {
            warnings.push(
                "EPICME_TRUSTED_PROXIES has every address: any client can name any address as its own, which turns off the limits by address"
                    .to_owned(),
            );
        }
        match (self.http.admin, &self.http.revocation_secret) {
            // `epicme dev` is not for the public.
            (None, Some(_)) if !self.http.loopback_origins => warnings.push(
                "the paths of operators (/admin/…, /oauth/revoked) are served to the public on EPICME_BIND, and only EPICME_REVOCATION_SECRET protects them; set EPICME_ADMIN_BIND to serve them on a listener of their own"
                    .to_owned(),
            ),
            (Some(_), None) => warnings.push(
                "EPICME_ADMIN_BIND is ignored, because EPICME_REVOCATION_SECRET is not set".to_owned(),
            ),
            (Some(address), Some(_)) if !address.ip().is_loopback() => warnings.push(format!(
                "the listener of operators (EPICME_ADMIN_BIND, {address}) is not on loopback and has no TLS: anyone who can read that traffic learns EPICME_REVOCATION_SECRET"
            )),
            _ => {}
        }
        if cfg!(not(feature = "otlp")) && self.http.collector.is_some() {
            warnings.push(
                "EPICME_OTLP_ENDPOINT is ignored: this program was built without the feature `otlp`"
                    .to_owned(),
            );
        }
        warnings
    }
}
