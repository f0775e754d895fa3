//! What a test came to, as numbers.

use std::time::Duration;

use hdrhistogram::{Counter, Histogram};
use serde::Serialize;

use crate::{
    measure::{Measured, Step},
    plan::Plan,
    process::Usage,
    worker::Outcome,
};

/// Where the tester itself may be what holds everything up: this much of its threads.
const TOO_BUSY: f64 = 0.9;

/// What is known besides what was measured.
pub(crate) struct Facts {
    pub(crate) users: u64,
    pub(crate) threads: u64,
    /// From the beginning of the load to its end.
    pub(crate) elapsed: Duration,
    pub(crate) was_stopped: bool,
    pub(crate) server_before: Option<Usage>,
    pub(crate) server_peak_kib: u64,
    /// Processor time during the load, and what was used at its end.
    pub(crate) server: Option<(Duration, Usage)>,
    pub(crate) tester: Option<(Duration, Usage)>,
}

/// A report. Latencies are in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) tool: String,
    pub(crate) target: String,
    pub(crate) settings: Settings,
    pub(crate) passed: bool,
    pub(crate) ended_early: bool,
    pub(crate) measured_seconds: f64,
    /// All operations of the mix together.
    pub(crate) all: Row,
    pub(crate) operations: Vec<Row>,
    /// What there was besides the mix. Latencies of notifications are from the beginning of the write.
    pub(crate) steps: Vec<Row>,
    pub(crate) errors: Vec<ErrorRow>,
    pub(crate) unsent: u64,
    /// Requests of the mix, ramp and warm-up included, and what was read in all.
    pub(crate) answered_in_all: u64,
    pub(crate) bytes: u64,
    pub(crate) held: HeldRow,
    pub(crate) written: WrittenRow,
    pub(crate) notifications: NotificationRow,
    pub(crate) server: Option<ProcessRow>,
    pub(crate) tester: Option<ProcessRow>,
    pub(crate) course: Vec<StretchRow>,
    pub(crate) curves: Vec<Curve>,
    pub(crate) notes: Vec<String>,
}

/// What was asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Settings {
    pub(crate) sessions: u64,
    pub(crate) legacy: u64,
    pub(crate) legacy_version: String,
    pub(crate) streams: u64,
    pub(crate) users: u64,
    pub(crate) threads: u64,
    pub(crate) mix: String,
    /// Requests per second; none in a closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) ramp_up_seconds: f64,
    pub(crate) warm_up_seconds: f64,
    pub(crate) duration_seconds: f64,
    pub(crate) check_every: u64,
}

/// One operation.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Right answers.
    pub(crate) count: u64,
    pub(crate) failed: u64,
    pub(crate) per_second: f64,
    pub(crate) latency: Latency,
}

/// Of right answers.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) max: f64,
}

/// Errors of one kind.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorRow {
    pub(crate) kind: String,
    pub(crate) count: u64,
    /// Whether it may be.
    pub(crate) allowed: bool,
    pub(crate) first: String,
}

/// What was open when the load ended.
#[derive(Debug, Serialize)]
pub(crate) struct HeldRow {
    /// Clients of 2026-07-28 whose connection was open.
    pub(crate) stateless: u64,
    pub(crate) sessions: u64,
    pub(crate) streams: u64,
}

/// Entries and tags.
#[derive(Debug, Serialize)]
pub(crate) struct WrittenRow {
    pub(crate) verified: bool,
    pub(crate) created: u64,
    pub(crate) found: u64,
}

/// What streams were told.
#[derive(Debug, Serialize)]
pub(crate) struct NotificationRow {
    pub(crate) owed: u64,
    pub(crate) told: u64,
}

/// A process during the load.
#[derive(Debug, Serialize)]
pub(crate) struct ProcessRow {
    pub(crate) processor_seconds: f64,
    /// Processors that were busy, on average.
    pub(crate) busy: f64,
    /// Processor seconds for a thousand answers to the mix.
    pub(crate) processor_seconds_per_1000: f64,
    pub(crate) resident_kib_before: Option<u64>,
    pub(crate) resident_kib_peak: u64,
    pub(crate) resident_kib_after: u64,
}

/// A stretch of the load.
#[derive(Debug, Serialize)]
pub(crate) struct StretchRow {
    /// When it began, from the beginning of the load.
    pub(crate) second: f64,
    pub(crate) per_second: f64,
    pub(crate) failed: u64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// Latencies by the part of answers that were no slower.
#[derive(Debug, Serialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// Percentile and latency.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Percentiles of a curve, as far as there are answers for them.
const CURVE: [f64; 22] = [
    0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 97.0, 98.0,
    99.0, 99.5, 99.9, 99.95, 99.99, 99.999,
];

impl Report {
    pub(crate) fn new(plan: &Plan, outcome: &Outcome, facts: &Facts) -> Self {
        let recorder = &outcome.recorder;
        let options = &plan.options;
        let seconds = seconds_measured(plan, facts);
        let mut all = Histogram::new_from(&recorder.operations[0].latency);
        for operation in &recorder.operations {
            all.add(&operation.latency)
                .expect("all have the same bounds");
        }
        let named = || {
            let names = plan.mix.operations.iter().map(|operation| operation.name());
            names.zip(&recorder.operations)
        };
        let all = Measured {
            latency: all,
            failed: recorder.operations.iter().map(|it| it.failed).sum(),
        };
        let errors: Vec<_> = recorder
            .errors
            .iter()
            .map(|(kind, errors)| {
                let name = kind.name().into_owned();
                ErrorRow {
                    allowed: kind.can_be_allowed() && options.allow.contains(&name),
                    kind: name,
                    count: errors.count,
                    first: errors.example.clone(),
                }
            })
            .collect();
        let of = |can_be: bool| -> u64 {
            let errors = recorder.errors.iter().zip(&errors);
            errors
                .filter(|((kind, _), row)| kind.can_be_allowed() == can_be && !row.allowed)
                .map(|(_, row)| row.count)
                .sum()
        };
        let passed = of(false) == 0 && of(true) <= options.max_errors && recorder.answered > 0;
        let processor = |used: Option<(Duration, Usage)>, before: Option<Usage>, peak: u64| {
            used.map(|(used, at_end)| ProcessRow {
                processor_seconds: rounded(used.as_secs_f64()),
                busy: rounded(used.as_secs_f64() / facts.elapsed.as_secs_f64().max(0.001)),
                processor_seconds_per_1000: rounded(
                    used.as_secs_f64() * 1_000.0 / float(recorder.answered.max(1)),
                ),
                resident_kib_before: before.map(|before| before.resident_kib),
                resident_kib_peak: peak.max(at_end.resident_kib),
                resident_kib_after: at_end.resident_kib,
            })
        };
        let tester_peak = facts.tester.map_or(0, |(_, usage)| usage.peak_kib);
        let (stretch, stretches) = recorder.course();
        let mut report = Self {
            tool: concat!("mcp-load ", env!("CARGO_PKG_VERSION")).to_owned(),
            target: options.url.to_string(),
            settings: Settings {
                sessions: options.sessions,
                legacy: plan.legacy,
                legacy_version: options.legacy_version.clone(),
                streams: plan.streams,
                users: facts.users,
                threads: facts.threads,
                mix: plan.mix.to_string(),
                rate: options.rate,
                ramp_up_seconds: options.ramp_up.as_secs_f64(),
                warm_up_seconds: options.warm_up.as_secs_f64(),
                duration_seconds: options.duration.as_secs_f64(),
                check_every: options.check_every,
            },
            passed,
            ended_early: facts.was_stopped,
            measured_seconds: rounded(seconds),
            all: Row::new("all", &all, seconds),
            operations: named()
                .map(|(name, one)| Row::new(name, one, seconds))
                .collect(),
            steps: Step::ALL
                .into_iter()
                .zip(&recorder.steps)
                .filter(|(_, one)| one.latency.len() + one.failed > 0)
                .map(|(step, one)| Row::new(step.name(), one, 0.0))
                .collect(),
            errors,
            unsent: recorder.unsent,
            answered_in_all: recorder.answered,
            bytes: recorder.bytes,
            held: HeldRow {
                stateless: outcome.held.stateless,
                sessions: outcome.held.sessions,
                streams: outcome.held.streams,
            },
            written: WrittenRow {
                verified: !options.no_verify,
                created: outcome.verified.created,
                found: outcome.verified.found,
            },
            notifications: NotificationRow {
                owed: outcome.owed,
                told: outcome.told,
            },
            server: processor(facts.server, facts.server_before, facts.server_peak_kib),
            tester: processor(facts.tester, None, tester_peak),
            course: stretches
                .iter()
                .enumerate()
                .map(|(place, one)| {
                    let length = stretch.as_secs_f64();
                    StretchRow {
                        second: float(place as u64) * length,
                        per_second: rounded(float(one.latency.len()) / length),
                        failed: one.failed,
                        p50: quantile(&one.latency, 0.5),
                        p99: quantile(&one.latency, 0.99),
                        max: quantile(&one.latency, 1.0),
                    }
                })
                .collect(),
            curves: named()
                .filter(|(_, one)| !one.latency.is_empty())
                .map(|(name, one)| Curve::new(name, &one.latency))
                .collect(),
            notes: Vec::new(),
        };
        report.notes = report.notes();
        report
    }

    /// What a reader of the numbers has to know.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.ended_early {
            notes.push("It was stopped before its end.".to_owned());
        }
        if self.answered_in_all == 0 {
            notes.push("Nothing was asked, so nothing is shown to be right.".to_owned());
        }
        if self.unsent > 0 {
            notes.push(format!(
                "{} requests were due and not sent before the end: the rate could not be kept, and latencies would go on growing.",
                self.unsent
            ));
        }
        let threads = float(self.settings.threads);
        if let Some(tester) = &self.tester
            && tester.busy > TOO_BUSY * threads
        {
            notes.push(format!(
                "The tester itself was busy ({} of {} threads): it may be what held everything up. More --threads, or a greater \
                 --check-every.",
                tester.busy, self.settings.threads
            ));
        }
        if !self.written.verified {
            notes.push("What was written was not looked for (--no-verify).".to_owned());
        }
        notes
    }
}

impl Row {
    fn new(name: &str, measured: &Measured, seconds: f64) -> Self {
        let latency = &measured.latency;
        let count = latency.len();
        Self {
            name: name.to_owned(),
            count,
            failed: measured.failed,
            per_second: if seconds > 0.0 {
                rounded(float(count) / seconds)
            } else {
                0.0
            },
            latency: Latency {
                mean: rounded(latency.mean() / 1_000.0),
                p50: quantile(latency, 0.5),
                p90: quantile(latency, 0.9),
                p99: quantile(latency, 0.99),
                p99_9: quantile(latency, 0.999),
                max: quantile(latency, 1.0),
            },
        }
    }
}

impl Curve {
    fn new(name: &str, latency: &Histogram<u64>) -> Self {
        let count = float(latency.len());
        // A percentile that less than one answer is beyond says no more than the longest.
        let is_known = |percentile: &f64| (100.0 - percentile) / 100.0 * count >= 1.0;
        let points = CURVE.into_iter().filter(is_known);
        let mut points: Vec<_> = points
            .map(|percentile| (percentile, quantile(latency, percentile / 100.0)))
            .collect();
        points.push((
            rounded(100.0 - 100.0 / count.max(1.0)),
            quantile(latency, 1.0),
        ));
        points.dedup();
        Self {
            name: name.to_owned(),
            points,
        }
    }
}

/// How long requests were counted, if the test ended early or late.
fn seconds_measured(plan: &Plan, facts: &Facts) -> f64 {
    let after = facts.elapsed.saturating_sub(plan.schedule.measured_from());
    after.min(plan.schedule.measured).as_secs_f64()
}

fn quantile<C: Counter>(latency: &Histogram<C>, quantile: f64) -> f64 {
    let value = if quantile >= 1.0 {
        latency.max()
    } else {
        latency.value_at_quantile(quantile)
    };
    rounded(float(value) / 1_000.0)
}

/// To a thousandth.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and microseconds, to be shown"
)]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
