//! Cancels reads whose callers have left, so that nobody's connection is used for what nobody waits for.
//!
//! PostgreSQL cancels whatever a connection executes at the moment. So a [`Reading`] is locked while the request
//! to cancel is sent, and the actor locks it before the connection is used for anything else: what arrives too
//! late meets an idle connection, which ignores it.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use secrecy::SecretString;

use crate::storage::{Backend, Canceller};

/// A read of several statements is cancelled again until it has ended, because a request that arrives between
/// two of them is ignored.
const AGAIN: Duration = Duration::from_millis(50);

/// Where a read is executed, for its caller and its actor.
#[derive(Default)]
pub(super) struct Reading(Mutex<Option<Backend>>);

impl Reading {
    /// The actor executes it on this connection from now on.
    pub(super) fn begin(&self, backend: Backend) {
        *self.0.lock() = Some(backend);
    }

    /// The actor has executed it. Waits for a cancellation that is being sent.
    pub(super) fn end(&self) {
        *self.0.lock() = None;
    }

    fn is_executed(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Cancels it, unless it has ended. Returns whether it has to be looked at again.
    fn cancel(&self, canceller: &mut Canceller) -> bool {
        let executed_on = self.0.lock();
        match &*executed_on {
            None => false,
            Some(backend) => match canceller.cancel(backend) {
                Ok(()) => true,
                Err(error) => {
                    // The statement's own time limit ends it.
                    log::debug!("a read was not cancelled: {}", error.with_cause());
                    false
                }
            },
        }
    }
}

/// Sends reads to the thread that cancels them. The thread ends with it.
pub(super) struct Cancellations(mpsc::Sender<Arc<Reading>>);

impl Cancellations {
    /// Starts the thread. It connects when there is something to cancel.
    ///
    /// # Panics
    /// If no thread can be started.
    pub(super) fn start(database_url: SecretString) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("cancel".to_owned())
            .spawn(move || run(&receiver, Canceller::new(database_url)))
            .expect("the operating system starts threads");
        Self(sender)
    }

    /// A guard for the caller of a read: if it is dropped while an actor executes the read, that is cancelled.
    pub(super) fn when_dropped(&self, reading: &Arc<Reading>) -> CancelOnDrop<'_> {
        CancelOnDrop {
            cancellations: self,
            reading: Arc::clone(reading),
        }
    }
}

/// See [`Cancellations::when_dropped`].
pub(super) struct CancelOnDrop<'a> {
    cancellations: &'a Cancellations,
    reading: Arc<Reading>,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.reading.is_executed() {
            // It fails only if the thread has panicked. Then the statement's time limit ends the read.
            let _ = self.cancellations.0.send(Arc::clone(&self.reading));
        }
    }
}

/// There are at most as many readings at once as connections: each is executed.
fn run(receiver: &mpsc::Receiver<Arc<Reading>>, mut canceller: Canceller) {
    let mut readings: Vec<Arc<Reading>> = Vec::new();
    loop {
        let next = if readings.is_empty() {
            receiver
                .recv()
                .map_err(|_| mpsc::RecvTimeoutError::Disconnected)
        } else {
            receiver.recv_timeout(AGAIN)
        };
        match next {
            Ok(reading) => readings.push(reading),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        // Before any reading is locked: connecting may take seconds, and an actor would wait for it.
        if let Err(error) = canceller.connect() {
            log::debug!("reads were not cancelled: {}", error.with_cause());
            readings.clear();
        }
        readings.retain(|reading| reading.cancel(&mut canceller));
    }
}
