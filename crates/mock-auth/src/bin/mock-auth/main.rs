//! The `mock-auth` program: the mock authorization server on its own.

use std::{
    fs,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use mock_auth::MockAuth;
use secrecy::{ExposeSecret, SecretString};

mod options;

use options::Options;

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
    let settings = options.settings(secret.clone())?;
    let (bind, client) = (settings.bind, settings.introspection_clients[0].id.clone());
    let next = Next {
        users: settings
            .users
            .iter()
            .map(|user| user.username.clone())
            .collect(),
        resource: settings.default_resource.clone(),
        client,
        secret: made_up.then_some(secret),
    };
    let auth = MockAuth::start_with(settings)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => error,
            kind => io::Error::new(kind, format!("cannot listen on {bind}: {error}")),
        })?;
    // Before the banner says that it is ready, so that it can be stopped from then on.
    let mut signals = Signals::listen()?;
    println!("{}", next.banner(&auth));
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

/// What a person needs next.
struct Next {
    users: Vec<String>,
    resource: Option<String>,
    client: String,
    /// Shown only if it was made up for this run: nobody else knows it.
    secret: Option<SecretString>,
}

impl Next {
    fn banner(&self, auth: &MockAuth) -> String {
        let issuer = auth.issuer();
        let resource = self.resource.as_deref();
        let resource = resource.unwrap_or("any; none where a client asks for none");
        let secret = self.secret.as_ref().map_or(
            "the secret that this server was given",
            SecretString::expose_secret,
        );
        let first = self.users.first().map_or("", String::as_str);
        format!(
            "mock-auth is ready at {issuer}\n\
             \n  users      {}  (no passwords)\
             \n  audience   {resource}\
             \n  admin      {issuer}/admin\
             \n  metadata   {issuer}/.well-known/oauth-authorization-server\
             \n\n  A resource server introspects tokens with these credentials:\
             \n    issuer     {issuer}\
             \n    endpoint   {issuer}/oauth/introspection\
             \n    client id  {}\
             \n    secret     {secret}\
             \n\n  Get a token without a browser:\
             \n    curl -s {issuer}/dev/token -H 'content-type: application/json' -d '{{\"user\":\"{first}\"}}'\n",
            self.users.join(", "),
            self.client,
        )
    }
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
