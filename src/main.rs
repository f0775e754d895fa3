//! The `epicme` program: `dev`, `serve`, `migrate`, `check-config`, `scopes`, `cut-off`.

use std::{
    ffi::OsString,
    fmt::Display,
    future::poll_fn,
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::pin,
    process::ExitCode,
    task::{Context, Poll},
};

use clap::{ArgGroup, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use epicme::{
    app::{self, App, Failure as AppFailure},
    config::{Config, DatabaseConfig, Options, Sources},
    cut_off,
    domain::clock::Clock,
    healthcheck,
    oauth::url::PublicUrl,
    secret_file,
    storage::{self, StorageError},
    telemetry::{self, LogFormat},
};
use mimalloc::MiMalloc;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use url::Url;

/// Calls allocate much, and hand what they allocated from one thread to another.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The command line or the configuration is wrong (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;
/// Something that the program needs is not there (`EX_UNAVAILABLE`).
const EXIT_UNAVAILABLE: u8 = 69;
/// A part of the program died (`EX_SOFTWARE`).
const EXIT_DIED: u8 = 70;
/// The program was told to stop, and not everything that was under way had ended in time
/// (`EX_TEMPFAIL`).
const EXIT_OVERDUE: u8 = 75;

/// A personal journal over MCP, and a reference OAuth resource server for MCP.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,

    /// What to log, in env_logger's syntax
    #[arg(
        long,
        env = "EPICME_LOG",
        value_name = "FILTER",
        default_value = "info,actix_server=warn",
        global = true
    )]
    log: String,

    /// How to log
    #[arg(
        long,
        env = "EPICME_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        global = true
    )]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine with nothing to configure: a private PostgreSQL, a mock
    /// authorization server, EpicMe, and three demo users. This is what `epicme` alone does
    #[cfg(feature = "dev")]
    Dev(epicme::dev::DevOptions),
    /// Serve, with an authorization server and a PostgreSQL of your own
    Serve(Options),
    /// Bring the database to the newest schema, and end
    Migrate(Options),
    /// Show what `serve` would run with, and where each value comes from, and end
    CheckConfig(Options),
    /// Ask a server on this machine whether it is ready, and end with 0 if it is, else with 1. For the
    /// health checks of containers, which have no other program
    Healthcheck(HealthcheckOptions),
    /// Show which scopes each tool, resource, prompt and completion needs, as Markdown, and end
    Scopes,
    /// Have one running process forget a token, a user or a client, and end what is open for them.
    /// Where there are several processes, each has to be told
    CutOff(CutOffOptions),
}

#[derive(Args)]
struct HealthcheckOptions {
    /// Where the server listens. One that listens everywhere is asked by the loopback address
    #[arg(
        long,
        env = "EPICME_BIND",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8787"
    )]
    bind: SocketAddr,

    /// Set if the server speaks TLS; the file is not read
    #[arg(long, env = "EPICME_TLS_CERTIFICATE_FILE", value_name = "FILE")]
    tls_certificate_file: Option<PathBuf>,
}

#[derive(Args)]
#[command(group(ArgGroup::new("whom").required(true)))]
struct CutOffOptions {
    /// The process
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8787")]
    server: Url,

    /// Where clients reach the server: the process answers under no other host
    #[arg(
        long,
        env = "EPICME_PUBLIC_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8787"
    )]
    public_url: PublicUrl,

    /// A file that holds EPICME_REVOCATION_SECRET
    #[arg(long, env = "EPICME_REVOCATION_SECRET_FILE", value_name = "FILE")]
    secret_file: PathBuf,

    /// The token with this SHA-256, in hexadecimal
    #[arg(long, value_name = "HEX", group = "whom")]
    token_sha256: Option<String>,

    /// The user of this name at the issuer
    #[arg(long, value_name = "SUBJECT", group = "whom", requires = "issuer")]
    subject: Option<String>,

    /// The client of this name at the issuer
    #[arg(long, value_name = "CLIENT", group = "whom", requires = "issuer")]
    client: Option<String>,

    /// Everybody
    #[arg(long, group = "whom")]
    everybody: bool,

    /// The issuer that knows the user or the client
    #[arg(long, env = "EPICME_ISSUER", value_name = "URL")]
    issuer: Option<String>,
}

fn main() -> ExitCode {
    let command = CommandLine::command();
    let read = command
        .clone()
        .try_get_matches_from(arguments(&command))
        .and_then(|matches| {
            let line = CommandLine::from_arg_matches(&matches)?;
            Ok((matches, line))
        });
    let (matches, line) = match read {
        Ok(read) => read,
        Err(error) => return told(&error),
    };
    telemetry::start(&line.log, line.log_format);
    let sources = matches
        .subcommand()
        .and_then(|(name, matches)| {
            let command = command.find_subcommand(name)?;
            Some(Sources::of(matches, command))
        })
        .unwrap_or_default();
    let outcome = match line.command {
        #[cfg(feature = "dev")]
        Some(Command::Dev(options)) => dev(options),
        None => Err(Failure::usage("a command is needed; --help lists them")),
        Some(Command::Serve(options)) => serve(&options, &sources),
        Some(Command::Migrate(options)) => migrate(&options, &sources),
        Some(Command::CheckConfig(options)) => check_config(&options, &sources),
        Some(Command::Healthcheck(options)) => return healthcheck(&options),
        Some(Command::Scopes) => scopes(),
        Some(Command::CutOff(options)) => cut_off(options),
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

/// Prints what the server says of itself.
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

fn scopes() -> Result<(), Failure> {
    let table = actix_rt::System::new().block_on(async { app::scope_table() });
    print!("{table}");
    Ok(())
}

/// The command line; without a command it is `dev`'s, where there is a `dev`.
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

/// Prints what clap has to say: an answer to `--help`, or what is wrong with the command line.
fn told(error: &clap::Error) -> ExitCode {
    // If it cannot be printed, there is nobody to tell.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(EXIT_USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

struct Failure {
    code: u8,
    reason: String,
}

impl Failure {
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
fn dev(options: epicme::dev::DevOptions) -> Result<(), Failure> {
    actix_rt::System::new()
        .block_on(async move {
            // Before anything is started, so that a signal finds something that stops it all.
            let mut signals = Signals::listen()?;
            let dev = epicme::dev::Dev::start(options).await?;
            print!("{}", dev.banner());
            signals.next().await;
            eprintln!("\nStopping.");
            dev.stop().await
        })
        .map_err(Failure::unavailable)
}

fn serve(options: &Options, sources: &Sources) -> Result<(), Failure> {
    let mut config = Config::read(options, sources).map_err(Failure::usage)?;
    config.database.awaited = !schema_is_current(&config.database)?;
    let bind = config.http.bind;
    let resource = config.http.public_url.join("/mcp");
    actix_rt::System::new().block_on(async move {
        let listener = app::listen(bind)
            .map_err(|error| Failure::unavailable(format!("cannot listen on {bind}: {error}")))?;
        // Before the first request, so that none is cut off by a signal that nobody listens for.
        let mut signals = Signals::listen()
            .and_then(Signals::with_hangup)
            .map_err(Failure::unavailable)?;
        let app = App::start(config, listener, Clock::system()).map_err(Failure::unavailable)?;
        log::info!(
            "serving {resource} on {}; clients find out how to authenticate by asking it without a token",
            app.address()
        );
        let outcome = run(&app, &mut signals).await;
        let mut stopped = pin!(app.stop());
        let stopped = poll_fn(|context| {
            if let Poll::Ready(stopped) = stopped.as_mut().poll(context) {
                return Poll::Ready(stopped.map_err(Failure::overdue));
            }
            match signals.poll_next(context) {
                Poll::Ready(Told::Stop) => {
                    Poll::Ready(Err(Failure::overdue("told to stop a second time")))
                }
                Poll::Ready(Told::Reload) | Poll::Pending => Poll::Pending,
            }
        });
        if let Err(overdue) = stopped.await {
            leave(&overdue);
        }
        outcome
    })
}

/// Ends the program at once. To return would wait for the very threads that did not end in time.
fn leave(failure: &Failure) -> ! {
    telemetry::flush();
    eprintln!("epicme: {}", failure.reason);
    std::process::exit(failure.code.into())
}

/// Serves until it is told to stop, or cannot go on.
async fn run(app: &App, signals: &mut Signals) -> Result<(), Failure> {
    let mut failed = pin!(app.failed());
    poll_fn(|context| {
        if let Poll::Ready(failure) = failed.as_mut().poll(context) {
            log::error!("stopping: {failure}");
            return Poll::Ready(Err(Failure::of_app(&failure)));
        }
        while let Poll::Ready(told) = signals.poll_next(context) {
            match told {
                Told::Stop => {
                    log::info!("stopping");
                    return Poll::Ready(Ok(()));
                }
                Told::Reload => {
                    app.reload();
                    log::info!("secrets are read from their files again");
                }
            }
        }
        Poll::Pending
    })
    .await
}

/// Whether the schema is known to be the right one. It is not if the database is not there: it may
/// come later, and clients are told so meanwhile.
///
/// # Errors
/// Pending migrations stop the start: half a schema would fail later, and worse.
fn schema_is_current(database: &DatabaseConfig) -> Result<bool, Failure> {
    let looked = if database.migrate {
        storage::migrate(&database.url).map(|names| {
            for name in names {
                log::info!("ran migration {name}");
            }
            Vec::new()
        })
    } else {
        storage::pending_migrations(&database.url)
    };
    match looked {
        Ok(pending) if pending.is_empty() => Ok(true),
        Ok(pending) => Err(Failure::of_app(&AppFailure::SchemaBehind(pending.into()))),
        Err(StorageError::Unavailable { .. }) => Ok(false),
        Err(error) => Err(Failure::unavailable(format!(
            "the database cannot be used: {}",
            error.with_cause()
        ))),
    }
}

fn migrate(options: &Options, sources: &Sources) -> Result<(), Failure> {
    let url = Config::database_url(options, sources).map_err(Failure::usage)?;
    let names = storage::migrate(&url)
        .map_err(|error| Failure::unavailable(format!("the database cannot be used: {error}")))?;
    for name in &names {
        println!("ran {name}");
    }
    println!("{} migrations run; the schema is up to date", names.len());
    Ok(())
}

fn check_config(options: &Options, sources: &Sources) -> Result<(), Failure> {
    let config = Config::read(options, sources).map_err(Failure::usage)?;
    for line in config.effective(options, sources) {
        println!(
            "{:<42} {:<12} {}",
            line.key,
            line.source.to_string(),
            line.value
        );
    }
    Ok(())
}

fn cut_off(options: CutOffOptions) -> Result<(), Failure> {
    let file = options.secret_file.display();
    let secret = secret_file::read(&options.secret_file)
        .map_err(|error| Failure::usage(format!("{file} cannot be read: {error}")))?;
    let whom = match (options.token_sha256, options.subject, options.client) {
        (Some(digest), _, _) => json!({ "tokenSha256": digest }),
        (_, Some(subject), _) => json!({ "issuer": options.issuer, "subject": subject }),
        (_, _, Some(client)) => json!({ "issuer": options.issuer, "client": client }),
        (None, None, None) => json!({ "everybody": options.everybody }),
    };
    let told = cut_off::tell(&options.server, &options.public_url, &secret, &whom);
    actix_rt::System::new()
        .block_on(told)
        .map_err(Failure::unavailable)
}

/// What an operator tells the program by a signal.
enum Told {
    /// Ctrl-C and `SIGTERM`.
    Stop,
    /// `SIGHUP`.
    Reload,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// From here on Ctrl-C and `SIGTERM` no longer end the program by themselves. `SIGHUP` does: it comes
    /// when a terminal is closed, and what ran in there with no file to read again has to go.
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: None,
        })
    }

    /// Nor does `SIGHUP`.
    fn with_hangup(self) -> io::Result<Self> {
        Ok(Self {
            hangup: Some(signal(SignalKind::hangup())?),
            ..self
        })
    }

    /// Waits for any of them.
    #[cfg(feature = "dev")]
    async fn next(&mut self) -> Told {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Told> {
        if self.interrupt.poll_recv(context).is_ready()
            || self.terminate.poll_recv(context).is_ready()
        {
            return Poll::Ready(Told::Stop);
        }
        match &mut self.hangup {
            Some(hangup) => hangup.poll_recv(context).map(|_| Told::Reload),
            None => Poll::Pending,
        }
    }
}
