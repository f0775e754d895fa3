//! The log: text for people, JSON lines for machines. Keys are listed in `docs/LOGGING.md`.

use std::{
    fmt::{self, Display, Write as _},
    io::{self, Write},
};

use clap::ValueEnum;
use env_logger::{Builder, Target, fmt::Formatter};
use log::{
    Record,
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
    if format == LogFormat::Json {
        builder.format(write_json);
    }
    // A logger that is there already, as in tests, stays.
    let _ = builder.try_init();
}

/// Writes a line as it comes: an object of strings and numbers needs no tree.
fn write_json(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let time = line.timestamp_micros();
    write!(
        line,
        r#"{{"time":"{time}","level":"{}","target":"#,
        record.level()
    )?;
    serde_json::to_writer(&mut *line, record.target())?;
    line.write_all(br#","message":"#)?;
    write_text(line, record.args())?;
    let mut fields = Fields {
        line,
        seen: Vec::new(),
        outcome: Ok(()),
    };
    // Nothing here fails but the writing, which is told below.
    let _ = record.key_values().visit(&mut fields);
    fields.outcome?;
    line.write_all(b"}\n")
}

/// The members that every line has.
const TAKEN: [&str; 4] = ["time", "level", "target", "message"];

/// Members of the line's object. Of several of one name, the first is written: readers of JSON differ in
/// which of them counts (RFC 8259 §4).
struct Fields<'a, 'kvs> {
    line: &'a mut Formatter,
    seen: Vec<Key<'kvs>>,
    outcome: io::Result<()>,
}

impl<'kvs> VisitSource<'kvs> for Fields<'_, 'kvs> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if self.outcome.is_ok() && !TAKEN.contains(&key.as_str()) && !self.seen.contains(&key) {
            self.outcome = write_member(self.line, key.as_str(), &value);
            self.seen.push(key);
        }
        Ok(())
    }
}

/// Values that are numbers stay numbers; whatever else there is becomes text.
fn write_member(line: &mut Formatter, key: &str, value: &Value<'_>) -> io::Result<()> {
    line.write_all(b",")?;
    serde_json::to_writer(&mut *line, key)?;
    line.write_all(b":")?;
    if let Some(number) = value.to_u64() {
        write!(line, "{number}")
    } else if let Some(number) = value.to_i64() {
        write!(line, "{number}")
    } else if let Some(truth) = value.to_bool() {
        write!(line, "{truth}")
    } else if let Some(text) = value.to_borrowed_str() {
        Ok(serde_json::to_writer(line, text)?)
    } else {
        write_text(line, value)
    }
}

/// Writes what can be displayed as a string of JSON, without a copy of it.
fn write_text(line: &mut Formatter, text: &impl Display) -> io::Result<()> {
    line.write_all(b"\"")?;
    let mut escaped = Escaped {
        line,
        outcome: Ok(()),
    };
    if write!(escaped, "{text}").is_err() {
        escaped.outcome?;
    }
    line.write_all(b"\"")
}

/// Escapes what RFC 8259 §7 says has to be.
struct Escaped<'a> {
    line: &'a mut Formatter,
    outcome: io::Result<()>,
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.outcome = escape(self.line, text);
        self.outcome.as_ref().map_err(|_| fmt::Error).copied()
    }
}

fn escape(line: &mut impl Write, text: &str) -> io::Result<()> {
    let mut rest = text;
    while let Some(place) =
        rest.find(|character: char| character < ' ' || "\"\\".contains(character))
    {
        let (plain, after) = rest.split_at(place);
        line.write_all(plain.as_bytes())?;
        let (special, after) = after.split_at(1);
        match special {
            "\"" => line.write_all(b"\\\"")?,
            "\\" => line.write_all(b"\\\\")?,
            "\n" => line.write_all(b"\\n")?,
            other => write!(line, "\\u{:04x}", other.as_bytes()[0])?,
        }
        rest = after;
    }
    line.write_all(rest.as_bytes())
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
    fn written(message: &str, pairs: &[(&str, Value<'_>)]) -> String {
        let written = Written::default();
        let logger = Builder::new()
            .parse_filters("info")
            .target(Target::Pipe(Box::new(written.clone())))
            .format(write_json)
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

    proptest! {
        #[test]
        fn any_text_is_read_again_as_it_was(text in any::<String>()) {
            let mut line = b"\"".to_vec();
            escape(&mut line, &text).unwrap();
            line.push(b'"');
            prop_assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
        }
    }
}
