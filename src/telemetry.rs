//! The log: text for people, JSON lines for machines. Keys are listed in `docs/LOGGING.md`.

use std::io::Write;

use clap::ValueEnum;
use env_logger::{Builder, Target, fmt::Formatter};
use log::{
    Record,
    kv::{self, Key, Value, VisitSource},
};
use serde_json::Map;

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

fn write_json(line: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let mut object = Map::new();
    object.insert("time".into(), line.timestamp_micros().to_string().into());
    object.insert("level".into(), record.level().as_str().into());
    object.insert("target".into(), record.target().into());
    object.insert("message".into(), record.args().to_string().into());
    // Values of keys that are numbers stay numbers; whatever else there is becomes text.
    let _ = record.key_values().visit(&mut Fields(&mut object));
    writeln!(line, "{}", serde_json::Value::Object(object))
}

struct Fields<'a>(&'a mut Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let json = if let Some(number) = value.to_u64() {
            number.into()
        } else if let Some(number) = value.to_i64() {
            number.into()
        } else if let Some(truth) = value.to_bool() {
            truth.into()
        } else {
            value.to_string().into()
        };
        self.0.insert(key.as_str().to_owned(), json);
        Ok(())
    }
}
