//! The program itself, as a person starts and stops it.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        atomic::{AtomicU16, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use diesel::{
    Connection, PgConnection, RunQueryDsl,
    dsl::sql,
    sql_types::{BigInt, Text},
};
use serde_json::{Value, json};

/// How long the program may take for anything.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long it may take to end.
const ENDING: Duration = Duration::from_secs(15);

pub(crate) struct Program {
    child: Child,
    /// The lines that it prints, until it ends.
    lines: mpsc::Receiver<String>,
    banner: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn epicme(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epicme"));
    for name in ["DATABASE_URL", "EPICME_BIND", "MOCK_AUTH_BIND"] {
        command.env_remove(name);
    }
    command
        .arg("dev")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Program {
    /// Starts `epicme dev`, and waits for the last line of its banner.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = epicme(arguments).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines() {
                if tell.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        let mut program = Self {
            child,
            lines,
            banner: String::new(),
        };
        while !program.banner.contains("MCP Inspector") {
            let line = program.lines.recv_timeout(TIMEOUT);
            let line = line.unwrap_or_else(|error| panic!("{error} after: {}", program.banner));
            program.banner.push_str(&line);
            program.banner.push('\n');
        }
        program
    }

    /// What stands behind a label of the banner.
    pub(crate) fn says(&self, label: &str) -> &str {
        let line = self.banner.lines().find_map(|line| {
            let rest = line.trim_start().strip_prefix(label)?;
            rest.split_whitespace().next()
        });
        line.unwrap_or_else(|| panic!("no {label} in {}", self.banner))
    }

    /// How many entries of this title are in the database that the banner names.
    fn entries_titled(&self, title: &str) -> i64 {
        let (_, url) = self.banner.split_once(" psql ").expect("a database");
        let mut database = PgConnection::establish(url.lines().next().unwrap()).unwrap();
        let count = "(SELECT count(*) FROM entries WHERE title = ";
        diesel::select(sql::<BigInt>(count).bind::<Text, _>(title).sql(")"))
            .get_result(&mut database)
            .unwrap()
    }

    pub(crate) fn mcp_url(&self) -> &str {
        self.says("MCP server")
    }

    /// The command that writes a first entry, as printed. README.md says to run it.
    fn first_entry(&self) -> String {
        let start = self.banner.find("curl ").expect("a curl line");
        let end = self.banner[start..].find("\n\n").expect("its end");
        self.banner[start..start + end].to_owned()
    }

    /// The token of the banner.
    fn token(&self) -> String {
        let (_, after) = self.banner.split_once("Bearer ").expect("a token");
        after.split('\'').next().unwrap().to_owned()
    }

    /// The directory that is this process's own.
    fn throw_away_directory(&self) -> PathBuf {
        std::env::temp_dir().join(format!("epicme-{}", self.child.id()))
    }

    /// Presses Ctrl-C, and waits.
    pub(crate) fn interrupt(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(sent.success());
        loop {
            match self.lines.recv_timeout(ENDING) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end within seconds"),
            }
        }
    }
}

/// What processes run with this text in their arguments.
fn processes_with(text: &str) -> Vec<String> {
    let listed = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter(|line| line.contains(text))
        .map(str::to_owned)
        .collect()
}

fn has(tool: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {tool}")])
        .output();
    found.is_ok_and(|output| output.status.success())
}

async fn call(program: &Program, tool: &str, arguments: Value) -> Value {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }},
    });
    let answer = crate::client::http()
        .post(program.mcp_url())
        .bearer_auth(program.token())
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
        .json(&body);
    let answer: Value = answer.send().await.unwrap().json().await.unwrap();
    answer["result"]["structuredContent"].clone()
}

async fn titles(program: &Program) -> Vec<String> {
    let listed = call(program, "list_entries", json!({})).await;
    let entries = listed["entries"].as_array().unwrap().clone();
    entries
        .iter()
        .map(|entry| entry["title"].as_str().unwrap().to_owned())
        .collect()
}

/// An address that is free, and stays so: its port lies below those that systems give out by
/// themselves, so that only another such choice could take it.
pub(crate) fn free_address() -> String {
    static CHOSEN: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 9_000).unwrap();
    loop {
        let port = first + CHOSEN.fetch_add(1, Ordering::Relaxed);
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// A directory that nobody else uses, removed at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("epicme-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // The next run does not meet it: the name holds this process's id.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[actix_rt::test]
async fn the_line_of_the_banner_writes_a_first_entry_and_ctrl_c_leaves_nothing() {
    let free = "127.0.0.1:0";
    let program = Program::start(&["--ephemeral", "--bind", free, "--auth-bind", free]);
    if has("curl") {
        let line = program.first_entry();
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
        assert_eq!(titles(&program).await[0], "First light");
    }
    let directory = program.throw_away_directory();
    let name = directory.to_str().unwrap().to_owned();
    assert!(directory.exists());
    if has("ps") {
        assert!(!processes_with(&name).is_empty());
    }

    let status = program.interrupt();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(!directory.exists(), "{name} is left behind");
    if has("ps") {
        assert_eq!(processes_with(&name), Vec::<String>::new());
    }
}

/// What a second start says and how it ends.
fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = epicme(arguments).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[actix_rt::test]
async fn a_kept_journal_is_there_after_a_restart_and_belongs_to_one_program() {
    let directory = Directory::new("flow-kept");
    let (bind, auth_bind) = (free_address(), free_address());
    let arguments = [
        "--directory",
        directory.path(),
        "--bind",
        &bind,
        "--auth-bind",
        &auth_bind,
    ];
    let program = Program::start(&arguments);
    assert!(program.banner.contains(directory.path()));
    let entry = json!({"title": "To be kept", "content": "Over a restart."});
    call(&program, "create_entry", entry).await;
    assert_eq!(program.entries_titled("To be kept"), 1);

    let (code, said) = fails(&arguments);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains(&bind) && said.contains("--bind"), "{said}");
    let free = "127.0.0.1:0";
    let elsewhere = [
        "--directory",
        directory.path(),
        "--bind",
        free,
        "--auth-bind",
        free,
    ];
    let (code, said) = fails(&elsewhere);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("another `epicme dev`"), "{said}");
    assert!(said.contains(directory.path()), "{said}");
    assert_eq!(
        titles(&program).await[0],
        "To be kept",
        "the first one is unharmed"
    );

    assert_eq!(program.interrupt().code(), Some(0));
    let again = Program::start(&arguments);
    assert_eq!(titles(&again).await[0], "To be kept");
    assert_eq!(again.interrupt().code(), Some(0));
    assert!(Path::new(directory.path()).exists());
}

/// A program that was started, and has said nothing yet.
fn spawned(arguments: &[&str]) -> Child {
    epicme(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn signal(id: u32, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &id.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Waits for its end.
fn ends(mut child: Child) -> ExitStatus {
    let began = std::time::Instant::now();
    while began.elapsed() < ENDING {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    child.kill().unwrap();
    panic!("it does not end within seconds");
}

#[actix_rt::test]
async fn a_signal_during_the_start_leaves_nothing() {
    if !has("ps") {
        return;
    }
    let free = "127.0.0.1:0";
    for (name, moment) in [("INT", "initdb"), ("TERM", "initdb"), ("TERM", "postgres")] {
        let child = spawned(&["--ephemeral", "--bind", free, "--auth-bind", free]);
        let directory = std::env::temp_dir().join(format!("epicme-{}", child.id()));
        let text = directory.to_str().unwrap().to_owned();
        let began = std::time::Instant::now();
        let runs = |program: &str| {
            let processes = processes_with(&text);
            processes.iter().any(|process| process.contains(program))
        };
        while !runs(moment) {
            assert!(began.elapsed() < TIMEOUT, "{moment} does not run");
        }
        signal(child.id(), name);
        let status = ends(child);
        assert_eq!(status.code(), Some(0), "{name} {moment}: {status}");
        assert_eq!(
            processes_with(&text),
            Vec::<String>::new(),
            "{name} {moment}"
        );
        assert!(!directory.exists(), "{text} is left behind");
    }
}

#[actix_rt::test]
async fn a_database_that_never_answers_does_not_hold_up_the_end() {
    let imposter = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://ann@{}/epicme?connect_timeout=600",
        imposter.local_addr().unwrap()
    );
    let free = "127.0.0.1:0";
    let child = spawned(&["--database-url", &url, "--bind", free, "--auth-bind", free]);
    let _connection = imposter.accept().unwrap();
    signal(child.id(), "INT");
    assert_eq!(ends(child).code(), Some(0));
}

#[actix_rt::test]
async fn a_postgresql_that_is_killed_ends_it_with_a_sentence() {
    let directory = Directory::new("flow-killed");
    let free = "127.0.0.1:0";
    let arguments = [
        "--directory",
        directory.path(),
        "--bind",
        free,
        "--auth-bind",
        free,
    ];
    let mut child = epicme(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let kept = lines.find(|line| line.as_ref().unwrap().contains("The journal is kept"));
    let kept = kept.unwrap().unwrap();
    let (_, place) = kept.split_once("kept   in ").unwrap();
    let pid = fs::read_to_string(Path::new(place.trim()).join("data/postmaster.pid")).unwrap();
    signal(pid.lines().next().unwrap().parse().unwrap(), "KILL");
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(70), "{said}");
    assert!(said.contains("PostgreSQL ended unexpectedly"), "{said}");
    assert!(said.contains("start `epicme dev` again"), "{said}");
}

#[actix_rt::test]
async fn without_the_option_no_secret_is_shown_and_revocations_are_not_taken() {
    let servers = crate::dev_servers::DevServers::open().await;
    let banner = servers.banner();
    assert!(!banner.contains("secret"), "{banner}");
    let url = servers.mcp_url().replace("/mcp", "/oauth/revoked");
    let report = crate::client::http().post(url).bearer_auth("a-guess");
    let answer = report.form(&[("token", "token")]).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    servers.close().await;
}
