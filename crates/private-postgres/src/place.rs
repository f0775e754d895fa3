//! Where a cluster lives on disk, and who may be there at the same time.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use crate::{
    binaries::major_version, cancel::Cancel, error::ClusterError, socket::PORT, user::RunAs,
};

/// The longest path of a socket that every system takes: 104 bytes with the closing zero on macOS
/// and the BSDs, 108 on Linux.
const LONGEST_SOCKET_PATH: usize = 103;

/// How long the server of a program that died may take to stop.
const STOPPING: Duration = Duration::from_secs(15);

/// A cluster's directories, held against every other program.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) socket_directory: PathBuf,
    /// Locked. The supervisor inherits it and keeps the lock until the server is gone.
    pub(crate) lock: File,
}

impl Place {
    /// Makes the directories that are missing, makes sure that nobody else can reach into them, and
    /// takes the lock.
    pub(crate) fn prepare(
        wanted: &Path,
        name: &str,
        run_as: &RunAs,
        cancel: &Cancel,
    ) -> Result<Self, ClusterError> {
        let directory = reachable(wanted, name, run_as)?;
        let lock = lock(&directory, cancel)?;
        let socket_directory = socket_directory(&directory, name, run_as)?;
        Ok(Self {
            data: directory.join("data"),
            directory,
            socket_directory,
            lock,
        })
    }

    /// Removes the directories of a cluster that was not started and is not kept.
    pub(crate) fn remove(&self) {
        // What cannot be removed is reported by the next start in the same place.
        let _ = fs::remove_dir_all(&self.directory);
        let _ = fs::remove_dir(&self.socket_directory);
    }

    /// The major version of PostgreSQL that wrote the data, if there is any.
    pub(crate) fn data_version(&self) -> Result<Option<u32>, ClusterError> {
        let file = self.data.join("PG_VERSION");
        match fs::read_to_string(&file) {
            Ok(text) => major_version(&text).map(Some).ok_or_else(|| {
                ClusterError::not_safe(&self.data, "its PG_VERSION names no version")
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.data.exists() => {
                Ok(None)
            }
            Err(error) => Err(ClusterError::io("read", &file)(error)),
        }
    }

    /// Removes a `postmaster.pid` whose number now belongs to another program. PostgreSQL itself
    /// sees through every other left-over, but takes any living process of its user for a server;
    /// after a reboot or in a new container, numbers come back soon.
    pub(crate) fn forget_dead_server(&self) -> Result<(), ClusterError> {
        let file = self.data.join("postmaster.pid");
        let Ok(text) = fs::read_to_string(&file) else {
            return Ok(());
        };
        let pid = text.lines().next().unwrap_or_default();
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).or_else(|_| {
            let ps = Command::new("ps")
                .args(["-o", "comm=", "-p", pid])
                .output()?;
            io::read_to_string(&ps.stdout[..])
        });
        match name {
            Ok(name) if name.contains("postgres") || name.contains("postmaster") => Ok(()),
            _ => fs::remove_file(&file).map_err(ClusterError::io("remove", &file)),
        }
    }
}

/// The wanted directory if PostgreSQL's user can live there, else one in a place of its own.
fn reachable(wanted: &Path, name: &str, run_as: &RunAs) -> Result<PathBuf, ClusterError> {
    let ground = wanted
        .ancestors()
        .skip(1)
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    if !run_as.switched || run_as.can_enter(ground) {
        private_directory(wanted, run_as)?;
        if run_as.can_use(wanted) {
            return Ok(wanted.to_owned());
        }
    }
    if run_as.switched {
        // Root alone can make a directory here, so nobody waits for us under its name.
        let elsewhere = Path::new("/var/lib").join(name).join(digest_of(wanted));
        private_directory(&elsewhere, run_as)?;
        if run_as.can_use(&elsewhere) {
            log::info!(
                "PostgreSQL does not run as root, and its user cannot enter {}; the data is in {}",
                wanted.display(),
                elsewhere.display()
            );
            return Ok(elsewhere);
        }
    }
    Err(ClusterError::not_safe(
        wanted,
        "the user that PostgreSQL runs as cannot write there",
    ))
}

/// A directory for the socket: beside the data if the path is short enough, else under the system's
/// temporary directory.
fn socket_directory(directory: &Path, name: &str, run_as: &RunAs) -> Result<PathBuf, ClusterError> {
    let fits = |candidate: &PathBuf| {
        let socket = candidate.join(format!(".s.PGSQL.{PORT}"));
        socket.as_os_str().as_bytes().len() <= LONGEST_SOCKET_PATH
    };
    let name = format!("{name}-{}", digest_of(directory));
    let candidates = [
        directory.join("socket"),
        std::env::temp_dir().join(&name),
        Path::new("/tmp").join(&name),
    ];
    let chosen = candidates
        .into_iter()
        .find(fits)
        .ok_or_else(|| ClusterError::not_safe(directory, "its path is too long for a socket"))?;
    private_directory(&chosen, run_as)?;
    Ok(chosen)
}

/// Makes a directory that only PostgreSQL's user can enter, or makes sure that it is one.
fn private_directory(path: &Path, run_as: &RunAs) -> Result<(), ClusterError> {
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .map_err(ClusterError::io("make", parent))?;
    }
    // Not recursive: of two that make the same name, one finds out.
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => run_as.own(path)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(ClusterError::io("make", path)(error)),
    }
    // Not followed: a link is not a directory of ours, wherever it leads.
    let found = fs::symlink_metadata(path).map_err(ClusterError::io("look at", path))?;
    if !found.is_dir() {
        return Err(ClusterError::not_safe(path, "it is not a directory"));
    }
    if found.uid() != run_as.uid {
        return Err(ClusterError::not_safe(
            path,
            format!(
                "it belongs to user {}; remove it, or run as that user",
                found.uid()
            ),
        ));
    }
    if found.mode() & 0o077 != 0 {
        return Err(ClusterError::not_safe(
            path,
            "other users can enter it; make it private with chmod 700",
        ));
    }
    Ok(())
}

/// Takes the lock, which is on the directory itself, or says who has it. The lock outlives a program
/// that was killed for as long as its server needs to stop, which is worth waiting for.
fn lock(directory: &Path, cancel: &Cancel) -> Result<File, ClusterError> {
    let lock = File::open(directory).map_err(ClusterError::io("open", directory))?;
    let note = directory.join("owner");
    let began = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => {
                return Err(ClusterError::io("lock", directory)(error));
            }
            Err(TryLockError::WouldBlock) => {
                cancel.check()?;
                let owner = fs::read_to_string(&note).unwrap_or_default();
                if is_alive(&owner) || began.elapsed() > STOPPING {
                    return Err(ClusterError::InUse {
                        directory: directory.to_owned(),
                        owner,
                    });
                }
                thread::park_timeout(Duration::from_millis(20));
            }
        }
    }
    // We may be root in a directory of another user's: an old note is removed and a new one made,
    // so that a link in its place is never written through.
    match fs::remove_file(&note) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(ClusterError::io("remove", &note)(error));
        }
        Ok(()) | Err(_) => {}
    }
    File::create_new(&note)
        .and_then(|mut file| write!(file, "{}", std::process::id()))
        .map_err(ClusterError::io("write", &note))?;
    Ok(lock)
}

fn is_alive(pid: &str) -> bool {
    if pid.parse::<u32>().is_err() {
        return false;
    }
    // `kill -0` of another user's process fails as if there were none; /proc knows better.
    Path::new("/proc").join(pid).join("comm").exists()
        || Command::new("kill")
            .args(["-0", pid])
            .output()
            .is_ok_and(|output| output.status.success())
}

/// A short name for a path: the beginning of its SHA-256.
fn digest_of(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_bytes());
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
