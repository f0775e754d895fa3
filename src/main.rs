//! The `epicme` program: its commands and exit codes.

use std::{
    env, ffi::OsString, fmt::Display, future::poll_fn, pin::pin, process::ExitCode, task::Poll,
};

use actix_rt::task::spawn_blocking;
use clap::{
    Args, CommandFactory, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use epicme::{
    app::{
        self, App, AppFailure,
        signals::{Instruction, Signals},
        start::{self, SchemaFault},
    },
    audit::{self, AuditOptions},
    config::{self, Config, Options, keys},
    console::{complain, print, print_answer, print_line},
    core_dumps,
    doctor::{self, Asked, DoctorOptions},
    healthcheck::{self, HealthcheckOptions},
    log_filter,
    revoke::{self, RevokeOptions},
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
    CheckConfig(CheckOptions),
    /// Find out what is wrong: checks the configuration, asks the database and every authorization server, and
    /// explains why a token is refused. The exit code is 0 if nothing is wrong, otherwise 1
    Doctor(DoctorOptions),
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
    /// The keys that the command takes from the environment, if it takes those of `serve`.
    fn options(&self) -> Option<&Options> {
        match self {
            Self::Serve(options) | Self::Migrate(options) => Some(options),
            Self::CheckConfig(check) if !check.asks() => Some(&check.options),
            _ => None,
        }
    }

    fn is_development(&self) -> bool {
        #[cfg(feature = "dev")]
        let is_development = matches!(self, Self::Dev(_));
        #[cfg(not(feature = "dev"))]
        let is_development = false;
        is_development
    }
}

#[derive(Args)]
struct CheckOptions {
    #[command(flatten)]
    options: Options,

    /// Also ask the database and every authorization server, as `epicme doctor` does
    #[arg(long)]
    ask: bool,

    #[command(flatten)]
    asked: Asked,
}

impl CheckOptions {
    fn asks(&self) -> bool {
        self.ask || self.asked.is_any()
    }
}

fn main() -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments(&CommandLine::command())) {
        Ok(line) => line,
        Err(error) => return print_answer(&error, EXIT_USAGE),
    };
    telemetry::start(&log_filter::with_libraries(&line.log), line.log_format);
    // `dev` has nothing to hide, and somebody may want to debug it.
    let is_development = line.command.as_ref().is_some_and(Command::is_development);
    if !is_development && let Err(error) = core_dumps::turn_off() {
        log::warn!("core dumps cannot be turned off: {error}");
    }
    for warning in log_filter::doubts(&line.log) {
        log::warn!("{warning}");
    }
    if let Some(options) = line.command.as_ref().and_then(Command::options) {
        let unknown = config::unknown_keys(env::vars_os());
        for warning in options.deprecated().iter().chain(&unknown) {
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
        Some(Command::CheckConfig(check)) if check.asks() => {
            let CheckOptions { options, asked, .. } = check;
            examine(&DoctorOptions { options, asked })
        }
        Some(Command::CheckConfig(check)) => check_config(&check.options),
        Some(Command::Doctor(options)) => examine(&options),
        Some(Command::Healthcheck(options)) => return healthcheck(&options),
        Some(Command::Scopes) => {
            let table = actix_rt::System::new().block_on(async { app::scope_table() });
            print(table);
            Ok(())
        }
        Some(Command::ConfigKeys) => {
            print(config::reference());
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
            complain(format_args!("epicme: {}", failure.reason));
            ExitCode::from(failure.code)
        }
    }
}

/// Prints the server's report about itself.
fn healthcheck(options: &HealthcheckOptions) -> ExitCode {
    let asked = healthcheck::ask(options.bind, options.tls_certificate_file.is_some());
    match actix_rt::System::new().block_on(asked) {
        Ok(report) => {
            print_line(report);
            ExitCode::SUCCESS
        }
        Err(unhealthy) => {
            complain(format_args!("epicme: {unhealthy}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints what the files of the audit log are.
fn verify_audit(options: AuditOptions) -> ExitCode {
    match audit::run(options) {
        Ok(report) => {
            print_line(report);
            ExitCode::SUCCESS
        }
        Err(fault) => {
            complain(format_args!("epicme: {fault}"));
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
                AppFailure::SchemaBehind(_) | AppFailure::Refused(_) => EXIT_UNAVAILABLE,
                AppFailure::ActorDied(_) => EXIT_DIED,
            },
            reason: failure.to_string(),
        }
    }

    fn of_schema(fault: &SchemaFault) -> Self {
        match fault {
            SchemaFault::Behind(failure) => Self::of_app(failure),
            SchemaFault::Refused(_) => Self::unavailable(fault),
        }
    }

    fn died(reason: impl Display) -> Self {
        Self {
            code: EXIT_DIED,
            reason: reason.to_string(),
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
    use epicme::dev::{Dev, DevError};
    use futures_util::future::{Either, select};

    app::raise_open_files();
    actix_rt::System::new().block_on(async move {
        // Before anything is started, so that a signal stops all of it in order.
        let mut signals = Signals::listen().map_err(CommandError::unavailable)?;
        let stop = async {
            signals.next().await;
            complain("\nStopping.");
        };
        let dev = match Dev::start_unless(options, stop).await {
            // What waited for the database still does, on a thread that the end of the process ends.
            Err(DevError::Stopped) => leave(0),
            started => started.map_err(CommandError::unavailable)?,
        };
        print(dev.banner());
        let ended = match select(pin!(signals.next()), pin!(dev.database_ended())).await {
            Either::Left(_) => {
                complain("\nStopping.");
                Ok(())
            }
            Either::Right((ended, _)) => Err(CommandError::died(ended)),
        };
        let stopped = dev.stop().await.map_err(CommandError::unavailable);
        ended.and(stopped)
    })
}

fn serve(options: &Options) -> Result<(), CommandError> {
    let mut config = Config::read(options).map_err(CommandError::usage)?;
    app::raise_open_files();
    let bind = config.http.bind;
    let resource = config.http.public_url.join("/mcp");
    actix_rt::System::new().block_on(async move {
        // Before anything that waits: the first process of a container is not ended by a signal that it ignores.
        let mut signals = Signals::listen()
            .and_then(Signals::with_hangup)
            .map_err(CommandError::unavailable)?;
        let database = config.database.clone();
        let is_current = move || start::schema_is_current(&database);
        let is_current = unless_stopped(&mut signals, is_current).await?;
        config.database.schema_unknown_at_start =
            !is_current.map_err(|fault| CommandError::of_schema(&fault))?;
        let listener = app::listen(bind).map_err(|error| {
            let (key, flag) = (keys::HTTP.bind.name, config::key::flag(keys::HTTP.bind.name));
            CommandError::unavailable(format!(
                "cannot listen on {bind}: {error}; {key} (--{flag}) takes another address"
            ))
        })?;
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
            telemetry::flush();
            complain(format_args!("epicme: {}", overdue.reason));
            leave(overdue.code)
        }
        outcome
    })
}

/// Does something that blocks. If a signal stops the program meanwhile, it ends at once: what the database was
/// asked is undone with its connection.
async fn unless_stopped<T: Send + 'static>(
    signals: &mut Signals,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CommandError> {
    let mut done = pin!(spawn_blocking(work));
    poll_fn(|context| {
        if let Poll::Ready(done) = done.as_mut().poll(context) {
            let died = |_| CommandError::died("the start failed unexpectedly");
            return Poll::Ready(done.map_err(died));
        }
        while let Poll::Ready(instruction) = signals.poll_next(context) {
            if instruction == Instruction::Stop {
                log::info!("stopped during the start");
                leave(0)
            }
        }
        Poll::Pending
    })
    .await
}

/// Ends the program at once. Returning would wait for the very threads that did not end in time.
fn leave(code: u8) -> ! {
    telemetry::flush();
    std::process::exit(code.into())
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

fn migrate(options: &Options) -> Result<(), CommandError> {
    let url = Config::migration_url(options).map_err(CommandError::usage)?;
    let guards = Config::row_level_security(options).map_err(CommandError::usage)?;
    let names = actix_rt::System::new().block_on(async move {
        let mut signals = Signals::listen().map_err(CommandError::unavailable)?;
        let migrate = move || start::migrate(&url, guards);
        let migrated = unless_stopped(&mut signals, migrate).await?;
        migrated.map_err(|unusable| {
            CommandError::unavailable(format!("the database cannot be used: {unusable}"))
        })
    })?;
    for name in &names {
        print_line(format_args!("ran {name}"));
    }
    print_line(format_args!(
        "{} migrations run; the schema is up to date",
        names.len()
    ));
    Ok(())
}

/// Prints what is right and what is wrong.
fn examine(options: &DoctorOptions) -> ! {
    let unknown = config::unknown_keys(env::vars_os());
    let report = actix_rt::System::new().block_on(doctor::examine(options, unknown));
    print(report.text(options.asked.json));
    let code = u8::from(report.is_wrong());
    // A thread may still wait for a database that does not answer.
    leave(code)
}

fn check_config(options: &Options) -> Result<(), CommandError> {
    let values = Config::effective(options).map_err(CommandError::usage)?;
    print(config::table(&values));
    let config = Config::read(options).map_err(CommandError::usage)?;
    let relaxations = config.relaxations();
    if !relaxations.is_empty() {
        print(format!(
            "\nAccepted beyond the RFCs\n  {}\n",
            relaxations.join("\n  ")
        ));
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
    print(listed);
    Ok(())
}
