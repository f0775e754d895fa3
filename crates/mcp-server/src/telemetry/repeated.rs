//! Lines that strangers can cause as often as they like, such as those about a head that is no HTTP: one of a target
//! in ten seconds is written, with the number of those that were left out.

use std::time::{Duration, Instant};

use log::{Level, Log, Metadata, Record};
use parking_lot::Mutex;

/// The crates that read what comes from the network before anything is known of it.
const CRATES: [&str; 5] = [
    "actix_http",
    "actix_server",
    "actix_tls",
    "actix_web",
    "rustls",
];

/// How often a line of one target is written.
const INTERVAL: Duration = Duration::from_secs(10);

/// The most targets that are told apart; others share one interval.
const MOST_TARGETS: usize = 16;

/// A logger that leaves such lines out of another one.
pub(crate) struct Sparing<L> {
    logger: L,
    repeated: Repeated,
}

impl<L: Log> Sparing<L> {
    pub(crate) fn new(logger: L) -> Self {
        Self {
            logger,
            repeated: Repeated::default(),
        }
    }
}

impl<L: Log> Log for Sparing<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !CRATES.contains(&crate_of(record)) {
            return self.logger.log(record);
        }
        // What nobody wants to read is not counted either.
        if !self.enabled(record.metadata()) {
            return;
        }
        let Some(left_out) = self.repeated.admit(record.target(), Instant::now()) else {
            return;
        };
        if left_out > 0 {
            let target = record.target();
            self.logger.log(
                &Record::builder()
                    .target("mcp_server::telemetry")
                    .level(Level::Warn)
                    .args(format_args!(
                        "{left_out} lines of {target} like the next one were left out"
                    ))
                    .build(),
            );
        }
        self.logger.log(record);
    }

    fn flush(&self) {
        self.logger.flush();
    }
}

fn crate_of<'a>(record: &Record<'a>) -> &'a str {
    record.target().split("::").next().unwrap_or_default()
}

/// What was written of each target.
#[derive(Default)]
struct Repeated(Mutex<Vec<Seen>>);

struct Seen {
    target: String,
    at: Instant,
    left_out: u64,
}

impl Repeated {
    /// Whether a line is written now: `None` if not, else how many were left out since the last one.
    fn admit(&self, target: &str, now: Instant) -> Option<u64> {
        let mut all = self.0.lock();
        let is_known = all.iter().any(|seen| seen.target == target);
        let target = if is_known || all.len() < MOST_TARGETS - 1 {
            target
        } else {
            ""
        };
        match all.iter_mut().find(|seen| seen.target == target) {
            Some(seen) if now.duration_since(seen.at) < INTERVAL => {
                seen.left_out += 1;
                None
            }
            Some(seen) => {
                seen.at = now;
                Some(std::mem::take(&mut seen.left_out))
            }
            None => {
                all.push(Seen {
                    target: target.to_owned(),
                    at: now,
                    left_out: 0,
                });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_strangers_cause_one_line_is_written_in_ten_seconds() {
        let (repeated, begin) = (Repeated::default(), Instant::now());
        let admit =
            |target: &str, seconds| repeated.admit(target, begin + Duration::from_secs(seconds));
        assert_eq!(admit("actix_http::h1::dispatcher", 0), Some(0));
        for second in 0..10 {
            assert_eq!(admit("actix_http::h1::dispatcher", second), None);
        }
        assert_eq!(admit("rustls::conn", 9), Some(0), "another target");
        assert_eq!(admit("actix_http::h1::dispatcher", 10), Some(10));
        assert_eq!(admit("actix_http::h1::dispatcher", 11), None);
        for number in 0..100 {
            admit(&format!("rustls::{number}"), 12);
        }
        assert!(repeated.0.lock().len() <= MOST_TARGETS);
    }

    #[test]
    fn our_own_lines_are_all_written() {
        let of = |target: &'static str| {
            CRATES.contains(&crate_of(&Record::builder().target(target).build()))
        };
        assert!(of("actix_http::h1::dispatcher") && of("rustls"));
        assert!(!of("audit") && !of("access") && !of("actix_httpd") && !of("epicme::actix_http"));
    }
}
