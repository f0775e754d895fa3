//! A PostgreSQL that can die and come back with what it had.

use std::{fs, path::PathBuf, process::Command};

use epicme::storage;
use private_postgres::{Cluster, ClusterOptions};
use secrecy::SecretString;

/// A cluster that syncs to disk, as a real one does, and is removed at the end.
pub(crate) struct MortalCluster {
    cluster: Option<Cluster>,
    directory: PathBuf,
    pub(crate) url: SecretString,
}

impl MortalCluster {
    /// A running one with a database, whose schema is up to date if it is `migrated`.
    pub(crate) fn new(name: &str, migrated: bool) -> Self {
        let name = format!("epicme-mortal-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let cluster = start(&directory);
        cluster.create_database("epicme").unwrap();
        let url = cluster.url("epicme");
        if migrated {
            storage::migrate(&url).unwrap();
        }
        Self {
            cluster: Some(cluster),
            directory,
            url,
        }
    }

    /// Ends it without a chance to tidy up ("immediate shutdown"): what was not synced is lost.
    pub(crate) fn die(&mut self) {
        let cluster = self.cluster.take().expect("it lives");
        let file = cluster.directory().join("data/postmaster.pid");
        let pid = fs::read_to_string(file).unwrap();
        let killed = Command::new("kill")
            .args(["-QUIT", pid.lines().next().unwrap()])
            .status();
        assert!(killed.unwrap().success());
        cluster.stop().unwrap();
    }

    /// Has it come back where it was.
    pub(crate) fn come_back(&mut self) {
        assert!(self.cluster.is_none(), "it is dead");
        self.cluster = Some(start(&self.directory));
    }
}

impl Drop for MortalCluster {
    fn drop(&mut self) {
        let real = self.cluster.take().map(|cluster| {
            let real = cluster.directory().to_owned();
            cluster.stop().unwrap();
            real
        });
        // Where PostgreSQL could not enter the directory, it lived elsewhere.
        for directory in [Some(self.directory.clone()), real].into_iter().flatten() {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

fn start(directory: &std::path::Path) -> Cluster {
    Cluster::start(ClusterOptions {
        directory: directory.to_owned(),
        durable: true,
        name: "epicme",
    })
    .unwrap()
}
