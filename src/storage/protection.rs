//! Nothing goes to another machine without encryption, unless the operator names that machine.
//!
//! What counts is where libpq would connect, whoever says so: the URL, the service that it names, or the environment.

use std::{env, ffi::OsString, net::IpAddr};

use secrecy::{ExposeSecret, SecretString};

use super::{libpq::Abilities, parameters::Parameters, service_file::Service};

/// How a program with TLS is had.
const WITH_TLS: &str = "use the image, or build with --no-default-features --features system-libpq";

/// Machines of a private network to which connections may be without TLS (`EPICME_PLAIN_DATABASE_HOSTS`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainDatabaseHosts(Vec<String>);

impl PlainDatabaseHosts {
    /// Reads names and addresses.
    ///
    /// # Errors
    /// The rule, if one is neither.
    pub fn read(names: Vec<String>) -> Result<Self, &'static str> {
        let is_host = |name: &String| {
            name.parse::<IpAddr>().is_ok()
                || name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        names.iter().all(is_host).then_some(Self(names)).ok_or(
            "must be hosts as the database's URL has them, names or addresses, without a port, brackets or a range",
        )
    }

    /// As they were written.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    fn has(&self, host: &str) -> bool {
        self.0.iter().any(|name| canonical(name) == canonical(host))
    }
}

/// Completes a database's URL for libpq, so that nothing goes to another machine without encryption. A URL that needs
/// nothing is left as it is.
///
/// # Errors
/// What is wrong with it, without its password.
pub fn protected(url: &SecretString, plain: &PlainDatabaseHosts) -> Result<SecretString, String> {
    let mut parameters = Parameters::read(url.expose_secret())?;
    let is_changed = Circumstances::own().protect(&mut parameters, Some(plain))?;
    Ok(if is_changed {
        parameters.pairs()
    } else {
        url.clone()
    })
}

/// The same where the machines that may do without have had their say: then only what nobody decided is decided.
pub(super) fn protect(parameters: &mut Parameters) -> Result<(), String> {
    Circumstances::own().protect(parameters, None).map(drop)
}

/// The options of the command line that PostgreSQL is given, whoever says them.
pub(super) fn options(parameters: &Parameters) -> Result<Option<String>, String> {
    let own = Circumstances::own();
    let service = own.service(parameters)?;
    Ok(own.said(parameters, service.as_ref(), "options", "PGOPTIONS"))
}

/// Whether a host, as libpq has it, is a socket or a loopback address. A name that is looked up is another machine,
/// whatever the answer: it may be another one the next time. `localhost` is what every resolver knows (RFC 6761 §6.3).
pub(super) fn is_this_machine(host: &str) -> bool {
    host.is_empty()
        || host.starts_with(['/', '@'])
        || canonical(host) == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Where libpq connects for these values of `host` and `hostaddr`: an address counts more than a name.
pub(super) fn targets(hosts: &str, addresses: &str) -> Vec<String> {
    let (hosts, addresses): (Vec<_>, Vec<_>) =
        (hosts.split(',').collect(), addresses.split(',').collect());
    let part = |parts: &[&str], at: usize| parts.get(at).copied().unwrap_or_default().to_owned();
    (0..hosts.len().max(addresses.len()))
        .map(|at| match part(&addresses, at) {
            none if none.is_empty() => part(&hosts, at),
            address => address,
        })
        .collect()
}

/// Names without regard to case or a final dot (RFC 4343, RFC 1034 §3.1), addresses however they are written.
fn canonical(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(),
    }
}

/// What decides besides the URL.
struct Circumstances<'a> {
    abilities: Abilities,
    environment: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Circumstances<'static> {
    /// Those of this process. libpq reads the same environment whenever it connects.
    fn own() -> Self {
        Self {
            abilities: Abilities::linked(),
            environment: &|name| env::var_os(name),
        }
    }
}

impl Circumstances<'_> {
    /// Completes the parameters, and returns whether that changed any. Without `plain`, a mode that is set is taken
    /// for one that was checked.
    fn protect(
        &self,
        parameters: &mut Parameters,
        plain: Option<&PlainDatabaseHosts>,
    ) -> Result<bool, String> {
        let service = self.service(parameters)?;
        let has_service = service.is_some();
        let said =
            |name: &str, variable: &str| self.said(parameters, service.as_ref(), name, variable);
        let (host, address) = (said("host", "PGHOST"), said("hostaddr", "PGHOSTADDR"));
        let requires_tls = || {
            let former = (self.environment)("PGREQUIRESSL")?;
            (former == "1").then(|| "require".to_owned())
        };
        let mode = said("sslmode", "PGSSLMODE").or_else(requires_tls);
        let kerberos = said("gssencmode", "PGGSSENCMODE");
        let methods = said("require_auth", "PGREQUIREAUTH");
        let port = said("port", "PGPORT");

        let targets = targets(
            host.as_deref().unwrap_or_default(),
            address.as_deref().unwrap_or_default(),
        );
        let mut others = targets.iter().filter(|host| !is_this_machine(host));
        let mode = self.mode(
            mode,
            kerberos.as_deref(),
            &others.clone().collect::<Vec<_>>(),
            plain,
        )?;
        let has_others = others.next().is_some();
        let methods = match methods {
            // A server, or whoever poses as one, could otherwise ask for the password itself.
            None if has_others && self.abilities.require_auth => Some("scram-sha-256".to_owned()),
            said => said,
        };
        if !has_others && !has_service {
            return Ok(false);
        }
        // Whatever was looked at is passed on, so that libpq finds nothing else.
        parameters.set("host", &host.unwrap_or_default());
        parameters.set("hostaddr", &address.unwrap_or_default());
        let found = [
            ("port", port),
            ("sslmode", mode),
            ("gssencmode", kerberos),
            ("require_auth", methods),
        ];
        for (name, value) in found {
            if let Some(value) = value {
                parameters.set(name, &value);
            }
        }
        Ok(true)
    }

    /// What the URL says, or else the service, or else the environment.
    fn said(
        &self,
        parameters: &Parameters,
        service: Option<&Service>,
        name: &str,
        variable: &str,
    ) -> Option<String> {
        let said = parameters.get(name).or_else(|| service?.get(name));
        said.map(str::to_owned)
            .or_else(|| Some((self.environment)(variable)?.to_string_lossy().into_owned()))
    }

    fn service(&self, parameters: &Parameters) -> Result<Option<Service>, &'static str> {
        let in_environment = || {
            Some(
                (self.environment)("PGSERVICE")?
                    .to_string_lossy()
                    .into_owned(),
            )
        };
        let name = parameters.get("service").map(str::to_owned);
        let Some(name) = name.or_else(in_environment) else {
            return Ok(None);
        };
        Service::find(&name, parameters.get("servicefile"), self.environment).map(Some)
    }

    /// The `sslmode` for these other machines, if there is to be one.
    fn mode(
        &self,
        said: Option<String>,
        kerberos: Option<&str>,
        others: &[&String],
        plain: Option<&PlainDatabaseHosts>,
    ) -> Result<Option<String>, String> {
        let demands_tls = |mode: &str| ["require", "verify-ca", "verify-full"].contains(&mode);
        if said.as_deref().is_some_and(demands_tls) && !self.abilities.tls {
            return Err(format!(
                "must not require TLS (sslmode): this program is built without it; {WITH_TLS}, or connect by a Unix socket \
                 or a TLS proxy on this machine"
            ));
        }
        let is_plain = |host: &str| plain.is_some_and(|plain| plain.has(host));
        // Encryption by Kerberos is encryption too, and libpq does not go on without it if it is required.
        let unprotected = others
            .iter()
            .find(|host| !is_plain(host) && kerberos != Some("require"));
        let Some(host) = unprotected else {
            // What libpq does by itself, so that it is known to be meant.
            let default = (!others.is_empty()).then(|| "prefer".to_owned());
            return Ok(said.or(default));
        };
        match said {
            Some(mode) if demands_tls(&mode) || plain.is_none() => Ok(Some(mode)),
            Some(mode) => Err(format!(
                "must not lead to {host}, another machine, with sslmode={mode}, by which the password and every entry may go \
                 there without encryption: write sslmode=verify-full, or, on a private network, name the host in \
                 EPICME_PLAIN_DATABASE_HOSTS"
            )),
            None if self.abilities.tls => Ok(Some("require".to_owned())),
            None => Err(format!(
                "must not lead to {host}, another machine, because this program is built without TLS to the database: {WITH_TLS}, \
                 or, on a private network, name the host in EPICME_PLAIN_DATABASE_HOSTS"
            )),
        }
    }
}

#[cfg(test)]
#[path = "protection_tests.rs"]
mod tests;
