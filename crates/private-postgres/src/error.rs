//! What can keep a cluster from running, and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use derive_more::{Display, Error};

/// Why a cluster does not run, or refuses a statement. Each error says what to do.
#[derive(Debug, Display, Error)]
pub enum ClusterError {
    /// The machine has no PostgreSQL.
    #[display(
        "no PostgreSQL was found on this machine ({searched}). Install it with\n    {install}\n\
         or, without being root, with\n    {without_root}"
    )]
    NoBinaries {
        /// The places that were searched.
        searched: String,
        /// The command for this system.
        install: &'static str,
        /// The commands that need no root.
        without_root: String,
    },
    /// The data was written by another major version.
    #[display(
        "the data in {} was written by PostgreSQL {data}, and this machine has only {installed}. \
         Install PostgreSQL {data}, or remove that directory to begin with an empty cluster",
        directory.display()
    )]
    OtherVersion {
        /// The data directory.
        directory: PathBuf,
        /// The version that wrote it.
        data: u32,
        /// The versions that were found.
        installed: String,
    },
    /// Another program runs the cluster of this directory.
    #[display(
        "another program (process {owner}) is using {}. Stop it, or choose another directory",
        directory.display()
    )]
    InUse {
        /// The cluster's directory.
        directory: PathBuf,
        /// The process that holds it, as far as is known.
        owner: String,
    },
    /// A directory is not safe to use.
    #[display("{} cannot be used: {reason}", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// `initdb` failed.
    #[display("initdb failed in {}:\n{said}", directory.display())]
    Initialise {
        /// The cluster's directory.
        directory: PathBuf,
        /// What it said.
        said: String,
    },
    /// The server ended, or was not ready in time.
    #[display("PostgreSQL {what} in {}; it said last:\n{said}", directory.display())]
    Start {
        /// The cluster's directory.
        directory: PathBuf,
        /// What happened.
        what: &'static str,
        /// The last lines of its log.
        said: String,
    },
    /// [`Cancel::cancel`](crate::Cancel::cancel) was called during the start. Nothing of it runs any more.
    #[display("the start was cancelled")]
    Cancelled,
    /// The server did not end in time.
    #[display("PostgreSQL did not stop in time")]
    Stop,
    /// The programs that were found are without `psql`, which statements are run by.
    #[display("PostgreSQL was found without psql. Install it with psql too")]
    NoPsql,
    /// The operating system refused.
    #[display("could not {verb} {}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The cluster's PostgreSQL refused a statement.
    #[display("PostgreSQL refused a statement: {said}")]
    Statement {
        /// What `psql` printed to its standard error.
        said: String,
    },
}

impl ClusterError {
    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { verb, path, source }
    }

    pub(crate) fn not_safe(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unsafe {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
