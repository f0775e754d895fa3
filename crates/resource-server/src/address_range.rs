//! Ranges of IP addresses, as operators write them.

use std::{fmt, net::IpAddr, str::FromStr};

use derive_more::{Display, Error};
use ipnet::{IpNet, Ipv4Net};

/// An IP address, or all addresses with the same prefix (CIDR, RFC 4632 §3.1, RFC 4291 §2.3). A range of
/// IPv4-mapped IPv6 addresses is one of IPv4 addresses (RFC 4291 §2.5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange(IpNet);

/// The text is not an address range.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
#[display(
    "must be addresses such as 10.0.0.7 and ranges such as 10.0.0.0/8 or fd00::/8, with no bit set after the prefix"
)]
pub struct NotARange;

/// The number of bits before the IPv4 address in a mapped one.
const MAPPING: u8 = 96;

impl AddressRange {
    /// Whether an address is in the range. An IPv4-mapped IPv6 address counts as the IPv4 address: a listener
    /// for both families sees IPv4 peers that way.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for AddressRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotARange)?;
        let net = match prefix {
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                let prefix = prefix.parse().map_err(|_| NotARange)?;
                IpNet::new(address, prefix).map_err(|_| NotARange)?
            }
            Some(_) => return Err(NotARange),
            None => IpNet::from(address),
        };
        // An address with bits after its prefix is a typing error; ipnet would widen the range and trust more
        // than intended.
        if net.addr() != net.network() {
            return Err(NotARange);
        }
        canonical(net).map(Self).ok_or(NotARange)
    }
}

/// The IPv4 range of a range of mapped addresses; `None` if its prefix ends within the mapping.
fn canonical(net: IpNet) -> Option<IpNet> {
    let IpAddr::V4(address) = net.addr().to_canonical() else {
        return Some(net);
    };
    let prefix = match net {
        IpNet::V4(net) => net.prefix_len(),
        IpNet::V6(net) => net.prefix_len().checked_sub(MAPPING)?,
    };
    Ipv4Net::new(address, prefix).ok().map(IpNet::V4)
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            return self.0.addr().fmt(f);
        }
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// A mask of that many leading bits, in an address of that width.
    fn leading(width: u32, prefix: u32) -> u128 {
        let all = u128::MAX >> (u128::BITS - width);
        all & !all.checked_shr(prefix).unwrap_or(0)
    }

    fn range(text: &str) -> AddressRange {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_has_what_begins_with_its_bits_and_nothing_else() {
        for (text, within, without) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1", "::1", "127.0.0.1"),
        ] {
            assert!(range(text).contains(within.parse().unwrap()), "{text}");
            assert!(!range(text).contains(without.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.0/99999999999",
            "10.0.0.1/8",
            "10.0.0",
            "fd00::/129",
            "fd00::1/8",
            "::ffff:10.0.0.0/80",
            "proxy.example",
            "127.0.0.1:80",
        ] {
            assert_eq!(text.parse::<AddressRange>(), Err(NotARange), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_range_reads_back_what_it_shows_and_has_its_neighbours_only(
            bits in any::<u128>(), prefix in 0u32..=128, is_v4: bool, flipped in 0u32..128,
        ) {
            let width = if is_v4 { 32 } else { 128 };
            let address = |bits: u128| if is_v4 {
                IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
            } else {
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            };
            let (prefix, flipped) = (prefix.min(width), flipped % width);
            let first = bits & leading(width, prefix);
            prop_assume!(address(first) == address(first).to_canonical());
            let written = format!("{}/{prefix}", address(first));
            let range = range(&written);
            prop_assert_eq!(range.to_string().parse(), Ok(range));
            // Counted from the left, as a prefix is.
            let neighbour = address(first ^ (1 << (width - 1 - flipped)));
            prop_assume!(neighbour == neighbour.to_canonical());
            prop_assert_eq!(range.contains(neighbour), flipped >= prefix);
        }

        #[test]
        fn every_range_that_parses_reads_back(text in "[0-9a-f:./]{0,40}") {
            if let Ok(range) = text.parse::<AddressRange>() {
                prop_assert_eq!(range.to_string().parse(), Ok(range));
            }
        }
    }
}
