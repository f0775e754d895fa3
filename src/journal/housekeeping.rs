//! What the journal does by itself: it deletes what has expired.

use std::{sync::Weak, time::Duration};

use crate::storage::{Connection, StorageError, housekeeping};

use super::metrics::Operation;
use super::{
    handle::{Inner, JournalHandle},
    messages::{JournalMessage, Kind},
};

/// How often expired rows are looked for. Nobody sees them meanwhile either; this only frees their room.
const INTERVAL: Duration = Duration::from_secs(600);

/// Delete a batch of what has expired, whosever it is; answered with whether there may be more.
#[derive(Clone, Debug)]
pub struct DeleteExpired;

impl JournalMessage for DeleteExpired {
    type Reply = bool;
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::DeleteExpired;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        housekeeping::delete_expired(connection)
    }
}

/// Deletes expired rows, at once and then every [`INTERVAL`], until the last handle is gone. Between two
/// batches others have their turn.
pub(super) async fn keep_house(journal: Weak<Inner>) {
    loop {
        loop {
            let Some(journal) = journal.upgrade().map(JournalHandle) else {
                return;
            };
            match journal.ask(DeleteExpired).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    log::warn!("expired rows were not deleted, and will be later: {error}");
                    break;
                }
            }
        }
        actix_rt::time::sleep(INTERVAL).await;
    }
}
