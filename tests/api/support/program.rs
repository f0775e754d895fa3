//! `epicme serve` as a process, started and stopped as an operator does.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

/// How long the program may take to say or do anything.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The program with this environment and no other.
pub(crate) fn epicme(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epicme"));
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null());
    command
}

/// These, and the least for a program that listens beside others.
fn on_free_ports<'a>(environment: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("EPICME_BIND", "127.0.0.1:0"),
        ("EPICME_METRICS_BIND", "off"),
    ];
    all.extend_from_slice(environment);
    all
}

/// Exit code and output of a program that has ended.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "exit {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        str::from_utf8(&output.stdout).unwrap(),
        str::from_utf8(&output.stderr).unwrap()
    )
}

/// A running `epicme serve`. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    log: Receiver<String>,
    /// The lines of its log that were read so far.
    pub(crate) said: Vec<String>,
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
}

impl Program {
    /// Starts it with the least that it needs, and these, and waits until it serves.
    pub(crate) fn serve(environment: &[(&str, &str)]) -> Self {
        let mut all = vec![
            ("EPICME_WORKERS", "2"),
            ("EPICME_ISSUER", "https://issuer.example"),
            ("EPICME_INTROSPECTION_CLIENT_ID", "epicme"),
            ("EPICME_INTROSPECTION_CLIENT_SECRET", "zq5-secret"),
        ];
        all.extend_from_slice(environment);
        Self::start(&all)
    }

    /// Starts it on free ports with these alone, and waits until it serves.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        Self::spawn(epicme(&["serve"], &on_free_ports(environment)))
    }

    /// Starts it as [`Program::start`] does, with at most so many open files.
    pub(crate) fn start_within(open_files: u32, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "ulimit -n \"$1\" && exec \"$0\" serve"])
            .arg(env!("CARGO_BIN_EXE_epicme"))
            .arg(open_files.to_string())
            .env_clear()
            .envs(on_free_ports(environment))
            .stdin(Stdio::null());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (say, log) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        let mut program = Self {
            child,
            log,
            said: Vec::new(),
            address: ([127, 0, 0, 1], 0).into(),
            http: reqwest::Client::builder()
                .no_proxy()
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
        };
        let line = program.says("serving http");
        let (_, address) = line.split_once(" on ").unwrap();
        program.address = address.split(';').next().unwrap().parse().unwrap();
        program
    }

    /// Waits for a line of its log with this text, unless there was one before.
    pub(crate) fn says(&mut self, text: &str) -> String {
        if let Some(line) = self.said.iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        self.says_next(text)
    }

    /// Waits for a line of its log with this text, after those that were read.
    pub(crate) fn says_next(&mut self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(TIMEOUT).unwrap_or_else(|error| {
                panic!("{error}: no {text} in {}", self.said.join("\n"));
            });
            self.said.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end, and returns its exit code and its log.
    pub(crate) fn ends(mut self) -> (i32, String) {
        while let Ok(line) = self.log.recv_timeout(TIMEOUT) {
            self.said.push(line);
        }
        let status = self.child.wait().unwrap();
        (
            status.code().expect("it ends by itself"),
            self.said.join("\n"),
        )
    }

    /// The status and the body of a GET of this path.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.address);
        let response = self.http.get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// What `epicme healthcheck` says of it.
    pub(crate) fn healthcheck(&self, environment: &[(&str, &str)]) -> Output {
        let bind = self.address.to_string();
        epicme(&["healthcheck", "--bind", &bind], environment)
            .output()
            .unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, unless a test failed or had nothing to say about its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
