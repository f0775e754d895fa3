use proptest::prelude::*;

use super::*;

/// Proxies that the tests trust.
const PROXIES: [&str; 3] = ["10.0.0.0/8", "fd00::/8", "127.0.0.1"];

fn of(peer: &str, forwarded: &[&str], x_forwarded_for: &[&str]) -> Source {
    let trusted = PROXIES.map(|range| range.parse().unwrap());
    source(
        peer.parse().unwrap(),
        &trusted,
        forwarded.iter().map(|line| line.as_bytes()),
        x_forwarded_for.iter().map(|line| line.as_bytes()),
    )
    .into()
}

fn at(address: &str) -> Source {
    address.parse::<IpAddr>().unwrap().into()
}

#[test]
fn a_source_is_an_ipv4_address_or_an_ipv6_64() {
    assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    assert_eq!(at("2001:db8:0:1::1"), at("2001:db8:0:1:ffff::2"));
    assert_ne!(at("2001:db8:0:1::1"), at("2001:db8:0:2::1"));
}

#[test]
fn fields_of_an_untrusted_peer_are_ignored() {
    for peer in ["192.0.2.9", "2001:db8::9", "::1"] {
        let line = "203.0.113.7";
        assert_eq!(of(peer, &["for=203.0.113.7"], &[line]), at(peer));
        assert_eq!(of(peer, &[], &[line]), at(peer));
    }
}

#[test]
fn the_rightmost_untrusted_address_is_the_source() {
    let client = "203.0.113.7";
    for lines in [
        &["203.0.113.7"][..],
        &["198.51.100.1, 203.0.113.7"],
        &["198.51.100.1", "203.0.113.7, 10.1.1.1"],
        &["203.0.113.7,10.1.1.1 , 10.2.2.2:80,, fd00::1"],
        &["invalid_response, 203.0.113.7:4711"],
        &["203.0.113.7, [fd00::1]:80,[fd00::2]"],
        &["10.9.9.9, 203.0.113.7", "::ffff:10.1.1.1"],
    ] {
        assert_eq!(of("10.0.0.1", &[], lines), at(client), "{lines:?}");
        assert_eq!(of("::ffff:10.0.0.1", &[], lines), at(client), "{lines:?}");
    }
    for lines in [
        &["for=203.0.113.7"][..],
        &["FOR=203.0.113.7;proto=https;by=10.0.0.1"],
        &["for=198.51.100.1, for=203.0.113.7"],
        &[
            "for=198.51.100.1",
            "proto=http; for=203.0.113.7 , for=10.1.1.1",
        ],
        &[r#"for="203.0.113.7:4711", for="[fd00::1]:80", , for="[fd00::2]:_hidden""#],
        &[r#"for=unknown, host="a\"b,c";for="203.0.113.7""#],
    ] {
        assert_eq!(of("10.0.0.1", lines, &[]), at(client), "{lines:?}");
    }
}

#[test]
fn what_is_no_address_where_it_counts_is_the_peers() {
    for line in [
        "",
        ",",
        "unknown",
        "203.0.113.7, unknown",
        "203.0.113.7, 10.1.1.1.1",
        "203.0.113.7, _hidden, 10.1.1.1",
        "203.0.113.7 198.51.100.1",
        "203.0.113.7:port",
        "[2001:db8::1",
    ] {
        assert_eq!(of("10.0.0.1", &[], &[line]), at("10.0.0.1"), "{line}");
    }
    for line in [
        "",
        "for=unknown",
        "for=_hidden",
        "for",
        "for=",
        "for=203.0.113.7, proto=https",
        "for=203.0.113.7, for=_hidden, for=10.1.1.1",
        "for=203.0.113.7;for=203.0.113.7",
        "for=2001:db8::1",
        "for=[2001:db8::1]",
        r#"for="2001:db8::1""#,
        r#"for="203.0.113.7"#,
        r#"for="203.0.113.7\"#,
        r#"for="203.0.113.7"x"#,
        r#"for="203.0.113.7:123456""#,
        r#"for="203.0.113.7:_""#,
        r#"for="[2001:db8::1]80""#,
        // A quote that the client leaves open swallows what the proxy adds, and the line is malformed.
        r#"for=198.51.100.1;host="x, for=203.0.113.7;by="10.0.0.1""#,
    ] {
        assert_eq!(of("10.0.0.1", &[line], &[]), at("10.0.0.1"), "{line}");
    }
}

#[test]
fn fields_that_disagree_are_both_ignored() {
    let (one, other) = ("203.0.113.7", "198.51.100.1");
    let forwarded = format!("for={one}");
    assert_eq!(of("10.0.0.1", &[&forwarded], &[one]), at(one));
    assert_eq!(of("10.0.0.1", &[&forwarded], &[other]), at("10.0.0.1"));
    assert_eq!(
        of("10.0.0.1", &["invalid_response"], &[other]),
        at("10.0.0.1")
    );
}

#[test]
fn a_trusted_proxy_that_asks_for_itself_is_a_client() {
    assert_eq!(of("10.0.0.1", &[], &["10.3.3.3, 10.1.1.1"]), at("10.3.3.3"));
}

proptest! {
    /// Whatever the client sends along, what the proxy adds decides.
    #[test]
    fn nothing_to_the_left_of_a_stranger_counts(
        left in "[ -~]{0,40}", client: std::net::Ipv4Addr, hops in 0usize..3,
    ) {
        prop_assume!(!PROXIES.iter().any(|range| {
            range.parse::<AddressRange>().unwrap().contains(client.into())
        }));
        let added = format!("{client}{}", ", 10.1.1.1".repeat(hops));
        let one_line = format!("{left}, {added}");
        let expected = Source::V4(client);
        prop_assert_eq!(of("10.0.0.1", &[], &[&one_line]), expected);
        prop_assert_eq!(of("10.0.0.1", &[], &[&left, &added]), expected);
        let added = format!("for={client};proto=https{}", ", for=10.1.1.1".repeat(hops));
        prop_assert_eq!(of("10.0.0.1", &[&left, &added], &[]), expected);
        // In one line a quote that is left open makes the whole of it malformed; no other is named.
        let one_line = format!("{left}, {added}");
        let found = of("10.0.0.1", &[&one_line], &[]);
        prop_assert!(found == expected || found == at("10.0.0.1"), "{:?}", found);
    }

    #[test]
    fn no_line_is_too_much(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4)) {
        let trusted = PROXIES.map(|range| range.parse().unwrap());
        let lines = || lines.iter().map(Vec::as_slice);
        let peer = "10.0.0.1".parse().unwrap();
        source(peer, &trusted, lines(), std::iter::empty());
        source(peer, &trusted, std::iter::empty(), lines());
        source(peer, &trusted, lines(), lines());
    }

    #[test]
    fn an_address_is_read_in_every_way_it_is_written(address: IpAddr, port: u16) {
        let in_brackets = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        prop_assert_eq!(node_address(in_brackets.as_bytes()), Some(address));
        let with_port = format!("{in_brackets}:{port}");
        prop_assert_eq!(node_address(with_port.as_bytes()), Some(address));
        for item in [address.to_string(), in_brackets, with_port] {
            prop_assert_eq!(listed_address(item.as_bytes()), Some(address));
        }
    }
}
