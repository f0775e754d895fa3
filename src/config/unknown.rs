//! Names in the environment that look like keys and are none: a mistyped key has no effect, and nobody notices.

use std::ffi::OsStr;

use super::{
    key::{Key, file_variant},
    keys::{KEYS, LOG, LOG_FORMAT},
};

/// What every key but that of the database begins with.
const PREFIX: &str = "EPICME_";

/// A sentence about each name that begins as a key does and is none, with the nearest key; no value is in it.
///
/// It is a warning and not a fault, because others give a process variables too: Kubernetes describes a service
/// called `epicme` by `EPICME_SERVICE_HOST`, `EPICME_PORT_8787_TCP` and the like, which are passed over.
#[must_use]
pub fn unknown_keys<N: AsRef<OsStr>, V: AsRef<OsStr>>(
    environment: impl IntoIterator<Item = (N, V)>,
) -> Vec<String> {
    let known = names();
    let mut sentences: Vec<_> = environment
        .into_iter()
        .filter_map(|(name, value)| {
            let name = name.as_ref().to_str()?;
            let looks_like_one = name.to_ascii_uppercase().replace("EPIC_ME", "EPICME");
            let is_unknown = looks_like_one.starts_with(PREFIX)
                && !known.iter().any(|known| known == name)
                && !is_of_kubernetes(name, value.as_ref());
            is_unknown.then(|| sentence(name, &looks_like_one, &known))
        })
        .collect();
    sentences.sort();
    sentences
}

fn sentence(name: &str, looks_like_one: &str, known: &[String]) -> String {
    match nearest(looks_like_one, known) {
        Some(nearest) => {
            format!("{name} is not a key and has no effect; is {nearest} meant?")
        }
        None => {
            format!("{name} is not a key and has no effect; `epicme config-keys` lists the keys")
        }
    }
}

/// Every name that is read, former ones included.
fn names() -> Vec<String> {
    let keys = KEYS.iter().copied().chain([&LOG, &LOG_FORMAT]);
    let keys = keys.filter(|key| !key.is_member_only);
    keys.flat_map(|key: &Key| {
        let own = [key.name].into_iter().chain(key.aliases.iter().copied());
        own.flat_map(|name| {
            let file = key.is_secret.then(|| file_variant(name));
            [Some(name.to_owned()), file].into_iter().flatten()
        })
    })
    .collect()
}

/// The known name with the fewest different letters, if they are few.
fn nearest<'k>(name: &str, known: &'k [String]) -> Option<&'k str> {
    let bare = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let name = bare(name);
    let most = (name.len() / 3).max(1);
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&name, &bare(known)), known))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known.as_str())
}

/// Whether Kubernetes describes a service by this name ("Discovering services", environment variables).
fn is_of_kubernetes(name: &str, value: &OsStr) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let is_address = value
        .to_str()
        .is_some_and(|value| value.starts_with("tcp://") || value.starts_with("udp://"));
    let after = |prefix| {
        rest.strip_prefix(prefix)
            .is_some_and(|rest: &str| rest.starts_with(|letter: char| letter.is_ascii_digit()))
    };
    rest == "SERVICE_HOST"
        || rest == "SERVICE_PORT"
        || rest.starts_with("SERVICE_PORT_")
        || rest == "PORT" && is_address
        || after("PORT_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, value: &str) -> Option<String> {
        unknown_keys([(name, value)]).pop()
    }

    #[test]
    fn a_mistyped_key_is_told_with_the_nearest_one() {
        for (name, nearest) in [
            ("EPICME_PUBIC_URL", "EPICME_PUBLIC_URL"),
            ("EPICME_DATABASE_URL", "DATABASE_URL"),
            ("epicme_bind", "EPICME_BIND"),
            ("EPIC_ME_ISSUER", "EPICME_ISSUER"),
            ("EPICME_ISSUERS", "EPICME_ISSUER"),
            ("EPICME_SESION_IDEL", "EPICME_SESSION_IDLE"),
            (
                "EPICME_INTROSPECTION_CLIENT_SECRET_FIEL",
                "EPICME_INTROSPECTION_CLIENT_SECRET_FILE",
            ),
        ] {
            let said = told(name, "zq5-secret").unwrap();
            assert_eq!(
                said,
                format!("{name} is not a key and has no effect; is {nearest} meant?")
            );
        }
        let said = told("EPICME_COLOUR_OF_THE_COVER", "zq5-secret").unwrap();
        assert!(
            said.contains("`epicme config-keys` lists the keys"),
            "{said}"
        );
        assert!(told("EPICME_PORT", "8787").is_some());
    }

    #[test]
    fn keys_and_what_kubernetes_sets_are_not_told() {
        for name in names() {
            assert_eq!(told(&name, ""), None, "{name}");
        }
        for (name, value) in [
            ("EPICME_SERVICE_HOST", "10.0.0.7"),
            ("EPICME_SERVICE_PORT_HTTP", "8787"),
            ("EPICME_PORT", "tcp://10.0.0.7:8787"),
            ("EPICME_PORT_8787_TCP_ADDR", "10.0.0.7"),
            ("PATH", "/bin"),
            ("EPICMENT", "1"),
        ] {
            assert_eq!(told(name, value), None, "{name}");
        }
    }
}
