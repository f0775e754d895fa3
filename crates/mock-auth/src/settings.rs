//! The settings of the server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::user::User;

/// The settings of a mock authorization server. Take the defaults and change what differs:
/// `Settings { bind, ..Settings::default() }`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen. Port 0 takes a free one.
    pub bind: SocketAddr,
    /// The public URL, without a path; `http://` and the bound address if absent.
    pub issuer: Option<String>,
    /// The users who can sign in. There has to be one at least.
    pub users: Vec<User>,
    /// The scopes that can be granted, in the order of the consent page. There has to be one at least. Others that a client asks
    /// for are left out of what it is granted.
    pub scopes: Vec<Scope>,
    /// The types of `authorization_details` that can be granted (RFC 9396 §10). Others are refused.
    pub authorization_details: Vec<String>,
    /// The title of the pages, such as the name of the product whose sign-in they stand for.
    pub title: String,
    /// Who may introspect tokens. Nobody may if the list is empty.
    pub introspection_clients: Vec<IntrospectionClient>,
    /// The audience of tokens that were asked for without `resource`, which clients of MCP revision
    /// 2025-03-26 never send. Without it such tokens carry no audience.
    pub default_resource: Option<String>,
    /// The resources that tokens may be asked for; others are `invalid_target` (RFC 8707 §2). If
    /// empty, any absolute URI without fragment will do.
    pub allowed_resources: Vec<String>,
    /// How access tokens are written, unless they are asked for in another form.
    pub access_token_format: TokenFormat,
    /// How long an access token lives.
    pub access_token_lifetime: Duration,
    /// How long a refresh token lives, unless it is used before.
    pub refresh_token_lifetime: Duration,
    /// How long an authorization code lives; RFC 6749 §4.1.2 recommends 10 minutes at most.
    pub code_lifetime: Duration,
    /// For how long a device may be waited for (RFC 8628 §3.2).
    pub device_code_lifetime: Duration,
    /// For how long after its first use a refresh token gives the same successor again, so that a client that refreshes twice
    /// at once is not signed out. After that, a further use ends all that descends from the same consent (RFC 9700 §4.14.2).
    pub refresh_token_grace: Duration,
    /// Whether a client may be known by the URL of a document about it, which this server then fetches. Without it clients
    /// register, and nothing outside of this machine is needed.
    pub client_documents: bool,
    /// A folder of its own in which clients, what was granted to them and the signing key outlive a restart, sealed with a key
    /// that lies beside. Without it everything is forgotten when the server stops.
    pub state: Option<PathBuf>,
    /// The username or subject of the user for whom authorization requests are answered at once, without a page and with every
    /// scope that they ask for. Only where the redirect leads to this computer: another site that a browser is on cannot get a
    /// code for itself. Other redirects, and devices, show their pages.
    pub auto_consent: Option<String>,
    /// Names other than the issuer's and loopback under which requests are answered, such as this
    /// server's name in a compose network.
    pub allowed_hosts: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 7788)),
            issuer: None,
            users: demo_users(),
            scopes: demo_scopes(),
            authorization_details: Vec::new(),
            title: "mock-auth".to_owned(),
            introspection_clients: Vec::new(),
            default_resource: None,
            allowed_resources: Vec::new(),
            access_token_format: TokenFormat::default(),
            access_token_lifetime: Duration::from_secs(3600),
            refresh_token_lifetime: Duration::from_secs(30 * 24 * 3600),
            code_lifetime: Duration::from_secs(120),
            device_code_lifetime: Duration::from_secs(600),
            refresh_token_grace: Duration::from_secs(10),
            client_documents: true,
            state: None,
            auto_consent: None,
            allowed_hosts: Vec::new(),
        }
    }
}

/// A scope that can be granted (RFC 6749 §3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The scope token.
    pub name: String,
    /// What the consent page says that it allows.
    pub description: String,
    /// Whether it allows what cannot be undone, such as deleting. The consent page marks it.
    pub is_dangerous: bool,
}

impl Scope {
    /// A scope.
    #[must_use]
    pub fn new(name: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            is_dangerous: false,
        }
    }

    /// The same scope, marked on the consent page as one that allows what cannot be undone.
    #[must_use]
    pub fn dangerous(self) -> Self {
        Self {
            is_dangerous: true,
            ..self
        }
    }
}

impl FromStr for Scope {
    type Err = &'static str;

    /// Reads `name=description`, or a name alone, which is then its own description.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, description) = text.split_once('=').unwrap_or((text, text));
        match (name.trim(), description.trim()) {
            ("", _) | (_, "") => Err("write a scope like notes:read=Read your notes"),
            (name, description) => Ok(Self::new(name, description)),
        }
    }
}

/// A resource server that may ask about tokens (RFC 7662 §2.1 demands that it authenticates).
#[derive(Clone, Debug)]
pub struct IntrospectionClient {
    /// Its client id.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// How an access token is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenFormat {
    /// A random text. What it is good for, introspection tells.
    #[default]
    Opaque,
    /// A signed JWT (RFC 9068), which tells that itself. Introspection knows it, too.
    Jwt,
}

impl FromStr for TokenFormat {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "opaque" => Ok(Self::Opaque),
            "jwt" => Ok(Self::Jwt),
            _ => Err("the format is either opaque or jwt"),
        }
    }
}

/// An access token to be minted without any flow.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    /// `sub`. It need not be one of the users.
    pub subject: String,
    /// `client_id`. It need not be registered.
    pub client_id: String,
    /// `scope`, as it stands: a test may mint what no flow would grant.
    pub scopes: String,
    /// `aud`; left out of introspection replies if empty.
    pub audience: Vec<String>,
    /// `authorization_details` (RFC 9396), as they stand; left out if empty.
    pub authorization_details: Vec<Value>,
    /// How long the token lives. Zero makes a token that is expired from the first.
    pub lifetime: Duration,
}

impl Default for TokenGrant {
    /// Subject `1`, client `test`, no scopes, no audience, an hour.
    fn default() -> Self {
        Self {
            subject: "1".to_owned(),
            client_id: "test".to_owned(),
            scopes: String::new(),
            audience: Vec::new(),
            authorization_details: Vec::new(),
            lifetime: Duration::from_secs(3600),
        }
    }
}

/// Reads `on` or `off`, as the value of an option.
///
/// # Errors
/// It is neither.
pub fn on_or_off(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("write on or off"),
    }
}

/// Three invented users: `ada`, `bela` and `chidi`, subjects `1` to `3`.
#[must_use]
pub fn demo_users() -> Vec<User> {
    vec![
        User::new("1", "ada", "Ada Brook"),
        User::new("2", "bela", "Bela Marsh"),
        User::new("3", "chidi", "Chidi Field"),
    ]
}

/// Two scopes for whatever the resource server has: `read` and `write`.
#[must_use]
pub fn demo_scopes() -> Vec<Scope> {
    vec![
        Scope::new("read", "Read your data"),
        Scope::new("write", "Create, change and delete your data").dangerous(),
    ]
}

/// The scopes of the unit tests.
#[cfg(test)]
pub(crate) fn five_scopes() -> Vec<Scope> {
    [
        "user:read",
        "entries:read",
        "entries:write",
        "tags:read",
        "tags:write",
    ]
    .map(|name| Scope::new(name, name))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_with_its_description() {
        for (text, name, description) in [
            (
                "notes:read=Read your notes",
                "notes:read",
                "Read your notes",
            ),
            (" a = b=c ", "a", "b=c"),
            ("plain", "plain", "plain"),
        ] {
            assert_eq!(text.parse(), Ok(Scope::new(name, description)));
        }
        for text in ["", "=words", "name="] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }
}
