//! What is going on, for people.

use std::{
    io::{IsTerminal, Write, stderr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::duration::shown;

/// They are shown and nothing follows from them.
pub(crate) const ORDER: Ordering = Ordering::Relaxed;

/// How often a line is written where lines stay.
const PLAIN_EVERY: u64 = 10;

/// Counts of one thread, which another reads.
#[derive(Default)]
pub(crate) struct Gauges {
    pub(crate) answered: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Of all answers, in microseconds.
    pub(crate) latency: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) sessions: AtomicU64,
    pub(crate) streams: AtomicU64,
}

/// The sum over all threads.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    pub(crate) answered: u64,
    failed: u64,
    latency: u64,
    in_flight: u64,
    pub(crate) sessions: u64,
    pub(crate) streams: u64,
}

impl Sum {
    pub(crate) fn of(gauges: &[Arc<Gauges>]) -> Self {
        let sum = |count: fn(&Gauges) -> &AtomicU64| {
            gauges.iter().map(|gauges| count(gauges).load(ORDER)).sum()
        };
        Self {
            answered: sum(|gauges| &gauges.answered),
            failed: sum(|gauges| &gauges.failed),
            latency: sum(|gauges| &gauges.latency),
            in_flight: sum(|gauges| &gauges.in_flight),
            sessions: sum(|gauges| &gauges.sessions),
            streams: sum(|gauges| &gauges.streams),
        }
    }
}

/// Writes a line about once a second: over the last one on a terminal, elsewhere now and then.
pub(crate) struct Progress {
    is_quiet: bool,
    is_terminal: bool,
    last: Sum,
    ticks: u64,
}

impl Progress {
    pub(crate) fn new(is_quiet: bool) -> Self {
        Self {
            is_quiet,
            is_terminal: stderr().is_terminal(),
            last: Sum::default(),
            ticks: 0,
        }
    }

    /// A phase begins.
    pub(crate) fn phase(&mut self, words: &str) {
        self.ticks = 0;
        self.write(words, true);
    }

    /// A second of it has passed.
    pub(crate) fn tick(&mut self, phase: &str, since: Duration, sum: Sum) {
        self.ticks += 1;
        let line = line(phase, since, sum, self.last);
        self.last = sum;
        if self.is_terminal || self.ticks % PLAIN_EVERY == 1 {
            self.write(&line, false);
        }
    }

    /// Leaves the line as it is.
    pub(crate) fn end(&mut self) {
        if self.is_terminal {
            self.write("", false);
        }
    }

    fn write(&self, line: &str, stays: bool) {
        if self.is_quiet {
            return;
        }
        let mut stderr = stderr().lock();
        // Nothing is lost if nobody reads it.
        let _ = match (self.is_terminal, stays) {
            (true, true) => writeln!(stderr, "\r\x1b[K{line}"),
            (true, false) => write!(stderr, "\r\x1b[K{line}"),
            (false, _) => writeln!(stderr, "{line}"),
        };
        let _ = stderr.flush();
    }
}

fn line(phase: &str, since: Duration, sum: Sum, last: Sum) -> String {
    let answered = sum.answered.saturating_sub(last.answered);
    let latency = sum.latency.saturating_sub(last.latency);
    let mean = Duration::from_micros(latency.checked_div(answered).unwrap_or_default());
    format!(
        "{phase} {}  {} answers, {answered}/s, mean {:.1} ms  {} in flight  {} sessions, {} streams  {} errors",
        shown(Duration::from_secs(since.as_secs())),
        sum.answered,
        mean.as_secs_f64() * 1_000.0,
        sum.in_flight,
        sum.sessions,
        sum.streams,
        sum.failed,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_the_last_second_was() {
        let last = Sum {
            answered: 100,
            latency: 1_000_000,
            ..Sum::default()
        };
        let sum = Sum {
            answered: 300,
            failed: 2,
            latency: 1_500_000,
            in_flight: 4,
            sessions: 10,
            streams: 5,
        };
        assert_eq!(
            line("load", Duration::from_millis(3_100), sum, last),
            "load 3s  300 answers, 200/s, mean 2.5 ms  4 in flight  10 sessions, 5 streams  2 errors"
        );
    }
}
