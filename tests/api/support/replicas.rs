//! A primary and a synchronous standby, made with PostgreSQL's own programs.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use diesel::{
    Connection, PgConnection, QueryResult, RunQueryDsl, connection::SimpleConnection, sql_query,
    sql_types::Text,
};
use secrecy::SecretString;

/// How long a server may take for anything.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Two servers, whose sockets are in one directory.
pub(crate) struct Replicas {
    directory: PathBuf,
    bin: PathBuf,
    user: Option<(u32, u32)>,
    servers: [Option<Child>; 2],
}

impl Replicas {
    /// A primary (0) and its synchronous standby (1), which waits.
    pub(crate) fn start(name: &str) -> Self {
        let directory = format!("/tmp/epicme-{name}-{}", std::process::id()).into();
        let mut replicas = Self {
            directory,
            bin: programs(),
            user: postgres(),
            servers: [None, None],
        };
        let directory = replicas.directory.clone();
        assert!(
            replicas
                .command("mkdir")
                .arg(&directory)
                .status()
                .unwrap()
                .success()
        );
        let data = replicas.data(0);
        let made = replicas
            .program("initdb")
            .args(["--username=epicme", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--data-checksums", "--pgdata"])
            .arg(data)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb");
        replicas.run(0);
        let standby = replicas.data(1);
        let source = replicas.conninfo(0, "application_name=standby");
        let copied = replicas
            .program("pg_basebackup")
            .args([
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
                "--dbname",
            ])
            .arg(source)
            .arg("--pgdata")
            .arg(standby)
            .status();
        assert!(copied.unwrap().success(), "pg_basebackup");
        replicas.run(1);
        let mut primary = replicas.connect(0, "postgres");
        primary
            .batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            .unwrap();
        primary.batch_execute("SELECT pg_reload_conf()").unwrap();
        let is_sync = "SELECT sync_state AS text FROM pg_stat_replication";
        until("the standby is synchronous", || {
            text(&mut primary, is_sync).is_ok_and(|state| state == "sync")
        });
        primary.batch_execute("CREATE DATABASE epicme").unwrap();
        replicas
    }

    /// The URL of the database with both hosts.
    pub(crate) fn url(&self) -> SecretString {
        let host = self.directory.to_str().unwrap().replace('/', "%2F");
        format!(
            "postgresql://epicme@{host}:5432,{host}:5433/epicme?target_session_attrs=read-write"
        )
        .into()
    }

    /// What leads to one of them.
    pub(crate) fn url_of(&self, which: usize) -> SecretString {
        self.conninfo(which, "dbname=epicme").into()
    }

    /// A connection to one of them.
    pub(crate) fn connect(&self, which: usize, database: &str) -> PgConnection {
        let url = self.conninfo(which, &format!("dbname={database}"));
        PgConnection::establish(&url).unwrap()
    }

    /// The processes of a server, its postmaster first.
    pub(crate) fn processes(&self, which: usize) -> Vec<u32> {
        let postmaster = self.servers[which].as_ref().unwrap().id();
        let mut all = vec![postmaster];
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
                continue;
            };
            // `pid (name) state ppid …`
            let parent = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.split(' ').nth(1));
            if parent == Some(&postmaster.to_string()) {
                all.push(pid);
            }
        }
        all
    }

    /// Kills a server with all its processes, which have no chance to do anything.
    pub(crate) fn kill(&mut self, which: usize) {
        let all = self.processes(which).into_iter().map(|pid| pid.to_string());
        // One may have ended by itself.
        let _ = Command::new("kill").args(["-s", "KILL"]).args(all).output();
        let mut server = self.servers[which].take().unwrap();
        server.wait().unwrap();
    }

    /// Has the standby become the primary.
    pub(crate) fn promote(&self) {
        let promoted = self
            .program("pg_ctl")
            .args(["promote", "--wait", "--pgdata"])
            .arg(self.data(1))
            .stdout(Stdio::null())
            .status();
        assert!(promoted.unwrap().success(), "pg_ctl promote");
    }

    /// The primary that was comes back where it was, as a standby, as a manager of clusters has it.
    pub(crate) fn come_back_as_standby(&mut self) {
        let signal = self.data(0).join("standby.signal");
        assert!(
            self.command("touch")
                .arg(signal)
                .status()
                .unwrap()
                .success()
        );
        let pid = self.data(0).join("postmaster.pid");
        let _ = fs::remove_file(pid);
        self.run(0);
    }

    fn run(&mut self, which: usize) {
        let log = fs::File::create(format!("{}.log", self.directory.display())).unwrap();
        let server = self
            .program("postgres")
            .arg("-D")
            .arg(self.data(which))
            .arg("-k")
            .arg(&self.directory)
            .args(["-p", ["5432", "5433"][which], "-c", "listen_addresses="])
            .args([
                "-c",
                "fsync=off",
                "-c",
                "shared_buffers=16MB",
                "-c",
                "max_connections=40",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.servers[which] = Some(server.unwrap());
        let url = self.conninfo(which, "dbname=postgres");
        until("a server answers", || PgConnection::establish(&url).is_ok());
    }

    fn data(&self, which: usize) -> PathBuf {
        self.directory.join(["a", "b"][which])
    }

    fn conninfo(&self, which: usize, more: &str) -> String {
        let port = ["5432", "5433"][which];
        format!(
            "host={} port={port} user=epicme {more}",
            self.directory.display()
        )
    }

    fn program(&self, name: &str) -> Command {
        self.command(self.bin.join(name).to_str().unwrap())
    }

    /// A command that is run as the user whom PostgreSQL does not refuse.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir("/").env("LC_ALL", "C");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        for which in [0, 1] {
            if self.servers[which].is_some() {
                self.kill(which);
            }
        }
        let _ = fs::remove_dir_all(&self.directory);
        let _ = fs::remove_file(format!("{}.log", self.directory.display()));
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < TIMEOUT, "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The first row of a query with one column, which is called `text`.
pub(crate) fn text(connection: &mut PgConnection, sql: &str) -> QueryResult<String> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    let row = sql_query(sql).get_result::<Row>(connection);
    row.map(|row| row.text)
}

/// The directory of PostgreSQL's programs.
fn programs() -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found = Vec::from_iter(installed.flatten().map(|entry| entry.path().join("bin")));
    found.sort();
    let asked = Command::new("pg_config").arg("--bindir").output();
    let asked = asked
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let asked = asked.map(|text| PathBuf::from(text.trim()));
    let mut all = found.into_iter().rev().chain(asked);
    all.find(|bin| has_programs(bin))
        .expect("PostgreSQL is installed")
}

fn has_programs(bin: &Path) -> bool {
    ["initdb", "pg_basebackup", "pg_ctl", "postgres"]
        .iter()
        .all(|name| bin.join(name).exists())
}

/// Whom PostgreSQL runs as, if this is root.
fn postgres() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let named = |name| id(&["-u", name]).zip(id(&["-g", name]));
    named("postgres").or_else(|| named("nobody"))
}

/// Whether a server has a connection of this program.
pub(crate) fn is_connected(connection: &mut PgConnection, application: &str) -> bool {
    let sql = format!(
        "SELECT count(*)::text AS text FROM pg_stat_activity WHERE application_name = '{application}'"
    );
    text(connection, &sql).is_ok_and(|count| count != "0")
}
