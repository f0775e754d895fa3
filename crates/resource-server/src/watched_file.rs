//! Noticing that a file was replaced or rewritten, so that it is read again without a restart.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use chrono::TimeDelta;

use crate::clock::Timestamp;

/// A file that is checked for changes at most once per interval. It compares metadata only; reading the
/// content is up to the caller.
///
/// ```
/// use chrono::TimeDelta;
/// use resource_server::{clock::Clock, watched_file::WatchedFile};
///
/// let now = Clock::system().now();
/// let mut file = WatchedFile::new("Cargo.toml".into(), TimeDelta::seconds(2));
/// assert!(file.is_due(now));
/// file.mark_checked(now);
/// assert!(file.refresh(), "never read before");
/// assert!(!file.is_due(now + TimeDelta::seconds(1)));
/// assert!(!file.refresh(), "unchanged");
/// ```
#[derive(Clone, Debug)]
pub struct WatchedFile {
    path: PathBuf,
    interval: TimeDelta,
    checked_at: Option<Timestamp>,
    /// The version that was seen last: `Some(None)` if the file could not be found, `None` if it was
    /// never looked for.
    seen: Option<Option<Version>>,
}

/// Metadata that changes with the content, even if a file is replaced by a rename within one tick of the
/// modification time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl WatchedFile {
    /// A file that was not read yet, to be checked once per `interval`.
    #[must_use]
    pub fn new(path: PathBuf, interval: TimeDelta) -> Self {
        Self {
            path,
            interval,
            checked_at: None,
            seen: None,
        }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the interval has passed since the last check. A clock that was set back makes it due.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.checked_at
            .is_none_or(|at| now < at || at + self.interval <= now)
    }

    /// Starts a new interval.
    pub fn mark_checked(&mut self, now: Timestamp) {
        self.checked_at = Some(now);
    }

    /// Looks at the file, and returns whether it has changed since the last call. Call it before reading
    /// the content: a write in between is then found by the next check. Blocks the thread.
    pub fn refresh(&mut self) -> bool {
        let seen = Some(version(&self.path).ok());
        let has_changed = self.seen != seen;
        self.seen = seen;
        has_changed
    }

    /// Makes the next check due at once, and its result a change.
    pub fn reset(&mut self) {
        self.checked_at = None;
        self.seen = None;
    }
}

fn version(path: &Path) -> io::Result<Version> {
    let metadata = fs::metadata(path)?;
    Ok(Version {
        inode: metadata.ino(),
        length: metadata.len(),
        modified: metadata.modified().ok(),
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_check_is_due_once_per_interval_or_when_the_clock_was_set_back() {
        let mut file = WatchedFile::new(PathBuf::new(), TimeDelta::seconds(2));
        assert!(file.is_due(at(100)));
        file.mark_checked(at(100));
        for (now, due) in [(99, true), (100, false), (101, false), (102, true)] {
            assert_eq!(file.is_due(at(now)), due, "{now}");
        }
        file.reset();
        assert!(file.is_due(at(100)));
    }

    #[test]
    fn a_change_is_reported_once() {
        let path = std::env::temp_dir().join(format!("watched-file-{}", std::process::id()));
        let mut file = WatchedFile::new(path.clone(), TimeDelta::zero());
        assert!(file.refresh(), "it was never looked for");
        assert!(!file.refresh(), "it is still missing");
        for text in ["a", "longer"] {
            fs::write(&path, text).unwrap();
            assert!(file.refresh(), "{text}");
            assert!(!file.refresh(), "{text}");
        }
        file.reset();
        assert!(file.refresh());
        let other = path.with_extension("new");
        fs::write(&other, "length").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(file.refresh(), "another inode");
        fs::remove_file(&path).unwrap();
        assert!(file.refresh());
        assert!(!file.refresh());
    }
}
