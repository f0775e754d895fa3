//! The running server, and how it ends with us.
//!
//! A program that is killed cannot tidy up. So the server is the child of a few lines of shell whose
//! standard input is a pipe that only we hold: however we end, the pipe closes, and the shell stops
//! the server, waits for it, and removes what was to be thrown away. Both are in a process group of
//! their own, so that a Ctrl-C in the terminal reaches us alone and finds the database still there
//! while we drain.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Stdio},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{
    binaries::Binaries,
    cancel::{Cancel, LOOK},
    error::ClusterError,
    place::Place,
    socket::PORT,
    user::RunAs,
};

/// `$1`: the signal that stops the server. `$2`: what to remove at the end, or nothing. Then the
/// server's command. The shell gives up its standard error, so that the pipe's end means that the
/// server is gone; its standard output is the lock, which it holds to the end. What a shell starts beside itself ignores
/// INT and QUIT until it says otherwise, which PostgreSQL does a moment after its start: so the signal is repeated.
const SUPERVISE: &str = r#"
signal=$1 scratch=$2
shift 2
"$@" </dev/null >/dev/null &
server=$!
exec 2>/dev/null
while read -r _; do :; done
while kill -s "$signal" "$server"; do sleep 1; done >/dev/null &
again=$!
wait "$server"
kill "$again"
wait "$again"
if [ -n "$scratch" ]; then rm -rf -- "$scratch"; fi
"#;

/// What PostgreSQL writes to its log when it can be asked.
const READY: &str = "database system is ready to accept connections";

/// After an unclean end, the server first reads back what it had not yet written.
const STARTING: Duration = Duration::from_secs(60);
const STOPPING: Duration = Duration::from_secs(30);
const LOG_LINES_KEPT: usize = 20;

/// What the server may do for speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tuning {
    /// As safe as PostgreSQL is.
    Durable,
    /// Nothing survives a crash, and nothing has to.
    ThrowAway,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    supervisor: Child,
    /// Behind a lock only so that a cluster can be shared; one owner listens.
    events: Mutex<Receiver<Event>>,
    scratch: Option<PathBuf>,
    socket_directory: PathBuf,
}

#[derive(Debug)]
enum Event {
    Ready,
    Gone,
}

type Log = Arc<Mutex<VecDeque<String>>>;

impl Server {
    /// Starts a server and waits until it can be asked.
    pub(crate) fn start(
        binaries: &Binaries,
        run_as: &RunAs,
        place: &Place,
        tuning: Tuning,
        cancel: &Cancel,
    ) -> Result<Self, ClusterError> {
        let scratch = (tuning == Tuning::ThrowAway).then(|| place.directory.clone());
        let lock = place
            .lock
            .try_clone()
            .map_err(ClusterError::io("share the lock of", &place.directory))?;
        let mut command = run_as.command(Path::new("sh"));
        command
            .args(["-c", SUPERVISE, "private-postgres"])
            .arg(match tuning {
                Tuning::Durable => "INT",
                Tuning::ThrowAway => "QUIT",
            })
            .arg(scratch.as_deref().unwrap_or(Path::new("")))
            .arg(&binaries.postgres)
            .arg("-D")
            .arg(&place.data)
            .arg("-k")
            .arg(&place.socket_directory)
            .args(settings(tuning))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(lock)
            .stderr(Stdio::piped());
        let mut supervisor = command
            .spawn()
            .map_err(ClusterError::io("run", Path::new("sh")))?;
        let stderr = supervisor.stderr.take().expect("stderr is piped");
        let (sender, events) = mpsc::channel();
        let log = Log::default();
        let kept = Arc::clone(&log);
        thread::Builder::new()
            .name("postgres-log".to_owned())
            .spawn(move || follow(stderr, &kept, &sender))
            .map_err(ClusterError::io("follow the log of", &place.directory))?;
        let mut server = Self {
            supervisor,
            events: Mutex::new(events),
            scratch,
            socket_directory: place.socket_directory.clone(),
        };
        let what = match server.first_event(cancel) {
            Ok(Event::Ready) => return Ok(server),
            Ok(Event::Gone) | Err(RecvTimeoutError::Disconnected) => "ended at once",
            Err(RecvTimeoutError::Timeout) => "was not ready in time",
        };
        // The reason is what was said so far; how the server stops after that is of no interest.
        let said = lines(&log);
        let _ = server.stop();
        cancel.check()?;
        Err(ClusterError::Start {
            directory: place.directory.clone(),
            what,
            said,
        })
    }

    /// Stops the server and waits until it is gone. Does nothing the second time.
    pub(crate) fn stop(&mut self) -> Result<(), ClusterError> {
        // Closing the pipe is the order to stop.
        drop(self.supervisor.stdin.take());
        loop {
            match self.next_event(STOPPING) {
                Ok(Event::Ready) => {}
                Ok(Event::Gone) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err(ClusterError::Stop),
            }
        }
        self.supervisor
            .wait()
            .map_err(ClusterError::io("wait for", Path::new("sh")))?;
        // Empty by now, and made anew by the next start.
        let _ = std::fs::remove_dir(&self.socket_directory);
        if let Some(scratch) = self.scratch.take() {
            // What the shell, which may be another user, could not remove: the directory itself
            // where its parent is ours. If it is gone, all the better.
            let _ = std::fs::remove_dir_all(scratch);
        }
        Ok(())
    }
}

impl Server {
    /// Whether the server is gone although nobody here told it to stop.
    pub(crate) fn has_ended(&self) -> bool {
        let events = self.events.lock();
        loop {
            match events.try_recv() {
                Ok(Event::Ready) => {}
                Ok(Event::Gone) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    /// The first event, or a timeout if the start takes too long or is given up.
    fn first_event(&mut self, cancel: &Cancel) -> Result<Event, RecvTimeoutError> {
        let began = Instant::now();
        loop {
            match self.next_event(LOOK) {
                Err(RecvTimeoutError::Timeout)
                    if began.elapsed() < STARTING && !cancel.is_cancelled() => {}
                event => return event,
            }
        }
    }

    fn next_event(&mut self, limit: Duration) -> Result<Event, RecvTimeoutError> {
        self.events.get_mut().recv_timeout(limit)
    }
}

/// Reads the log to its end, so that the server never waits for a reader.
fn follow(stderr: ChildStderr, log: &Log, events: &Sender<Event>) {
    // What cannot be read as text ends nothing; what cannot be read at all does.
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains(READY) {
            // Nobody listens any more once the server is being stopped.
            let _ = events.send(Event::Ready);
        }
        let mut kept = log.lock();
        if kept.len() == LOG_LINES_KEPT {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    let _ = events.send(Event::Gone);
}

fn lines(log: &Log) -> String {
    let kept = log.lock();
    Vec::from_iter(kept.iter().map(String::as_str)).join("\n")
}

/// The settings differ from what `initdb` wrote only where one machine and one program differ from
/// a server for many. Statements and their values stay out of the log.
fn settings(tuning: Tuning) -> Vec<String> {
    let port = PORT.to_string();
    let common = [
        ("listen_addresses", ""),
        ("port", &port),
        ("unix_socket_permissions", "0700"),
        ("logging_collector", "off"),
        ("log_destination", "stderr"),
        ("lc_messages", "C"),
        ("log_error_verbosity", "terse"),
        ("log_min_error_statement", "panic"),
        ("max_wal_senders", "0"),
        ("wal_level", "minimal"),
    ];
    let fast: &[(&str, &str)] = match tuning {
        Tuning::Durable => &[("shared_buffers", "64MB")],
        Tuning::ThrowAway => &[
            ("shared_buffers", "32MB"),
            ("max_connections", "200"),
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("checkpoint_timeout", "1h"),
        ],
    };
    common
        .iter()
        .chain(fast)
        .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")])
        .collect()
}
