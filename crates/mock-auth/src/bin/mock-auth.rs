//! The `mock-auth` program: the mock authorization server on its own.

use std::{
    fs,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{ArgAction, Parser};
use mock_auth::{
    IntrospectionClient, MockAuth, Scope, Settings, TokenFormat, demo_scopes, demo_users,
};
use secrecy::{ExposeSecret, SecretString};

/// A mock OAuth authorization server for developing and testing resource servers.
///
/// It is a whole OAuth 2.1 server (discovery, registration, PKCE, consent, devices, introspection, revocation)
/// with invented users who have no passwords, and switches for faults. It keeps everything in memory, unless
/// it is given a folder. Never put it in front of anything real.
#[derive(Parser)]
#[command(version, about, long_about)]
struct Options {
    /// Where to listen
    #[arg(long, env = "MOCK_AUTH_BIND", default_value = "127.0.0.1:7788")]
    bind: SocketAddr,

    /// The public URL, without a path [default: http:// and the address]
    #[arg(long, env = "MOCK_AUTH_ISSUER", value_name = "URL")]
    issuer: Option<String>,

    /// The id of the resource server that may introspect tokens
    #[arg(
        long,
        env = "MOCK_AUTH_INTROSPECTION_CLIENT_ID",
        value_name = "ID",
        default_value = "epicme"
    )]
    introspection_client_id: String,

    /// Its secret; without one, a secret is made up and shown
    #[arg(
        long,
        env = "MOCK_AUTH_INTROSPECTION_CLIENT_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        conflicts_with = "introspection_client_secret_file"
    )]
    introspection_client_secret: Option<SecretString>,

    /// A file that holds the secret
    #[arg(
        long,
        env = "MOCK_AUTH_INTROSPECTION_CLIENT_SECRET_FILE",
        value_name = "FILE"
    )]
    introspection_client_secret_file: Option<PathBuf>,

    /// The audience of tokens asked for without `resource`
    #[arg(
        long,
        env = "MOCK_AUTH_DEFAULT_RESOURCE",
        value_name = "URL",
        default_value = "http://127.0.0.1:8787/mcp"
    )]
    default_resource: String,

    /// The only resources that tokens may be asked for, separated by commas [default: any]
    #[arg(
        long,
        env = "MOCK_AUTH_ALLOWED_RESOURCES",
        value_name = "URLS",
        value_delimiter = ','
    )]
    allowed_resources: Vec<String>,

    /// The scopes that can be granted, each with what the consent page says of it, separated by commas
    /// [default: five scopes of a journal]
    #[arg(
        long,
        env = "MOCK_AUTH_SCOPES",
        value_name = "NAME=DESCRIPTION,…",
        value_delimiter = ','
    )]
    scopes: Vec<String>,

    /// The scopes among them that allow what cannot be undone, such as deleting, separated by commas: the consent page marks them
    #[arg(
        long,
        env = "MOCK_AUTH_DANGEROUS_SCOPES",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    dangerous_scopes: Vec<String>,

    /// Whether a client may be known by the URL of a document about it, which is fetched: `on`, or `off` where nothing outside
    /// can be reached
    #[arg(
        long,
        env = "MOCK_AUTH_CLIENT_DOCUMENTS",
        value_name = "on|off",
        default_value = "on",
        action = ArgAction::Set,
        value_parser = mock_auth::on_or_off
    )]
    client_documents: bool,

    /// Answer authorization requests at once as this user, without a page, for tools that have no browser. Only where the
    /// redirect leads to this computer
    #[arg(long, env = "MOCK_AUTH_AUTO_CONSENT", value_name = "USER")]
    auto_consent: Option<String>,

    /// A folder in which clients, what was granted to them and the signing key outlive a restart, sealed [default: nothing
    /// is kept]
    #[arg(long, env = "MOCK_AUTH_STATE", value_name = "FOLDER")]
    state: Option<PathBuf>,

    /// More names under which to answer, separated by commas, such as `mock-auth` in a compose network
    #[arg(
        long,
        env = "MOCK_AUTH_ALLOWED_HOSTS",
        value_name = "HOSTS",
        value_delimiter = ','
    )]
    allowed_hosts: Vec<String>,

    /// How many seconds an access token lives
    #[arg(
        long,
        env = "MOCK_AUTH_ACCESS_TOKEN_LIFETIME",
        value_name = "SECONDS",
        default_value_t = 3600,
        value_parser = clap::value_parser!(u32).range(1..=31_536_000)
    )]
    access_token_lifetime: u32,

    /// How access tokens are written: `opaque`, or `jwt` (RFC 9068)
    #[arg(
        long,
        env = "MOCK_AUTH_ACCESS_TOKEN_FORMAT",
        value_name = "FORMAT",
        default_value = "opaque"
    )]
    access_token_format: TokenFormat,

    /// What to log, in env_logger's syntax
    #[arg(
        long,
        env = "MOCK_AUTH_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    log: String,

    /// Check the server that listens there, and exit with 0 if it is healthy, with 69 if not. For a container, in which no other
    /// program could check it
    #[arg(long)]
    check_health: bool,
}

/// Wrong flags or variables; the rest, such as a port that is taken (sysexits.h).
const EX_USAGE: u8 = 64;
const EX_UNAVAILABLE: u8 = 69;

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            // Nothing is left to be done if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EX_USAGE } else { 0 });
        }
    };
    env_logger::Builder::new()
        .parse_filters(&options.log)
        .init();
    let done = if options.check_health {
        check_health(options.bind)
    } else {
        actix_rt::System::new().block_on(run(options))
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mock-auth: {error}");
            ExitCode::from(match error.kind() {
                io::ErrorKind::InvalidInput => EX_USAGE,
                _ => EX_UNAVAILABLE,
            })
        }
    }
}

async fn run(options: Options) -> io::Result<()> {
    let given = options.introspection_client_secret.clone();
    let given = given.filter(|secret| !secret.expose_secret().is_empty());
    let secret = match (given, &options.introspection_client_secret_file) {
        (Some(secret), _) => Some(secret),
        (None, Some(file)) => Some(read_secret(file)?),
        (None, None) => None,
    };
    let made_up = secret.is_none();
    let secret = match secret {
        Some(secret) => secret,
        None => make_up_secret()?,
    };
    let auth = MockAuth::start(Settings {
        bind: options.bind,
        issuer: options.issuer.filter(|issuer| !issuer.is_empty()),
        introspection_clients: vec![IntrospectionClient {
            id: options.introspection_client_id.clone(),
            secret: secret.clone(),
        }],
        default_resource: Some(options.default_resource.clone()),
        allowed_resources: named(options.allowed_resources),
        access_token_format: options.access_token_format,
        access_token_lifetime: Duration::from_secs(options.access_token_lifetime.into()),
        allowed_hosts: named(options.allowed_hosts),
        scopes: scopes(options.scopes, &options.dangerous_scopes)?,
        client_documents: options.client_documents,
        auto_consent: options.auto_consent.filter(|user| !user.is_empty()),
        state: options
            .state
            .filter(|folder| !folder.as_os_str().is_empty()),
        ..Settings::default()
    })
    .await
    .map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => error,
        kind => io::Error::new(kind, format!("cannot listen on {}: {error}", options.bind)),
    })?;
    // Before the banner says that it is ready, so that it can be stopped from then on.
    let mut signals = Signals::listen()?;
    let shown = made_up.then_some(&secret);
    println!(
        "{}",
        banner(
            &auth,
            &options.introspection_client_id,
            shown,
            &options.default_resource
        )
    );
    if !auth.address().ip().is_loopback() {
        log::warn!(
            "listening on {}: everyone who reaches this port can get a token for anyone",
            auth.address()
        );
    }
    signals.next().await?;
    log::info!("stopping");
    auth.stop().await;
    Ok(())
}

/// How long a server that is well takes for its answer, at most.
const HEALTHY: Duration = Duration::from_secs(2);

/// Asks the server that listens at `bind`, over loopback where it listens everywhere.
fn check_health(bind: SocketAddr) -> io::Result<()> {
    let mut address = bind;
    match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let mut server = TcpStream::connect_timeout(&address, HEALTHY)?;
    server.set_read_timeout(Some(HEALTHY))?;
    server.set_write_timeout(Some(HEALTHY))?;
    write!(
        server,
        "GET /healthcheck HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut status = [0; "HTTP/1.1 200 ".len()];
    server.read_exact(&mut status)?;
    if status == *b"HTTP/1.1 200 " {
        Ok(())
    } else {
        let status = String::from_utf8_lossy(&status);
        Err(io::Error::other(format!("{address} answered {status}")))
    }
}

/// The scopes of the command line, else the default; some of them marked.
fn scopes(given: Vec<String>, dangerous: &[String]) -> io::Result<Vec<Scope>> {
    let mut scopes = declared(named(given))?;
    for name in dangerous.iter().filter(|name| !name.is_empty()) {
        let scope = scopes.iter_mut().find(|scope| scope.name == *name);
        let scope = scope.ok_or_else(|| {
            let why = format!("MOCK_AUTH_DANGEROUS_SCOPES, {name:?}: there is no such scope");
            io::Error::new(io::ErrorKind::InvalidInput, why)
        })?;
        scope.is_dangerous = true;
    }
    Ok(scopes)
}

fn declared(given: Vec<String>) -> io::Result<Vec<Scope>> {
    if given.is_empty() {
        return Ok(demo_scopes());
    }
    given
        .iter()
        .map(|text| {
            let scope = text.parse::<Scope>();
            scope.map_err(|why| {
                let why = format!("MOCK_AUTH_SCOPES, {text:?}: {why}");
                io::Error::new(io::ErrorKind::InvalidInput, why)
            })
        })
        .collect()
}

/// A list without blanks: a variable that is set to nothing names nothing.
fn named(mut list: Vec<String>) -> Vec<String> {
    list.retain(|name| !name.is_empty());
    list
}

/// What to do next. The secret is shown only if it was made up for this run: nobody knows it else.
fn banner(auth: &MockAuth, client: &str, made_up: Option<&SecretString>, resource: &str) -> String {
    let issuer = auth.issuer();
    let users: Vec<_> = demo_users().into_iter().map(|user| user.username).collect();
    let secret = made_up.map_or_else(
        || "the secret that this server was given".to_owned(),
        |secret| secret.expose_secret().to_owned(),
    );
    format!(
        "mock-auth is ready at {issuer}\n\
         \n  users      {}  (no passwords)\
         \n  resource   {resource}\
         \n  admin      {issuer}/admin\
         \n  metadata   {issuer}/.well-known/oauth-authorization-server\
         \n\n  Let a resource server introspect:\
         \n    EPICME_ISSUER={issuer}\
         \n    EPICME_INTROSPECTION_CLIENT_ID={client}\
         \n    EPICME_INTROSPECTION_CLIENT_SECRET={secret}\
         \n\n  Get a token without a browser:\
         \n    curl -s {issuer}/dev/token -H 'content-type: application/json' -d '{{\"user\":\"ada\"}}'\n",
        users.join(", "),
    )
}

fn read_secret(file: &PathBuf) -> io::Result<SecretString> {
    let wrong = |why: String| {
        let why = format!(
            "MOCK_AUTH_INTROSPECTION_CLIENT_SECRET_FILE, {}: {why}",
            file.display()
        );
        io::Error::new(io::ErrorKind::InvalidInput, why)
    };
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(wrong("it is empty".to_owned())),
        secret => Ok(secret.into()),
    }
}

fn make_up_secret() -> io::Result<SecretString> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes).into())
}

/// Ctrl-C, and the signal that supervisors send.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) -> io::Result<()> {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
