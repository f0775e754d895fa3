//! The file of the audit log: a thread appends lines, so that no request waits for a disk.
//!
//! A request puts its line into a buffer. If the disk does not keep up, or writing fails, the lines wait; what does not
//! fit the buffer is lost, which a line of the file says as soon as it can be written again. Requests go on: an audit
//! log that stopped the service would give everybody who can fill a disk a way to stop it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    mem,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use chrono::{SecondsFormat, Utc};
use parking_lot::{Condvar, Mutex};

use super::chain::{self, ChainKey, Link};
use crate::metrics::Text;

/// How long lines are collected before they are written together.
const WAIT: Duration = Duration::from_millis(50);

/// How long the thread waits after an error.
const RETRY: Duration = Duration::from_secs(1);

/// The most that waits to be written, in bytes.
const MOST_WAITING: usize = 4 * 1024 * 1024;

/// How much of the end of a file is read for its last line, in bytes. A line has at most a few thousand.
const TAIL: u64 = 256 * 1024;

/// A file of audit lines, and the thread that writes them.
pub(super) struct AuditFile {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    out: Mutex<Out>,
    waiting: Mutex<Waiting>,
    some_wait: Condvar,
    sequence: AtomicU64,
    failures: AtomicU64,
    lost: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    /// Lines without their links.
    lines: Vec<u8>,
    /// Lines that did not fit since the last one that was written.
    lost: u64,
    is_noticed: bool,
    is_over: bool,
}

struct Out {
    path: PathBuf,
    file: File,
    last: Link,
    key: Option<ChainKey>,
    /// Whether something may stand behind the last whole line.
    is_torn: bool,
    is_failing: bool,
}

impl AuditFile {
    /// Opens a file, or makes it for its owner alone, and goes on with its chain.
    ///
    /// # Errors
    /// Errors of the operating system; another process has it open; it is none of the audit log.
    ///
    /// # Panics
    /// If the operating system cannot start a thread.
    pub(super) fn open(path: PathBuf, key: Option<ChainKey>) -> io::Result<Self> {
        let named = |error: io::Error| {
            let reason = format!("the audit file {}: {error}", path.display());
            io::Error::new(error.kind(), reason)
        };
        let mut file = open(&path).map_err(named)?;
        let (last, is_torn) = last_link(&mut file).map_err(named)?;
        let mut out = Out {
            path: path.clone(),
            file,
            last,
            key,
            is_torn,
            is_failing: false,
        };
        out.write(&[own_line("opened", "")]).map_err(named)?;
        let shared = Arc::new(Shared {
            sequence: out.last.sequence.into(),
            out: Mutex::new(out),
            waiting: Mutex::default(),
            some_wait: Condvar::new(),
            failures: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let writer = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.write_now_and_then())
            .expect("the operating system gives threads");
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Adds a line, a JSON object.
    pub(super) fn put(&self, object: &[u8]) {
        let mut waiting = self.shared.waiting.lock();
        if waiting.lines.len() + object.len() >= MOST_WAITING {
            waiting.lost += 1;
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.lines.extend_from_slice(object);
        waiting.lines.push(b'\n');
        if !mem::replace(&mut waiting.is_noticed, true) {
            drop(waiting);
            self.shared.some_wait.notify_one();
        }
    }

    /// Writes what waits.
    pub(super) fn write_waiting(&self) {
        self.shared.write_waiting();
    }

    /// The numbers for the metrics.
    pub(super) fn counts(&self) -> Counts {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Counts {
            sequence: read(&self.shared.sequence),
            failures: read(&self.shared.failures),
            lost: read(&self.shared.lost),
        }
    }
}

/// The numbers for the metrics; zeros without a file.
#[derive(Default)]
pub(super) struct Counts {
    sequence: u64,
    failures: u64,
    lost: u64,
}

impl Counts {
    pub(super) fn write(&self, text: &mut Text) {
        let name = "audit_sequence";
        text.family(
            name,
            "gauge",
            "The number of the last line of the audit file.",
        );
        text.sample(name, &[], self.sequence);
        let name = "audit_write_failures_total";
        text.family(
            name,
            "counter",
            "Attempts to write to the audit file that failed.",
        );
        text.sample(name, &[], self.failures);
        let name = "audit_lines_lost_total";
        text.family(
            name,
            "counter",
            "Lines that the audit file lacks, because it could not be written.",
        );
        text.sample(name, &[], self.lost);
    }
}

impl Drop for AuditFile {
    fn drop(&mut self) {
        self.shared.write_waiting();
        self.shared.waiting.lock().is_over = true;
        self.shared.some_wait.notify_one();
        if let Some(thread) = self.thread.take() {
            // It cannot panic: it does nothing but write.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Waits for lines, collects them for a moment, and writes them.
    fn write_now_and_then(&self) {
        let mut pause = WAIT;
        loop {
            let mut waiting = self.waiting.lock();
            self.some_wait.wait_while(&mut waiting, |waiting| {
                !waiting.is_noticed && !waiting.is_over
            });
            self.some_wait
                .wait_while_for(&mut waiting, |waiting| !waiting.is_over, pause);
            if waiting.is_over {
                return;
            }
            waiting.is_noticed = false;
            drop(waiting);
            let is_written = self.write_waiting();
            pause = if is_written { WAIT } else { RETRY };
            if !is_written {
                self.waiting.lock().is_noticed = true;
            }
        }
    }

    /// Whether nothing waits any more.
    fn write_waiting(&self) -> bool {
        let mut out = self.out.lock();
        let (lines, lost) = {
            let mut waiting = self.waiting.lock();
            (mem::take(&mut waiting.lines), mem::take(&mut waiting.lost))
        };
        let loss = (lost > 0).then(|| own_line("lost", &format!(",\"lost\":{lost}")));
        // What was lost is newer than what waited.
        let objects: Vec<_> = lines
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\n").unwrap_or(line).to_vec())
            .chain(loss)
            .collect();
        let written = out.follow_the_path().and_then(|()| out.write(&objects));
        self.sequence.store(out.last.sequence, Ordering::Relaxed);
        match written {
            Ok(()) => {
                if mem::take(&mut out.is_failing) {
                    log::info!(target: super::FILE_TARGET, "the audit file can be written again");
                }
                true
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                if !mem::replace(&mut out.is_failing, true) {
                    let file = out.path.display();
                    log::error!(target: super::FILE_TARGET, file:%; "the audit file cannot be written; lines wait, up to 4 MiB: {error}");
                }
                let mut waiting = self.waiting.lock();
                let newer = mem::replace(&mut waiting.lines, lines);
                waiting.lines.extend_from_slice(&newer);
                waiting.lost += lost;
                false
            }
        }
    }
}

impl Out {
    /// Opens the file anew if another one, or none, is at its path now: somebody renamed it. The chain goes on.
    fn follow_the_path(&mut self) -> io::Result<()> {
        let opened = Identity::of(&self.file.metadata()?);
        let current = std::fs::metadata(&self.path);
        if current.is_ok_and(|current| Identity::of(&current) == opened) {
            return Ok(());
        }
        let mut file = open(&self.path)?;
        // If somebody put a file of this log there, its lines are before ours all the same.
        let is_torn = last_link(&mut file)?.1;
        self.is_torn = is_torn;
        self.file = file;
        self.write(&[own_line("opened", "")])
    }

    /// Appends lines: all, or none.
    fn write(&mut self, objects: &[Vec<u8>]) -> io::Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        let (mut batch, mut last) = (Vec::new(), self.last);
        let key = self.key.as_ref();
        if self.is_torn {
            batch.push(b'\n');
            last = chain::append(&mut batch, &own_line("torn", ""), last, key);
        }
        for object in objects {
            last = chain::append(&mut batch, object, last, key);
        }
        let length = self.file.metadata()?.len();
        if let Err(error) = self.file.write_all(&batch) {
            // On a full disk a part is there.
            self.is_torn = self.file.set_len(length).is_err() || self.is_torn;
            return Err(error);
        }
        self.last = last;
        self.is_torn = false;
        Ok(())
    }
}

/// A line about the file itself.
fn own_line(outcome: &str, more: &str) -> Vec<u8> {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
    format!(
        "{{\"time\":\"{time}\",\"level\":\"INFO\",\"target\":\"audit\",\"message\":\"log {outcome}\",\"event\":\"log\",\"outcome\":\"{outcome}\"{more}}}"
    )
    .into_bytes()
}

/// What tells two files apart.
#[derive(PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    fn of(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(metadata.dev(), metadata.ino())
    }

    /// Elsewhere a file that is open cannot be renamed.
    #[cfg(not(unix))]
    fn of(_: &std::fs::Metadata) -> Self {
        Self(0, 0)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // Two writers would tear the chain.
    file.try_lock().map_err(|error| match error {
        std::fs::TryLockError::Error(error) => error,
        std::fs::TryLockError::WouldBlock => {
            io::Error::new(io::ErrorKind::ResourceBusy, "another process writes to it")
        }
    })?;
    Ok(file)
}

/// The link of the last complete line of a file, and whether incomplete text follows that line.
fn last_link(file: &mut File) -> io::Result<(Link, bool)> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    if tail.is_empty() {
        return Ok((Link::default(), false));
    }
    let is_torn = !tail.ends_with(b"\n");
    let has_one = !tail.contains(&b'\n');
    // The last one may lack nothing but its line break.
    let last = tail
        .split(|byte| *byte == b'\n')
        .rev()
        .find_map(chain::read);
    match last {
        Some(last) => Ok((last.link, is_torn)),
        // The first line of all was torn.
        None if start == 0 && has_one => Ok((Link::default(), true)),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it has other lines than those of an audit log",
        )),
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
