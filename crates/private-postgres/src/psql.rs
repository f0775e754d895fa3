//! SQL, run by the installation's own `psql`: no client library is needed for a few statements.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
};

use crate::{error::ClusterError, socket::PORT, user::RunAs};

/// `psql`, and what it needs to connect to the cluster.
#[derive(Debug)]
pub(crate) struct Psql {
    program: PathBuf,
    run_as: RunAs,
    socket_directory: PathBuf,
    superuser: &'static str,
}

impl Psql {
    pub(crate) fn new(
        program: PathBuf,
        run_as: RunAs,
        socket_directory: &Path,
        superuser: &'static str,
    ) -> Self {
        Self {
            program,
            run_as,
            socket_directory: socket_directory.to_owned(),
            superuser,
        }
    }

    /// Runs a script in a database, with psql variables (`:'name'` in the script is the value as a string literal, `:"name"` as an
    /// identifier). Returns the standard output. Blocks.
    pub(crate) fn run(
        &self,
        database: &str,
        variables: &[(&str, &str)],
        script: &str,
    ) -> Result<String, ClusterError> {
        let mut command = self.run_as.command(&self.program);
        command
            .args([
                "--no-psqlrc",
                "--no-password",
                "--no-align",
                "--tuples-only",
            ])
            .arg("--host")
            .arg(&self.socket_directory)
            .args(["--port", &PORT.to_string()])
            .args(["--username", self.superuser, "--dbname"])
            // A bare name could be read as a connection string.
            .arg(format!(
                "dbname='{}'",
                database.replace('\\', "\\\\").replace('\'', "\\'")
            ))
            .args(["--set", "ON_ERROR_STOP=1"])
            .env("PGCLIENTENCODING", "UTF8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in variables {
            command.arg("--set").arg(format!("{name}={value}"));
        }
        let failed = || ClusterError::io("run", &self.program);
        let mut child = command.spawn().map_err(failed())?;
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let script = script.to_owned();
        // On a thread of its own: psql may print before it has read everything.
        let writer = thread::spawn(move || stdin.write_all(script.as_bytes()));
        let output = child.wait_with_output().map_err(failed())?;
        // A psql that stops at an error does not read the rest; its exit status says so.
        let _ = writer.join();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(ClusterError::Statement {
                said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            })
        }
    }
}
