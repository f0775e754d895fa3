//! The `epicme` program: its commands and exit codes.

use std::{
    ffi::OsString, fmt::Display, future::poll_fn, net::SocketAddr, path::PathBuf, pin::pin,
    process::ExitCode, task::Poll,
};

use clap::{
    Args, CommandFactory, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use epicme::{
    app::{
        self, App, AppFailure,
        signals::{Instruction, Signals},
    },
    audit::{self, AuditOptions},
    config::{self, Config, DatabaseConfig, Options, keys},
    core_dumps, healthcheck, log_filter,
    revoke::{self, RevokeOptions},
    storage::{self, StorageError},
};
use mcp_server::telemetry::{self, LogFormat};
use mimalloc::MiMalloc;
use resource_server::{clock::Clock, secret_file};

/// Calls allocate much memory, and often free it on another thread.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The command line or the configuration is wrong (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;
/// Something that the program needs is unavailable (`EX_UNAVAILABLE`).
const EXIT_UNAVAILABLE: u8 = 69;
/// A part of the program stopped unexpectedly (`EX_SOFTWARE`).
const EXIT_DIED: u8 = 70;
/// The shutdown timed out, and unfinished work was abandoned (`EX_TEMPFAIL`).
const EXIT_OVERDUE: u8 = 75;

/// A personal journal over MCP, and a reference OAuth resource server for MCP.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,

    #[arg(
        long,
        env = keys::LOG.name,
        value_name = keys::LOG.value_name,
        default_value = keys::LOG.default,
        help = keys::LOG.help,
        help_heading = keys::LOG.heading.title(),
        global = true
    )]
    log: String,

    #[arg(
        long,
        env = keys::LOG_FORMAT.name,
        value_name = keys::LOG_FORMAT.value_name,
        default_value = keys::LOG_FORMAT.default,
        value_parser = PossibleValuesParser::new(["text", "json"])
            .map(|format| format.parse::<LogFormat>().unwrap_or_default()),
        help = keys::LOG_FORMAT.help,
        help_heading = keys::LOG_FORMAT.heading.title(),
        global = true
    )]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine without configuration: a private PostgreSQL, a mock authorization
    /// server, EpicMe, and three demo users. This is the default command
    #[cfg(feature = "dev")]
    Dev(epicme::dev::DevOptions),
    /// Serve with your own authorization server and PostgreSQL
    Serve(Options),
    /// Run pending database migrations and exit
    Migrate(Options),
    /// Check the configuration of `serve`, print each value and where it came from, and exit
    CheckConfig(Options),
    /// Ask a server on this machine whether it is ready. The exit code is 0 if it is, otherwise 1. Intended
    /// for container health checks, where no other tool is available
    Healthcheck(HealthcheckOptions),
    /// Print the scopes that each tool, resource, prompt and completion needs, as Markdown, and exit
    Scopes,
    /// Print the keys of the configuration as Markdown (docs/CONFIGURATION.md), and exit
    #[command(hide = true)]
    ConfigKeys,
    /// Check the files of the audit log (EPICME_AUDIT_FILE)
    Audit(AuditOptions),
    /// Revoke a token, user or client on one running process and close its streams and sessions, lift such a
    /// revocation, or list them. It outlives a restart, and every process on the same
    /// database obeys it
    Revoke(RevokeOptions),
    /// The former name of `revoke`
    #[command(hide = true)]
    CutOff(RevokeOptions),
}

impl Command {
    fn is_development(&self) -> bool {
        #[cfg(feature = "dev")]
        let is_development = matches!(self, Self::Dev(_));
        #[cfg(not(feature = "dev"))]
        let is_development = false;
        is_development
    }
}

#[derive(Args)]
struct HealthcheckOptions {
    /// Address and port on which the server listens. If it listens on every address, the loopback address
    /// is used
    #[arg(
        long,
        env = keys::HTTP.bind.name,
        value_name = keys::HTTP.bind.value_name,
        default_value = keys::HTTP.bind.default
    )]
    bind: SocketAddr,

    /// Set if the server uses TLS; the file is not read
    #[arg(long, env = keys::TLS.certificate.name, value_name = keys::TLS.certificate.value_name)]
    tls_certificate_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments(&CommandLine::command())) {
        Ok(line) => line,
        Err(error) => return print(&error),
    };
    telemetry::start(&log_filter::with_libraries(&line.log), line.log_format);
    // `dev` has nothing to hide, and somebody may want to debug it.
    let is_development = line.command.as_ref().is_some_and(Command::is_development);
    if !is_development && let Err(error) = core_dumps::turn_off() {
        log::warn!("core dumps cannot be turned off: {error}");
    }
    if line.log.contains(log_filter::FORMER_ACCESS_LOG) {
        let former = log_filter::FORMER_ACCESS_LOG;
        log::warn!("in --log, {former} is now called `access`");
    }
    if let Some(
        Command::Serve(options) | Command::Migrate(options) | Command::CheckConfig(options),
    ) = &line.command
    {
        for warning in options.deprecated() {
            log::warn!("{warning}");
        }
    }
    let outcome = match line.command {
        #[cfg(feature = "dev")]
        Some(Command::Dev(options)) => dev(options),
        None => Err(CommandError::usage(
            "no command given; --help lists the commands",
        )),
        Some(Command::Serve(options)) => serve(&options),
        Some(Command::Migrate(options)) => migrate(&options),
        Some(Command::CheckConfig(options)) => check_config(&options),
        Some(Command::Healthcheck(options)) => return healthcheck(&options),
        Some(Command::Scopes) => {
            let table = actix_rt::System::new().block_on(async { app::scope_table() });
            print!("{table}");
            Ok(())
        }
        Some(Command::ConfigKeys) => {
            print!("{}", config::reference());
            Ok(())
        }
        Some(Command::Audit(options)) => return verify_audit(options),
        Some(Command::Revoke(options)) => revoke(&options),
        Some(Command::CutOff(options)) => {
            log::warn!("the command `cut-off` is now called `revoke`");
            revoke(&options)
        }
    };
    telemetry::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("epicme: {}", failure.reason);
            ExitCode::from(failure.code)
        }
    }
}

/// Prints the server's report about itself.
fn healthcheck(options: &HealthcheckOptions) -> ExitCode {
    let asked = healthcheck::ask(options.bind, options.tls_certificate_file.is_some());
    match actix_rt::System::new().block_on(asked) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(unhealthy) => {
            eprintln!("epicme: {unhealthy}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what the files of the audit log are.
fn verify_audit(options: AuditOptions) -> ExitCode {
    match audit::run(options) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("epicme: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// The command line; without a command it is that of `dev`, if this build has it.
fn arguments(command: &clap::Command) -> Vec<OsString> {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let has_command = arguments.iter().skip(1).any(|argument| {
        let name = argument.to_string_lossy();
        ["help", "-h", "--help", "-V", "--version"].contains(&name.as_ref())
            || command.find_subcommand(name.as_ref()).is_some()
    });
    if cfg!(feature = "dev") && !has_command {
        let place = arguments.len().min(1);
        arguments.insert(place, "dev".into());
    }
    arguments
}

/// Prints clap's message: the answer to `--help`, or an error of the command line.
fn print(error: &clap::Error) -> ExitCode {
    // If standard output is closed, there is nowhere to report that.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(EXIT_USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

/// Why a command failed, and the exit code for it.
struct CommandError {
    code: u8,
    reason: String,
}

impl CommandError {
    fn usage(reason: impl Display) -> Self {
        Self {
            code: EXIT_USAGE,
            reason: reason.to_string(),
        }
    }

    fn unavailable(reason: impl Display) -> Self {
        Self {
            code: EXIT_UNAVAILABLE,
            reason: reason.to_string(),
        }
    }

    fn of_app(failure: &AppFailure) -> Self {
        Self {
            code: match failure {
                AppFailure::SchemaBehind(_) => EXIT_UNAVAILABLE,
                AppFailure::ActorDied(_) => EXIT_DIED,
            },
            reason: failure.to_string(),
        }
    }

    fn overdue(reason: impl Display) -> Self {
        Self {
            code: EXIT_OVERDUE,
            reason: reason.to_string(),
        }
    }
}

#[cfg(feature = "dev")]
fn dev(options: epicme::dev::DevOptions) -> Result<(), CommandError> {
    app::raise_open_files();
    actix_rt::System::new()
        .block_on(async move {
            // Before anything is started, so that a signal stops all of it in order.
            let mut signals = Signals::listen()?;
            let dev = epicme::dev::Dev::start(options).await?;
            print!("{}", dev.banner());
            signals.next().await;
            eprintln!("\nStopping.");
            dev.stop().await
        })
        .map_err(CommandError::unavailable)
}

fn serve(options: &Options) -> Result<(), CommandError> {
    let mut config = Config::read(options).map_err(CommandError::usage)?;
    app::raise_open_files();
    config.database.unreachable_at_start = !schema_is_current(&config.database)?;
    let bind = config.http.bind;
    let resource = config.http.public_url.join("/mcp");
    actix_rt::System::new().block_on(async move {
        let listener = app::listen(bind)
            .map_err(|error| CommandError::unavailable(format!("cannot listen on {bind}: {error}")))?;
        // Before the first request, so that no signal ends the process in the middle of one.
        let mut signals = Signals::listen()
            .and_then(Signals::with_hangup)
            .map_err(CommandError::unavailable)?;
        let app = App::start(config, listener, Clock::system()).map_err(CommandError::unavailable)?;
        log::info!(
            "serving {resource} on {}; clients discover how to sign in by a request without a token",
            app.address()
        );
        let outcome = run(&app, &mut signals).await;
        let mut stopped = pin!(app.stop());
        let stopped = poll_fn(|context| {
            if let Poll::Ready(stopped) = stopped.as_mut().poll(context) {
                return Poll::Ready(stopped.map_err(CommandError::overdue));
            }
            match signals.poll_next(context) {
                Poll::Ready(Instruction::Stop) => {
                    Poll::Ready(Err(CommandError::overdue("received a second stop signal")))
                }
                Poll::Ready(Instruction::Reload) | Poll::Pending => Poll::Pending,
            }
        });
        if let Err(overdue) = stopped.await {
            leave(&overdue);
        }
        outcome
    })
}

/// Ends the program at once. Returning would wait for the very threads that did not end in time.
fn leave(failure: &CommandError) -> ! {
    telemetry::flush();
    eprintln!("epicme: {}", failure.reason);
    std::process::exit(failure.code.into())
}

/// Serves until a signal stops it, or it cannot go on.
async fn run(app: &App, signals: &mut Signals) -> Result<(), CommandError> {
    let mut failed = pin!(app.failed());
    poll_fn(|context| {
        if let Poll::Ready(failure) = failed.as_mut().poll(context) {
            log::error!("stopping: {failure}");
            return Poll::Ready(Err(CommandError::of_app(&failure)));
        }
        while let Poll::Ready(instruction) = signals.poll_next(context) {
            match instruction {
                Instruction::Stop => {
                    log::info!("stopping");
                    return Poll::Ready(Ok(()));
                }
                Instruction::Reload => {
                    app.reload();
                    log::info!("secret files will be read again");
                }
            }
        }
        Poll::Pending
    })
    .await
}

/// Whether the schema is known to be up to date. It is unknown while the database is unreachable, which does
/// not stop the start: clients get 503 until it can be reached.
///
/// # Errors
/// Pending migrations stop the start: a server on half a schema would fail later, and worse.
fn schema_is_current(database: &DatabaseConfig) -> Result<bool, CommandError> {
    let pending = if database.migrate {
        storage::migrate(&database.url).map(|names| {
            for name in names {
                log::info!("ran migration {name}");
            }
            Vec::new()
        })
    } else {
        storage::pending_migrations(&database.url)
    };
    match pending {
        Ok(pending) if pending.is_empty() => Ok(true),
        Ok(pending) => Err(CommandError::of_app(&AppFailure::SchemaBehind(
            pending.into(),
        ))),
        Err(StorageError::Unavailable { .. }) => Ok(false),
        Err(error) => Err(CommandError::unavailable(format!(
            "the database cannot be used: {}",
            error.with_cause()
        ))),
    }
}

fn migrate(options: &Options) -> Result<(), CommandError> {
    let url = Config::database_url(options).map_err(CommandError::usage)?;
    let names = storage::migrate(&url).map_err(|error| {
        CommandError::unavailable(format!("the database cannot be used: {error}"))
    })?;
    for name in &names {
        println!("ran {name}");
    }
    println!("{} migrations run; the schema is up to date", names.len());
    Ok(())
}

fn check_config(options: &Options) -> Result<(), CommandError> {
    let values = Config::effective(options).map_err(CommandError::usage)?;
    let mut heading = "";
    for line in values {
        if line.heading != heading {
            let gap = if heading.is_empty() { "" } else { "\n" };
            println!("{gap}{}", line.heading);
            heading = line.heading;
        }
        println!(
            "  {:<42} {:<12} {}",
            line.key,
            line.source.to_string(),
            line.value
        );
    }
    Ok(())
}

fn revoke(options: &RevokeOptions) -> Result<(), CommandError> {
    let file = options.secret_file.display();
    let secret = secret_file::read(&options.secret_file)
        .map_err(|error| CommandError::usage(format!("{file} cannot be read: {error}")))?;
    let listed = actix_rt::System::new()
        .block_on(revoke::run(options, &secret))
        .map_err(CommandError::unavailable)?;
    print!("{listed}");
    Ok(())
}
