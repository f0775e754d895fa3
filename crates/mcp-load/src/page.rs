//! The report as one page that needs nothing else: no script, no font, no picture from anywhere.

use std::fmt::Write;

use crate::{
    plot::{Axis, Line, Plot, Scale, escaped, number},
    report::{ProcessRow, Report, Row},
};

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(crate) fn of(report: &Report) -> String {
    let mut out = String::new();
    write(&mut out, report).expect("a String takes everything");
    out
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    let target = escaped(&report.target);
    let (class, verdict) = if report.passed {
        ("good", "passed")
    } else {
        ("bad", "failed")
    };
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Load on {target}: {verdict}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Load on {target} <span class=\"{class}\">{verdict}</span></h1>"
    )?;
    settings(out, report)?;
    numbers(out, report)?;
    for note in &report.notes {
        writeln!(out, "<p class=\"note\">{}</p>", escaped(note))?;
    }
    errors(out, report)?;
    for plot in plots(report) {
        out.push_str(&plot.svg());
    }
    let rows: Vec<&Row> = report.operations.iter().chain([&report.all]).collect();
    rows_of(out, "Operations", &rows, true)?;
    if !report.steps.is_empty() {
        rows_of(
            out,
            "Besides",
            &report.steps.iter().collect::<Vec<_>>(),
            false,
        )?;
    }
    writeln!(
        out,
        "<footer>{}</footer>\n</main>\n</body>\n</html>",
        escaped(&report.tool)
    )
}

fn settings(out: &mut String, report: &Report) -> std::fmt::Result {
    let settings = &report.settings;
    let of_loop = settings.rate.map_or_else(
        || "closed loop".to_owned(),
        |rate| format!("open loop at {} requests/s", number(rate)),
    );
    writeln!(
        out,
        "<p>{} clients ({} of {}, {} of 2026-07-28), {} streams, {} users; {of_loop}, counted for {} s.<br><code>{}</code></p>",
        settings.sessions,
        settings.legacy,
        escaped(&settings.legacy_version),
        settings.sessions - settings.legacy,
        settings.streams,
        settings.users,
        number(report.measured_seconds),
        escaped(&settings.mix),
    )
}

/// What one looks for first.
fn numbers(out: &mut String, report: &Report) -> std::fmt::Result {
    let latency = &report.all.latency;
    let errors: u64 = report.errors.iter().map(|error| error.count).sum();
    let mut numbers = vec![
        (
            format!("{}/s", number(report.all.per_second)),
            "right answers".to_owned(),
        ),
        (format!("{} ms", number(latency.p50)), "p50".to_owned()),
        (format!("{} ms", number(latency.p99)), "p99".to_owned()),
        (format!("{} ms", number(latency.p99_9)), "p99.9".to_owned()),
        (errors.to_string(), "errors".to_owned()),
        (
            report.held.sessions.to_string(),
            format!("sessions held, {} streams", report.held.streams),
        ),
        (
            format!("{} / {}", report.written.found, report.written.created),
            "written things found".to_owned(),
        ),
        (
            format!(
                "{} / {}",
                report.notifications.told, report.notifications.owed
            ),
            "notifications came".to_owned(),
        ),
    ];
    let process = |row: &ProcessRow, whose: &str| {
        let mib = row.resident_kib_peak / 1_024;
        let each = number(row.processor_seconds_per_1000);
        (
            format!("{mib} MiB"),
            format!("{whose}, at most; {each} s of processor time per 1,000 answers"),
        )
    };
    numbers.extend(
        report
            .server
            .as_ref()
            .map(|row| process(row, "server's memory")),
    );
    numbers.extend(
        report
            .tester
            .as_ref()
            .map(|row| process(row, "tester's memory")),
    );
    writeln!(out, "<dl>")?;
    for (value, name) in numbers {
        writeln!(out, "<div><dd>{value}</dd><dt>{name}</dt></div>")?;
    }
    writeln!(out, "</dl>")
}

fn errors(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.errors.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<h2>Errors</h2>\n<div class=\"wide\"><table>\n<tr><th>Kind</th><th class=\"n\">Count</th><th>The first</th></tr>"
    )?;
    for error in &report.errors {
        let class = if error.allowed { "allowed" } else { "bad" };
        let allowed = if error.allowed { " (allowed)" } else { "" };
        writeln!(
            out,
            "<tr><td class=\"{class}\">{}{allowed}</td><td class=\"n\">{}</td><td class=\"text\">{}</td></tr>",
            escaped(&error.kind),
            error.count,
            escaped(&error.first)
        )?;
    }
    writeln!(out, "</table></div>")
}

fn plots(report: &Report) -> Vec<Plot> {
    let seconds = || Axis {
        scale: Scale::Linear,
        label: "seconds since the load began",
    };
    let milliseconds = || Axis {
        scale: Scale::Log,
        label: "milliseconds",
    };
    let settings = &report.settings;
    let before = settings.ramp_up_seconds + settings.warm_up_seconds;
    let shade = || (before > 0.0).then_some((0.0, before, "not counted"));
    let over_time = |name: &str, of: fn(&crate::report::StretchRow) -> f64| Line {
        name: name.to_owned(),
        points: report
            .course
            .iter()
            .map(|row| (row.second, of(row)))
            .collect(),
    };
    vec![
        Plot {
            title: "Latency over time",
            x: seconds(),
            y: milliseconds(),
            lines: vec![
                // Those that lie above others are drawn first.
                over_time("max", |row| row.max),
                over_time("p99", |row| row.p99),
                over_time("p50", |row| row.p50),
            ],
            shade: shade(),
        },
        Plot {
            title: "Right answers per second",
            x: seconds(),
            y: Axis {
                scale: Scale::Linear,
                label: "per second",
            },
            lines: vec![over_time("right answers", |row| row.per_second)],
            shade: shade(),
        },
        Plot {
            title: "Latency by percentile",
            x: Axis {
                scale: Scale::Tail,
                label: "percent of answers that were no slower",
            },
            y: milliseconds(),
            lines: report
                .curves
                .iter()
                .map(|curve| Line {
                    name: curve.name.clone(),
                    points: curve.points.clone(),
                })
                .collect(),
            shade: None,
        },
    ]
}

fn rows_of(out: &mut String, title: &str, rows: &[&Row], has_rate: bool) -> std::fmt::Result {
    let rate = |text: String| if has_rate { text } else { String::new() };
    writeln!(
        out,
        "<h2>{title}</h2>\n<div class=\"wide\"><table>\n<tr><th></th><th class=\"n\">right</th><th class=\"n\">failed</th>{}\
         <th class=\"n\">p50</th><th class=\"n\">p90</th><th class=\"n\">p99</th><th class=\"n\">p99.9</th>\
         <th class=\"n\">max</th><th>ms</th></tr>",
        rate("<th class=\"n\">per second</th>".to_owned())
    )?;
    for row in rows {
        let latency = &row.latency;
        write!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>{}",
            escaped(&row.name),
            row.count,
            row.failed,
            rate(format!("<td class=\"n\">{:.1}</td>", row.per_second))
        )?;
        for value in [
            latency.p50,
            latency.p90,
            latency.p99,
            latency.p99_9,
            latency.max,
        ] {
            write!(out, "<td class=\"n\">{value:.2}</td>")?;
        }
        writeln!(out, "<td></td></tr>")?;
    }
    writeln!(out, "</table></div>")
}
