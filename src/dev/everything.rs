//! Starts everything on one machine, and stops it in reverse order.

use std::{
    future::{Future, pending},
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    pin::pin,
    process,
    time::Duration,
};

use actix_rt::{task::spawn_blocking, time::sleep};
use clap::{ArgAction, Args};
use derive_more::{Display, Error, From};
use futures_util::future::{Either, select};
use mock_auth::{IntrospectionClient, MockAuth, Scope, Settings, TokenGrant, demo_users};
use private_postgres::{Cancel, Cluster, ClusterError, ClusterOptions};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    banner::{Banner, Kept, Secrets},
    database, demo, kept_key,
};
use crate::{
    app::{self, App, DrainOverdue},
    config::{Config, ConfigErrors, Options, keys},
    domain::journal::JournalError,
    scopes, storage,
};
use resource_server::clock::Clock;

/// The one database of the private cluster, and its superuser.
const DATABASE: &str = "epicme";

/// How long the token of the banner's curl line lives.
const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 3_600);

/// How often it is checked whether PostgreSQL still runs.
const LOOK: Duration = Duration::from_millis(500);

/// The options of `epicme dev`; all of them are optional.
#[derive(Args, Clone, Debug)]
pub struct DevOptions {
    /// Address and port on which EpicMe listens; port 0 takes a free one
    #[arg(
        long,
        env = keys::HTTP.bind.name,
        value_name = keys::HTTP.bind.value_name,
        default_value = keys::HTTP.bind.default
    )]
    pub bind: SocketAddr,

    /// Address and port on which the mock authorization server listens; port 0 takes a free one
    #[arg(
        long,
        env = "MOCK_AUTH_BIND",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7788"
    )]
    pub auth_bind: SocketAddr,

    /// Delete the journal when the program ends
    #[arg(long)]
    pub ephemeral: bool,

    /// Directory that holds the journal and the sign-ins of its clients
    #[arg(
        long,
        value_name = "DIRECTORY",
        default_value = ".epicme",
        conflicts_with = "ephemeral"
    )]
    pub directory: PathBuf,

    /// Whether a client may be known by the URL of a document about it, which is fetched: `on`, or `off`, with which every
    /// client registers and nothing outside of this machine is needed
    #[arg(
        long,
        env = "MOCK_AUTH_CLIENT_DOCUMENTS",
        value_name = "on|off",
        default_value = "off",
        action = ArgAction::Set,
        value_parser = mock_auth::on_or_off
    )]
    pub client_documents: bool,

    /// Print two secrets of this run: the one with which EpicMe asks the authorization server about tokens, and one with
    /// which EpicMe can be told that a token was revoked. Without this option it cannot be told
    #[arg(long)]
    pub show_introspection: bool,

    /// Sign in and consent at once as this demo user, without a page, for tools that have no browser. Only where the
    /// redirect leads to this computer
    #[arg(long, env = "MOCK_AUTH_AUTO_CONSENT", value_name = "USER")]
    pub auto_consent: Option<String>,

    /// PostgreSQL to use instead of a private one, as a libpq URL
    #[arg(long, env = keys::DATABASE_URL.url.name, value_name = "URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
}

/// Why it does not run.
#[derive(Debug, Display, Error, From)]
pub enum DevError {
    /// The private PostgreSQL.
    #[display("{}", cluster_error(_0))]
    Cluster(ClusterError),
    /// The database, or its schema.
    #[display("the database cannot be used: {_0}")]
    Database(storage::Unusable),
    /// A port that is taken, most likely.
    #[display(
        "cannot listen on {address}: {source}. Is another `epicme dev` running? {flag} takes another address"
    )]
    #[from(skip)]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The flag for another address.
        flag: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The demo journals.
    #[display("the demo journals cannot be written: {_0}")]
    Demo(JournalError),
    /// The configuration that `dev` generated is invalid.
    #[display("{_0}")]
    Config(ConfigErrors),
    /// The shutdown timed out.
    #[display("{_0}")]
    Drain(DrainOverdue),
    /// It was stopped before everything ran; nothing of it runs any more.
    #[display("stopped during the start")]
    Stopped,
    /// A step of the start panicked.
    #[display("the start failed unexpectedly")]
    Died,
    /// PostgreSQL ended, and nobody here told it to.
    #[display(
        "PostgreSQL ended unexpectedly (was it killed?). The journal is kept {}; start `epicme dev` again", 
        if *is_kept { "up to its last acknowledged entry" } else { "nowhere" }
    )]
    DatabaseEnded {
        /// Whether the data is still there.
        is_kept: bool,
    },
    /// The directory of the sign-ins.
    #[display("{_0}")]
    #[from(skip)]
    Kept(io::Error),
    /// Another error of the operating system.
    #[display("{_0}")]
    Io(io::Error),
}

/// The error, with what the user can do about it.
fn cluster_error(error: &ClusterError) -> String {
    match error {
        ClusterError::NoBinaries { .. } => format!(
            "{error}\nor set DATABASE_URL to a database of your own, or run everything in containers with\n    \
             docker compose up"
        ),
        ClusterError::InUse { directory, owner } => format!(
            "another `epicme dev` (process {owner}) is using {}. Stop it, or choose another directory with --directory",
            directory.display()
        ),
        _ => error.to_string(),
    }
}

/// Everything, running.
pub struct Dev {
    app: App,
    mock_auth: MockAuth,
    cluster: Option<Cluster>,
    mcp_url: String,
    token: SecretString,
    kept: Kept,
    /// Printed with the banner, if that was asked for.
    secrets: Option<Secrets>,
}

/// What a step of the start that waits looks at, to give up when the start is stopped.
#[derive(Clone)]
struct Stopping {
    cancel: Cancel,
    is_told: watch::Sender<bool>,
}

impl Stopping {
    fn new() -> Self {
        Self {
            cancel: Cancel::default(),
            is_told: watch::Sender::new(false),
        }
    }

    fn tell(&self) {
        self.cancel.cancel();
        self.is_told.send_replace(true);
    }

    /// Waits for a step, unless the start is stopped: then what blocks is abandoned.
    async fn unless<T, E: Into<DevError>>(
        &self,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, DevError> {
        let mut is_told = self.is_told.subscribe();
        let told = pin!(is_told.wait_for(|is_told| *is_told));
        match select(told, pin!(step)).await {
            Either::Left(_) => Err(DevError::Stopped),
            Either::Right((outcome, _)) => outcome.map_err(Into::into),
        }
    }
}

impl Dev {
    /// Starts PostgreSQL, the mock authorization server and EpicMe, and writes the demo journals
    /// if there are none. Needs an actix `System`.
    ///
    /// # Errors
    /// See [`DevError`]; each says what to do.
    pub async fn start(options: DevOptions) -> Result<Self, DevError> {
        Self::start_unless(options, pending()).await
    }

    /// Starts everything, unless `stop` completes before that is done. Then what was started is stopped in order.
    ///
    /// # Errors
    /// [`DevError::Stopped`], and those of [`Dev::start`].
    pub async fn start_unless(
        options: DevOptions,
        stop: impl Future<Output = ()>,
    ) -> Result<Self, DevError> {
        let stopping = Stopping::new();
        let started = pin!(Self::start_with(options, stopping.clone()));
        match select(started, pin!(stop)).await {
            Either::Left((started, _)) => started,
            Either::Right(((), started)) => {
                stopping.tell();
                if let Ok(dev) = started.await {
                    dev.stop().await?;
                }
                Err(DevError::Stopped)
            }
        }
    }

    async fn start_with(options: DevOptions, stopping: Stopping) -> Result<Self, DevError> {
        // Ports first, so that a second instance fails before it changes anything.
        let listener = listen(options.bind, "--bind")?;
        let address = listener.local_addr()?;
        let mcp_url = format!("http://{address}/mcp");

        let (cluster, database_url) = match options.database_url {
            Some(url) => (None, url),
            None => {
                let cluster = cluster_options(&options.directory, options.ephemeral);
                let cancel = stopping.cancel.clone();
                let cluster = spawn_blocking(move || {
                    let cluster = Cluster::start_unless(cluster, &cancel)?;
                    let url = cluster.url(DATABASE);
                    let made = database::create(&cluster, DATABASE);
                    made.map_err(|error| DevError::Database(storage::unusable(&url, &error)))?;
                    Ok::<_, DevError>(cluster)
                });
                // Not abandoned: it ends soon, and nothing is left when it has.
                let cluster = cluster.await.map_err(|_| DevError::Died)??;
                let url = cluster.url(DATABASE);
                (Some(cluster), url)
            }
        };
        stopping.unless(migrate(&database_url)).await?;

        let secret = SecretString::from(Uuid::new_v4().to_string());
        let mock_auth = MockAuth::start_with(Settings {
            bind: options.auth_bind,
            introspection_clients: vec![IntrospectionClient {
                id: "epicme".to_owned(),
                secret: secret.clone(),
            }],
            // Clients of 2025-03-26 name no resource.
            default_resource: Some(mcp_url.clone()),
            scopes: scopes::DESCRIPTIONS
                .map(|(name, description)| Scope {
                    is_dangerous: scopes::DELETING.contains(&name),
                    ..Scope::new(name, description)
                })
                .to_vec(),
            title: "EpicMe".to_owned(),
            client_documents: options.client_documents,
            auto_consent: options.auto_consent.filter(|user| !user.is_empty()),
            // Hosts stay signed in over a restart.
            state: (!options.ephemeral).then(|| options.directory.join("mock-auth")),
            ..Settings::default()
        })
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::InvalidInput => DevError::Kept(source),
            _ => DevError::Listen {
                address: options.auth_bind,
                flag: "--auth-bind",
                source,
            },
        })?;

        let mut server =
            Options::for_one_machine(address, mock_auth.issuer(), &secret, &database_url);
        if !options.ephemeral {
            // Legacy sessions go on after a restart, too.
            let key = kept_key::read_or_make(&options.directory).map_err(DevError::Kept)?;
            server = server.with(keys::REQUEST_STATE.key.name, key.expose_secret());
        }
        let secrets = options.show_introspection.then(|| Secrets {
            introspection: secret,
            revocation: SecretString::from(Uuid::new_v4().to_string()),
        });
        if let Some(Secrets { revocation, .. }) = &secrets {
            let key = keys::HTTP.revocation_secret.name;
            server = server.with(key, revocation.expose_secret());
        }
        let config = config(&server)?;
        let app = App::start(config, listener, Clock::system())?;
        let users = demo_users();
        let demo = demo::write(app.journal(), mock_auth.issuer(), &users);
        stopping.unless(demo).await?;

        let token = mock_auth.issue_token(TokenGrant {
            subject: users[0].subject.clone(),
            client_id: "epicme-dev".to_owned(),
            scopes: scopes::declared().list(scopes::declared().all()),
            audience: vec![mcp_url.clone()],
            lifetime: TOKEN_LIFETIME,
            ..TokenGrant::default()
        });
        let kept = if options.ephemeral {
            Kept::Nowhere
        } else {
            cluster.as_ref().map_or(Kept::InYourDatabase, |cluster| {
                Kept::In(shortened(cluster.directory()))
            })
        };
        Ok(Self {
            app,
            mock_auth,
            cluster,
            mcp_url,
            token,
            kept,
            secrets,
        })
    }

    /// Waits until PostgreSQL has ended although nobody here told it to. Pending for ever with a database of your
    /// own, which may come back by itself.
    pub async fn database_ended(&self) -> DevError {
        let Some(cluster) = &self.cluster else {
            return pending().await;
        };
        while !cluster.has_ended() {
            sleep(LOOK).await;
        }
        DevError::DatabaseEnded {
            is_kept: !matches!(self.kept, Kept::Nowhere),
        }
    }

    /// What to do next.
    #[must_use]
    pub fn banner(&self) -> String {
        let database = self.cluster.as_ref().map(|cluster| cluster.url(DATABASE));
        Banner {
            mcp_url: &self.mcp_url,
            issuer: self.mock_auth.issuer(),
            token: self.token.expose_secret(),
            users: &demo_users(),
            kept: &self.kept,
            secrets: self.secrets.as_ref(),
            database: database.as_ref().map(ExposeSecret::expose_secret),
        }
        .to_string()
    }

    /// The URL that MCP hosts connect to.
    #[must_use]
    pub fn mcp_url(&self) -> &str {
        &self.mcp_url
    }

    /// The mock authorization server.
    #[must_use]
    pub fn mock_auth(&self) -> &MockAuth {
        &self.mock_auth
    }

    /// Stops everything, the server first, so that nothing is under way when PostgreSQL ends.
    ///
    /// # Errors
    /// If PostgreSQL does not end.
    pub async fn stop(self) -> Result<(), DevError> {
        self.app.stop().await?;
        self.mock_auth.stop().await;
        if let Some(cluster) = self.cluster {
            cluster.stop()?;
        }
        Ok(())
    }
}

/// Runs the migrations. The first statements of a database that is slow or away are what a start waits for most.
async fn migrate(database_url: &SecretString) -> Result<(), DevError> {
    let url = database_url.clone();
    let migrated = spawn_blocking(move || {
        let migrated = storage::migrate(&url);
        migrated.map_err(|error| storage::unusable(&url, &error))
    });
    migrated.await.map_err(|_| DevError::Died)??;
    Ok(())
}

/// A path as a person in the current directory would write it.
fn shortened(path: &Path) -> PathBuf {
    std::env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok())
        .unwrap_or(path)
        .to_owned()
}

fn listen(address: SocketAddr, flag: &'static str) -> Result<TcpListener, DevError> {
    app::listen(address).map_err(|source| DevError::Listen {
        address,
        flag,
        source,
    })
}

fn cluster_options(directory: &Path, ephemeral: bool) -> ClusterOptions {
    if ephemeral {
        ClusterOptions {
            directory: std::env::temp_dir().join(format!("epicme-{}", process::id())),
            durable: false,
            name: DATABASE,
        }
    } else {
        ClusterOptions {
            directory: directory.join("postgres"),
            durable: true,
            name: DATABASE,
        }
    }
}

/// The configuration with which `serve` would run like this.
fn config(options: &Options) -> Result<Config, ConfigErrors> {
    let mut config = Config::read(options)?;
    config.http.loopback_origins = true;
    // It runs in this process, with settings that were generated together with these.
    config.http.asks_issuers = false;
    Ok(config)
}
