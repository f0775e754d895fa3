//! What can keep a cluster from running, and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use derive_more::{Display, Error, From};

use crate::storage::StorageError;

/// Why a cluster does not run.
#[derive(Debug, Display, Error, From)]
pub enum ClusterError {
    /// The machine has no PostgreSQL.
    #[display(
        "no PostgreSQL was found on this machine ({searched}). Install it with\n    {install}\nor set \
         DATABASE_URL to a database of your own, or run everything in containers with\n    docker \
         compose up"
    )]
    #[from(skip)]
    NoBinaries {
        /// The places that were searched.
        searched: String,
        /// The command for this system.
        install: &'static str,
    },
    /// The data was written by another major version.
    #[display(
        "the data in {} was written by PostgreSQL {data}, and this machine has only {installed}. \
         Install PostgreSQL {data}, or remove that directory to begin with an empty journal",
        directory.display()
    )]
    #[from(skip)]
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
        "another `epicme dev` (process {owner}) is using {}. Stop it, or choose another directory",
        directory.display()
    )]
    #[from(skip)]
    InUse {
        /// The cluster's directory.
        directory: PathBuf,
        /// The process that holds it, as far as is known.
        owner: String,
    },
    /// A directory is not safe to use.
    #[display("{} cannot be used: {reason}", path.display())]
    #[from(skip)]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// `initdb` failed.
    #[display("initdb failed in {}:\n{said}", directory.display())]
    #[from(skip)]
    Initialise {
        /// The cluster's directory.
        directory: PathBuf,
        /// What it said.
        said: String,
    },
    /// The server ended, or was not ready in time.
    #[display("PostgreSQL {what} in {}; it said last:\n{said}", directory.display())]
    #[from(skip)]
    Start {
        /// The cluster's directory.
        directory: PathBuf,
        /// What happened.
        what: &'static str,
        /// The last lines of its log.
        said: String,
    },
    /// The server did not end in time.
    #[display("PostgreSQL did not stop in time")]
    Stop,
    /// The operating system refused.
    #[display("could not {verb} {}", path.display())]
    #[from(skip)]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The cluster's PostgreSQL refused.
    #[display("the cluster refused")]
    Database {
        /// The reason.
        source: StorageError,
    },
}

impl ClusterError {
    pub(super) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { verb, path, source }
    }

    pub(super) fn not_safe(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unsafe {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
