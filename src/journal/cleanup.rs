//! The background task that deletes expired rows, and brings the names of tags up to date.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    actor_pool::ActorPool,
    messages::{DeleteExpired, FindOlderTagNames, MergeTags},
};
use crate::domain::{journal::JournalError, outage::Outage};
use resource_server::principal::UserId;

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
        if let Err(error) = merge_tags(&actors).await {
            log::warn!("names of tags were not brought up to date, will retry: {error}");
        }
        actix_rt::time::sleep(INTERVAL).await;
    }
}

/// Brings the keys of all tags up to date that the release before wrote, and brings together those of a user that are one
/// by their names.
async fn merge_tags(actors: &Weak<ActorPool>) -> Result<(), JournalError> {
    let mut last = Vec::new();
    while let Some(pool) = actors.upgrade() {
        let users = pool.ask(FindOlderTagNames).await?;
        // What could not be done now is left for the next time.
        if users.is_empty() || users == last {
            break;
        }
        for user in &users {
            merge_tags_of(&pool, *user).await?;
        }
        last = users;
    }
    Ok(())
}

async fn merge_tags_of(actors: &Arc<ActorPool>, user: UserId) -> Result<(), JournalError> {
    let (mut tags, mut links) = (0, 0);
    loop {
        let done = actors.ask(MergeTags { user }).await?;
        links += done.links;
        tags += usize::from(done.merged.is_some());
        if !done.more {
            break;
        }
    }
    if tags > 0 {
        log::info!(
            "tags whose names are one were merged, the oldest of each stayed: {tags} tags of user {user}, on {links} entries"
        );
    }
    Ok(())
}
