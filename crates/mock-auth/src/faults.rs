//! Faults on demand, for testing how clients and resource servers take them.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    body::{BodyStream, SizedStream},
    http::{StatusCode, header},
    web::Bytes,
};
use futures_util::{StreamExt, stream};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::answer;

/// An endpoint that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Both metadata documents.
    Metadata,
    /// The token endpoint.
    Token,
    /// The introspection endpoint.
    Introspection,
    /// The key set.
    Jwks,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Metadata, Self::Token, Self::Introspection, Self::Jwks];

    /// Its name in the JSON of `/admin/faults` and on the admin page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Token => "token",
            Self::Introspection => "introspection",
            Self::Jwks => "jwks",
        }
    }
}

/// The issuer that [`FaultMode::WrongIssuer`] names.
pub(crate) const WRONG_ISSUER: &str = "https://elsewhere.example";

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultMode {
    /// Nothing.
    #[default]
    None,
    /// The right answer, late.
    Slow,
    /// An error status, by default 500, with a body that is not JSON.
    Error,
    /// 200 with a body that is not what it says it is.
    Garbage,
    /// No answer until the caller gives up or the server stops.
    Hang,
    /// A redirect, which a careful caller does not follow.
    Redirect,
    /// 401, as if the caller's own credentials were wrong.
    Unauthorized,
    /// 200 with 4 MiB of JSON.
    Oversized,
    /// 200 with a body that breaks off.
    Cut,
    /// The connection is closed without an answer, as by a server that is down.
    Down,
    /// Introspection says of every token that it is not active.
    Inactive,
    /// Introspection says of every live token that it is for another resource.
    WrongAudience,
    /// Introspection names another issuer; metadata does so, too.
    WrongIssuer,
    /// Introspection says of every live token that it is active and that it expired an hour ago.
    Expired,
}

impl FaultMode {
    /// All of them, with their names in JSON and on the admin page.
    pub(crate) const ALL: [(Self, &'static str); 14] = [
        (Self::None, "none"),
        (Self::Slow, "slow"),
        (Self::Error, "error"),
        (Self::Garbage, "garbage"),
        (Self::Hang, "hang"),
        (Self::Redirect, "redirect"),
        (Self::Unauthorized, "unauthorized"),
        (Self::Oversized, "oversized"),
        (Self::Cut, "cut"),
        (Self::Down, "down"),
        (Self::Inactive, "inactive"),
        (Self::WrongAudience, "wrong_audience"),
        (Self::WrongIssuer, "wrong_issuer"),
        (Self::Expired, "expired"),
    ];

    /// Whether it can happen at this endpoint: some change what only a certain answer says.
    pub(crate) const fn fits(self, endpoint: Endpoint) -> bool {
        match self {
            Self::Inactive | Self::WrongAudience | Self::Expired => {
                matches!(endpoint, Endpoint::Introspection)
            }
            Self::WrongIssuer => {
                matches!(endpoint, Endpoint::Introspection | Endpoint::Metadata)
            }
            _ => true,
        }
    }
}

/// What goes wrong at one endpoint, after which delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    #[serde(default)]
    pub mode: FaultMode,
    /// How long the endpoint waits first, whatever the mode; ten minutes at most. With
    /// [`FaultMode::Slow`], 0 means two seconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// The status of [`FaultMode::Error`]; 500 if 0.
    #[serde(default)]
    pub status: u16,
}

impl Fault {
    /// This fault, without delay.
    #[must_use]
    pub const fn new(mode: FaultMode) -> Self {
        Self {
            mode,
            delay_ms: 0,
            status: 0,
        }
    }

    /// The right answer after this time; ten minutes at most.
    #[must_use]
    pub fn slow(delay: Duration) -> Self {
        Self {
            delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            ..Self::new(FaultMode::Slow)
        }
    }

    /// This error status, from 400 to 599, with a body that is not JSON.
    #[must_use]
    pub const fn error(status: u16) -> Self {
        Self {
            status,
            ..Self::new(FaultMode::Error)
        }
    }

    /// Whether the numbers make sense, and the fault can happen at this endpoint.
    pub(crate) fn is_sound(&self, endpoint: Endpoint) -> bool {
        self.mode.fits(endpoint)
            && self.delay_ms <= 600_000
            && (self.status == 0 || (400..600).contains(&self.status))
    }

    const fn delay(&self) -> Duration {
        match (self.mode, self.delay_ms) {
            (FaultMode::Slow, 0) => Duration::from_secs(2),
            (_, millis) => Duration::from_millis(millis),
        }
    }
}

/// The faults of all endpoints, as `/admin/faults` shows and takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    #[serde(default)]
    pub(crate) metadata: Fault,
    #[serde(default)]
    pub(crate) token: Fault,
    #[serde(default)]
    pub(crate) introspection: Fault,
    #[serde(default)]
    pub(crate) jwks: Fault,
}

impl Plan {
    /// Whether every fault is sound where it is.
    pub(crate) fn is_sound(mut self) -> bool {
        Endpoint::ALL
            .into_iter()
            .all(|endpoint| self.at(endpoint).is_sound(endpoint))
    }

    pub(crate) fn at(&mut self, endpoint: Endpoint) -> &mut Fault {
        match endpoint {
            Endpoint::Metadata => &mut self.metadata,
            Endpoint::Token => &mut self.token,
            Endpoint::Introspection => &mut self.introspection,
            Endpoint::Jwks => &mut self.jwks,
        }
    }
}

/// The switches. Clones work the same ones.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

impl Faults {
    /// Sets what goes wrong at an endpoint from now on.
    ///
    /// # Panics
    /// If a number is out of its range, or the fault cannot happen at this endpoint.
    pub fn set(&self, endpoint: Endpoint, fault: Fault) {
        let name = endpoint.as_str();
        assert!(
            fault.is_sound(endpoint),
            "{fault:?} cannot happen at {name}"
        );
        *self.plan().at(endpoint) = fault;
    }

    /// What goes wrong at an endpoint.
    #[must_use]
    pub fn get(&self, endpoint: Endpoint) -> Fault {
        *self.plan().at(endpoint)
    }

    /// Nothing answers at any endpoint that can fail, as if the server were down.
    pub fn take_down(&self) {
        for endpoint in Endpoint::ALL {
            self.set(endpoint, Fault::new(FaultMode::Down));
        }
    }

    /// Ends all faults. A call that hangs already goes on hanging.
    pub fn clear(&self) {
        *self.plan() = Plan::default();
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock()
    }

    /// Lets the fault happen: waits, and gives the answer to send in place of the right one.
    pub(crate) async fn strike(
        &self,
        endpoint: Endpoint,
        mut stopping: watch::Receiver<bool>,
    ) -> Option<HttpResponse> {
        let fault = self.get(endpoint);
        let wait = async {
            match fault.mode {
                FaultMode::Hang => std::future::pending().await,
                _ => tokio::time::sleep(fault.delay()).await,
            }
        };
        if fault.mode == FaultMode::Hang || !fault.delay().is_zero() {
            // Whoever stops the server does not have to sit the fault out.
            tokio::select! {
                () = wait => {}
                _ = stopping.wait_for(|stopping| *stopping) => {
                    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
                    return Some(answer::problem(unavailable, "stopping", "the server stops"));
                }
            }
        }
        fault.answer()
    }
}

impl Fault {
    fn answer(&self) -> Option<HttpResponse> {
        let mut response = match self.mode {
            FaultMode::None
            | FaultMode::Slow
            | FaultMode::Hang
            | FaultMode::Inactive
            | FaultMode::WrongAudience
            | FaultMode::WrongIssuer
            | FaultMode::Expired => return None,
            FaultMode::Error => {
                let status =
                    StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                HttpResponse::build(status)
            }
            FaultMode::Redirect => HttpResponse::TemporaryRedirect(),
            FaultMode::Unauthorized => {
                let words = "switched on at /admin/faults";
                return Some(answer::OAuthError::invalid_client(words).error_response());
            }
            FaultMode::Garbage | FaultMode::Oversized | FaultMode::Cut | FaultMode::Down => {
                HttpResponse::Ok()
            }
        };
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        Some(match self.mode {
            FaultMode::Redirect => response
                .insert_header((header::LOCATION, "/healthcheck"))
                .finish(),
            FaultMode::Garbage => response
                .content_type("application/json")
                .body("<html>{\"active\": tru"),
            FaultMode::Oversized => {
                let chunk = Bytes::from(vec![b' '; 64 * 1024]);
                let chunks =
                    std::iter::once(Bytes::from_static(b"{\"active\":true,\"sub\":\"1\"}"))
                        .chain(std::iter::repeat_n(chunk, 64))
                        .map(Ok::<_, actix_web::Error>);
                response
                    .content_type("application/json")
                    .body(BodyStream::new(stream::iter(chunks)))
            }
            FaultMode::Cut => {
                let start = Bytes::from_static(b"{\"active\":true,");
                // What came so far is sent off while the body has nothing to give; an error at once
                // would take the head of the answer with it.
                let end = async {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Err(std::io::Error::other("cut, as was asked for"))
                };
                let chunks = stream::once(async { Ok(start) }).chain(stream::once(end));
                response
                    .content_type("application/json")
                    .body(SizedStream::new(1000, Box::pin(chunks)))
            }
            FaultMode::Down => {
                // An error before anything of the body was sent takes the head of the answer with it.
                let end = Err::<Bytes, _>(std::io::Error::other("down, as was asked for"));
                response.body(SizedStream::new(1, Box::pin(stream::iter([end]))))
            }
            _ => response
                .content_type("text/plain")
                .body("something broke, as was asked for"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_the_name_that_json_gives_it() {
        for (mode, name) in FaultMode::ALL {
            assert_eq!(serde_json::to_value(mode).unwrap(), name);
        }
    }

    #[test]
    fn a_plan_names_what_differs_from_normal() {
        let plan: Plan =
            serde_json::from_str(r#"{"introspection":{"mode":"error","status":502}}"#).unwrap();
        assert_eq!(plan.introspection.status, 502);
        assert_eq!(plan.token, Fault::default());
        assert!(plan.is_sound());
        let plan: Plan = serde_json::from_str(r#"{"token":{"mode":"inactive"}}"#).unwrap();
        assert!(
            !plan.is_sound(),
            "the token endpoint says nothing of activity"
        );
        assert!(serde_json::from_str::<Plan>(r#"{"introspektion":{}}"#).is_err());
        assert!(serde_json::from_str::<Plan>(r#"{"token":{"mode":"explode"}}"#).is_err());
    }
}
