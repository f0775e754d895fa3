//! Options as text, and where each was set. Nothing here knows which keys exist or what they mean.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    path::PathBuf,
};

use derive_more::Debug;
use serde_json::Value;

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The environment.
    Environment,
    /// A flag.
    Flag,
    /// A file that the environment or a flag names.
    File,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Environment => "environment",
            Self::Flag => "flag",
            Self::File => "file",
        })
    }
}

/// A value before it is read.
#[derive(Clone, Debug)]
pub(super) enum Raw {
    /// Of a variable, a flag, a default or the file of a secret.
    Text(OsString),
    /// Of a member of `EPICME_ISSUERS_FILE`.
    Json(Value),
}

impl Raw {
    /// The value as text.
    ///
    /// # Errors
    /// It is not UTF-8, or not a JSON string.
    pub(super) fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => utf8(text),
            Self::Json(Value::String(text)) => Ok(text),
            Self::Json(_) => Err("must be a string".to_owned()),
        }
    }

    /// The value as a path, which need not be UTF-8.
    ///
    /// # Errors
    /// It is empty, or not a JSON string.
    pub(super) fn path(&self) -> Result<PathBuf, String> {
        let path = match self {
            Self::Text(path) => path.as_os_str(),
            Self::Json(_) => OsStr::new(self.text()?),
        };
        if path.is_empty() {
            return Err("must be the path of a file".to_owned());
        }
        Ok(path.into())
    }

    /// The text of a number.
    ///
    /// # Errors
    /// It is not UTF-8, or not a JSON number.
    pub(super) fn number(&self) -> Result<String, String> {
        match self {
            Self::Text(text) => utf8(text).map(str::to_owned),
            Self::Json(Value::Number(number)) => Ok(number.to_string()),
            Self::Json(_) => Err("must be a number".to_owned()),
        }
    }

    /// A switch: `on` or `off`; in JSON `true` or `false`.
    ///
    /// # Errors
    /// It is neither.
    pub(super) fn switch(&self) -> Result<bool, String> {
        match self {
            Self::Json(Value::Bool(on)) => Ok(*on),
            Self::Json(_) => Err("must be true or false".to_owned()),
            Self::Text(text) => match utf8(text)? {
                "on" => Ok(true),
                "off" => Ok(false),
                _ => Err("must be on or off".to_owned()),
            },
        }
    }

    /// The items of a list: separated by spaces or commas; in JSON an array of strings.
    ///
    /// # Errors
    /// It is not UTF-8, or not such an array.
    pub(super) fn items(&self) -> Result<Vec<String>, String> {
        match self {
            Self::Text(text) => Ok(utf8(text)?
                .split([' ', ','])
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()),
            Self::Json(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(not_strings),
            Self::Json(_) => Err(not_strings()),
        }
    }
}

fn utf8(text: &OsStr) -> Result<&str, String> {
    text.to_str().ok_or_else(|| "must be UTF-8".to_owned())
}

fn not_strings() -> String {
    "must be an array of strings".to_owned()
}

/// What was set, by the names of keys in the environment. `Debug` shows no value.
#[derive(Clone, Debug, Default)]
pub struct Options {
    #[debug("{:?}", values.keys())]
    values: BTreeMap<String, (Raw, Source)>,
    deprecated: Vec<String>,
}

impl Options {
    /// Sets a value as if the environment had.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.set(name, Raw::Text(value.into()), Source::Environment);
        self
    }

    /// Sets a value, in place of one that was set before.
    pub(super) fn set(&mut self, name: &str, value: Raw, source: Source) {
        self.values.insert(name.to_owned(), (value, source));
    }

    /// The value that was set, if one was.
    pub(super) fn get(&self, name: &str) -> Option<&Raw> {
        self.values.get(name).map(|(value, _)| value)
    }

    /// Where the value came from.
    #[must_use]
    pub fn source(&self, name: &str) -> Source {
        self.values
            .get(name)
            .map_or(Source::Default, |(_, source)| *source)
    }

    /// Adds a sentence about a former name that was used.
    pub(super) fn warn(&mut self, sentence: String) {
        self.deprecated.push(sentence);
    }

    /// A sentence about each former name that was used, for the log.
    #[must_use]
    pub fn deprecated(&self) -> &[String] {
        &self.deprecated
    }

    /// Options for a server with all its clients, authorization server and database on one machine.
    /// All its clients share an address and are trusted, so it has no rate limits. It has no metrics listener.
    #[cfg(feature = "dev")]
    #[must_use]
    pub fn for_one_machine(
        address: std::net::SocketAddr,
        issuer: &str,
        introspection_secret: &secrecy::SecretString,
        database_url: &secrecy::SecretString,
    ) -> Self {
        use secrecy::ExposeSecret;
        Self::default()
            .with("EPICME_BIND", address.to_string())
            .with("EPICME_PUBLIC_URL", format!("http://{address}"))
            .with("EPICME_ISSUER", issuer)
            .with("EPICME_INTROSPECTION_CLIENT_ID", "epicme")
            .with(
                "EPICME_INTROSPECTION_CLIENT_SECRET",
                introspection_secret.expose_secret(),
            )
            .with("DATABASE_URL", database_url.expose_secret())
            .with("EPICME_METRICS_BIND", "off")
            .with("EPICME_UNKNOWN_TOKENS_PER_MINUTE", "0")
            .with("EPICME_REQUESTS_PER_MINUTE_PER_USER", "0")
    }
}
