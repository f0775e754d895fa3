//! The real server on a real port, with an issuer and a database of its own.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use actix_rt::System;
use chrono::{DateTime, TimeDelta};
use epicme::{
    app::{self, App, TimeLimits},
    config::{Config, Options},
};
use mcp_server::features::catalogue::Features;
use resource_server::clock::Clock;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Answer, Issuer, TestDatabase, log};

/// Where clients believe the server to be: not where it listens, so that nothing can be built from
/// the connection or from `Host` unnoticed.
pub(crate) const PUBLIC_URL: &str = "https://journal.example";
pub(crate) const PUBLIC_HOST: &str = "journal.example";
pub(crate) const RESOURCE: &str = "https://journal.example/mcp";

/// What the server authenticates with at the issuer.
pub(crate) const ISSUER_SECRET: &str = "p%40ss: w&rd+";

/// A running server. Dropping it stops it, and asserts that it wrote no token into its log.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    /// Where it tells its metrics, if a test asked for that.
    pub(crate) metrics: Option<SocketAddr>,
    /// Where its operators' endpoints are, if a test asked for a listener of their own.
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) issuer: Issuer,
    pub(crate) clock: Clock,
    pub(crate) http: reqwest::Client,
    stop: Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>,
    pub(crate) database: Arc<TestDatabase>,
}

impl TestApp {
    pub(crate) fn spawn() -> Self {
        Self::spawn_with(|_| ())
    }

    /// A server whose configuration was changed first.
    pub(crate) fn spawn_with(edit: impl FnOnce(&mut Config)) -> Self {
        Self::start(edit, None, TimeLimits::default())
    }

    /// A server that waits so long for its clients.
    pub(crate) fn waiting(timeouts: TimeLimits) -> Self {
        Self::start(|_| (), None, timeouts)
    }

    /// A server of other features.
    pub(crate) fn serving(features: Features) -> Self {
        Self::start(|_| (), Some(features), TimeLimits::default())
    }

    /// A server of any kind.
    pub(crate) fn start(
        edit: impl FnOnce(&mut Config),
        features: Option<Features>,
        timeouts: TimeLimits,
    ) -> Self {
        log::capture();
        let database = Arc::new(TestDatabase::new());
        let issuer_listener = app::listen(([127, 0, 0, 1], 0).into()).unwrap();
        let issuer = Issuer::new(issuer_listener.local_addr().unwrap());
        // Far from now, so that nothing passes which compares the app's time with the machine's; and
        // ahead of it, so that the database finds nothing to have expired.
        let clock = Clock::manual(DateTime::from_timestamp(1_911_729_600, 0).unwrap());
        Self::start_on(
            database,
            issuer,
            Some(issuer_listener),
            clock,
            edit,
            features,
            timeouts,
        )
    }

    /// Another instance of the server, with the same database, issuer and clock, and the sealing keys of neither.
    pub(crate) fn beside(&self, edit: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(
            Arc::clone(&self.database),
            self.issuer.clone(),
            None,
            self.clock.clone(),
            edit,
            None,
            TimeLimits::default(),
        )
    }

    fn start_on(
        database: Arc<TestDatabase>,
        issuer: Issuer,
        issuer_listener: Option<TcpListener>,
        clock: Clock,
        edit: impl FnOnce(&mut Config),
        features: Option<Features>,
        timeouts: TimeLimits,
    ) -> Self {
        let listener = app::listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let options =
            Options::for_one_machine(address, issuer.url(), &ISSUER_SECRET.into(), &database.url);
        let mut config = Config::read(&options).unwrap();
        config.http.public_url = PUBLIC_URL.parse().unwrap();
        config.http.workers = 1.try_into().unwrap();
        config.database.pool = 2.try_into().unwrap();
        // Tests count what the issuer is asked, and change what it answers first.
        config.http.asks_issuers = false;
        edit(&mut config);
        let (stop, stopped) = oneshot::channel();
        let (started, has_started) = mpsc::channel();
        let thread = thread::spawn({
            let (issuer, clock) = (issuer.clone(), clock.clone());
            move || {
                System::new().block_on(async move {
                    let issuer = issuer_listener.map(|listener| issuer.serve(listener));
                    let app = App::start_with(config, listener, clock, features, timeouts).unwrap();
                    started
                        .send((app.metrics_address(), app.admin_address()))
                        .unwrap();
                    let _ = stopped.await;
                    app.stop().await.unwrap();
                    if let Some(issuer) = issuer {
                        issuer.stop(false).await;
                    }
                });
            }
        });
        let (metrics, admin) = has_started.recv().unwrap();
        Self {
            address,
            metrics,
            admin,
            issuer,
            clock,
            http: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            stop: Some((stop, thread)),
            database,
        }
    }

    /// A fresh token of this user, good for an hour, with these scopes.
    pub(crate) fn token(&self, subject: &str, scope: &str) -> String {
        self.token_with(json!({ "sub": subject, "scope": scope }))
    }

    /// A fresh token about which the issuer says the usual with these changes.
    pub(crate) fn token_with(&self, changes: Value) -> String {
        self.token_for(self.usual(changes))
    }

    /// What the issuer says of a good token, with these changes; null takes away.
    pub(crate) fn usual(&self, changes: Value) -> Answer {
        let mut claims = json!({
            "active": true,
            "sub": "ann",
            "username": "Ann",
            "client_id": "notebook",
            "scope": super::ALL,
            "aud": RESOURCE,
            "iss": self.issuer.url(),
            "token_type": "Bearer",
            "exp": (self.clock.now() + TimeDelta::hours(1)).timestamp(),
        });
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        Answer::json(claims)
    }

    /// A fresh token to which the issuer answers that.
    pub(crate) fn token_for(&self, answer: Answer) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let token = format!("token-{:06}-x", COUNT.fetch_add(1, Ordering::Relaxed));
        self.issuer.answer(&token, answer);
        token
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.issuer.release();
        if let Some((stop, thread)) = self.stop.take() {
            let _ = stop.send(());
            let ended = thread.join();
            if !thread::panicking() {
                ended.unwrap();
                for secret in self
                    .issuer
                    .tokens()
                    .iter()
                    .map(String::as_str)
                    .chain([ISSUER_SECRET])
                {
                    assert_eq!(log::lines_with(secret), [""; 0], "a secret in the log");
                }
            }
        }
    }
}
