//! The database's URL as libpq reads it: where it leads, without its password.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

const NOT_A_URL: &str = "must be a libpq URL, such as postgresql://epicme@db.internal/epicme";
const ENCODE: &str = "must have its user name and password percent-encoded: write %40 for @, %2F for /, %3A for :, %25 for %";
const PORT: &str = "must have ports from 1 to 65535";
const TLS: &str = "must not require TLS (sslmode): this program is built without it; use a private network or a Unix socket, \
    or a TLS proxy on this machine";

/// Where a libpq URL leads. Its text has no password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseAddress {
    user: Option<String>,
    /// Hosts with their ports, as they are written.
    hosts: Vec<String>,
    database: Option<String>,
}

impl DatabaseAddress {
    /// Reads either form that libpq has: a URL, and `name=value` pairs.
    ///
    /// # Errors
    /// The rule that the text breaks, without any part of the text: libpq would quote the password, or take a part
    /// of it for the host.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("must not be empty");
        }
        let rest = ["postgresql://", "postgres://"]
            .into_iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        match rest {
            Some(rest) => Self::of_url(rest),
            // Another scheme may have an equals sign in its query.
            None if text
                .split('=')
                .next()
                .is_some_and(|name| name.contains("://")) =>
            {
                Err(NOT_A_URL)
            }
            None => Self::of_pairs(text),
        }
    }

    /// That of a database's URL; one of which nothing is known if it cannot be read.
    #[must_use]
    pub fn of(url: &SecretString) -> Self {
        Self::read(url.expose_secret()).unwrap_or_default()
    }

    /// Whether every connection stays on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.hosts.iter().all(|host| {
            let is_socket = host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f");
            is_socket
                || host.starts_with("127.")
                || host.starts_with("[::1]")
                || host == "localhost"
                || host.starts_with("localhost:")
        })
    }

    /// How many hosts are tried, one after the other.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.hosts.len().max(1)
    }

    /// The port, if there is one host and it has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match &self.hosts[..] {
            [host] => host.rsplit_once(':')?.1.parse().ok(),
            _ => None,
        }
    }

    fn of_url(rest: &str) -> Result<Self, &'static str> {
        // As libpq does: what comes before the first `@` are credentials, unless a slash comes first.
        let (credentials, rest) = match rest.find(['@', '/']) {
            Some(at) if rest[at..].starts_with('@') => (&rest[..at], &rest[at + 1..]),
            _ => ("", rest),
        };
        let (rest, query) = split(rest, '?');
        let (hosts, database) = split(rest, '/');
        let (user, password) = split(credentials, ':');
        if rest.contains('@') || ![user, password].into_iter().all(is_encoded) {
            return Err(ENCODE);
        }
        let mut address = Self {
            user: some(user),
            hosts: hosts.split(',').filter_map(some).collect(),
            database: some(database),
        };
        if !address.hosts.iter().all(|host| has_usable_port(host)) {
            return Err(PORT);
        }
        for pair in query.split('&') {
            let (name, value) = split(pair, '=');
            address.set(name, value)?;
        }
        Ok(address)
    }

    fn of_pairs(text: &str) -> Result<Self, &'static str> {
        let mut address = Self::default();
        let mut port = None;
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or(NOT_A_URL)?;
            let name = name.trim();
            if name.is_empty()
                || !name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            {
                return Err(NOT_A_URL);
            }
            let (value, after) = pair_value(after.trim_start()).ok_or(NOT_A_URL)?;
            if name == "port" {
                port = Some(value);
            } else {
                address.set(name, &value)?;
            }
            rest = after.trim_start();
        }
        if let Some(ports) = port {
            let is_usable = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
            if !ports.split(',').all(is_usable) {
                return Err(PORT);
            }
            address.hosts = match address.hosts.len() {
                1 => vec![format!("{}:{ports}", address.hosts[0])],
                _ => address.hosts,
            };
        }
        Ok(address)
    }

    /// Takes a parameter that says where the database is.
    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "user" => self.user = some(value),
            "dbname" if value.contains("://") || value.contains('=') => {}
            "dbname" => self.database = some(value),
            "host" | "hostaddr" => self.hosts = value.split(',').filter_map(some).collect(),
            "sslmode" if !["disable", "allow", "prefer"].contains(&value) => return Err(TLS),
            _ => {}
        }
        Ok(())
    }
}

impl fmt::Display for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgresql://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.hosts.join(","))?;
        match &self.database {
            Some(database) => write!(f, "/{database}"),
            None => Ok(()),
        }
    }
}

/// The text before the first of these, and that after it.
fn split(text: &str, at: char) -> (&str, &str) {
    text.split_once(at).unwrap_or((text, ""))
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether each percent sign begins two hexadecimal digits (RFC 3986 §2.1) that are not those of NUL.
fn is_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|part| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00")
    })
}

/// Whether a host has no port, or one that exists.
fn has_usable_port(host: &str) -> bool {
    let after_address = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    match after_address.split_once(':') {
        Some((_, "")) | None => true,
        Some((_, port)) => port.parse::<u16>().is_ok_and(|port| port > 0),
    }
}

/// The value of a pair, in quotes or not, and what comes after it.
fn pair_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.strip_prefix('\'');
    let body = quoted.unwrap_or(text);
    let mut value = String::new();
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '\'' if quoted.is_some() => return Some((value, &body[at + 1..])),
            _ if quoted.is_none() && character.is_whitespace() => {
                return Some((value, &body[at..]));
            }
            _ => value.push(character),
        }
    }
    quoted.is_none().then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        DatabaseAddress::read(text).map_or_else(str::to_owned, |address| address.to_string())
    }

    #[test]
    fn where_it_leads_is_shown_and_no_password() {
        for (text, expected) in [
            ("postgres://ann:zq5@db/epicme", "postgresql://ann@db/epicme"),
            (
                "postgresql://ann:zq5%40@h1:5432,[::1]:5433/epicme?connect_timeout=1&password=zq5",
                "postgresql://ann@h1:5432,[::1]:5433/epicme",
            ),
            (
                "postgresql://epicme@%2Ftmp%2Fsocket:5432/epicme",
                "postgresql://epicme@%2Ftmp%2Fsocket:5432/epicme",
            ),
            ("postgresql:///epicme?host=/run", "postgresql:///run/epicme"),
            (
                "postgres://ann:z?q5@db/epicme",
                "postgresql://ann@db/epicme",
            ),
            (
                "host=db port=6432 user=ann password='z q\\'5' dbname=epicme",
                "postgresql://ann@db:6432/epicme",
            ),
            ("dbname=epicme", "postgresql:///epicme"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_libpq_would_read_otherwise_than_it_was_meant_is_refused() {
        for (text, fault) in [
            ("", "must not be empty"),
            ("zq5", NOT_A_URL),
            ("mysql://db/epicme?a=b", NOT_A_URL),
            ("host=db password='zq5", NOT_A_URL),
            ("postgres://ann:z@q5@db/epicme", ENCODE),
            ("postgres://ann:z/q5@db/epicme", ENCODE),
            ("postgres://ann:z@/q5@db/epicme", ENCODE),
            ("postgres://ann:zq5%@db/epicme", ENCODE),
            ("postgres://ann:zq5%zz@db/epicme", ENCODE),
            ("postgres://ann:zq5@db:port/epicme", PORT),
            ("host=db port=0", PORT),
            ("postgres://ann:zq5@db/epicme?sslmode=require", TLS),
            ("host=db sslmode = verify-full", TLS),
        ] {
            assert_eq!(DatabaseAddress::read(text), Err(fault), "{text}");
        }
        assert!(DatabaseAddress::read("postgres://db/epicme?sslmode=prefer").is_ok());
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for (text, is_local) in [
            ("postgres://ann@localhost/epicme", true),
            ("postgres://ann@127.0.0.1:5432/epicme", true),
            ("postgres://ann@%2Frun/epicme", true),
            ("postgres:///epicme", true),
            ("postgres://ann@db/epicme", false),
            ("postgres://ann@localhost,db/epicme", false),
        ] {
            let address = DatabaseAddress::read(text).unwrap();
            assert_eq!(address.is_local(), is_local, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic_and_no_password_is_shown(text in "\\PC{0,60}", password in "[a-z0-9.%/@:?#]{0,12}") {
            let _ = DatabaseAddress::read(&text);
            let url = format!("postgres://ann:zq5{password}@db/epicme");
            if let Ok(address) = DatabaseAddress::read(&url) {
                let shown = address.to_string();
                prop_assert!(!shown.contains("zq5"), "{url} {shown}");
            }
        }
    }
}
