//! The source address of a request: the peer of the connection, or the address that trusted proxies name.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::address_range::AddressRange;

/// The source address for rate limits. An IPv6 source is a /64, because a single host usually has a whole
/// one (RFC 4291 §2.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// An IPv4 address, or an IPv4-mapped IPv6 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    V6([u16; 4]),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// The source of a request. If the peer is a trusted proxy, it is the rightmost address in `Forwarded`
/// (RFC 7239) or `X-Forwarded-For` that is not a trusted proxy itself; if that entry is not an address, it is
/// the peer.
///
/// A proxy that writes one of the fields often forwards the other unchanged from its client, so if both are
/// present and disagree, it is the peer too.
pub(crate) fn source<'a>(
    peer: IpAddr,
    trusted: &[AddressRange],
    forwarded: impl Iterator<Item = &'a [u8]>,
    x_forwarded_for: impl Iterator<Item = &'a [u8]>,
) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|range| range.contains(address));
    if !is_trusted(peer) {
        return peer;
    }
    let mut named = [Named::new(is_trusted), Named::new(is_trusted)];
    let [modern, customary] = &mut named;
    for line in forwarded {
        modern.is_there = true;
        if read_forwarded(line, |node| modern.add(node.and_then(node_address))).is_none() {
            modern.add(None);
        }
    }
    for line in x_forwarded_for {
        customary.is_there = true;
        for item in line.split(|byte| *byte == b',') {
            let item = item.trim_ascii();
            if !item.is_empty() {
                customary.add(listed_address(item));
            }
        }
    }
    let mut sources = named
        .into_iter()
        .filter(|named| named.is_there)
        .map(|named| named.source(peer));
    match (sources.next(), sources.next()) {
        (Some(one), None) => one,
        (Some(one), Some(other)) if Source::from(one) == Source::from(other) => one,
        _ => peer,
    }
}

/// The address that one field names. It is read from left to right and keeps the last address that is not a
/// trusted proxy, which is the first from the right.
struct Named<T> {
    is_trusted: T,
    is_there: bool,
    last: Last,
}

enum Last {
    Nothing,
    Address(IpAddr),
    Unknown,
}

impl<T: Fn(IpAddr) -> bool> Named<T> {
    fn new(is_trusted: T) -> Self {
        Self {
            is_trusted,
            is_there: false,
            last: Last::Nothing,
        }
    }

    fn source(self, peer: IpAddr) -> IpAddr {
        match self.last {
            Last::Address(address) => address,
            Last::Nothing | Last::Unknown => peer,
        }
    }

    fn add(&mut self, address: Option<IpAddr>) {
        match (address, &self.last) {
            (None, _) => self.last = Last::Unknown,
            // If all are trusted proxies, the leftmost one is the client.
            (Some(address), Last::Nothing) => self.last = Last::Address(address),
            (Some(address), _) if (self.is_trusted)(address) => {}
            (Some(address), _) => self.last = Last::Address(address),
        }
    }
}

/// Reads one `Forwarded` field line (RFC 7239 §4) and calls `visit` with the `for` of each element. `None` if
/// the line is malformed.
fn read_forwarded<'a>(line: &'a [u8], mut visit: impl FnMut(Option<&'a [u8]>)) -> Option<()> {
    let mut rest = line.trim_ascii();
    while !rest.is_empty() {
        let (mut node, mut is_empty) = (None, true);
        loop {
            rest = rest.trim_ascii_start();
            match rest.first() {
                None => break,
                Some(b',') => break,
                Some(b';') => rest = &rest[1..],
                Some(_) => {
                    let (name, value, after) = pair(rest)?;
                    is_empty = false;
                    // Each parameter occurs at most once in an element (RFC 7239 §4).
                    if name.eq_ignore_ascii_case(b"for") && node.replace(value).is_some() {
                        return None;
                    }
                    rest = after.trim_ascii_start();
                    if !matches!(rest.first(), None | Some(b',' | b';')) {
                        return None;
                    }
                }
            }
        }
        // Empty elements of a list are ignored (RFC 9110 §5.6.1.2).
        if !is_empty {
            visit(node);
        }
        rest = rest.strip_prefix(b",").unwrap_or(rest);
    }
    Some(())
}

/// A name, a value and the rest of the line. An escape within a quoted value is kept: no address
/// has one.
fn pair(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = token(text)?;
    let rest = rest.strip_prefix(b"=")?;
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        let (value, rest) = token(rest)?;
        return Some((name, value, rest));
    };
    let mut end = 0;
    loop {
        match quoted.get(end)? {
            b'"' => break,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    Some((name, &quoted[..end], &quoted[end + 1..]))
}

/// A token (RFC 9110 §5.6.2) and the rest.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)))
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// The address of a node (RFC 7239 §6): IPv6 in brackets, perhaps a port, which may be hidden. `unknown`
/// and hidden names are no addresses.
fn node_address(node: &[u8]) -> Option<IpAddr> {
    let node = str::from_utf8(node).ok()?;
    let (address, port) = match node.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (IpAddr::V6(address.parse().ok()?), port)
        }
        None => {
            let end = node.find(':').unwrap_or(node.len());
            let (address, port) = node.split_at(end);
            (IpAddr::V4(address.parse().ok()?), port)
        }
    };
    let is_hidden = |port: &str| {
        port.strip_prefix('_').is_some_and(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        })
    };
    let is_port = |port: &str| {
        (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
    };
    match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(port) => is_port(port) || is_hidden(port),
    }
    .then_some(address)
}

/// The address of an item of `X-Forwarded-For`, which has no grammar of its own: with or without a port.
fn listed_address(item: &[u8]) -> Option<IpAddr> {
    let item = str::from_utf8(item).ok()?;
    let bare = item.parse().ok();
    bare.or_else(|| item.parse().ok().map(|address: SocketAddr| address.ip()))
        .or_else(|| node_address(item.as_bytes()))
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
