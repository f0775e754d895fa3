//! The shape of a report, in all its forms.

use clap::Parser;

use super::*;
use crate::{
    failure::{Failure, Kind},
    measure::Recorder,
    options::Options,
    page, table,
    worker::Held,
};

/// A plan of a server that nobody asks.
fn plan(more: &[&str]) -> Plan {
    let arguments = [
        "mcp-load",
        "http://127.0.0.1:1/mcp",
        "--token-file=tokens",
        "--sessions=10",
        "--legacy=30%",
        "--streams=5",
        "--mix=list_entries=3,create_entry=1",
        "--warm-up=1s",
        "--duration=4s",
        "--allow=503",
    ];
    let options = Options::try_parse_from([&arguments[..], more].concat()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(Plan::make(options)).unwrap()
}

fn outcome(plan: &Plan, failures: &[Kind]) -> Outcome {
    let mut recorder = Recorder::new(plan.schedule, plan.mix.operations.len());
    for number in 0..500_u64 {
        let due = Duration::from_millis(number * 10);
        let operation = usize::from(number.is_multiple_of(4));
        recorder.right(
            operation,
            due,
            Duration::from_micros(800 + number * number % 9_000),
        );
    }
    recorder.step(Step::Initialize, Duration::from_millis(3));
    for kind in failures {
        let failure = Failure::new(kind.clone(), "<what & why>");
        recorder.wrong(0, Duration::from_secs(2), &failure);
    }
    recorder.bytes = 12_345;
    Outcome {
        recorder,
        held: Held {
            stateless: 7,
            sessions: 3,
            streams: 5,
        },
        verified: crate::verify::Verified {
            created: 125,
            found: 124,
        },
        owed: 9,
        told: 9,
        identities: Vec::new(),
    }
}

fn facts() -> Facts {
    let usage = Usage {
        processor: Duration::from_secs(100),
        resident_kib: 20_480,
        peak_kib: 40_960,
    };
    Facts {
        users: 4,
        threads: 1,
        elapsed: Duration::from_secs(5),
        was_stopped: false,
        server_before: Some(usage),
        server_peak_kib: 30_720,
        server: Some((Duration::from_millis(1_500), usage)),
        tester: Some((Duration::from_millis(500), usage)),
    }
}

fn report(failures: &[Kind], more: &[&str]) -> Report {
    let plan = plan(more);
    Report::new(&plan, &outcome(&plan, failures), &facts())
}

#[test]
fn a_report_has_this_shape() {
    let report = report(&[Kind::Status(503), Kind::Lost, Kind::Lost], &[]);
    insta::assert_json_snapshot!("report", report);
    insta::assert_snapshot!("table", table::of(&report));
}

#[test]
fn a_page_needs_nothing_from_anywhere_and_shows_text_as_text() {
    let page = page::of(&report(&[Kind::Lost], &[]));
    assert!(page.contains("&lt;what &amp; why&gt;") && !page.contains("<what"));
    for needs in ["<script", "src=", "href=", "url(", "@import", "NaN"] {
        assert!(!page.contains(needs), "{needs}");
    }
    assert_eq!(page.matches("<svg").count(), 3);
    assert!(page.contains("prefers-color-scheme: dark"));
}

#[test]
fn what_is_wrong_fails_a_test_and_what_is_allowed_does_not() {
    for (failures, more, passes) in [
        (&[][..], &[][..], true),
        (&[Kind::Status(503)], &[], true),
        (&[Kind::Timeout], &[], false),
        (&[Kind::Timeout], &["--max-errors=1"], true),
        (&[Kind::Timeout, Kind::Closed], &["--max-errors=1"], false),
        (&[Kind::Lost], &["--max-errors=1"], false),
        (&[Kind::ForeignData], &["--max-errors=100"], false),
    ] {
        let report = report(failures, more);
        assert_eq!(report.passed, passes, "{failures:?} {more:?}");
    }
}

#[test]
fn a_test_that_asked_nothing_shows_nothing() {
    let plan = plan(&[]);
    let mut outcome = outcome(&plan, &[]);
    outcome.recorder = Recorder::new(plan.schedule, plan.mix.operations.len());
    let report = Report::new(&plan, &outcome, &facts());
    assert!(!report.passed);
    assert!(table::of(&report).contains("Nothing was asked"));
}

#[test]
fn a_report_says_when_its_numbers_are_not_the_servers() {
    let plan = plan(&[]);
    let mut outcome = outcome(&plan, &[]);
    outcome.recorder.unsent = 5;
    let mut facts = facts();
    facts.tester = facts
        .tester
        .map(|(_, usage)| (Duration::from_millis(4_900), usage));
    let report = Report::new(&plan, &outcome, &facts);
    assert_eq!(report.notes.len(), 2, "{:?}", report.notes);
}
