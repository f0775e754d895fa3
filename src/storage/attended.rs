//! Long work on a database, for as long as the database answers others.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use secrecy::SecretString;

use super::{error::StorageError, probe::Probe};
use crate::domain::outage::Outage;

/// How often a database is asked whether it answers, while something takes long.
const ASK: Duration = Duration::from_secs(3);

/// How long it may be silent before the work is given up.
const SILENCE: Duration = Duration::from_secs(15);

/// Does work whose statements may take any time, such as migrations. It is given up when the database has not answered on
/// another connection for a quarter of a minute: it then hangs, and the work with it. Blocks.
///
/// # Errors
/// Those of the work; `Unavailable` if it was given up. What the database was asked may still be done then.
///
/// # Panics
/// If the work does, or no thread can be started.
pub fn attended<T: Send + 'static>(
    database_url: &SecretString,
    work: impl FnOnce(&SecretString) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let (done, is_done) = mpsc::channel();
    let url = database_url.clone();
    thread::Builder::new()
        .name("migrate".to_owned())
        .spawn(move || done.send(work(&url)))
        .expect("the operating system starts threads");
    let probe = Probe::new(database_url.clone());
    let mut silent_since = None;
    loop {
        match is_done.recv_timeout(ASK) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => {
                panic!("what was asked of the database panicked")
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let asked = Instant::now();
        match probe.check() {
            Err(StorageError::Unavailable {
                why: Outage::Silent,
                ..
            }) => {
                let since = *silent_since.get_or_insert(asked);
                if since.elapsed() >= SILENCE {
                    let reason = format!(
                        "no answer within {} s on another connection, so what it was asked is given up; it may still be done",
                        SILENCE.as_secs()
                    );
                    return Err(StorageError::outage(Outage::Silent, reason));
                }
            }
            // If it is gone, the work ends by itself.
            _ => silent_since = None,
        }
    }
}
