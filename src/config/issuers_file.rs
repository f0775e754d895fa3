//! The file that describes issuers: from JSON to the members of each, by the keys that say the same.

use std::{collections::HashMap, fs::File, io::Read, path::Path};

use serde_json::{Map, Value};

use super::{
    key::Key,
    keys::{CLIENT, ISSUER, ISSUERS, KEYS},
    options::{Options, Raw, Source},
    reader::Reader,
};
use resource_server::jose::json;

/// The longest file, in bytes.
const LONGEST_FILE: u64 = 256 * 1024;

/// The most issuers.
const MOST_ISSUERS: usize = 20;

/// The fault of a member that is not in the table.
const UNKNOWN: &str = "is not a known member";

/// The one member without a row of its own: together with `jwt` it replaces `EPICME_JWT`.
const INTROSPECTED: &str = "jwt.introspected";

/// The content of the file.
pub(super) struct Document {
    pub(super) issuers: Vec<Members>,
}

/// What the file says of one issuer.
#[derive(Default)]
pub(super) struct Members {
    /// The values of the known members, by the names of their keys.
    pub(super) options: Options,
    /// Faulty members, each with its fault.
    pub(super) faults: Vec<(String, String)>,
    /// Whether it is an object; otherwise that is its only fault.
    pub(super) is_object: bool,
}

/// Reads the file. `None` has left a fault.
pub(super) fn read(reader: &mut Reader<'_>, path: &Path) -> Option<Document> {
    let mut root = match parse(path) {
        Ok(root) => root,
        Err(reason) => {
            return reader.fault(&ISSUERS.file, format!("{} {reason}", path.display()));
        }
    };
    let issuers = match root.remove("issuers") {
        Some(Value::Array(issuers)) if (1..=MOST_ISSUERS).contains(&issuers.len()) => issuers,
        _ => {
            reader.fault_of_member("issuers", "must be an array of 1 to 20 objects");
            Vec::new()
        }
    };
    for name in root.keys() {
        reader.fault_of_member(name, UNKNOWN);
    }
    let issuers = issuers.into_iter().map(Members::of).collect();
    Some(Document { issuers })
}

/// Checks that every token belongs to exactly one issuer. A prefix may begin with another: the longest match
/// counts.
pub(super) fn require_distinct(reader: &mut Reader<'_>, issuers: &[Members]) {
    let mut urls = HashMap::new();
    let mut prefixes = HashMap::new();
    for (at, members) in issuers.iter().enumerate() {
        let mut fault = |key: &Key, rule: String| {
            let member = key.member.unwrap_or_default();
            reader.fault_of_member(&format!("issuers[{at}].{member}"), rule);
        };
        if let Some(url) = members.get(&ISSUER.url).and_then(|url| url.text().ok())
            && let Some(first) = urls.insert(url, at)
        {
            fault(
                &ISSUER.url,
                format!("is the same as that of issuers[{first}]"),
            );
        }
        let own = members.get(&ISSUER.token_prefixes);
        let own = own.and_then(|own| own.items().ok()).unwrap_or_default();
        let is_told_apart =
            issuers.len() == 1 || !own.is_empty() || members.has_jwt() || !members.is_object;
        for prefix in own {
            if let Some(first) = prefixes.insert(prefix, at) {
                let rule = format!("contains a prefix that issuers[{first}] has too");
                fault(&ISSUER.token_prefixes, rule);
            }
        }
        if !is_told_apart {
            fault(
                &ISSUER.token_prefixes,
                "is required if there are several issuers, unless jwt is set: nothing else says whose a token is"
                    .to_owned(),
            );
        }
    }
}

impl Members {
    fn of(issuer: Value) -> Self {
        let mut members = Self::default();
        if let Value::Object(issuer) = issuer {
            members.is_object = true;
            // `jwt` is there or not; the key that says the same has a word for each case.
            let jwt = match issuer.get("jwt") {
                None => "off",
                Some(jwt) => match jwt.get("introspected") {
                    Some(Value::Bool(true)) => "introspected",
                    _ => "on",
                },
            };
            members.add("", issuer);
            members
                .options
                .set(CLIENT.jwt.name, Raw::Text(jwt.into()), Source::File);
        } else {
            members.fault("", "must be an object");
        }
        members
    }

    /// Adds the members of an object, whose own path ends with a dot.
    fn add(&mut self, path: &str, object: Map<String, Value>) {
        for (name, value) in object {
            let member = format!("{path}{name}");
            let inside = format!("{member}.");
            let has_inside = |key: &&&Key| key.member.is_some_and(|own| own.starts_with(&inside));
            let key = KEYS.iter().find(|key| key.member == Some(&member));
            match (KEYS.iter().find(has_inside), key, value) {
                (Some(_), _, Value::Object(object)) => self.add(&inside, object),
                (Some(_), ..) => self.fault(&member, "must be an object"),
                (None, Some(key), value) => {
                    let name = key.file_name().unwrap_or_else(|| key.name.to_owned());
                    self.options.set(&name, Raw::Json(value), Source::File);
                }
                (None, None, Value::Bool(_)) if member == INTROSPECTED => {}
                (None, None, _) if member == INTROSPECTED => {
                    self.fault(&member, "must be true or false");
                }
                (None, None, _) => self.fault(&member, UNKNOWN),
            }
        }
    }

    fn fault(&mut self, member: &str, reason: &str) {
        self.faults.push((member.to_owned(), reason.to_owned()));
    }

    fn get(&self, key: &Key) -> Option<&Raw> {
        self.options.get(key.name)
    }

    fn has_jwt(&self) -> bool {
        self.get(&CLIENT.jwt).and_then(|jwt| jwt.text().ok()) != Some("off")
    }
}

/// The document, if it is one JSON object without duplicate names.
fn parse(path: &Path) -> Result<Map<String, Value>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err("is longer than 256 KiB".to_owned());
    }
    // Its errors have a line and a column, and nothing of the text.
    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
        .map_err(|error| format!("is not JSON: {error}"))?;
    json::object(&bytes).ok_or_else(|| "must be an object without duplicate members".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    fn read_back(bytes: &[u8]) -> Result<Config, usize> {
        let path = std::env::temp_dir().join(format!("epicme-issuers-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let options = Options::default()
            .with("DATABASE_URL", "postgres://localhost/epicme")
            .with("EPICME_ISSUERS_FILE", &path);
        let read = Config::read(&options);
        std::fs::remove_file(&path).unwrap();
        read.map_err(|errors| {
            assert!(
                errors.0.iter().all(|fault| fault.key == ISSUERS.file.name),
                "{errors}"
            );
            errors.0.len()
        })
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z0-9:/._-]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec(("[a-zA-Z]{1,16}", inner), 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        // One test, because all of them would write the same file.
        #[test]
        fn any_content_of_the_file_is_read_or_refused_at_its_place(
            bytes: Vec<u8>,
            member in prop::sample::select(vec![
                "issuer", "tokenPrefixes", "metadataUrl", "introspection", "jwt", "jwksUrl", "audienceOptional", "audiences",
                "subject", "clientClaims", "scopeClaims", "scopePrefix", "x",
            ]),
            value in value(),
        ) {
            prop_assert!(read_back(&bytes).is_err());
            let mut issuer = json!({ "issuer": "https://a.example", "jwt": {} });
            issuer[member] = value;
            let read = read_back(json!({ "issuers": [issuer] }).to_string().as_bytes());
            prop_assert!(read.as_ref().map_or_else(|count| *count > 0, |config| config.issuers.len() == 1));
        }
    }
}
