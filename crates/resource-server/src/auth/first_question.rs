//! Asks each authorization server at the start, before the first request does: wrong settings are then found by the
//! operator and not by a user.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::sleep;

use super::{AuthHandle, shared::Shared};
use crate::issuer::{Asked, client::IssuerClient, state::IssuerState};

/// The pause before the second question. Each further one is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl AuthHandle {
    /// The issuers, and whether each was asked successfully since the start. It never changes back.
    pub fn asked(&self) -> impl Iterator<Item = (&str, Asked)> {
        let issuers = self.shared.issuers.iter();
        issuers.map(|issuer| (issuer.name(), issuer.first_answer.state()))
    }

    /// Whether every issuer is asked at the start, so that each is expected to have answered.
    #[must_use]
    pub fn asks_first(&self) -> bool {
        self.asks_first
    }
}

/// Asks every issuer until it has answered, or the last handle is dropped. Runs on the thread of its caller.
pub(super) fn ask_all(shared: &Arc<Shared>) {
    for issuer in &shared.issuers {
        // The issuer holds nothing of what is shared, so that this task keeps no handle alive.
        actix_rt::spawn(ask(Arc::clone(issuer), Arc::downgrade(shared)));
    }
}

async fn ask(issuer: Arc<IssuerState>, shared: Weak<Shared>) {
    let client = IssuerClient::new(Arc::clone(&issuer));
    let mut pause = FIRST_PAUSE;
    let mut last_reason = String::new();
    loop {
        match client.ask_first().await {
            Ok(()) => {
                log::info!(issuer:% = issuer.settings.url; "the authorization server answers");
                return;
            }
            Err(error) => {
                // Logged again only when the reason changes: an outage may be long.
                let reason = error.to_string();
                if reason != last_reason {
                    log::warn!(
                        issuer:% = issuer.settings.url;
                        "the authorization server was asked at the start and gave no usable answer, so this server is not ready; \
                         it is asked again until it does: {reason}"
                    );
                    last_reason = reason;
                }
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        if shared.strong_count() == 0 {
            return;
        }
    }
}
