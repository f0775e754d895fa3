//! The background task that deletes expired rows.

use std::{sync::Weak, time::Duration};

use super::{actor_pool::ActorPool, messages::DeleteExpired};
use crate::domain::{journal::JournalError, outage::Outage};

/// How often expired rows are deleted. Nothing returns them meanwhile; this only frees their space.
const INTERVAL: Duration = Duration::from_secs(600);

/// The pause before the schema is looked at again that was not checked yet.
const UNTIL_CHECKED: Duration = Duration::from_secs(1);

/// Deletes expired rows, at once and then every [`INTERVAL`], until the pool is dropped. Between two batches
/// other messages have their turn.
pub(super) async fn run(actors: Weak<ActorPool>) {
    loop {
        loop {
            let Some(actors) = actors.upgrade() else {
                return;
            };
            match actors.ask(DeleteExpired).await {
                Ok(true) => {}
                Ok(false) => break,
                // The migrations run first.
                Err(JournalError::Unavailable {
                    why: Outage::Schema,
                    ..
                }) => {
                    drop(actors);
                    actix_rt::time::sleep(UNTIL_CHECKED).await;
                }
                Err(error) => {
                    log::warn!("expired rows were not deleted, will retry: {error}");
                    break;
                }
            }
        }
        actix_rt::time::sleep(INTERVAL).await;
    }
}
