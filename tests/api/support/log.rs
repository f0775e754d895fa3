//! The log of this process, kept so that tests can look for what must not be in it.

use std::{
    cell::Cell,
    fmt::Write,
    mem,
    sync::{Arc, Mutex, Once},
};

use log::{
    LevelFilter, Log, Metadata, Record,
    kv::{Error, Key, Value, VisitSource},
};

static LINES: Mutex<Lines> = Mutex::new(Lines {
    whole: Vec::new(),
    last: Vec::new(),
});

/// The lines of a chunk.
const CHUNK: usize = 1_024;

/// Every line so far, in chunks that can be read while others are written: a server waits for the lock with each
/// of its lines, and reading all lines takes long.
struct Lines {
    whole: Vec<Arc<Vec<String>>>,
    last: Vec<String>,
}

thread_local! {
    /// The lines that were there when the test of this thread began.
    static BEFORE: Cell<Option<usize>> = const { Cell::new(None) };
}

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

impl Lines {
    fn push(&mut self, line: String) {
        self.last.push(line);
        if self.last.len() == CHUNK {
            let chunk = mem::replace(&mut self.last, Vec::with_capacity(CHUNK));
            self.whole.push(Arc::new(chunk));
        }
    }

    fn count(&self) -> usize {
        self.whole.len() * CHUNK + self.last.len()
    }

    fn snapshot_from(&self, chunk: usize) -> Vec<Arc<Vec<String>>> {
        let last = Arc::new(self.last.clone());
        self.whole
            .iter()
            .skip(chunk)
            .cloned()
            .chain([last])
            .collect()
    }
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
    if BEFORE.get().is_none() {
        BEFORE.set(Some(LINES.lock().unwrap().count()));
    }
}

/// Every line with this text in it since the first server of this test started, of all tests that run meanwhile.
pub(crate) fn lines_with(text: &str) -> Vec<String> {
    lines_after(BEFORE.get().unwrap_or_default(), text)
}

/// Every line so far with this text in it, of all tests of this process.
pub(crate) fn lines_of_all_tests_with(text: &str) -> Vec<String> {
    lines_after(0, text)
}

fn lines_after(before: usize, text: &str) -> Vec<String> {
    let whole = before / CHUNK;
    let chunks = LINES.lock().unwrap().snapshot_from(whole);
    chunks
        .iter()
        .flat_map(|chunk| chunk.iter())
        .skip(before - whole * CHUNK)
        .filter(|line| line.contains(text))
        .cloned()
        .collect()
}

pub(crate) fn log_contains(text: &str) -> bool {
    !lines_with(text).is_empty()
}
