//! Services of libpq (`service=name`): files that hold parameters of connections under a name.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

const UNKNOWN: &str = "must name a service that is described in the file of PGSERVICEFILE, in ~/.pg_service.conf, or in \
    pg_service.conf in PGSYSCONFDIR or /etc/postgresql-common";
const LDAP: &str = "must not name a service that is looked up in LDAP: its hosts are not known before it is used, so name them here";

/// Where Debian's libpq looks, and every other one if it is told by `PGSYSCONFDIR`.
const SYSTEM: &str = "/etc/postgresql-common";

/// The parameters of a service.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Service(Vec<(String, String)>);

impl Service {
    /// Looks a service up in the files in which libpq does. `file` is the parameter `servicefile`.
    ///
    /// # Errors
    /// If there is none of this name, or it names no hosts that could be looked at.
    pub(super) fn find(
        name: &str,
        file: Option<&str>,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, &'static str> {
        let own = match file
            .map(OsString::from)
            .or_else(|| environment("PGSERVICEFILE"))
        {
            Some(file) => Some(PathBuf::from(file)),
            None => environment("HOME").map(|home| Path::new(&home).join(".pg_service.conf")),
        };
        let directory = environment("PGSYSCONFDIR").unwrap_or_else(|| SYSTEM.into());
        let system = Path::new(&directory).join("pg_service.conf");
        for file in own.into_iter().chain([system]) {
            let text = fs::read(file).unwrap_or_default();
            if let Some(service) = Self::read(&String::from_utf8_lossy(&text), name)? {
                return Ok(service);
            }
        }
        Err(UNKNOWN)
    }

    /// The value of a parameter. The first of a name counts, as for libpq.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    fn read(text: &str, name: &str) -> Result<Option<Self>, &'static str> {
        let mut found = None;
        for line in text.lines().map(str::trim_ascii) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match (line.strip_prefix('['), &mut found) {
                (Some(_), Some(_)) => break,
                // Whatever follows the name, as libpq compares it.
                (Some(header), None) => {
                    let rest = header.strip_prefix(name);
                    if rest.is_some_and(|rest| rest.starts_with(']')) {
                        found = Some(Self::default());
                    }
                }
                (None, Some(_)) if line.starts_with("ldap") => return Err(LDAP),
                (None, Some(Self(parameters))) => {
                    let (name, value) = line.split_once('=').unwrap_or((line, ""));
                    parameters.push((name.to_owned(), value.to_owned()));
                }
                (None, None) => {}
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# a comment\n[other]\nhost=elsewhere\n\n [journal]\n  host=db\nhost=second\nsslmode=verify-full \n[next]\nport=1\n";

    #[test]
    fn a_service_is_what_its_section_says() {
        let service = Service::read(FILE, "journal").unwrap().unwrap();
        assert_eq!(service.get("host"), Some("db"));
        assert_eq!(service.get("sslmode"), Some("verify-full"));
        assert_eq!(service.get("port"), None);
        assert_eq!(Service::read(FILE, "journ"), Ok(None));
    }

    #[test]
    fn a_service_whose_hosts_cannot_be_known_is_refused() {
        let file = "[journal]\nldap://directory.example/cn=db\n";
        assert_eq!(Service::read(file, "journal"), Err(LDAP));
        let nowhere = |name: &str| (name != "HOME").then(|| "/nowhere".into());
        assert_eq!(Service::find("journal", None, &nowhere), Err(UNKNOWN));
    }
}
