//! Reads one key after another: finds its value, parses it, and collects faults and effective values.

use std::{borrow::Cow, ffi::OsString, path::PathBuf};

use secrecy::ExposeSecret;

use super::{
    errors::Fault,
    key::{Heading, Key, file_variant},
    kind::Kind,
    options::{Options, Raw, Source},
};
use resource_server::secret_file;

/// The key that names the file of issuers.
const ISSUERS_FILE: &str = "EPICME_ISSUERS_FILE";

/// A key, its effective value, and where that came from.
#[derive(Clone, Debug)]
pub struct EffectiveValue {
    /// The title under which `check-config` prints it.
    pub heading: &'static str,
    /// The key, by its name in the environment; for `EPICME_ISSUERS_FILE`, the path of the member.
    pub key: String,
    /// The value; `***` for a secret.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

/// What a reader reads.
#[derive(Clone, Copy)]
enum Place {
    /// The configuration.
    Keys,
    /// The issuer at this index of `EPICME_ISSUERS_FILE`, whose path came from there.
    Issuer(usize, Source),
}

/// A value that is shown, and what it is sorted by.
pub(super) struct Shown {
    /// The name of its key.
    pub(super) name: &'static str,
    /// The heading; those of the issuers in the file come after all others.
    pub(super) group: usize,
    /// The value.
    pub(super) value: EffectiveValue,
}

/// Reads values, and collects every fault instead of giving up at the first.
pub(super) struct Reader<'a> {
    options: &'a Options,
    place: Place,
    faults: Vec<Fault>,
    effective: Vec<Shown>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self {
            options,
            place: Place::Keys,
            faults: Vec::new(),
            effective: Vec::new(),
        }
    }

    /// A reader of one issuer in the file. Its options have the values of members by the names of the keys
    /// that say the same.
    pub(super) fn of_issuer<'o>(&self, at: usize, options: &'o Options) -> Reader<'o> {
        Reader {
            place: Place::Issuer(at, self.options.source(ISSUERS_FILE)),
            ..Reader::new(options)
        }
    }

    /// Takes over the faults and values of another reader.
    pub(super) fn absorb(&mut self, other: Reader<'_>) {
        self.faults.extend(other.faults);
        self.effective.extend(other.effective);
    }

    /// Every fault and every effective value, in the order in which they were read.
    pub(super) fn finish(self) -> (Vec<Fault>, Vec<Shown>) {
        (self.faults, self.effective)
    }

    /// The value of a key: the one that is set, else its default, else that of its kind. If it returns `None`,
    /// it has added a fault.
    pub(super) fn read<T>(&mut self, key: &Key, kind: impl Kind<T>) -> Option<T> {
        let raw = match self.raw(key) {
            Ok(raw) => raw,
            Err(reason) => return self.fault(key, reason),
        };
        let value = match raw.or_else(|| key.default.map(|text| Raw::Text(text.into()))) {
            Some(raw) => match kind.parse(&raw) {
                Ok(value) => value,
                Err(reason) => return self.fault(key, reason),
            },
            None => match kind.unset() {
                Some(value) => value,
                None => {
                    let rule = self.required(key);
                    return self.fault(key, rule);
                }
            },
        };
        self.show(key, kind.show(&value));
        Some(value)
    }

    /// Whether the key is set, be it by the file of a secret.
    pub(super) fn is_set(&self, key: &Key) -> bool {
        self.options.get(key.name).is_some() || self.file_option(key).is_some()
    }

    /// Where the value of this name came from.
    pub(super) fn source(&self, name: &str) -> Source {
        self.options.source(name)
    }

    /// The file that holds the secret, if one does.
    pub(super) fn file_of(&self, key: &Key) -> Option<PathBuf> {
        self.file_option(key).and_then(|raw| raw.path().ok())
    }

    /// Adds a fault of a key. A key has at most one fault: a value that does not parse is not also missing.
    pub(super) fn fault<T>(&mut self, key: &Key, reason: impl Into<String>) -> Option<T> {
        match (self.place, key.member) {
            (Place::Keys, _) => {
                let name = self.name(key);
                let source = self.options.source(&name);
                self.note(name, source, reason.into());
            }
            (Place::Issuer(..), member) => {
                self.fault_of_member(member.unwrap_or_default(), reason);
            }
        }
        None
    }

    /// Adds a fault of a variable that is not itself a key, such as the `_FILE` variant of one.
    pub(super) fn fault_of_name(&mut self, name: &str, reason: impl Into<String>) {
        let source = self.options.source(name);
        self.note(name.to_owned(), source, reason.into());
    }

    /// Adds a fault of a member of this issuer, which need not have a key.
    pub(super) fn fault_of_member(&mut self, member: &str, reason: impl Into<String>) {
        let (path, source) = match self.place {
            Place::Keys => (member.to_owned(), self.options.source(ISSUERS_FILE)),
            Place::Issuer(at, source) if member.is_empty() => (format!("issuers[{at}]"), source),
            Place::Issuer(at, source) => (format!("issuers[{at}].{member}"), source),
        };
        let reason = format!("{path}: {}", reason.into());
        self.note(ISSUERS_FILE.to_owned(), source, reason);
    }

    /// Adds a fault if a rule is broken. Returns whether the rule holds.
    pub(super) fn require(&mut self, key: &Key, holds: bool, rule: impl Into<String>) -> bool {
        if !holds {
            self.fault::<()>(key, rule);
        }
        holds
    }

    /// Removes keys from the effective values, because they have no effect.
    pub(super) fn hide(&mut self, keys: &[&Key]) {
        self.effective
            .retain(|shown| keys.iter().all(|key| key.name != shown.name));
    }

    fn note(&mut self, key: String, source: Source, reason: String) {
        let is_same = |fault: &Fault| {
            let path = |reason: &str| reason.split_once(": ").map(|(path, _)| path.to_owned());
            fault.key == key && (key != ISSUERS_FILE || path(&fault.reason) == path(&reason))
        };
        if !self.faults.iter().any(is_same) {
            self.faults.push(Fault {
                key,
                source,
                reason,
            });
        }
    }

    /// The value that is set. A secret has it from its own key or from a file, never from both: one of
    /// them would be forgotten when the secret is changed.
    fn raw(&self, key: &Key) -> Result<Option<Raw>, String> {
        let value = self.options.get(key.name);
        let Some(file) = self.file_option(key) else {
            return Ok(value.cloned());
        };
        if value.is_some() {
            return Err(format!(
                "is set, and so is {}; remove one of them",
                file_variant(key.name)
            ));
        }
        let path = file.path()?;
        secret_file::read(&path)
            .map(|secret| Some(Raw::Text(OsString::from(secret.expose_secret()))))
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))
    }

    fn file_option(&self, key: &Key) -> Option<&'a Raw> {
        self.options.get(&key.file_name()?)
    }

    /// The name under which a fault of the key is noted: what a file says is the file's fault.
    fn name(&self, key: &Key) -> String {
        match key.file_name() {
            Some(file) if !self.is_text(key) && self.options.get(&file).is_some() => file,
            _ => key.name.to_owned(),
        }
    }

    fn is_text(&self, key: &Key) -> bool {
        self.options.get(key.name).is_some()
    }

    /// The rule that a key which has to be set breaks by not being set.
    pub(super) fn required(&self, key: &Key) -> String {
        match (self.place, key.file_name()) {
            (Place::Keys, Some(file)) => format!("is required, here or in {file}"),
            _ => "is required".to_owned(),
        }
    }

    fn show(&mut self, key: &Key, value: String) {
        let file = self
            .file_option(key)
            .and_then(|raw| raw.path().ok())
            .map(|path| path.display().to_string());
        match self.place {
            Place::Keys if key.is_member_only => {}
            Place::Keys => {
                let source = match &file {
                    Some(_) => Source::File,
                    None => self.options.source(key.name),
                };
                self.push(key, Cow::Borrowed(key.name), source, value);
                if let Some((name, path)) = key.file_name().zip(file) {
                    let source = self.options.source(&name);
                    self.push(key, Cow::Owned(name), source, path);
                }
            }
            Place::Issuer(at, _) => {
                let Some(member) = key.member else { return };
                let source = self.options.source(&self.name(key));
                let path = format!("issuers[{at}].{member}");
                self.push(key, Cow::Owned(path), source, file.unwrap_or(value));
            }
        }
    }

    fn push(&mut self, key: &Key, name: Cow<'_, str>, source: Source, value: String) {
        let (group, heading) = match self.place {
            Place::Keys => (key.heading as usize, key.heading.title()),
            Place::Issuer(at, _) => (Heading::ALL.len() + at, "Issuers of EPICME_ISSUERS_FILE"),
        };
        self.effective.push(Shown {
            name: key.name,
            group,
            value: EffectiveValue {
                heading,
                key: name.into_owned(),
                value,
                source,
            },
        });
    }
}
