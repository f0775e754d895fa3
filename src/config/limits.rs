//! Rates, and the proxies behind which they are counted.

use std::num::NonZeroU32;

use super::{LimitConfig, options::Options, read::Reader, units};
use crate::domain::address_range::{AddressRange, NotARange};

/// The highest rate: whoever wants more than that wants no limit.
const MOST: u32 = 1_000_000;

impl Reader<'_> {
    /// How often what may be asked.
    pub(super) fn limits(&mut self, options: &Options) -> Option<LimitConfig> {
        let unknown_tokens = self.rate(
            "EPICME_UNKNOWN_TOKENS_PER_MINUTE",
            &options.unknown_tokens_per_minute,
        );
        let requests_per_user = self.rate(
            "EPICME_REQUESTS_PER_MINUTE_PER_USER",
            &options.requests_per_minute_per_user,
        );
        let requests_per_client = self.rate(
            "EPICME_REQUESTS_PER_MINUTE_PER_CLIENT",
            &options.requests_per_minute_per_client,
        );
        Some(LimitConfig {
            unknown_tokens: unknown_tokens?,
            requests_per_user: requests_per_user?,
            requests_per_client: requests_per_client?,
        })
    }

    /// The proxies that are believed.
    pub(super) fn trusted_proxies(&mut self, options: &Options) -> Option<Vec<AddressRange>> {
        let ranges: Result<_, NotARange> = units::list(&options.trusted_proxies)
            .iter()
            .map(|range| range.parse())
            .collect();
        self.read("EPICME_TRUSTED_PROXIES", ranges)
    }

    /// So many a minute; none at all is no limit.
    fn rate(&mut self, key: &'static str, text: &str) -> Option<Option<NonZeroU32>> {
        let rate = text.parse().ok().filter(|rate| *rate <= MOST);
        self.read(
            key,
            rate.map(NonZeroU32::new)
                .ok_or("must be a whole number from 0 (no limit) to 1000000"),
        )
    }
}

/// Shows a rate the way it is read.
pub(super) fn show(rate: Option<NonZeroU32>) -> String {
    rate.map_or(0, NonZeroU32::get).to_string()
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Options, Sources};

    fn faults(edit: impl FnOnce(&mut Options)) -> Vec<&'static str> {
        let mut options = Options {
            database_url: Some("postgres://localhost/epicme".to_owned()),
            issuer: Some("https://issuer.example".to_owned()),
            introspection_client_id: Some("epicme".to_owned()),
            introspection_client_secret: Some("hunter2".to_owned()),
            ..Options::default()
        };
        edit(&mut options);
        match Config::read(&options, &Sources::default()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.0.into_iter().map(|fault| fault.key).collect(),
        }
    }

    #[test]
    fn a_rate_is_a_whole_number_and_nothing_is_no_limit() {
        for good in ["0", "1", "1000000"] {
            let told = faults(|options| options.unknown_tokens_per_minute = good.to_owned());
            assert_eq!(told, [""; 0], "{good}");
        }
        for bad in ["", "-1", "1.5", "1000001", "99999999999", "60/m", "off"] {
            let told = faults(|options| {
                options.unknown_tokens_per_minute = bad.to_owned();
                options.requests_per_minute_per_user = bad.to_owned();
                options.requests_per_minute_per_client = bad.to_owned();
            });
            let keys = [
                "EPICME_UNKNOWN_TOKENS_PER_MINUTE",
                "EPICME_REQUESTS_PER_MINUTE_PER_USER",
                "EPICME_REQUESTS_PER_MINUTE_PER_CLIENT",
            ];
            assert_eq!(told, keys, "{bad}");
        }
    }

    #[test]
    fn proxies_are_addresses_and_ranges() {
        for (proxies, told) in [
            ("", &[][..]),
            ("10.0.0.7 10.1.0.0/16 fd00::/8", &[]),
            ("10.0.0.7 proxy.example", &["EPICME_TRUSTED_PROXIES"]),
            ("10.0.0.7/8", &["EPICME_TRUSTED_PROXIES"]),
        ] {
            assert_eq!(
                faults(|options| options.trusted_proxies = proxies.to_owned()),
                told,
                "{proxies}"
            );
        }
    }
}
