//! `epicme dev`, as the tutorial starts it, with a database of its own.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use private_postgres::{Cluster, ClusterOptions};
use secrecy::ExposeSecret;

use crate::{
    chapter::{Log, Terminals},
    shape,
};

/// How long the start may take.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct Program {
    process: Child,
    banner: String,
    log: Log,
    /// How a reader starts it.
    command: String,
}

impl Program {
    /// Starts it by the command of the first page.
    pub(crate) fn start(command: &str) -> Self {
        let options = command.strip_prefix("cargo run -- ").unwrap();
        // Nothing of it may be left.
        assert!(options.contains("--ephemeral"), "{command}");
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("chapter_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        cluster().create_database(&name).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_epicme"))
            .arg("dev")
            .args(options.split_whitespace())
            .args(["--bind", "127.0.0.1:0", "--auth-bind", "127.0.0.1:0"])
            .env("DATABASE_URL", cluster().url(&name).expose_secret())
            .env_remove("EPICME_LOG")
            .env_remove("EPICME_LOG_FORMAT")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = lines(process.stderr.take().unwrap());
        let printed = lines(process.stdout.take().unwrap());
        let mut program = Self {
            process,
            banner: String::new(),
            log: Log(log),
            command: command.to_owned(),
        };
        while !program.banner.contains("MCP Inspector") {
            let line = printed.recv_timeout(TIMEOUT);
            let line = line.unwrap_or_else(|error| panic!("{error} after: {}", program.banner));
            program.banner += &format!("{line}\n");
        }
        program
    }

    /// What the banner has behind a label.
    pub(crate) fn says(&self, label: &str) -> String {
        let line = self.banner.lines().find_map(|line| {
            let rest = line.trim_start().strip_prefix(label)?;
            rest.split_whitespace().next()
        });
        let word = line.unwrap_or_else(|| panic!("no {label} in {}", self.banner));
        word.to_owned()
    }
}

impl Terminals for Program {
    fn serve(&mut self, command: &str, shown: &str) -> Result<(), String> {
        let banner = &self.banner;
        if command == self.command && shape::has_lines(shown, banner) {
            return Ok(());
        }
        Err(format!(
            "{command}\n-- prints\n{banner}\n-- the page shows\n{shown}"
        ))
    }

    fn log(&self) -> &Log {
        &self.log
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Nothing of it is kept, and PostgreSQL is not its own.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let name = format!("epicme-tutorial-{}", std::process::id());
        Cluster::start(ClusterOptions {
            directory: std::env::temp_dir().join(name),
            durable: false,
            name: "epicme",
        })
        .unwrap()
    })
}

/// The lines of a stream, until it ends. They are read whether anybody looks or not, so that the program is not held up.
pub(crate) fn lines(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (tell, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    lines
}
