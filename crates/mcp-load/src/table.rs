//! The report for a terminal.

use std::fmt::Write;

use crate::report::{ProcessRow, Report, Row};

/// The whole of it.
pub(crate) fn of(report: &Report) -> String {
    let mut out = String::new();
    write(&mut out, report).expect("a String takes everything");
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let settings = &report.settings;
    let of_loop = settings.rate.map_or_else(
        || "closed loop".to_owned(),
        |rate| format!("open loop, {rate} requests/s"),
    );
    writeln!(out, "{} → {}", report.tool, report.target)?;
    writeln!(
        out,
        "{} clients ({} of {}, {} of 2026-07-28), {} streams, {} users; {of_loop}; counted for {:.1} s\n",
        settings.sessions,
        settings.legacy,
        settings.legacy_version,
        settings.sessions - settings.legacy,
        settings.streams,
        settings.users,
        report.measured_seconds,
    )?;
    let rows: Vec<&Row> = report.operations.iter().chain([&report.all]).collect();
    rows_of(out, "operation", &rows, true)?;
    if !report.steps.is_empty() {
        out.push('\n');
        rows_of(
            out,
            "besides",
            &report.steps.iter().collect::<Vec<_>>(),
            false,
        )?;
    }
    out.push('\n');
    let held = &report.held;
    writeln!(
        out,
        "held at the end   {} stateless clients, {} sessions, {} streams",
        held.stateless, held.sessions, held.streams
    )?;
    let written = &report.written;
    if written.verified {
        writeln!(
            out,
            "written           {} created, {} found",
            written.created, written.found
        )?;
    }
    let told = &report.notifications;
    writeln!(
        out,
        "notifications     {} owed, {} came",
        told.owed, told.told
    )?;
    if let Some(server) = &report.server {
        process(out, "server            ", server)?;
    }
    if let Some(tester) = &report.tester {
        process(out, "tester            ", tester)?;
    }
    if report.errors.is_empty() {
        out.push_str("errors            none\n");
    } else {
        out.push_str("errors\n");
    }
    for error in &report.errors {
        let allowed = if error.allowed { " (allowed)" } else { "" };
        writeln!(
            out,
            "  {:<22}{:>9}{allowed}  {}",
            error.kind, error.count, error.first
        )?;
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    writeln!(
        out,
        "{}",
        if report.passed {
            "\nPASSED"
        } else {
            "\nFAILED"
        }
    )
}

fn rows_of(out: &mut String, title: &str, rows: &[&Row], has_rate: bool) -> std::fmt::Result {
    let widest = rows
        .iter()
        .map(|row| row.name.len())
        .chain([title.len()])
        .max();
    let width = widest.unwrap_or_default();
    let rate = |text: String| if has_rate { text } else { String::new() };
    writeln!(
        out,
        "{title:<width$}{:>10}{:>8}{}{:>10}{:>10}{:>10}{:>10}{:>10}  ms",
        "right",
        "failed",
        rate(format!("{:>10}", "/s")),
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
    )?;
    for row in rows {
        let latency = &row.latency;
        writeln!(
            out,
            "{:<width$}{:>10}{:>8}{}{:>10.2}{:>10.2}{:>10.2}{:>10.2}{:>10.2}",
            row.name,
            row.count,
            row.failed,
            rate(format!("{:>10.1}", row.per_second)),
            latency.p50,
            latency.p90,
            latency.p99,
            latency.p99_9,
            latency.max,
        )?;
    }
    Ok(())
}

fn process(out: &mut String, name: &str, row: &ProcessRow) -> std::fmt::Result {
    let mib = |kib: u64| format!("{}.{} MiB", kib / 1_024, kib % 1_024 * 10 / 1_024);
    let before = row
        .resident_kib_before
        .map(|kib| format!("{} before, ", mib(kib)));
    writeln!(
        out,
        "{name}{:.2} s of processor time ({:.2} busy, {:.3} s per 1,000 answers); resident {}{} at most, {} at the end",
        row.processor_seconds,
        row.busy,
        row.processor_seconds_per_1000,
        before.unwrap_or_default(),
        mib(row.resident_kib_peak),
        mib(row.resident_kib_after),
    )
}
