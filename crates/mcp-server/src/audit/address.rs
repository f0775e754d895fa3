//! The address of a request in the audit log.

use std::net::{IpAddr, Ipv6Addr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use derive_more::{Display, FromStr};
use hmac::{Hmac, KeyInit, Mac};
use mcp_protocol::random;
use sha2::Sha256;

/// How much of the address of a request is written to the audit log.
#[derive(Clone, Copy, Debug, Default, Display, FromStr, PartialEq, Eq)]
pub enum AddressDetail {
    /// All of it.
    #[display("full")]
    Full,
    /// The network: 24 bits of an IPv4 address, 48 of an IPv6 address. It says where an attack comes from, and
    /// hardly who somebody is.
    #[default]
    #[display("truncated")]
    Truncated,
    /// A keyed hash: lines of one address are found together, and without the key nobody learns which it is.
    #[display("hashed")]
    Hashed,
}

/// Writes addresses.
pub(super) struct AddressWriter {
    detail: AddressDetail,
    /// Without a key of the operator's, one of this process.
    key: Hmac<Sha256>,
}

impl AddressWriter {
    /// # Panics
    /// If the operating system provides no random bytes.
    pub(super) fn new(detail: AddressDetail, key: Option<&[u8]>) -> Self {
        let random: [u8; 32] = random::bytes();
        let key = Hmac::new_from_slice(key.unwrap_or(&random)).expect("a key of any length");
        Self {
            detail,
            key: key.chain_update("audit address"),
        }
    }

    /// An IPv4 address that is mapped to IPv6 is an IPv4 address.
    pub(super) fn written(&self, address: IpAddr) -> String {
        let address = address.to_canonical();
        match (self.detail, address) {
            (AddressDetail::Full, address) => address.to_string(),
            (AddressDetail::Truncated, IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                let mut network = String::with_capacity("255.255.255.0/24".len());
                for octet in [a, b, c] {
                    network.push_str(itoa::Buffer::new().format(octet));
                    network.push('.');
                }
                network.push_str("0/24");
                network
            }
            (AddressDetail::Truncated, IpAddr::V6(address)) => {
                let [a, b, c, ..] = address.segments();
                format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
            }
            (AddressDetail::Hashed, address) => {
                let hash = self
                    .key
                    .clone()
                    .chain_update(address.to_string())
                    .finalize();
                URL_SAFE_NO_PAD.encode(&hash.into_bytes()[..12])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(detail: AddressDetail, key: &[u8], address: &str) -> String {
        AddressWriter::new(detail, Some(key)).written(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_written_as_far_as_the_operator_wants() {
        for (address, full, truncated) in [
            ("192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1:2::3", "2001:db8:1::/48"),
            ("::1", "::1", "::/48"),
        ] {
            assert_eq!(written(AddressDetail::Full, b"k", address), full);
            assert_eq!(written(AddressDetail::Truncated, b"k", address), truncated);
        }
    }

    #[test]
    fn a_hashed_address_is_the_same_for_one_key_and_says_nothing_without_it() {
        let hashed = |key, address| written(AddressDetail::Hashed, key, address);
        let one = hashed(b"k", "192.0.2.77");
        assert_eq!(one, hashed(b"k", "::ffff:192.0.2.77"));
        assert_ne!(one, hashed(b"k", "192.0.2.78"));
        assert_ne!(one, hashed(b"other", "192.0.2.77"));
        assert_eq!(one.len(), 16);
        let random = AddressWriter::new(AddressDetail::Hashed, None);
        let address = "192.0.2.77".parse().unwrap();
        assert_eq!(random.written(address), random.written(address));
        assert_ne!(random.written(address), one);
    }
}
