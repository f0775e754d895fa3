//! A server for a test, in a few words.

use std::{io, net::SocketAddr, time::Duration};

use secrecy::SecretString;

use crate::{
    secret,
    server::MockAuth,
    settings::{IntrospectionClient, Scope, Settings, TokenFormat},
    user::User,
};

/// The id of the one introspection client of a server that a [`Builder`] makes.
const INTROSPECTION_CLIENT: &str = "resource-server";

/// What differs from a server that [`MockAuth::start`] gives: a free port on loopback, three demo users, the scopes `read` and
/// `write`, and an introspection client with a random secret.
#[derive(Clone, Debug)]
pub struct Builder {
    settings: Settings,
    /// In place of the default ones, if there are any.
    scopes: Vec<Scope>,
    users: Vec<User>,
}

impl MockAuth {
    /// Starts a server for a test: on a free port of loopback, with three demo users (`ada`, `bela`, `chidi`; subjects `1` to `3`),
    /// the scopes `read` and `write`, and an introspection client with a random secret. [`MockAuth::builder`] changes that.
    ///
    /// # Errors
    /// See [`MockAuth::start_with`].
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// A server for a test, to be described.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Builder {
    fn new() -> Self {
        let settings = Settings {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            introspection_clients: vec![IntrospectionClient {
                id: INTROSPECTION_CLIENT.to_owned(),
                secret: secret::random(""),
            }],
            client_documents: false,
            ..Settings::default()
        };
        Self {
            settings,
            scopes: Vec::new(),
            users: Vec::new(),
        }
    }

    /// One more scope. The first one takes the place of the default scopes.
    #[must_use]
    pub fn scope(mut self, name: &str, description: &str) -> Self {
        self.scopes.push(Scope::new(name, description));
        self
    }

    /// One more user. The first one takes the place of the demo users.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// One more resource that tokens may be asked for. The first one is the audience of tokens that are asked for without one.
    #[must_use]
    pub fn resource(mut self, url: &str) -> Self {
        self.settings
            .default_resource
            .get_or_insert_with(|| url.to_owned());
        self.settings.allowed_resources.push(url.to_owned());
        self
    }

    /// The id and secret with which the resource server introspects.
    #[must_use]
    pub fn introspection_client(mut self, id: &str, secret: &str) -> Self {
        self.settings.introspection_clients = vec![IntrospectionClient {
            id: id.to_owned(),
            secret: SecretString::from(secret),
        }];
        self
    }

    /// One more type of `authorization_details` that can be granted (RFC 9396).
    #[must_use]
    pub fn authorization_details(mut self, kind: &str) -> Self {
        self.settings.authorization_details.push(kind.to_owned());
        self
    }

    /// Answers authorization requests whose redirect leads to this computer at once, as this user.
    #[must_use]
    pub fn auto_consent(mut self, user: &str) -> Self {
        self.settings.auto_consent = Some(user.to_owned());
        self
    }

    /// How access tokens are written; opaque if it is not said.
    #[must_use]
    pub fn access_token_format(mut self, format: TokenFormat) -> Self {
        self.settings.access_token_format = format;
        self
    }

    /// How long access tokens live; an hour if it is not said.
    #[must_use]
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.access_token_lifetime = lifetime;
        self
    }

    /// How long refresh tokens live; 30 days if it is not said.
    #[must_use]
    pub fn refresh_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.refresh_token_lifetime = lifetime;
        self
    }

    /// The settings, to change what has no function here.
    #[must_use]
    pub fn settings(self) -> Settings {
        let Self {
            mut settings,
            scopes,
            users,
        } = self;
        if !scopes.is_empty() {
            settings.scopes = scopes;
        }
        if !users.is_empty() {
            settings.users = users;
        }
        settings
    }

    /// Starts the server.
    ///
    /// # Errors
    /// See [`MockAuth::start_with`].
    pub async fn start(self) -> io::Result<MockAuth> {
        MockAuth::start_with(self.settings()).await
    }
}
