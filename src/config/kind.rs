//! Kinds of values: how each is parsed, the fault if it does not parse, and how it is shown.

use std::{fmt::Display, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use jiff::fmt::friendly::{SpanParser, SpanPrinter};
use secrecy::SecretString;
use serde_json::Value;

use super::options::Raw;

/// A kind of value of type `T`.
pub(super) trait Kind<T> {
    /// Reads a value.
    ///
    /// # Errors
    /// The rule that it breaks, as in "must be on or off"; never the value.
    fn parse(&self, raw: &Raw) -> Result<T, String>;

    /// Writes a value the way it is read; `***` for a secret.
    fn show(&self, value: &T) -> String;

    /// The value if none is set and the key has no default. With `None` the key is required.
    fn unset(&self) -> Option<T> {
        None
    }
}

/// An optional value, and what is shown if it is not set.
pub(super) struct Optional<K>(pub(super) K, pub(super) &'static str);

impl<T, K: Kind<T>> Kind<Option<T>> for Optional<K> {
    fn parse(&self, raw: &Raw) -> Result<Option<T>, String> {
        self.0.parse(raw).map(Some)
    }

    fn show(&self, value: &Option<T>) -> String {
        value
            .as_ref()
            .map_or_else(|| self.1.to_owned(), |value| self.0.show(value))
    }

    fn unset(&self) -> Option<Option<T>> {
        Some(None)
    }
}

/// A value that is computed if it is not set.
pub(super) struct OrElse<K, F>(pub(super) K, pub(super) F);

impl<T, K: Kind<T>, F: Fn() -> T> Kind<T> for OrElse<K, F> {
    fn parse(&self, raw: &Raw) -> Result<T, String> {
        self.0.parse(raw)
    }

    fn show(&self, value: &T) -> String {
        self.0.show(value)
    }

    fn unset(&self) -> Option<T> {
        Some((self.1)())
    }
}

/// The word `off`, or a value.
pub(super) struct OrOff<K>(pub(super) K);

impl<T, K: Kind<T>> Kind<Option<T>> for OrOff<K> {
    fn parse(&self, raw: &Raw) -> Result<Option<T>, String> {
        if raw.text() == Ok("off") {
            return Ok(None);
        }
        self.0
            .parse(raw)
            .map(Some)
            .map_err(|rule| format!("{rule}, or off"))
    }

    fn show(&self, value: &Option<T>) -> String {
        value
            .as_ref()
            .map_or_else(|| "off".to_owned(), |value| self.0.show(value))
    }
}

/// What a function makes of a text; the type shows itself.
pub(super) struct Text<F>(pub(super) F);

impl<T: Display, E: Display, F: Fn(&str) -> Result<T, E>> Kind<T> for Text<F> {
    fn parse(&self, raw: &Raw) -> Result<T, String> {
        (self.0)(raw.text()?).map_err(|rule| rule.to_string())
    }

    fn show(&self, value: &T) -> String {
        value.to_string()
    }
}

/// A value that is shown as `(none)` if it is empty.
pub(super) struct OrNone<K>(pub(super) K);

impl<T, K: Kind<T>> Kind<T> for OrNone<K> {
    fn parse(&self, raw: &Raw) -> Result<T, String> {
        self.0.parse(raw)
    }

    fn show(&self, value: &T) -> String {
        let shown = self.0.show(value);
        if shown.is_empty() {
            return "(none)".to_owned();
        }
        shown
    }
}

/// What a function makes of each item of a list; the type shows itself.
pub(super) struct List<F>(pub(super) F);

impl<T: Display, E: Display, F: Fn(&str) -> Result<T, E>> Kind<Vec<T>> for List<F> {
    fn parse(&self, raw: &Raw) -> Result<Vec<T>, String> {
        raw.items()?
            .iter()
            .map(|item| (self.0)(item).map_err(|rule| rule.to_string()))
            .collect()
    }

    fn show(&self, value: &Vec<T>) -> String {
        joined(value.iter().map(T::to_string))
    }
}

/// A list that a function reads and another shows.
pub(super) struct Items<P, S>(pub(super) P, pub(super) S);

impl<T, E, P, S> Kind<T> for Items<P, S>
where
    E: Display,
    P: Fn(Vec<String>) -> Result<T, E>,
    S: Fn(&T) -> Vec<String>,
{
    fn parse(&self, raw: &Raw) -> Result<T, String> {
        (self.0)(raw.items()?).map_err(|rule| rule.to_string())
    }

    fn show(&self, value: &T) -> String {
        joined((self.1)(value).into_iter())
    }
}

fn joined(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() {
        return "(none)".to_owned();
    }
    items.join(" ")
}

/// `on` or `off`.
pub(super) struct Switch;

impl Kind<bool> for Switch {
    fn parse(&self, raw: &Raw) -> Result<bool, String> {
        raw.switch()
    }

    fn show(&self, on: &bool) -> String {
        if *on { "on" } else { "off" }.to_owned()
    }
}

/// One of a few words.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind<T> for Choice<T> {
    fn parse(&self, raw: &Raw) -> Result<T, String> {
        let text = raw.text()?;
        let choice = self.0.iter().find(|(word, _)| *word == text);
        choice.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
            match words.split_last() {
                Some((last, others)) => format!("must be {} or {last}", others.join(", ")),
                None => "must not be set".to_owned(),
            }
        })
    }

    fn show(&self, value: &T) -> String {
        let choice = self.0.iter().find(|(_, choice)| choice == value);
        choice.map_or("", |(word, _)| word).to_owned()
    }
}

/// One of a few words, of which `on` and `off` are `true` and `false` in JSON.
pub(super) struct SwitchOr<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind<T> for SwitchOr<T> {
    fn parse(&self, raw: &Raw) -> Result<T, String> {
        match raw {
            Raw::Json(Value::Bool(on)) => {
                let word = if *on { "on" } else { "off" };
                Choice(self.0).parse(&Raw::Text(word.into()))
            }
            Raw::Json(Value::String(word)) if ["on", "off"].contains(&word.as_str()) => {
                Err("must be true or false".to_owned())
            }
            raw => Choice(self.0).parse(raw),
        }
    }

    fn show(&self, value: &T) -> String {
        Choice(self.0).show(value)
    }
}

/// A whole number from 1 to this one.
pub(super) struct Count(pub(super) u32);

impl<T: TryFrom<NonZeroU32> + Display> Kind<T> for Count {
    fn parse(&self, raw: &Raw) -> Result<T, String> {
        let number = raw.number()?.parse::<NonZeroU32>().ok();
        number
            .filter(|number| number.get() <= self.0)
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("must be a whole number from 1 to {}", self.0))
    }

    fn show(&self, value: &T) -> String {
        value.to_string()
    }
}

/// A limit from 1 to this number; 0 is no limit.
pub(super) struct Limit(pub(super) u32);

impl Kind<Option<NonZeroU32>> for Limit {
    fn parse(&self, raw: &Raw) -> Result<Option<NonZeroU32>, String> {
        let limit = raw.number()?.parse().ok();
        limit
            .filter(|limit| *limit <= self.0)
            .map(NonZeroU32::new)
            .ok_or_else(|| format!("must be a whole number from 0 (no limit) to {}", self.0))
    }

    fn show(&self, value: &Option<NonZeroU32>) -> String {
        value.map_or(0, NonZeroU32::get).to_string()
    }
}

/// A whole number, of which 0 means no limit.
pub(super) struct Amount;

/// More than any disk has bytes, and exact in JSON.
const MOST_AMOUNT: u64 = 1 << 50;

impl Kind<u64> for Amount {
    fn parse(&self, raw: &Raw) -> Result<u64, String> {
        let amount = raw.number()?.parse().ok();
        amount
            .filter(|amount| *amount <= MOST_AMOUNT)
            .ok_or_else(|| format!("must be a whole number from 0 (no limit) to {MOST_AMOUNT}"))
    }

    fn show(&self, value: &u64) -> String {
        value.to_string()
    }
}

/// A duration with a unit, between two bounds.
pub(super) struct Time {
    least: Duration,
    most: Duration,
}

impl Time {
    /// Any duration.
    pub(super) const ANY: Self = Self {
        least: Duration::ZERO,
        most: Duration::MAX,
    };

    /// This many milliseconds, or more: what is shorter parses and cannot work.
    pub(super) const fn at_least(milliseconds: u64) -> Self {
        Self {
            least: Duration::from_millis(milliseconds),
            ..Self::ANY
        }
    }

    /// With this as the longest one.
    pub(super) const fn at_most(self, seconds: u64) -> Self {
        Self {
            most: Duration::from_secs(seconds),
            ..self
        }
    }
}

impl Kind<Duration> for Time {
    fn parse(&self, raw: &Raw) -> Result<Duration, String> {
        let duration = duration(raw.text()?)?;
        if duration < self.least {
            return Err(format!("must be at least {}", shown(self.least)));
        }
        if duration > self.most {
            return Err(format!("must not be longer than {}", shown(self.most)));
        }
        Ok(duration)
    }

    fn show(&self, value: &Duration) -> String {
        shown(*value)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    SpanParser::new()
        .parse_unsigned_duration(text)
        .map_err(|_| "must be a duration with a unit, such as 250ms, 30s, 5m or 24h".to_owned())
}

fn shown(duration: Duration) -> String {
    SpanPrinter::new().unsigned_duration_to_string(&duration)
}

/// The path of a file.
pub(super) struct File;

impl Kind<PathBuf> for File {
    fn parse(&self, raw: &Raw) -> Result<PathBuf, String> {
        raw.path()
    }

    fn show(&self, path: &PathBuf) -> String {
        path.display().to_string()
    }
}

/// A secret of which a function makes the value; it is never shown.
pub(super) struct Secret<F>(pub(super) F);

impl<T, E: Display, F: Fn(SecretString) -> Result<T, E>> Kind<T> for Secret<F> {
    fn parse(&self, raw: &Raw) -> Result<T, String> {
        (self.0)(raw.text()?.into()).map_err(|rule| rule.to_string())
    }

    fn show(&self, _: &T) -> String {
        "***".to_owned()
    }
}

/// Reads an address and a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "must be an IP address and a port, such as 127.0.0.1:8787")
}

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;
