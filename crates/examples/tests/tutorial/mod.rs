//! The last chapter of `docs/tutorial`: its commands are run as those of the other chapters are (`tests/tutorial`), and its code is
//! that of the examples.

#[path = "../../../../tests/tutorial/chapter.rs"]
mod chapter;
#[path = "../../../../tests/tutorial/page.rs"]
mod page;
#[path = "../../../../tests/tutorial/shape.rs"]
mod shape;
#[path = "../../../../tests/tutorial/shell.rs"]
mod shell;

use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use chapter::{Log, Terminals};
use page::Kind;
use shell::Shell;

use crate::support::{mock_auth, program};

const CHAPTER: &str = "../../docs/tutorial/10-your-own-server.md";

/// How long a server may take to start.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The servers that run, by the part that they play.
struct Servers {
    variables: Vec<(&'static str, String)>,
    running: HashMap<&'static str, Child>,
    tell: mpsc::Sender<String>,
    log: Log,
}

impl Servers {
    fn stop(&mut self, part: &str) {
        if let Some(mut server) = self.running.remove(part) {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Terminals for Servers {
    fn serve(&mut self, command: &str, shown: &str) -> Result<(), String> {
        let part = if command.contains("/mock-auth ") {
            "authorization server"
        } else {
            "resource server"
        };
        // The reader stops it with Ctrl-C.
        self.stop(part);
        let mut server = Command::new("bash")
            .args(["-c", &format!("exec {command} 2>&1")])
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(server.stdout.take().unwrap());
        self.running.insert(part, server);
        let (log, (tell, lines)) = (self.tell.clone(), mpsc::channel());
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // Nobody looks at its start any more when it runs.
                let _ = tell.send(line.clone());
                let _ = log.send(line);
            }
        });
        let mut printed = String::new();
        while !shape::has_lines(shown, &printed) {
            let line = lines.recv_timeout(TIMEOUT);
            let line = line.map_err(|_| {
                format!("{command}\n-- prints\n{printed}\n-- the chapter shows\n{shown}")
            })?;
            printed += &format!("{line}\n");
        }
        Ok(())
    }

    fn log(&self) -> &Log {
        &self.log
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for part in ["authorization server", "resource server"] {
            self.stop(part);
        }
    }
}

/// Two addresses that are free, below the ports that systems give out by themselves.
fn free_addresses() -> (String, String) {
    let first = 20_000 + u16::try_from(std::process::id() % 9_000).unwrap();
    let mut addresses = (first..32_000)
        .map(|port| format!("127.0.0.1:{port}"))
        .filter(|address| TcpListener::bind(address).is_ok());
    let mut next = || addresses.next().expect("a port is free");
    (next(), next())
}

#[test]
fn the_last_chapter_builds_a_server_of_your_own() {
    let hello = program("examples", "hello", "hello.rs");
    let counted = program("examples", "hello_counted", "hello_counted.rs");
    let mock_auth = mock_auth();
    let (server, issuer) = free_addresses();
    let path = |program: &Path, more: &str| format!("{}{more}", program.display());
    let differences = [
        ("cargo run -p mock-auth -- ", &*path(&mock_auth, " ")),
        (
            "cargo run -p examples --example hello_counted",
            &*path(&counted, ""),
        ),
        (
            "cargo run -p examples --example hello -- ",
            &*path(&hello, " "),
        ),
        ("cargo run -p examples --example hello", &*path(&hello, "")),
        ("127.0.0.1:8787", &*server),
        ("127.0.0.1:7788", &*issuer),
    ];
    let blocks = chapter::read(Path::new(CHAPTER), &differences);
    let (tell, lines) = mpsc::channel();
    let mut servers = Servers {
        variables: vec![
            ("BIND", server.clone()),
            ("ISSUER", format!("http://{issuer}")),
            ("MOCK_AUTH_BIND", issuer.clone()),
        ],
        running: HashMap::new(),
        tell,
        log: Log(lines),
    };
    let commands = env::temp_dir().join(format!("{}-chapter-10", std::process::id()));
    let (server, issuer) = (format!("http://{server}"), format!("http://{issuer}"));
    let variables = [("EPICME", &*server), ("ISSUER", &*issuer)];
    let mut shell = Shell::start(Path::new("../.."), commands, &variables);
    if let Err(why) = chapter::follow(&blocks, &mut shell, &mut servers) {
        panic!("{CHAPTER}, {why}");
    }
}

#[test]
fn the_code_of_the_last_chapter_is_in_the_examples() {
    let examples = ["examples/hello.rs", "examples/hello_counted.rs"];
    let examples = examples.map(|file| fs::read_to_string(file).unwrap());
    let blocks = chapter::read(Path::new(CHAPTER), &[]);
    let mut code = blocks.iter().filter(|block| block.kind == Kind::Code);
    assert!(code.clone().next().is_some());
    let missing = code.find(|block| !examples.iter().any(|it| it.contains(&block.text)));
    assert!(missing.is_none(), "in no example: {missing:#?}");
}
