//! The command line and its variables.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Parser};
use mock_auth::{IntrospectionClient, Scope, Settings, TokenFormat, User, demo_scopes, demo_users};
use secrecy::SecretString;

/// A mock OAuth authorization server for developing and testing resource servers.
///
/// It is a whole OAuth 2.1 server (discovery, registration, PKCE, consent, devices, introspection, revocation)
/// with invented users who have no passwords, and switches for faults. It keeps everything in memory, unless
/// it is given a folder. Never put it in front of anything real.
#[derive(Parser)]
#[command(version, about, long_about)]
pub(super) struct Options {
    /// Where to listen
    #[arg(long, env = "MOCK_AUTH_BIND", default_value = "127.0.0.1:7788")]
    pub(super) bind: SocketAddr,

    /// The public URL, without a path [default: http:// and the address]
    #[arg(long, env = "MOCK_AUTH_ISSUER", value_name = "URL")]
    pub(super) issuer: Option<String>,

    /// The id of the resource server that may introspect tokens
    #[arg(
        long,
        env = "MOCK_AUTH_INTROSPECTION_CLIENT_ID",
        value_name = "ID",
        default_value = "resource-server"
    )]
    pub(super) introspection_client_id: String,

    /// Its secret; without one, a secret is made up and shown
    #[arg(
        long,
        env = "MOCK_AUTH_INTROSPECTION_CLIENT_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        conflicts_with = "introspection_client_secret_file"
    )]
    pub(super) introspection_client_secret: Option<SecretString>,

    /// A file that holds the secret
    #[arg(
        long,
        env = "MOCK_AUTH_INTROSPECTION_CLIENT_SECRET_FILE",
        value_name = "FILE"
    )]
    pub(super) introspection_client_secret_file: Option<PathBuf>,

    /// A resource that tokens may be asked for, and its `aud`; the first is the audience of tokens asked for without `resource`.
    /// Can be repeated [default: any resource, and no audience where none is asked for]
    #[arg(
        long = "resource",
        env = "MOCK_AUTH_RESOURCES",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub(super) resources: Vec<String>,

    /// The audience of tokens asked for without `resource`, where other resources may be asked for as well
    #[arg(long, env = "MOCK_AUTH_DEFAULT_RESOURCE", value_name = "URL")]
    pub(super) default_resource: Option<String>,

    /// The name before this one of the resources that tokens may be asked for
    #[arg(
        long,
        env = "MOCK_AUTH_ALLOWED_RESOURCES",
        value_name = "URLS",
        value_delimiter = ',',
        hide = true
    )]
    pub(super) allowed_resources: Vec<String>,

    /// A scope that can be granted, with what the consent page says of it, as in `hello:read=Greet you`. Can be repeated
    /// [default: `read` and `write`]
    #[arg(long = "scope", value_name = "NAME=DESCRIPTION")]
    pub(super) scope: Vec<Scope>,

    /// The same, separated by commas
    #[arg(
        long,
        env = "MOCK_AUTH_SCOPES",
        value_name = "NAME=DESCRIPTION,…",
        value_delimiter = ','
    )]
    pub(super) scopes: Vec<String>,

    /// The scopes among them that allow what cannot be undone, such as deleting, separated by commas: the consent page marks them
    #[arg(
        long,
        env = "MOCK_AUTH_DANGEROUS_SCOPES",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub(super) dangerous_scopes: Vec<String>,

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
    pub(super) client_documents: bool,

    /// A user who can sign in: the username, then `sub` and the `name` on the pages if they differ from it, and more claims, as in
    /// `ana,sub=7,name=Ana Brook,email=ana@example.com`; or a JSON object with `username` and claims of any type. Can be repeated;
    /// in the variable, one a line [default: ada, bela and chidi, with the subjects 1 to 3]
    #[arg(
        long = "user",
        env = "MOCK_AUTH_USERS",
        value_name = "USER",
        value_delimiter = '\n'
    )]
    pub(super) users: Vec<String>,

    /// A type of `authorization_details` that can be granted (RFC 9396). Can be repeated [default: none]
    #[arg(
        long = "authorization-details",
        env = "MOCK_AUTH_AUTHORIZATION_DETAILS",
        value_name = "TYPE",
        value_delimiter = ','
    )]
    pub(super) authorization_details: Vec<String>,

    /// The title of the pages
    #[arg(
        long,
        env = "MOCK_AUTH_TITLE",
        value_name = "TEXT",
        default_value = "mock-auth"
    )]
    pub(super) title: String,

    /// Answer authorization requests at once as this user, without a page, for tools that have no browser. Only where the
    /// redirect leads to this computer
    #[arg(long, env = "MOCK_AUTH_AUTO_CONSENT", value_name = "USER")]
    pub(super) auto_consent: Option<String>,

    /// A folder in which clients, what was granted to them and the signing key outlive a restart, sealed [default: nothing
    /// is kept]
    #[arg(long, env = "MOCK_AUTH_STATE", value_name = "FOLDER")]
    pub(super) state: Option<PathBuf>,

    /// More names under which to answer, separated by commas, such as `mock-auth` in a compose network
    #[arg(
        long,
        env = "MOCK_AUTH_ALLOWED_HOSTS",
        value_name = "HOSTS",
        value_delimiter = ','
    )]
    pub(super) allowed_hosts: Vec<String>,

    /// How many seconds an access token lives
    #[arg(
        long,
        env = "MOCK_AUTH_ACCESS_TOKEN_LIFETIME",
        value_name = "SECONDS",
        default_value_t = 3600,
        value_parser = clap::value_parser!(u32).range(1..=31_536_000)
    )]
    pub(super) access_token_lifetime: u32,

    /// How access tokens are written: `opaque`, or `jwt` (RFC 9068)
    #[arg(
        long,
        env = "MOCK_AUTH_ACCESS_TOKEN_FORMAT",
        value_name = "FORMAT",
        default_value = "opaque"
    )]
    pub(super) access_token_format: TokenFormat,

    /// What to log, in env_logger's syntax
    #[arg(
        long,
        env = "MOCK_AUTH_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub(super) log: String,

    /// Check the server that listens there, and exit with 0 if it is healthy, with 69 if not. For a container, in which no other
    /// program could check it
    #[arg(long)]
    pub(super) check_health: bool,
}

impl Options {
    /// The settings, with this secret for the introspection client.
    ///
    /// # Errors
    /// `InvalidInput`, with the name of the option: a scope or a user cannot be read.
    pub(super) fn settings(self, secret: SecretString) -> io::Result<Settings> {
        let scopes = scopes(self.scope, self.scopes, &self.dangerous_scopes)?;
        let users = users(named(self.users))?;
        let mut allowed_resources = named(self.resources);
        let default_resource = self.default_resource.filter(|url| !url.is_empty());
        let default_resource = default_resource.or_else(|| allowed_resources.first().cloned());
        allowed_resources.extend(named(self.allowed_resources));
        Ok(Settings {
            bind: self.bind,
            issuer: self.issuer.filter(|issuer| !issuer.is_empty()),
            introspection_clients: vec![IntrospectionClient {
                id: self.introspection_client_id,
                secret,
            }],
            default_resource,
            allowed_resources,
            access_token_format: self.access_token_format,
            access_token_lifetime: Duration::from_secs(self.access_token_lifetime.into()),
            allowed_hosts: named(self.allowed_hosts),
            scopes,
            users,
            authorization_details: named(self.authorization_details),
            title: self.title,
            client_documents: self.client_documents,
            auto_consent: self.auto_consent.filter(|user| !user.is_empty()),
            state: self.state.filter(|folder| !folder.as_os_str().is_empty()),
            ..Settings::default()
        })
    }
}

/// The scopes of the command line, else the default; some of them marked.
fn scopes(given: Vec<Scope>, listed: Vec<String>, dangerous: &[String]) -> io::Result<Vec<Scope>> {
    let mut scopes = given;
    for text in named(listed) {
        let scope = text.parse();
        scopes.push(scope.map_err(|why| wrong(format!("MOCK_AUTH_SCOPES, {text:?}: {why}")))?);
    }
    if scopes.is_empty() {
        scopes = demo_scopes();
    }
    for name in dangerous.iter().filter(|name| !name.is_empty()) {
        let scope = scopes.iter_mut().find(|scope| scope.name == *name);
        let scope = scope.ok_or_else(|| {
            wrong(format!(
                "MOCK_AUTH_DANGEROUS_SCOPES: the scope {name:?} does not exist"
            ))
        })?;
        scope.is_dangerous = true;
    }
    Ok(scopes)
}

fn users(given: Vec<String>) -> io::Result<Vec<User>> {
    if given.is_empty() {
        return Ok(demo_users());
    }
    let read = given.iter().map(|text| {
        let user = text.parse();
        user.map_err(|why| wrong(format!("--user (MOCK_AUTH_USERS), {text:?}: {why}")))
    });
    read.collect()
}

fn wrong(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// A list without blanks: a variable that is set to nothing names nothing.
fn named(mut list: Vec<String>) -> Vec<String> {
    list.retain(|name| !name.is_empty());
    list
}
