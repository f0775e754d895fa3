//! The log of this process, kept so that tests can look for what must not be in it.

use std::{
    fmt::Write,
    sync::{Mutex, Once},
};

use log::{
    LevelFilter, Log, Metadata, Record,
    kv::{Error, Key, Value, VisitSource},
};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keeper;

impl Log for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // All but the test's own client, which writes the headers that it sends.
        let target = metadata.target();
        let is_of_the_client = ["reqwest", "hyper"]
            .iter()
            .any(|part| target.starts_with(part));
        !is_of_the_client && metadata.level() <= log::Level::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut line = format!("{} {} {}", record.level(), record.target(), record.args());
            let _ = record.key_values().visit(&mut Pairs(&mut line));
            LINES.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}

struct Pairs<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let _ = write!(self.0, " {key}={value}");
        Ok(())
    }
}

pub(super) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_boxed_logger(Box::new(Keeper)).unwrap();
        log::set_max_level(LevelFilter::Debug);
    });
}

/// Every line so far with this text in it, of all tests of this process.
pub(crate) fn lines_with(text: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap();
    lines
        .iter()
        .filter(|line| line.contains(text))
        .cloned()
        .collect()
}

pub(crate) fn log_contains(text: &str) -> bool {
    !lines_with(text).is_empty()
}
