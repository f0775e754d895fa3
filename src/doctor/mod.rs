//! *Purpose:* `epicme doctor`: finds out what is wrong with a configuration, its database and its authorization
//! servers, and why a token is refused.
//!
//! *Used by:* `main`, also for `check-config --ask`.
//!
//! *Invariants:* it tells everything that is wrong, not only the first; it changes nothing; no token, secret or
//! password is in the report; every question has a time limit.
//!
//! *Start reading at* [`examine`]. `resource_server::examine` asks the authorization servers.

mod configuration;
mod database;
mod issuers;
mod report;
mod row_security;

use std::path::PathBuf;

use clap::Args;

use crate::config::Options;

pub use report::Report;

/// The options of `epicme doctor`: those of `serve`, and what is asked.
#[derive(Args, Clone, Debug)]
pub struct DoctorOptions {
    /// The configuration.
    #[command(flatten)]
    pub options: Options,

    /// What is asked, and how it is answered.
    #[command(flatten)]
    pub asked: Asked,
}

/// What is asked, and how it is answered.
#[derive(Args, Clone, Debug, Default)]
pub struct Asked {
    /// Explain the access token in this file claim by claim; - reads it from standard input. It is not printed, and
    /// sent to its own authorization server only
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

impl Asked {
    /// Whether anything was asked for.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.token_file.is_some() || self.json
    }
}

/// Examines everything. `doubts` are sentences about the environment. Needs an actix `System`.
pub async fn examine(options: &DoctorOptions, doubts: Vec<String>) -> Report {
    let mut report = Report::default();
    configuration::examine(&options.options, doubts, &mut report);
    database::examine(&options.options, &mut report).await;
    issuers::examine(
        &options.options,
        options.asked.token_file.as_deref(),
        &mut report,
    )
    .await;
    report
}
