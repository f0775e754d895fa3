//! The file that describes issuers: from JSON to the words of each, with every fault at its place.

use std::{
    collections::HashMap,
    fmt::Display,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    IssuerConfig,
    issuer_fields::Field,
    issuers::{IssuerReader, Words},
    options::Options,
    read::Reader,
};
use crate::oauth::{json, url::PlainHttpHosts};

/// The key that names the file, to which all of its faults belong.
const KEY: &str = "EPICME_ISSUERS_FILE";

/// The longest file, in bytes.
const LONGEST_FILE: u64 = 256 * 1024;

/// The most issuers.
const MOST_ISSUERS: usize = 20;

impl Reader<'_> {
    pub(super) fn issuers_of_file(
        &mut self,
        path: &Path,
        plain: &PlainHttpHosts,
    ) -> Option<Vec<IssuerConfig>> {
        let document = read(path).map_err(|reason| {
            self.fault(KEY, format!("{} {reason}", path.display()));
        });
        let mut root = Object {
            path: String::new(),
            members: document.ok()?,
        };
        let issuers = match root.members.remove("issuers") {
            Some(Value::Array(issuers)) if (1..=MOST_ISSUERS).contains(&issuers.len()) => issuers,
            _ => {
                self.fault_in_file("issuers", "must be an array of 1 to 20 objects");
                Vec::new()
            }
        };
        root.end(self);
        let (mut all, mut configs) = (Vec::new(), Vec::new());
        for (at, issuer) in issuers.into_iter().enumerate() {
            let words = self.words(at, issuer);
            configs.push(
                words
                    .as_ref()
                    .and_then(|words| IssuerReader::of_file(self, at, plain).issuer(words)),
            );
            all.push(words);
        }
        self.tell_apart(&all, plain);
        configs
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .filter(|configs| !configs.is_empty())
    }

    /// A fault of a member. One is enough: a value that is not of its type is not missing besides.
    pub(super) fn fault_in_file(&mut self, member: &str, reason: impl Display) {
        let begin = format!("{member}: ");
        if !self.has_fault(KEY, &begin) {
            self.fault(KEY, format!("{begin}{reason}"));
        }
    }

    fn words(&mut self, at: usize, issuer: Value) -> Option<Words> {
        let path = format!("issuers[{at}]");
        let Value::Object(members) = issuer else {
            self.fault_in_file(&path, "must be an object");
            return None;
        };
        let mut issuer = Object { path, members };
        let mut introspection = issuer.object("introspection", self).unwrap_or_default();
        let jwt = issuer.object("jwt", self);
        let is_verified = jwt.is_some();
        let mut jwt = jwt.unwrap_or_default();
        let usual = Words::of(&Options::default());
        let mode = match jwt.switch("introspected", self).as_deref() {
            _ if !is_verified => "off",
            Some("on") => "introspected",
            _ => "on",
        };
        let words = Words {
            issuer: issuer.text("issuer", self),
            token_prefixes: issuer.texts("tokenPrefixes", self).unwrap_or_default(),
            metadata_url: issuer.text("metadataUrl", self),
            introspection_url: introspection.text("url", self),
            authentication: introspection
                .text("authentication", self)
                .unwrap_or(usual.authentication),
            client_id: introspection.text("clientId", self),
            client_key_id: introspection.text("clientKeyId", self),
            client_secret: None,
            client_secret_file: introspection
                .text("clientSecretFile", self)
                .map(PathBuf::from),
            signed: introspection.switch("signed", self).unwrap_or(usual.signed),
            cache: introspection.text("cache", self).unwrap_or(usual.cache),
            cache_entries: introspection
                .number("cacheEntries", self)
                .unwrap_or(usual.cache_entries),
            negative_cache: introspection
                .text("negativeCache", self)
                .unwrap_or(usual.negative_cache),
            stale: introspection.text("stale", self).unwrap_or(usual.stale),
            timeout: introspection.text("timeout", self).unwrap_or(usual.timeout),
            jwt: mode.to_owned(),
            algorithms: jwt.texts("algorithms", self).unwrap_or(usual.algorithms),
            jwks_url: issuer.text("jwksUrl", self),
            audience_optional: issuer
                .switch("audienceOptional", self)
                .unwrap_or(usual.audience_optional),
        };
        introspection.end(self);
        jwt.end(self);
        issuer.end(self);
        Some(words)
    }

    /// Every token has to be one issuer's alone. A prefix that begins another is no fault: the longest
    /// one that fits decides.
    fn tell_apart(&mut self, all: &[Option<Words>], plain: &PlainHttpHosts) {
        let mut issuers = HashMap::new();
        let mut prefixes = HashMap::new();
        for (at, words) in all.iter().enumerate() {
            let Some(words) = words else { continue };
            if let Some(issuer) = &words.issuer
                && let Some(first) = issuers.insert(issuer, at)
            {
                let rule = format!("is that of issuers[{first}] too");
                IssuerReader::of_file(self, at, plain).hold(Field::Issuer, false, &rule);
            }
            for prefix in &words.token_prefixes {
                if let Some(first) = prefixes.insert(prefix, at) {
                    let rule = format!("one of them is that of issuers[{first}] too");
                    IssuerReader::of_file(self, at, plain).hold(Field::TokenPrefixes, false, &rule);
                }
            }
            IssuerReader::of_file(self, at, plain).hold(
                Field::TokenPrefixes,
                all.len() == 1 || !words.token_prefixes.is_empty() || words.jwt != "off",
                "is required where there are several issuers, unless jwt is there: nothing else tells whose a token is",
            );
        }
    }
}

/// The document, if it is one JSON object without a name that stands twice.
fn read(path: &Path) -> Result<Map<String, Value>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err("is longer than 256 KiB".to_owned());
    }
    // Its errors have a line and a column, and nothing of the text.
    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
        .map_err(|error| format!("is no JSON: {error}"))?;
    json::object(&bytes).ok_or_else(|| {
        "must be an object, and no member of any object may stand in it twice".to_owned()
    })
}

/// An object of the file, whose members are taken out of it one by one.
#[derive(Default)]
struct Object {
    /// Its own place, without which it is the whole file.
    path: String,
    members: Map<String, Value>,
}

impl Object {
    fn text(&mut self, name: &str, reader: &mut Reader<'_>) -> Option<String> {
        match self.members.remove(name)? {
            Value::String(text) => Some(text),
            _ => self.is_not(name, "a text", reader),
        }
    }

    fn texts(&mut self, name: &str, reader: &mut Reader<'_>) -> Option<Vec<String>> {
        let texts = match self.members.remove(name)? {
            Value::Array(values) => values
                .into_iter()
                .map(|value| match value {
                    Value::String(text) => Some(text),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        texts.or_else(|| self.is_not(name, "an array of texts", reader))
    }

    fn number(&mut self, name: &str, reader: &mut Reader<'_>) -> Option<String> {
        match self.members.remove(name)? {
            Value::Number(number) => Some(number.to_string()),
            _ => self.is_not(name, "a number", reader),
        }
    }

    fn switch(&mut self, name: &str, reader: &mut Reader<'_>) -> Option<String> {
        match self.members.remove(name)? {
            Value::Bool(true) => Some("on".to_owned()),
            Value::Bool(false) => Some("off".to_owned()),
            _ => self.is_not(name, "true or false", reader),
        }
    }

    fn object(&mut self, name: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let path = self.place(name);
        match self.members.remove(name)? {
            Value::Object(members) => Some(Self { path, members }),
            _ => self.is_not(name, "an object", reader),
        }
    }

    /// What is left is unknown.
    fn end(self, reader: &mut Reader<'_>) {
        for name in self.members.keys() {
            reader.fault(
                KEY,
                format!("{}: there is no such member", self.place(name)),
            );
        }
    }

    fn is_not<T>(&self, name: &str, what: &str, reader: &mut Reader<'_>) -> Option<T> {
        reader.fault(KEY, format!("{}: must be {what}", self.place(name)));
        None
    }

    fn place(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::config::{Config, options::Sources};

    fn read_back(bytes: &[u8]) -> Result<Config, usize> {
        let path = std::env::temp_dir().join(format!("epicme-issuers-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let options = Options {
            database_url: Some("postgres://localhost/epicme".to_owned()),
            issuers_file: Some(path.clone()),
            ..Options::default()
        };
        let read = Config::read(&options, &Sources::default());
        std::fs::remove_file(&path).unwrap();
        read.map_err(|errors| {
            assert!(errors.0.iter().all(|fault| fault.key == KEY), "{errors}");
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
        fn whatever_stands_in_the_file_is_read_or_told_at_its_place(
            bytes: Vec<u8>,
            member in prop::sample::select(vec![
                "issuer", "tokenPrefixes", "metadataUrl", "introspection", "jwt", "jwksUrl", "audienceOptional", "x",
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
