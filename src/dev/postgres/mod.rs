//! A private PostgreSQL cluster, run from the machine's own binaries.
//!
//! It listens on a Unix socket alone, in a directory that nobody but its user (and root) can enter;
//! whoever can reach the socket is trusted, so there is no password to keep. It ends with this
//! program, however the program ends: see `supervisor.rs`.

mod binaries;
mod error;
mod place;
mod supervisor;
mod user;

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Instant,
};

use secrecy::SecretString;

use crate::storage::databases;

use self::{
    binaries::Binaries,
    place::Place,
    supervisor::{Server, Tuning},
    user::RunAs,
};

pub use error::ClusterError;

/// The database user: owner of everything in the cluster.
const DATABASE_USER: &str = "epicme";
/// Names the socket file; nothing listens on a port.
const PORT: u16 = 5432;

/// Where a cluster lives, and for how long.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The directory that holds it, made if need be. If the user that PostgreSQL has to run as
    /// cannot enter it, the cluster lives elsewhere under a name derived from this path.
    pub directory: PathBuf,
    /// Whether the data outlives the program. If not, nothing is synced to disk, and the directory
    /// is removed at the end. Choose a directory under the system's temporary one for that: as
    /// root, the user that PostgreSQL runs as has to be able to remove it.
    pub durable: bool,
}

/// A running cluster. Dropping it stops it.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    directory: PathBuf,
    socket_directory: PathBuf,
}

impl Cluster {
    /// Starts the cluster of a directory, making it first if there is none. Blocks until it answers.
    ///
    /// # Errors
    /// See [`ClusterError`]; each says what to do.
    pub fn start(options: ClusterOptions) -> Result<Self, ClusterError> {
        let began = Instant::now();
        let wanted = std::path::absolute(&options.directory)
            .map_err(ClusterError::io("find", &options.directory))?;
        let run_as = RunAs::for_directory(&wanted)?;
        let place = Place::prepare(&wanted, &run_as)?;
        let binaries = Binaries::find(&run_as, place.data_version()?, &place.data)?;
        if !place.data.exists() {
            log::info!(
                "making a PostgreSQL {} cluster in {}",
                binaries.major,
                place.directory.display()
            );
            initialise(&binaries, &run_as, &place, options.durable)?;
        }
        place.forget_dead_server()?;
        let tuning = if options.durable {
            Tuning::Durable
        } else {
            Tuning::ThrowAway
        };
        let server = Server::start(&binaries, &run_as, &place, tuning)?;
        log::info!(
            "PostgreSQL {} runs in {} after {} ms",
            binaries.major,
            place.directory.display(),
            began.elapsed().as_millis()
        );
        Ok(Self {
            server,
            directory: place.directory,
            socket_directory: place.socket_directory,
        })
    }

    /// Where it really is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The libpq URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> SecretString {
        let host = percent_encoded(self.socket_directory.as_os_str().as_bytes());
        let database = percent_encoded(database.as_bytes());
        format!("postgresql://{DATABASE_USER}@{host}:{PORT}/{database}").into()
    }

    /// Makes a database; `false` if it is there already.
    ///
    /// # Errors
    /// `Database` if PostgreSQL refuses.
    pub fn create_database(&self, name: &str) -> Result<bool, ClusterError> {
        Ok(databases::create_database(
            &self.url("postgres"),
            name,
            None,
        )?)
    }

    /// Makes a database as a copy of another, to which nobody may be connected; `false` if it is
    /// there already.
    ///
    /// # Errors
    /// `Database` if PostgreSQL refuses.
    pub fn create_database_from(&self, name: &str, template: &str) -> Result<bool, ClusterError> {
        let server = self.url("postgres");
        Ok(databases::create_database(&server, name, Some(template))?)
    }

    /// Drops a database and cuts whoever is connected to it.
    ///
    /// # Errors
    /// `Database` if PostgreSQL refuses.
    pub fn drop_database(&self, name: &str) -> Result<(), ClusterError> {
        Ok(databases::drop_database(&self.url("postgres"), name)?)
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

/// Makes the cluster under a name that no start takes for a cluster, and renames it when it is
/// whole: an interrupted attempt leaves nothing that a later one could stumble over.
fn initialise(
    binaries: &Binaries,
    run_as: &RunAs,
    place: &Place,
    durable: bool,
) -> Result<(), ClusterError> {
    let unfinished = place.directory.join("data.unfinished");
    let mut said = String::new();
    // Sorting is by bytes, and that is all that the journal needs; what a letter is, full-text
    // search asks the locale. Not every system has the first of these.
    for letters in ["C.UTF-8", "en_US.UTF-8", "C"] {
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ClusterError::io("remove", &unfinished)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut initdb = run_as.command(&binaries.initdb);
        initdb
            .arg("--pgdata")
            .arg(&unfinished)
            .args(["--username", DATABASE_USER])
            .args(["--auth-local=trust", "--auth-host=reject"])
            .args(["--encoding=UTF8", "--locale=C"])
            .arg(format!("--lc-ctype={letters}"));
        if !durable {
            initdb.arg("--no-sync");
        }
        let output = initdb
            .output()
            .map_err(ClusterError::io("run", &binaries.initdb))?;
        if output.status.success() {
            return fs::rename(&unfinished, &place.data)
                .map_err(ClusterError::io("rename", &unfinished));
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    Err(ClusterError::Initialise {
        directory: place.directory.clone(),
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
