//! The log: text for people, JSON lines for machines. Keys are listed in `docs/LOGGING.md`.

mod lines;

use std::{
    cell::Cell,
    fmt::{self, Display, Write as _},
    io::{self, IsTerminal, Stderr, Write},
    sync::OnceLock,
};

use clap::ValueEnum;
use env_logger::{Builder, Target, WriteStyle, fmt::Formatter};
use lines::Lines;
use log::{
    Level, Record,
    kv::{self, Key, Value, VisitSource},
};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text each.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

/// Starts the log on standard error. `filter` is env_logger's syntax, such as
/// `info,epicme::access=off`; a second call changes nothing.
pub fn start(filter: &str, format: LogFormat) {
    let mut builder = Builder::new();
    builder.parse_filters(filter).target(Target::Stderr);
    match format {
        LogFormat::Json => {
            builder.format(|line, record| write_whole(line, record, json));
        }
        // With colours, for a person who watches.
        LogFormat::Text if io::stderr().is_terminal() => {}
        LogFormat::Text => {
            builder.format(|line, record| write_whole(line, record, text));
        }
    }
    if format == LogFormat::Json || !io::stderr().is_terminal() {
        // There is no style in these lines, and nothing that could be taken for one: they need not be
        // looked through for what has to be left out. Of a pipe it is known that it is no terminal, of
        // standard error that is asked anew for every line.
        let lines = LINES.get_or_init(|| Lines::start(io::stderr()));
        builder
            .write_style(WriteStyle::Always)
            .target(Target::Pipe(Box::new(lines.clone())));
    }
    // A logger that is there already, as in tests, stays.
    let _ = builder.try_init();
}

/// Writes the lines that wait for others to be written with. To be called before the program ends.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        // There is nowhere left to complain to.
        let _ = lines.write_waiting();
    }
}

static LINES: OnceLock<Lines<Stderr>> = OnceLock::new();

/// The target of the access log (`http::access`), whose lines come with every request and may wait for each
/// other.
const ACCESS: &str = "epicme::access";

thread_local! {
    /// What a line is put together in: most requests have one, and it need not be allocated for each.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A line longer than this does not keep its memory.
const ORDINARY: usize = 4_096;

/// Puts a line together and writes it at once.
fn write_whole(
    line: &mut Formatter,
    record: &Record<'_>,
    put: impl FnOnce(&mut Vec<u8>, &Formatter, &Record<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut whole = LINE.take();
    whole.clear();
    lines::next_may_wait(record.target() == ACCESS && record.level() >= Level::Info);
    let written = put(&mut whole, line, record).and_then(|()| line.write_all(&whole));
    if whole.capacity() <= ORDINARY {
        LINE.set(whole);
    }
    written
}

/// `[time level target] message key=value`, with control characters escaped: each is one line.
fn text(whole: &mut Vec<u8>, line: &Formatter, record: &Record<'_>) -> io::Result<()> {
    let (time, level, target) = (line.timestamp(), record.level(), record.target());
    write!(whole, "[{time} {level:<5} {target}] ")?;
    put_escaped(whole, record.args(), put_plain);
    let mut visitor = |key: &Key<'_>, value: &Value<'_>| {
        whole.push(b' ');
        whole.extend_from_slice(key.as_str().as_bytes());
        whole.push(b'=');
        put_value(whole, value, put_plain);
    };
    // The visitor never fails.
    let _ = record.key_values().visit(&mut Fields::new(&mut visitor));
    whole.push(b'\n');
    Ok(())
}

/// An object of strings and numbers, written as it comes. Values that are numbers stay numbers; whatever
/// else there is becomes text.
fn json(whole: &mut Vec<u8>, line: &Formatter, record: &Record<'_>) -> io::Result<()> {
    let (time, level) = (line.timestamp_micros(), record.level());
    write!(whole, r#"{{"time":"{time}","level":"{level}","target":""#)?;
    put_json(whole, record.target());
    whole.extend_from_slice(br#"","message":""#);
    put_escaped(whole, record.args(), put_json);
    whole.push(b'"');
    let mut visitor = |key: &Key<'_>, value: &Value<'_>| {
        if TAKEN.contains(&key.as_str()) {
            return;
        }
        whole.extend_from_slice(b",\"");
        put_json(whole, key.as_str());
        whole.extend_from_slice(b"\":");
        let is_bare =
            value.to_u64().is_some() || value.to_i64().is_some() || value.to_bool().is_some();
        if !is_bare {
            whole.push(b'"');
        }
        put_value(whole, value, put_json);
        if !is_bare {
            whole.push(b'"');
        }
    };
    // The visitor never fails.
    let _ = record.key_values().visit(&mut Fields::new(&mut visitor));
    whole.extend_from_slice(b"}\n");
    Ok(())
}

/// The members that every object has.
const TAKEN: [&str; 4] = ["time", "level", "target", "message"];

/// Shows each key once, with its first value: readers of JSON differ in which of several counts (RFC
/// 8259 §4).
struct Fields<'a, 'kvs> {
    show: &'a mut dyn FnMut(&Key<'_>, &Value<'_>),
    seen: Vec<Key<'kvs>>,
}

impl<'a> Fields<'a, '_> {
    fn new(show: &'a mut dyn FnMut(&Key<'_>, &Value<'_>)) -> Self {
        Self {
            show,
            seen: Vec::with_capacity(16),
        }
    }
}

impl<'kvs> VisitSource<'kvs> for Fields<'_, 'kvs> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if !self.seen.contains(&key) {
            (self.show)(&key, &value);
            self.seen.push(key);
        }
        Ok(())
    }
}

/// How a piece of text is put into a line.
type Put = fn(&mut Vec<u8>, &str);

fn put_value(whole: &mut Vec<u8>, value: &Value<'_>, put: Put) {
    match value.to_borrowed_str() {
        Some(text) => put(whole, text),
        None => put_escaped(whole, value, put),
    }
}

/// What can be displayed, without a copy of it.
fn put_escaped(whole: &mut Vec<u8>, shown: &dyn Display, put: Put) {
    struct Escaped<'a>(&'a mut Vec<u8>, Put);

    impl fmt::Write for Escaped<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            (self.1)(self.0, text);
            Ok(())
        }
    }

    // What cannot be displayed is left where it failed; a log line is no place to fail.
    let _ = write!(Escaped(whole, put), "{shown}");
}

/// As a part of a string of JSON (RFC 8259 §7).
fn put_json(whole: &mut Vec<u8>, text: &str) {
    put_but(
        whole,
        text,
        |byte| byte < b' ' || byte == b'"' || byte == b'\\',
        |whole, byte| match byte {
            b'"' => whole.extend_from_slice(b"\\\""),
            b'\\' => whole.extend_from_slice(b"\\\\"),
            b'\n' => whole.extend_from_slice(b"\\n"),
            other => put_hex(whole, b"\\u00", other),
        },
    );
}

/// As a part of a line of text: no control character begins a line or paints a terminal.
fn put_plain(whole: &mut Vec<u8>, text: &str) {
    put_but(
        whole,
        text,
        |byte| byte < b' ' || byte == 0x7f,
        |whole, byte| match byte {
            b'\n' => whole.extend_from_slice(b"\\n"),
            other => put_hex(whole, b"\\x", other),
        },
    );
}

fn put_but(
    whole: &mut Vec<u8>,
    text: &str,
    is_special: impl Fn(u8) -> bool,
    put: impl Fn(&mut Vec<u8>, u8),
) {
    let bytes = text.as_bytes();
    // Looked at as a whole first, which a processor does sixteen bytes at a time: few texts have any.
    if !bytes
        .iter()
        .fold(false, |seen, byte| seen | is_special(*byte))
    {
        whole.extend_from_slice(bytes);
        return;
    }
    let mut plain = 0;
    for (place, byte) in bytes.iter().enumerate() {
        if is_special(*byte) {
            whole.extend_from_slice(&bytes[plain..place]);
            put(whole, *byte);
            plain = place + 1;
        }
    }
    whole.extend_from_slice(&bytes[plain..]);
}

fn put_hex(whole: &mut Vec<u8>, begin: &[u8], byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    whole.extend_from_slice(begin);
    whole.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use log::{Level, Log};
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of a line with these keys.
    fn written(
        put: fn(&mut Vec<u8>, &Formatter, &Record<'_>) -> io::Result<()>,
        message: &str,
        pairs: &[(&str, Value<'_>)],
    ) -> String {
        let written = Written::default();
        let logger = Builder::new()
            .parse_filters("info")
            .target(Target::Pipe(Box::new(written.clone())))
            .format(move |line, record| write_whole(line, record, put))
            .write_style(WriteStyle::Always)
            .build();
        logger.log(
            &Record::builder()
                .level(Level::Warn)
                .target("epicme::x")
                .key_values(&pairs)
                .args(format_args!("{message}"))
                .build(),
        );
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_line_is_one_object_in_which_no_key_stands_twice() {
        let line = written(
            json,
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
        let (begin, rest) = line.split_once("\",\"level\"").unwrap();
        assert!(begin.starts_with("{\"time\":\"20"), "{line}");
        let rest = rest.trim_end();
        let expected = r#":"WARN","target":"epicme::x","message":"it \"fell\"\n","status":503,"path":"/a\\b","left":-1,"fresh":true,"id":"7"}"#;
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
        let line = written(text, "fell\n[2026 INFO audit] write done", &pairs);
        let (_, rest) = line.split_once("Z ").unwrap();
        let expected = "WARN  epicme::x] fell\\n[2026 INFO audit] write done a=x\\x1b[31m n=1 cut=y\\x0d\\nz\n";
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
