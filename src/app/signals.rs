//! Unix signals, as instructions to a running program.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// An instruction of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Shut down: Ctrl-C or `SIGTERM`.
    Stop,
    /// Read secrets and certificates from their files again: `SIGHUP`.
    Reload,
}

/// The signals that the program handles.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// Handles Ctrl-C and `SIGTERM`, which then no longer end the process by themselves. `SIGHUP` still does:
    /// it is sent when a terminal closes, which has to end a program that has no file to read again.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: None,
        })
    }

    /// Handles `SIGHUP` too.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn with_hangup(self) -> io::Result<Self> {
        Ok(Self {
            hangup: Some(signal(SignalKind::hangup())?),
            ..self
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Instruction {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The next signal, if one has arrived.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Instruction> {
        if self.interrupt.poll_recv(context).is_ready()
            || self.terminate.poll_recv(context).is_ready()
        {
            return Poll::Ready(Instruction::Stop);
        }
        match &mut self.hangup {
            Some(hangup) => hangup.poll_recv(context).map(|_| Instruction::Reload),
            None => Poll::Pending,
        }
    }
}
