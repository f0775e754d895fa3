//! The program, running, and what it logs.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStderr, Command, Stdio},
};

use crate::config::epicme;

/// `epicme serve` on a free port.
pub(crate) struct Program {
    pub(crate) address: String,
    /// What it logged before it served.
    pub(crate) said_first: Vec<String>,
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Program {
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        let mut child = epicme(&["serve", "--bind", "127.0.0.1:0"], environment)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said_first = Vec::new();
        let line = loop {
            let line = log.next().expect("it serves").unwrap();
            if line.contains("serving http") {
                break line;
            }
            said_first.push(line);
        };
        let (_, address) = line.split_once(" on ").unwrap();
        let (address, _) = address.split_once(';').unwrap();
        Self {
            address: address.to_owned(),
            said_first,
            child,
            log,
        }
    }

    /// Sends a signal, and waits until the program says this.
    pub(crate) fn signal(&mut self, signal: &str, says: &str) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(told.success());
        let mut lines = self.log.by_ref().map(Result::unwrap);
        assert!(lines.any(|line| line.contains(says)));
    }

    pub(crate) fn ends_well(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
