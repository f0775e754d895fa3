//! The parameters of a connection, read from either form that libpq has: a URL, and `name=value` pairs.
//!
//! They are read here and passed to libpq as pairs, each value in quotes, so that what was checked is what libpq uses.

use secrecy::SecretString;

const NOT_A_URL: &str = "must be a libpq URL, such as postgresql://epicme@db.internal/epicme";
const ENCODE: &str = "must have its user name and password percent-encoded: write %40 for @, %2F for /, %3A for :, %25 for %";
const PORT: &str = "must have ports from 1 to 65535";

/// Names and values in their order. Of several of one name the last counts, as for libpq.
#[derive(Clone, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads either form.
    ///
    /// # Errors
    /// The rule that the text breaks, without any part of the text: libpq would quote the password, or take a part
    /// of it for the host.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("must not be empty");
        }
        if text.contains('\0') {
            return Err(NOT_A_URL);
        }
        let rest = ["postgresql://", "postgres://"]
            .into_iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        let read = match rest {
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
        }?;
        let is_usable =
            |port: &str| port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0);
        match read.get("port") {
            Some(ports) if !ports.split(',').all(is_usable) => Err(PORT),
            _ => Ok(read),
        }
    }

    /// The value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().rev().filter(|(own, _)| own == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// Adds a value, or replaces that of this name.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(own, _)| own != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Adds a value unless there is one of this name.
    pub(super) fn set_default(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }

    /// As pairs, for libpq.
    pub(super) fn pairs(&self) -> SecretString {
        let mut text = String::new();
        for (name, value) in &self.0 {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(name);
            text.push_str("='");
            for character in value.chars() {
                if matches!(character, '\\' | '\'') {
                    text.push('\\');
                }
                text.push(character);
            }
            text.push('\'');
        }
        text.into()
    }

    /// Takes a parameter, and the former spellings of another.
    fn push(&mut self, name: &str, value: String) -> Result<(), &'static str> {
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !is_name {
            return Err(NOT_A_URL);
        }
        if name == "requiressl" {
            let mode = if value.starts_with('1') {
                "require"
            } else {
                "prefer"
            };
            self.0.push(("sslmode".to_owned(), mode.to_owned()));
        } else {
            self.0.push((name.to_owned(), value));
        }
        Ok(())
    }

    /// What libpq's `conninfo_uri_parse_options` reads.
    fn of_url(rest: &str) -> Result<Self, &'static str> {
        // What comes before the first `@` are credentials, unless a slash comes first.
        let (credentials, rest) = match rest.find(['@', '/']) {
            Some(at) if rest[at..].starts_with('@') => (&rest[..at], &rest[at + 1..]),
            _ => ("", rest),
        };
        let (rest, query) = split(rest, '?');
        let (hosts, database) = split(rest, '/');
        let (user, password) = split(credentials, ':');
        if rest.contains('@') {
            return Err(ENCODE);
        }
        let mut parameters = Self::default();
        for (name, text) in [("user", user), ("password", password)] {
            if !text.is_empty() {
                parameters.push(name, decoded(text).ok_or(ENCODE)?)?;
            }
        }
        let (hosts, ports) = hosts_and_ports(hosts)?;
        for (name, text) in [("host", &*hosts), ("port", &*ports), ("dbname", database)] {
            if !text.is_empty() {
                parameters.push(name, decoded(text).ok_or(NOT_A_URL)?)?;
            }
        }
        let query = query.strip_suffix('&').unwrap_or(query);
        for pair in query.split('&').filter(|_| !query.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(NOT_A_URL)?;
            if value.contains('=') {
                return Err(NOT_A_URL);
            }
            let name = decoded(name).ok_or(NOT_A_URL)?;
            let value = decoded(value).ok_or(NOT_A_URL)?;
            match (&*name, &*value) {
                // As JDBC writes it.
                ("ssl", "true") => parameters.push("sslmode", "require".to_owned())?,
                _ => parameters.push(&name, value)?,
            }
        }
        Ok(parameters)
    }

    /// What libpq's `conninfo_parse` reads.
    fn of_pairs(text: &str) -> Result<Self, &'static str> {
        let mut parameters = Self::default();
        let mut rest = text.trim_ascii_start();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or(NOT_A_URL)?;
            let (value, after) = pair_value(after.trim_ascii_start()).ok_or(NOT_A_URL)?;
            parameters.push(name.trim_ascii(), value)?;
            rest = after.trim_ascii_start();
        }
        Ok(parameters)
    }
}

/// The text before the first of these, and that after it.
fn split(text: &str, at: char) -> (&str, &str) {
    text.split_once(at).unwrap_or((text, ""))
}

/// The hosts and the ports of `host:port,[address]:port`, each joined by commas, still encoded: libpq decodes what
/// is joined, so that an encoded comma separates hosts too.
fn hosts_and_ports(text: &str) -> Result<(String, String), &'static str> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for part in text.split(',') {
        let (host, port) = match part.strip_prefix('[') {
            None => split(part, ':'),
            Some(address) => {
                let (address, rest) = address.split_once(']').ok_or(NOT_A_URL)?;
                match rest.strip_prefix(':') {
                    _ if address.is_empty() => return Err(NOT_A_URL),
                    None if rest.is_empty() => (address, ""),
                    None => return Err(NOT_A_URL),
                    Some(port) => (address, port),
                }
            }
        };
        hosts.push(host);
        ports.push(port);
    }
    // Ports alone are the ports of default hosts; no port at all is none.
    let joined = |parts: Vec<&str>| match parts.iter().all(|part| part.is_empty()) {
        true if parts.len() == 1 => String::new(),
        _ => parts.join(","),
    };
    Ok((joined(hosts), joined(ports)))
}

/// Percent-decoded (RFC 3986 §2.1). `None` if that is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok().filter(|&byte| byte != 0)?);
    }
    String::from_utf8(bytes).ok()
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
            _ if quoted.is_none() && character.is_ascii_whitespace() => {
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
    use secrecy::ExposeSecret;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let read = Parameters::read(text);
        read.map_err(|fault| panic!("{text}: {fault}")).unwrap().0
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_url_is_read_as_libpq_reads_it() {
        assert_eq!(
            read(
                "postgres://ann:z%40%27@h1:5432,[::1],%2Frun%2Cdb:1/jour%6eal?sslmode=require&ssl=true&host=x&"
            ),
            [
                pair("user", "ann"),
                pair("password", "z@'"),
                pair("host", "h1,::1,/run,db"),
                pair("port", "5432,,1"),
                pair("dbname", "journal"),
                pair("sslmode", "require"),
                pair("sslmode", "require"),
                pair("host", "x"),
            ]
        );
        assert_eq!(read("postgres://"), []);
        assert_eq!(read("postgres:///?port=1"), [pair("port", "1")]);
        assert_eq!(
            read(" host = db\tsslmode=  'dis\\able' requiressl=1"),
            [
                pair("host", "db"),
                pair("sslmode", "disable"),
                pair("sslmode", "require")
            ]
        );
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
            ("postgres://ann:zq5%00@db/epicme", ENCODE),
            ("postgres://ann:zq5%+1@db/epicme", ENCODE),
            ("postgres://ann:zq5@db:port/epicme", PORT),
            ("postgres://db/epicme?port=0", PORT),
            ("host=db port=0", PORT),
            ("postgres://[::1/epicme", NOT_A_URL),
            ("postgres://[]/epicme", NOT_A_URL),
            ("postgres://[::1]x/epicme", NOT_A_URL),
            ("postgres://db/epicme?sslmode", NOT_A_URL),
            ("postgres://db/epicme?a=b=c", NOT_A_URL),
            ("postgres://db/epicme?a%20b=c", NOT_A_URL),
            ("host=db SSLMODE=disable", NOT_A_URL),
        ] {
            assert_eq!(Parameters::read(text).map(|_| ()), Err(fault), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(values in prop::collection::vec("[^\0]{0,12}", 1..5)) {
            let names = ["host", "password", "dbname", "options"];
            let mut written = Parameters::default();
            for (name, value) in names.iter().zip(&values) {
                written.set(name, value);
            }
            prop_assert_eq!(&read(written.pairs().expose_secret()), &written.0);
        }

        #[test]
        fn no_text_is_a_panic(text in "(postgres://)?\\PC{0,60}") {
            let _ = Parameters::read(&text);
        }
    }
}
