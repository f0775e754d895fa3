//! The thread that writes what outlives a restart, soon after it changed.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Condvar;

use crate::{state::State, vault::Vault};

/// How long changes are collected, so that many make one write.
const PAUSE: Duration = Duration::from_millis(200);

/// How long it waits after a write that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The thread, until it is dropped: then it writes what is left to be written, and ends.
pub(crate) struct Keeper {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// There are no threads left.
    pub(crate) fn start(state: Arc<State>, vault: Vault) -> std::io::Result<Self> {
        let (shared, changed) = (Arc::clone(&state), state.store().0.changed());
        let thread = thread::Builder::new()
            .name("mock-auth-state".to_owned())
            .spawn(move || keep(&shared, &vault, &changed))?;
        Ok(Self {
            state,
            thread: Some(thread),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.state.store().0.close();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                log::error!("the thread that keeps the state panicked");
            }
        }
    }
}

fn keep(state: &State, vault: &Vault, changed: &Condvar) {
    let mut written = 0;
    let mut has_failed = false;
    loop {
        let (mut store, now) = state.store();
        while store.changes == written && !store.is_closing {
            changed.wait(&mut store);
        }
        let (changes, is_last) = (store.changes, store.is_closing);
        if changes == written {
            return;
        }
        let saved = store.to_saved(now);
        drop(store);
        let document = serde_json::to_vec(&saved).map_err(std::io::Error::from);
        match document.and_then(|document| vault.write(&document)) {
            Ok(()) => {
                written = changes;
                if has_failed {
                    log::info!("the state is kept again");
                }
                has_failed = false;
            }
            Err(error) => {
                if !has_failed || is_last {
                    log::error!(
                        "the state cannot be written, and does not outlive a restart: {error}"
                    );
                }
                has_failed = true;
            }
        }
        if is_last {
            return;
        }
        thread::park_timeout(if has_failed {
            PAUSE_AFTER_FAILURE
        } else {
            PAUSE
        });
    }
}
