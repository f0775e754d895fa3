//! Giving up a start.

use std::{
    io::{self, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::error::ClusterError;

/// How often it is checked whether a start is to be given up.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// How long a process may take to end after it was told to.
const ENDING: Duration = Duration::from_secs(10);

/// Gives up the start of a cluster, from another thread. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Has the start end soon with [`ClusterError::Cancelled`]. A cluster that runs already is not affected.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// # Errors
    /// `Cancelled`, if the start is to be given up.
    pub(crate) fn check(&self) -> Result<(), ClusterError> {
        match self.is_cancelled() {
            true => Err(ClusterError::Cancelled),
            false => Ok(()),
        }
    }

    /// Runs a command to its end, and returns its status and what it wrote to its standard error. If the start is
    /// given up meanwhile, the command and the processes that it has started are told to end.
    pub(crate) fn run(&self, command: &mut Command) -> io::Result<(ExitStatus, String)> {
        let mut child = command
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stderr = child.stderr.take().expect("stderr is piped");
        // On a thread of its own: a pipe that nobody reads holds up its writer.
        let said = thread::spawn(move || {
            let mut said = Vec::new();
            // What cannot be read is not said.
            let _ = stderr.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        let group = format!("-{}", child.id());
        let mut told: Option<Instant> = None;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            match told {
                None if self.is_cancelled() => {
                    told = Some(Instant::now());
                    signal("TERM", &group);
                }
                Some(at) if at.elapsed() > ENDING => signal("KILL", &group),
                _ => {}
            }
            thread::park_timeout(LOOK);
        };
        if status.signal().is_some() {
            signal("KILL", &group);
        }
        Ok((status, said.join().unwrap_or_default()))
    }
}

fn signal(name: &str, group: &str) {
    // If it has ended already, there is nothing to tell.
    let _ = Command::new("kill")
        .args(["-s", name, "--", group])
        .output();
}
