#![doc = include_str!("../README.md")]
//!
//! *Purpose:* a PostgreSQL cluster that belongs to one program, for development and tests.
//!
//! *Used by:* `epicme dev`, the tests and the benchmarks.
//!
//! *Invariants:* PostgreSQL listens on a Unix socket only, in a directory that no other user except root can enter, so no
//! password is needed. The server stops when the program ends, also when the program is killed. Nothing is downloaded.
//!
//! *Start reading at:* [`Cluster::start`], then `supervisor.rs` (how the server stops with the program) and `place.rs` (the
//! directories and who may use them).

mod binaries;
mod cancel;
mod embedded;
mod error;
mod place;
mod psql;
mod socket;
mod supervisor;
mod user;

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Instant,
};

use secrecy::SecretString;

use self::{
    binaries::Binaries,
    place::Place,
    psql::Psql,
    socket::PORT,
    supervisor::{Server, Tuning},
    user::RunAs,
};

pub use cancel::Cancel;
pub use error::ClusterError;

/// Where a cluster is kept, and for how long.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The directory that holds it, created if it does not exist. If the user that PostgreSQL runs as cannot enter it, the
    /// cluster is kept in another directory, whose name is derived from this path: see [`Cluster::directory`].
    pub directory: PathBuf,
    /// Whether the data is kept when the program ends. If not, nothing is synced to disk, and the directory is removed at the
    /// end. Choose a directory under the system's temporary one for that: if the program runs as root, PostgreSQL runs as
    /// another user, who has to be able to remove it.
    pub durable: bool,
    /// The program's name, of lower-case letters, digits and `-`. It is the name of the cluster's superuser, which owns the
    /// databases and is part of their URLs, and of the folder under `/var/lib` in which root keeps a cluster whose directory
    /// PostgreSQL's user cannot enter. A cluster can only be started under the name with which it was created.
    pub name: &'static str,
}

/// The database that `initdb` creates, from which others are created and dropped.
const MAINTENANCE_DATABASE: &str = "postgres";

/// A running cluster. Dropping it stops it.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    major: u32,
    psql: Option<Psql>,
    programs: PathBuf,
    directory: PathBuf,
    socket_directory: PathBuf,
    superuser: &'static str,
}

impl Cluster {
    /// Starts the cluster of a directory, and creates it first if there is none. Blocks until PostgreSQL accepts connections.
    ///
    /// # Errors
    /// See [`ClusterError`]; each says what to do.
    pub fn start(options: ClusterOptions) -> Result<Self, ClusterError> {
        Self::start_unless(options, &Cancel::default())
    }

    /// Like [`start`](Self::start), but can be given up from another thread. Then no process runs when it returns, and
    /// nothing is left of a cluster that was being created.
    ///
    /// # Errors
    /// See [`ClusterError`]; each says what to do.
    pub fn start_unless(options: ClusterOptions, cancel: &Cancel) -> Result<Self, ClusterError> {
        let began = Instant::now();
        let wanted = std::path::absolute(&options.directory)
            .map_err(ClusterError::io("find", &options.directory))?;
        let run_as = RunAs::for_directory(&wanted)?;
        let place = Place::prepare(&wanted, options.name, &run_as, cancel)?;
        let started = Self::start_in(&place, run_as, &options, cancel);
        match &started {
            Ok(cluster) => log::info!(
                "PostgreSQL {} ({}) runs in {} after {} ms",
                cluster.major,
                match cluster.programs.as_os_str().is_empty() {
                    true => "on PATH".into(),
                    false => cluster.programs.to_string_lossy(),
                },
                place.directory.display(),
                began.elapsed().as_millis()
            ),
            Err(_) if !options.durable => place.remove(),
            Err(_) => {}
        }
        started
    }

    fn start_in(
        place: &Place,
        run_as: RunAs,
        options: &ClusterOptions,
        cancel: &Cancel,
    ) -> Result<Self, ClusterError> {
        cancel.check()?;
        let binaries = Binaries::find(&run_as, place.data_version()?, &place.data)?;
        if !place.data.exists() {
            log::info!(
                "making a PostgreSQL {} cluster in {}",
                binaries.major,
                place.directory.display()
            );
            initialise(&binaries, &run_as, place, options, cancel)?;
        }
        place.forget_dead_server()?;
        let tuning = if options.durable {
            Tuning::Durable
        } else {
            Tuning::ThrowAway
        };
        let server = Server::start(&binaries, &run_as, place, tuning, cancel)?;
        Ok(Self {
            server,
            major: binaries.major,
            programs: binaries.directory,
            psql: binaries
                .psql
                .map(|psql| Psql::new(psql, run_as, &place.socket_directory, options.name)),
            directory: place.directory.clone(),
            socket_directory: place.socket_directory.clone(),
            superuser: options.name,
        })
    }

    /// Whether the server has ended by itself, or was ended by somebody else. It is not started again.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.server.has_ended()
    }

    /// The directory in which the cluster is kept, which may differ from the one in the options.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The libpq URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> SecretString {
        let user = percent_encoded(self.superuser.as_bytes());
        let host = percent_encoded(self.socket_directory.as_os_str().as_bytes());
        let database = percent_encoded(database.as_bytes());
        format!("postgresql://{user}@{host}:{PORT}/{database}").into()
    }

    /// Creates a database. Returns `false` if it exists already.
    ///
    /// # Errors
    /// [`ClusterError::Statement`] if PostgreSQL refuses, [`ClusterError::NoPsql`] if there is none.
    pub fn create_database(&self, name: &str) -> Result<bool, ClusterError> {
        self.create_database_from(name, "template1")
    }

    /// Creates a database as a copy of another, to which no session may be connected. Returns `false` if it exists already.
    ///
    /// # Errors
    /// [`ClusterError::Statement`] if PostgreSQL refuses, [`ClusterError::NoPsql`] if there is none.
    pub fn create_database_from(&self, name: &str, template: &str) -> Result<bool, ClusterError> {
        let printed = self.psql()?.run(
            MAINTENANCE_DATABASE,
            &[("name", name), ("template", template)],
            "SELECT format('CREATE DATABASE %I TEMPLATE %I', :'name', :'template')
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = :'name') \\gexec\n",
        )?;
        // psql prints the command tag of what `\gexec` executed.
        Ok(printed.contains("CREATE DATABASE"))
    }

    /// Drops a database and terminates the sessions that are connected to it. Does nothing if there is none of that name.
    ///
    /// # Errors
    /// [`ClusterError::Statement`] if PostgreSQL refuses, [`ClusterError::NoPsql`] if there is none.
    pub fn drop_database(&self, name: &str) -> Result<(), ClusterError> {
        self.psql()?.run(
            MAINTENANCE_DATABASE,
            &[("name", name)],
            "DROP DATABASE IF EXISTS :\"name\" WITH (FORCE);\n",
        )?;
        Ok(())
    }

    /// Executes SQL as the superuser and returns what `psql` prints of it: a line per row, columns separated by `|`, and the
    /// command tags.
    ///
    /// # Errors
    /// [`ClusterError::Statement`] at the first statement that PostgreSQL refuses; those before it stay executed.
    /// [`ClusterError::NoPsql`] if there is no psql.
    pub fn execute(&self, database: &str, sql: &str) -> Result<String, ClusterError> {
        self.psql()?.run(database, &[], sql)
    }

    fn psql(&self) -> Result<&Psql, ClusterError> {
        self.psql.as_ref().ok_or(ClusterError::NoPsql)
    }

    /// Stops the server and waits until it is gone, and with a throw-away cluster its directory.
    ///
    /// # Errors
    /// `Stop` if it did not end in time.
    pub fn stop(mut self) -> Result<(), ClusterError> {
        self.server.stop()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.server.stop() {
            log::warn!("{error}");
        }
    }
}

/// Creates the data directory under another name and renames it when it is complete, so that the next start does not take what
/// an interrupted attempt has left for a cluster.
fn initialise(
    binaries: &Binaries,
    run_as: &RunAs,
    place: &Place,
    options: &ClusterOptions,
    cancel: &Cancel,
) -> Result<(), ClusterError> {
    let unfinished = place.directory.join("data.unfinished");
    let initialised = initialise_in(&unfinished, binaries, run_as, options, cancel);
    if let Ok(()) = initialised {
        return fs::rename(&unfinished, &place.data)
            .map_err(ClusterError::io("rename", &unfinished));
    }
    // The first error is the one that counts.
    let _ = fs::remove_dir_all(&unfinished);
    initialised
}

fn initialise_in(
    unfinished: &Path,
    binaries: &Binaries,
    run_as: &RunAs,
    options: &ClusterOptions,
    cancel: &Cancel,
) -> Result<(), ClusterError> {
    let mut said = String::new();
    // Text is sorted by bytes, which is fast and the same on every system. Full-text search takes from the locale what a letter
    // is. Not every system has the first of these locales.
    for letters in ["C.UTF-8", "en_US.UTF-8", "C"] {
        match fs::remove_dir_all(unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ClusterError::io("remove", unfinished)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut initdb = run_as.command(&binaries.initdb);
        initdb
            .arg("--pgdata")
            .arg(unfinished)
            .args(["--username", options.name])
            .args(["--auth-local=trust", "--auth-host=reject"])
            .args(["--encoding=UTF8", "--locale=C"])
            .arg(format!("--lc-ctype={letters}"));
        if !options.durable {
            initdb.arg("--no-sync");
        }
        let (status, stderr) = cancel
            .run(&mut initdb)
            .map_err(ClusterError::io("run", &binaries.initdb))?;
        cancel.check()?;
        if status.success() {
            return Ok(());
        }
        said = stderr;
    }
    Err(ClusterError::Initialise {
        directory: unfinished.to_owned(),
        said,
    })
}

/// A path or name inside a URL: everything is encoded but letters, digits and `-`, `_`, `.`.
fn percent_encoded(text: &[u8]) -> String {
    text.iter()
        .map(|&byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
