//! Which addresses this server may call for a stranger (against server-side request forgery).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a client's document may be fetched from this address.
pub(crate) fn may_call(ip: IpAddr, loopback_too: bool) -> bool {
    match ip.to_canonical() {
        ip if ip.is_loopback() => loopback_too,
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// Not any of the special blocks of RFC 6890.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = a == 0
        || a >= 224
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_documentation()
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b));
    !special
}

/// Inside 2000::/3, and none of the blocks there that lead elsewhere or nowhere: 2001::/23 (Teredo and
/// others), 2001:db8::/32 and 3fff::/20 (documentation), 2002::/16 (6to4).
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let special =
        (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || a == 0x2002 || (a == 0x3fff && b < 0x1000);
    a & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_called() {
        for public in ["93.184.216.34", "1.1.1.1", "2606:4700::1111"] {
            assert!(may_call(public.parse().unwrap(), false), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "192.0.0.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2001:db8::1",
            "2002:a00:1::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!may_call(special.parse().unwrap(), false), "{special}");
        }
    }

    #[test]
    fn loopback_is_called_only_from_loopback() {
        for loopback in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(may_call(loopback.parse().unwrap(), true), "{loopback}");
        }
        assert!(!may_call("10.0.0.1".parse().unwrap(), true));
    }
}
