//! The threads that sessions and streams run on.

use actix_rt::{Arbiter, ArbiterHandle};

/// Some arbiters, which end with this.
pub struct Threads(Vec<Arbiter>);

impl Threads {
    /// So many threads, one at least.
    ///
    /// # Panics
    /// Outside an actix `System`.
    #[must_use]
    pub fn start(count: usize) -> Self {
        Self((0..count.max(1)).map(|_| Arbiter::new()).collect())
    }

    /// One of them; the same for the same number.
    pub(super) fn pick(&self, number: usize) -> ArbiterHandle {
        self.0[number % self.0.len()].handle()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for arbiter in &self.0 {
            arbiter.stop();
        }
    }
}
