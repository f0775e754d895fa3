//! An authorization server that was away, however long and from the start: it is asked again within five seconds of its
//! return, whatever is asked.

use actix_web::dev::ServerHandle;
use chrono::TimeDelta;
use epicme::config::{Config, Verification};
use resource_server::jose::keys::Algorithm;
use serde_json::json;

use super::introspection::list;
use crate::support::{ALL, Answer, Issuer, RESOURCE, SecretFile, SigningKey, TestApp, patiently};

/// How long it is away, in seconds; once longer than any document may be old.
const AWAY: [i64; 5] = [1, 7, 61, 4_000, 8 * 86_400];

/// A server whose issuer can go and come back.
struct Away {
    app: TestApp,
    issuer: Issuer,
    server: Option<ServerHandle>,
    number: usize,
    key: Option<SigningKey>,
}

impl Away {
    fn new(edit: impl FnOnce(&mut Config)) -> Self {
        let (issuer, server) = Issuer::bystander();
        let app = TestApp::spawn_with(|config| {
            config.issuers[0].url = issuer.url().parse().unwrap();
            edit(config);
        });
        Self {
            app,
            issuer,
            server: Some(server),
            number: 0,
            key: None,
        }
    }

    async fn goes(&mut self) {
        self.server.take().unwrap().stop(false).await;
    }

    fn comes_back(&mut self) {
        self.server = Some(self.issuer.come_back());
    }

    /// What is answered to a good token that nobody sent before.
    async fn asks(&mut self) -> u16 {
        self.number += 1;
        let now = self.app.clock.now().timestamp();
        let claims = json!({
            "active": true, "sub": "ann", "client_id": "notebook", "scope": ALL, "aud": RESOURCE,
            "iss": self.issuer.url(), "token_type": "Bearer", "iat": now, "exp": now + 3600,
            "jti": self.number,
        });
        let token = match &self.key {
            Some(key) => key.sign("at+jwt", &claims),
            None => {
                let token = format!("returning-token-{}", self.number);
                self.issuer.answer(&token, Answer::json(claims));
                token
            }
        };
        list(&self.app, &token).await.status
    }

    /// Goes, is asked for in vain for so long, and comes back.
    async fn is_away(&mut self, seconds: i64) {
        // Asked in an uneven rhythm, as requests come, and up to the moment of its return.
        let mut left = seconds * 1_000;
        for step in [300, 1_000, 700, 2_900, 1_300, 5_000, 4_999]
            .iter()
            .cycle()
            .take(40)
        {
            assert_eq!(self.asks().await, 503);
            let step = left.min(*step);
            self.app.clock.advance(TimeDelta::milliseconds(step));
            left -= step;
        }
        self.app.clock.advance(TimeDelta::milliseconds(left));
        for _ in 0..6 {
            assert_eq!(self.asks().await, 503);
        }
        self.comes_back();
        let calls = self.issuer.calls() + self.issuer.metadata_calls().len();
        self.app.clock.advance(TimeDelta::seconds(5));
        assert_eq!(self.asks().await, 200, "after {seconds} s");
        let asked = self.issuer.calls() + self.issuer.metadata_calls().len();
        assert!(asked > calls);
        assert_eq!(self.asks().await, 200, "after {seconds} s");
    }

    /// Is away at the start, and then again and again.
    async fn every_outage(mut self) {
        self.goes().await;
        for (number, seconds) in AWAY.into_iter().enumerate() {
            if number > 0 {
                self.goes().await;
                // Connections that are open may be served for a moment longer.
                patiently(async { while self.asks().await == 200 {} }).await;
            }
            self.is_away(seconds).await;
        }
        self.server.take().unwrap().stop(false).await;
    }
}

#[actix_rt::test]
async fn introspection_is_tried_again_within_five_seconds_its_endpoint_known_or_not() {
    Away::new(|_| ()).every_outage().await;
    let mut known = Away::new(|_| ());
    known.app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(known.asks().await, 200);
    known.every_outage().await;
}

#[actix_rt::test]
async fn an_endpoint_that_is_configured_is_tried_again_too() {
    let (elsewhere, handle) = Issuer::bystander();
    handle.stop(false).await;
    let url = format!("{}/introspect", elsewhere.url());
    let mut away = Away::new(|config| {
        config.issuers[0].introspection_url = Some(url.parse().unwrap());
        config.issuers[0].url = elsewhere.url().parse().unwrap();
    });
    let (_, unused) = (away.issuer, away.server.take());
    unused.unwrap().stop(false).await;
    away.issuer = elsewhere;
    away.comes_back();
    away.every_outage().await;
}

#[actix_rt::test]
async fn keys_are_fetched_again_within_five_seconds() {
    let mut away = Away::new(|config| {
        config.issuers[0].verification = Verification::Jwt {
            algorithms: vec![Algorithm::Es256],
            opaque: None,
        };
    });
    let mut number = 0;
    for seconds in AWAY {
        away.goes().await;
        // It signs with another key when it comes back: what is cached is of no use.
        number += 1;
        let key = SigningKey::new(&format!("k{number}"));
        away.issuer.keys(&[&key]);
        away.key = Some(key);
        away.is_away(seconds).await;
    }
    away.server.take().unwrap().stop(false).await;
}

/// It comes back with the new secret alone, which it did not know before it went.
#[actix_rt::test]
async fn a_secret_that_it_did_not_know_is_tried_again_within_five_seconds() {
    let file = SecretFile::new("old");
    let mut away = Away::new(|config| {
        let Verification::Introspection(client) = &mut config.issuers[0].verification else {
            panic!("the issuer of these tests is introspected")
        };
        client.method = resource_server::issuer::ClientAuthenticationMethod::Bearer;
        client.secret = file.source();
    });
    let knows = |issuer: &Issuer, secret: &'static str| {
        issuer.lets_in(move |seen| {
            seen.authorization.as_deref() == Some(&format!("Bearer {secret}"))
        });
    };
    knows(&away.issuer, "old");
    assert_eq!(away.asks().await, 200);
    file.write("newer");
    away.app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(
        away.asks().await,
        200,
        "the new one is refused, the old one is not"
    );
    knows(&away.issuer, "newer");
    assert_eq!(away.asks().await, 503, "the old one is refused");
    away.app.clock.advance(TimeDelta::seconds(5));
    assert_eq!(away.asks().await, 200);
    away.server.take().unwrap().stop(false).await;
}
