//! What is allowed, and worth a second look: said once, at start.

use super::Config;

impl Config {
    /// What an operator should know about a configuration that is valid.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for issuer in &self.issuers {
            if issuer.audience_may_be_absent {
                warnings.push(format!(
                    "tokens of {} are accepted without an audience (EPICME_AUDIENCE_OPTIONAL); any token of that issuer is good here",
                    issuer.url
                ));
            }
        }
        let plain = self.issuers.first().map(|issuer| &issuer.plain_http_hosts);
        if let Some(hosts) = plain.filter(|hosts| !hosts.names().is_empty()) {
            warnings.push(format!(
                "tokens and secrets go without TLS to {} (EPICME_PLAIN_HTTP_HOSTS); whoever can listen on the way can use them",
                hosts.names().join(", ")
            ));
        }
        if self.http.tls.is_some() && self.http.public_url.is_plain() {
            warnings.push(format!(
                "what listens speaks TLS, and EPICME_PUBLIC_URL ({}) says http: clients that believe it cannot connect",
                self.http.public_url
            ));
        }
        warnings
    }
}
