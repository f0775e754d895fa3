//! Where a database's URL leads, without its password.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::{
    parameters::Parameters,
    protection::{is_this_machine, targets},
};

/// Where a libpq URL leads. Its text has no password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseAddress {
    user: Option<String>,
    /// Hosts as they are shown: encoded, with their ports.
    hosts: Vec<String>,
    database: Option<String>,
    is_local: bool,
    port: Option<u16>,
    encryption: Encryption,
}

/// What a URL demands of connections to another machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Nothing: it may be without encryption.
    #[default]
    Optional,
    /// Encryption with whoever answers.
    Demanded,
    /// Encryption with a server that has proved who it is.
    Authenticated,
}

impl DatabaseAddress {
    /// Reads either form that libpq has: a URL, and `name=value` pairs.
    ///
    /// # Errors
    /// The rule that the text breaks, without any part of the text: libpq would quote the password, or take a part
    /// of it for the host.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let parameters = Parameters::read(text)?;
        let get = |name: &str| parameters.get(name).unwrap_or_default();
        let ports: Vec<_> = get("port").split(',').collect();
        let names: Vec<_> = get("host").split(',').collect();
        let targets = targets(get("host"), get("hostaddr"));
        // libpq takes one port for all hosts.
        let port = |at: usize| match &ports[..] {
            [one] => *one,
            _ => ports.get(at).copied().unwrap_or_default(),
        };
        let shown = targets.iter().enumerate().map(|(at, target)| {
            let name = names.get(at).filter(|name| !name.is_empty());
            host_and_port(name.map_or(target, |name| *name), port(at))
        });
        Ok(Self {
            user: some(get("user")),
            hosts: shown.filter(|host| !host.is_empty()).collect(),
            database: some(get("dbname")),
            is_local: targets.iter().all(|target| is_this_machine(target)),
            port: match targets.len() {
                1 => port(0).parse().ok(),
                _ => None,
            },
            encryption: match get("sslmode") {
                "verify-full" => Encryption::Authenticated,
                "require" | "verify-ca" if get("channel_binding") == "require" => {
                    Encryption::Authenticated
                }
                "require" | "verify-ca" => Encryption::Demanded,
                _ if get("gssencmode") == "require" => Encryption::Authenticated,
                _ => Encryption::Optional,
            },
        })
    }

    /// That of a database's URL; one of which nothing is known if it cannot be read.
    #[must_use]
    pub fn of(url: &SecretString) -> Self {
        Self::read(url.expose_secret()).unwrap_or_default()
    }

    /// Whether every connection stays on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// How many hosts are tried, one after the other.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.hosts.len().max(1)
    }

    /// The port, if there is one host and it has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// What the URL demands of connections to another machine.
    #[must_use]
    pub fn encryption(&self) -> Encryption {
        self.encryption
    }
}

impl fmt::Display for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgresql://")?;
        if let Some(user) = &self.user {
            write!(f, "{}@", encoded(user))?;
        }
        f.write_str(&self.hosts.join(","))?;
        match &self.database {
            Some(database) => write!(f, "/{}", encoded(database)),
            None => Ok(()),
        }
    }
}

fn host_and_port(host: &str, port: &str) -> String {
    let host = match host.contains(':') && !host.starts_with('/') {
        true => format!("[{host}]"),
        false => encoded(host),
    };
    match port.is_empty() || host.is_empty() {
        true => host,
        false => format!("{host}:{port}"),
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Percent-encoded (RFC 3986 §2.1), but for letters of other alphabets, which a terminal shows.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '-' | '_' | '.' | '~' => encoded.push(character),
            _ if character.is_alphanumeric() => encoded.push(character),
            _ => {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    encoded.push_str(&format!("%{byte:02X}"));
                }
            }
        }
    }
    encoded
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
            (
                "postgresql:///epicme?host=/run",
                "postgresql://%2Frun/epicme",
            ),
            (
                "postgres://ann:z?q5@db/epicme",
                "postgresql://ann@db/epicme",
            ),
            (
                "host=db port=6432 user=ann password='z q\\'5' dbname=epicme",
                "postgresql://ann@db:6432/epicme",
            ),
            (
                "host=h1,h2 hostaddr=10.0.0.7,10.0.0.8 port=1 user=a@b",
                "postgresql://a%40b@h1:1,h2:1",
            ),
            ("dbname=epicme", "postgresql:///epicme"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for (text, is_local) in [
            ("postgres://ann@localhost/epicme", true),
            ("postgres://ann@127.0.0.1:5432/epicme", true),
            ("postgres://ann@%2Frun/epicme", true),
            ("postgres:///epicme", true),
            ("postgres://ann@db/epicme", false),
            ("postgres://ann@127.example/epicme", false),
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
