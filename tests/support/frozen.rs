//! Processes that hang without dying.

use std::process::Command;

/// Processes that are stopped by SIGSTOP until this is dropped.
pub(crate) struct Frozen(Vec<String>);

impl Frozen {
    /// Stops these processes.
    pub(crate) fn these(pids: impl IntoIterator<Item = impl ToString>) -> Self {
        let pids = Vec::from_iter(pids.into_iter().map(|pid| pid.to_string()));
        assert!(!pids.is_empty(), "there is a process");
        signal("STOP", &pids);
        Self(pids)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // One may have ended: it was killed, or lost its postmaster.
        for pid in &self.0 {
            let _ = Command::new("kill").args(["-s", "CONT", pid]).output();
        }
    }
}

fn signal(name: &str, pids: &[String]) {
    let sent = Command::new("kill").args(["-s", name]).args(pids).status();
    assert!(sent.unwrap().success());
}
