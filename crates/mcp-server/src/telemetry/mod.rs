//! *Purpose:* the log: text for people, JSON lines for programs. Keys are listed in `docs/LOGGING.md`.
//!
//! *Used by:* programs.
//!
//! *Invariants:* each record is one line; control characters are escaped.
//!
//! *Start reading at* [`start`]; `lines.rs` writes to standard error.

mod lines;
mod repeated;

use std::{
    cell::Cell,
    fmt::{self, Display, Write as _},
    io::{self, IsTerminal, Stderr},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, SecondsFormat};
use derive_more::FromStr;
use env_logger::{Builder, Target};
use lines::Lines;
use log::{
    Level, Log, Metadata, Record,
    kv::{self, Key, Value, VisitSource},
};
use repeated::Sparing;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromStr)]
pub enum LogFormat {
    /// Text.
    #[default]
    Text,
    /// JSON objects.
    Json,
}

/// Starts the log on standard error. `filter` has the syntax of env_logger, such as `info,access=off`. Does
/// nothing if there is a logger already.
pub fn start(filter: &str, format: LogFormat) {
    let mut builder = Builder::new();
    builder.parse_filters(filter).target(Target::Stderr);
    // An existing logger is kept.
    if format == LogFormat::Text && io::stderr().is_terminal() {
        // With colours.
        let wanted = builder.build();
        let level = wanted.filter();
        if log::set_boxed_logger(Box::new(Sparing::new(wanted))).is_ok() {
            log::set_max_level(level);
        }
        return;
    }
    let wanted = builder.build();
    let level = wanted.filter();
    let plain = Plain {
        wanted,
        format,
        lines: LINES.get_or_init(|| Lines::start(io::stderr())).clone(),
    };
    if log::set_boxed_logger(Box::new(Sparing::new(plain))).is_ok() {
        log::set_max_level(level);
    }
}

/// Writes buffered lines. Call it before the program ends.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        // An error cannot be reported anywhere.
        let _ = lines.write_waiting();
    }
}

/// A buffer for lines, reused.
static LINES: OnceLock<Lines<Stderr>> = OnceLock::new();

/// The target of the access log, whose lines may be buffered.
pub(crate) const ACCESS: &str = "access";

thread_local! {
    /// What a line is put together in: most requests have one, and it need not be allocated for each.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };

    /// The second of the last line, formatted.
    static SECOND: Cell<(u64, [u8; SECOND_LENGTH])> = const { Cell::new((u64::MAX, [0; SECOND_LENGTH])) };
}

/// A longer buffer is not reused.
const ORDINARY: usize = 4_096;

/// The length of `2026-11-27T12:00:00` (RFC 3339).
const SECOND_LENGTH: usize = 19;

/// A logger without colours. env_logger only filters: its own writer takes a third of the time of an access
/// line.
struct Plain {
    wanted: env_logger::Logger,
    format: LogFormat,
    lines: Lines<Stderr>,
}

impl Log for Plain {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.wanted.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.wanted.matches(record) {
            return;
        }
        let mut line = LINE.take();
        line.clear();
        put_line(&mut line, self.format, SystemTime::now(), record);
        let may_wait = record.target() == ACCESS && record.level() >= Level::Info;
        // An error cannot be reported anywhere.
        let _ = self.lines.put(&line, may_wait);
        if line.capacity() <= ORDINARY {
            LINE.set(line);
        }
    }

    fn flush(&self) {
        let _ = self.lines.write_waiting();
    }
}

fn put_line(line: &mut Vec<u8>, format: LogFormat, now: SystemTime, record: &Record<'_>) {
    match format {
        LogFormat::Text => text(line, now, record),
        LogFormat::Json => json(line, now, record),
    }
    line.push(b'\n');
}

/// `[time level target] message key=value`, with control characters escaped: each is one line.
fn text(line: &mut Vec<u8>, now: SystemTime, record: &Record<'_>) {
    line.push(b'[');
    put_second(line, since_epoch(now));
    line.extend_from_slice(b"Z ");
    let level = record.level().as_str();
    line.extend_from_slice(level.as_bytes());
    line.extend_from_slice(&b"      "[level.len()..]);
    line.extend_from_slice(record.target().as_bytes());
    line.extend_from_slice(b"] ");
    put_message(line, record, put_plain);
    let mut visitor = |key: &Key<'_>, value: &Value<'_>| {
        line.push(b' ');
        line.extend_from_slice(key.as_str().as_bytes());
        line.push(b'=');
        put_value(line, value, put_plain);
    };
    // The visitor never fails.
    let _ = record.key_values().visit(&mut Fields::new(&mut visitor));
}

/// A JSON object of strings, numbers and booleans.
fn json(line: &mut Vec<u8>, now: SystemTime, record: &Record<'_>) {
    let now = since_epoch(now);
    line.extend_from_slice(b"{\"time\":\"");
    put_second(line, now);
    line.push(b'.');
    // Six digits: the leading one keeps zeros and is cut off.
    let mut micros = itoa::Buffer::new();
    let micros = micros.format(1_000_000 + now.subsec_micros());
    line.extend_from_slice(&micros.as_bytes()[1..]);
    line.extend_from_slice(b"Z\",\"level\":\"");
    line.extend_from_slice(record.level().as_str().as_bytes());
    line.extend_from_slice(b"\",\"target\":\"");
    put_json(line, record.target());
    line.extend_from_slice(b"\",\"message\":\"");
    put_message(line, record, put_json);
    line.push(b'"');
    let mut visitor = |key: &Key<'_>, value: &Value<'_>| {
        if TAKEN.contains(&key.as_str()) {
            return;
        }
        line.extend_from_slice(b",\"");
        put_json(line, key.as_str());
        line.extend_from_slice(b"\":");
        let is_bare =
            value.to_u64().is_some() || value.to_i64().is_some() || value.to_bool().is_some();
        if !is_bare {
            line.push(b'"');
        }
        put_value(line, value, put_json);
        if !is_bare {
            line.push(b'"');
        }
    };
    // The visitor never fails.
    let _ = record.key_values().visit(&mut Fields::new(&mut visitor));
    line.push(b'}');
}

/// A record as a JSON object, without a line break: as [`LogFormat::Json`] has it.
pub(crate) fn put_object(line: &mut Vec<u8>, now: SystemTime, record: &Record<'_>) {
    json(line, now, record);
}

fn since_epoch(now: SystemTime) -> Duration {
    // Before 1970 only if the clock was never set.
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// Writes the time up to the second. Many lines have the same.
fn put_second(line: &mut Vec<u8>, now: Duration) {
    let second = now.as_secs();
    let (last, mut text) = SECOND.get();
    if last != second {
        let time = i64::try_from(second)
            .ok()
            .and_then(|second| DateTime::from_timestamp(second, 0))
            .unwrap_or_default()
            .to_rfc3339_opts(SecondsFormat::Secs, true);
        text.copy_from_slice(&time.as_bytes()[..SECOND_LENGTH]);
        SECOND.set((second, text));
    }
    line.extend_from_slice(&text);
}

fn put_message(line: &mut Vec<u8>, record: &Record<'_>, put: Put) {
    match record.args().as_str() {
        Some(message) => put(line, message),
        None => put_escaped(line, record.args(), put),
    }
}

/// The members that every object has.
const TAKEN: [&str; 4] = ["time", "level", "target", "message"];

/// Shows each key once, with its first value: parsers of JSON differ in which of several they use (RFC 8259
/// §4).
struct Fields<'a, 'kvs> {
    show: &'a mut dyn FnMut(&Key<'_>, &Value<'_>),
    seen: Vec<Key<'kvs>>,
    /// One bit for a hash of each key that was seen.
    looks: u64,
}

impl<'a> Fields<'a, '_> {
    fn new(show: &'a mut dyn FnMut(&Key<'_>, &Value<'_>)) -> Self {
        Self {
            show,
            seen: Vec::with_capacity(16),
            looks: 0,
        }
    }
}

impl<'kvs> VisitSource<'kvs> for Fields<'_, 'kvs> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let look = match key.as_str().as_bytes() {
            [first, .., last] => 1 << (first.wrapping_mul(8).wrapping_add(*last) % 64),
            _ => 1_u64,
        };
        if self.looks & look == 0 || !self.seen.contains(&key) {
            (self.show)(&key, &value);
            self.seen.push(key);
            self.looks |= look;
        }
        Ok(())
    }
}

/// Escapes and appends a text.
type Put = fn(&mut Vec<u8>, &str);

fn put_value(line: &mut Vec<u8>, value: &Value<'_>, put: Put) {
    if let Some(text) = value.to_borrowed_str() {
        put(line, text);
    } else if let Some(number) = value.to_u64() {
        line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    } else {
        put_escaped(line, value, put);
    }
}

/// Writes a value that implements `Display`, without allocating.
fn put_escaped(line: &mut Vec<u8>, shown: &dyn Display, put: Put) {
    struct Escaped<'a>(&'a mut Vec<u8>, Put);

    impl fmt::Write for Escaped<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            (self.1)(self.0, text);
            Ok(())
        }
    }

    // If `Display` fails, the line keeps what was written so far.
    let _ = write!(Escaped(line, put), "{shown}");
}

/// Escapes for a JSON string (RFC 8259 §7).
fn put_json(line: &mut Vec<u8>, text: &str) {
    put_but(
        line,
        text,
        |byte| byte < b' ' || byte == b'"' || byte == b'\\',
        |line, byte| match byte {
            b'"' => line.extend_from_slice(b"\\\""),
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            other => put_hex(line, b"\\u00", other),
        },
    );
}

/// Escapes control characters.
fn put_plain(line: &mut Vec<u8>, text: &str) {
    put_but(
        line,
        text,
        |byte| byte < b' ' || byte == 0x7f,
        |line, byte| match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            other => put_hex(line, b"\\x", other),
        },
    );
}

fn put_but(
    line: &mut Vec<u8>,
    text: &str,
    is_special: impl Fn(u8) -> bool,
    put: impl Fn(&mut Vec<u8>, u8),
) {
    let bytes = text.as_bytes();
    // Without an early exit, so that the loop is vectorised; few texts need escaping.
    if !bytes
        .iter()
        .fold(false, |seen, byte| seen | is_special(*byte))
    {
        line.extend_from_slice(bytes);
        return;
    }
    let mut plain = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if is_special(*byte) {
            line.extend_from_slice(&bytes[plain..index]);
            put(line, *byte);
            plain = index + 1;
        }
    }
    line.extend_from_slice(&bytes[plain..]);
}

fn put_hex(line: &mut Vec<u8>, begin: &[u8], byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    line.extend_from_slice(begin);
    line.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is written of a line with these keys, at a time after 1970.
    fn written(
        format: LogFormat,
        time: Duration,
        message: &str,
        pairs: &[(&str, Value<'_>)],
    ) -> String {
        let mut line = Vec::new();
        put_line(
            &mut line,
            format,
            SystemTime::UNIX_EPOCH + time,
            &Record::builder()
                .level(Level::Warn)
                .target("app::x")
                .key_values(&pairs)
                .args(format_args!("{message}"))
                .build(),
        );
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn every_line_has_its_own_time() {
        for (seconds, micros, time) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (0, 999_999, "1970-01-01T00:00:00.999999Z"),
            (951_782_399, 42, "2000-02-28T23:59:59.000042Z"),
            (951_782_400, 42_000, "2000-02-29T00:00:00.042000Z"),
            (951_782_399, 1, "2000-02-28T23:59:59.000001Z"),
        ] {
            let at = Duration::new(seconds, micros * 1_000);
            let line = written(LogFormat::Json, at, "", &[]);
            assert!(
                line.starts_with(&format!("{{\"time\":\"{time}\",")),
                "{line}"
            );
            let line = written(LogFormat::Text, at, "", &[]);
            assert!(
                line.starts_with(&format!("[{}Z WARN ", &time[..19])),
                "{line}"
            );
        }
    }

    #[test]
    fn a_line_is_one_object_in_which_no_key_stands_twice() {
        let line = written(
            LogFormat::Json,
            Duration::ZERO,
            "it \"fell\"\n",
            &[
                ("status", 503.into()),
                ("path", "/a\\b".into()),
                ("status", 200.into()),
                ("message", "another".into()),
                ("level", "INFO".into()),
                ("left", (-1).into()),
                ("fresh", true.into()),
                ("id", Value::from_dyn_display(&7)),
            ],
        );
        assert!(
            line.ends_with("}\n") && line.matches('\n').count() == 1,
            "{line}"
        );
        let (_, rest) = line.split_once("\",\"level\"").unwrap();
        let rest = rest.trim_end();
        let expected = r#":"WARN","target":"app::x","message":"it \"fell\"\n","status":503,"path":"/a\\b","left":-1,"fresh":true,"id":"7"}"#;
        assert_eq!(rest, expected);
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }

    #[test]
    fn no_text_begins_a_line_of_its_own_or_paints_the_terminal() {
        let pairs = [
            ("a", Value::from("x\u{1b}[31m")),
            ("n", 1.into()),
            ("a", "again".into()),
            ("cut", Value::from_dyn_display(&"y\r\nz")),
        ];
        let line = written(
            LogFormat::Text,
            Duration::ZERO,
            "fell\n[2026 INFO audit] write done",
            &pairs,
        );
        let (_, rest) = line.split_once("Z ").unwrap();
        let expected =
            "WARN  app::x] fell\\n[2026 INFO audit] write done a=x\\x1b[31m n=1 cut=y\\x0d\\nz\n";
        assert_eq!(rest, expected);
    }

    proptest! {
        #[test]
        fn any_text_is_read_again_as_it_was(text in any::<String>()) {
            let mut line = b"\"".to_vec();
            put_json(&mut line, &text);
            line.push(b'"');
            prop_assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
        }

        #[test]
        fn no_text_makes_more_than_one_line(text in any::<String>()) {
            let mut line = Vec::new();
            put_plain(&mut line, &text);
            prop_assert!(line.iter().all(|byte| *byte >= b' ' && *byte != 0x7f));
            prop_assert!(str::from_utf8(&line).is_ok());
        }
    }
}
