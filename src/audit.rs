//! `epicme audit`: checks the files of the audit log.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mcp_server::audit;
use resource_server::secret_file;
use secrecy::ExposeSecret;

/// The options of `epicme audit`.
#[derive(Args, Debug)]
pub struct AuditOptions {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check that no line of these files is missing, altered or moved. Name all files of one process, rotated
    /// ones too, in any order. The exit code is 0 if they are intact, otherwise 1
    Verify {
        /// Files of EPICME_AUDIT_FILE
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,

        /// File that holds EPICME_AUDIT_KEY, if the files were written with it
        #[arg(long, env = "EPICME_AUDIT_KEY_FILE", value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
}

/// Runs the command, and returns what to print.
///
/// # Errors
/// Why the files are not intact, or cannot be read.
pub fn run(options: AuditOptions) -> Result<String, String> {
    let AuditCommand::Verify { files, key_file } = options.command;
    let key = key_file
        .map(|file| {
            secret_file::read(&file)
                .map_err(|error| format!("{} cannot be read: {error}", file.display()))
        })
        .transpose()?;
    let key = key.as_ref().map(|key| key.expose_secret().as_bytes());
    let found = audit::verify(&files, key).map_err(|fault| fault.to_string())?;
    let mut said = format!(
        "{} lines, {} to {}, without a gap; the hash of the last is {}",
        found.lines, found.first, found.last, found.hash
    );
    if found.first > 1 {
        said += "\nThe lines before the first are not in these files.";
    }
    if found.torn > 0 {
        said += &format!(
            "\n{} lines are incomplete because the process crashed.",
            found.torn
        );
    }
    Ok(said)
}
