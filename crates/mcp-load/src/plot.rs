//! Plots as SVG that stands within a page and takes its colours from there.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;

/// So many colours a page has for lines, `s0` and on.
pub(crate) const COLOURS: usize = 8;

/// How numbers lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    Linear,
    /// For what goes over powers of ten, such as latencies.
    Log,
    /// For percentiles: the last of them take as much room as the first.
    Tail,
}

/// One axis.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(crate) scale: Scale,
    pub(crate) label: &'static str,
}

/// One line, in the colour of its place.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A plot of lines.
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    /// A part of the x axis that does not count, and what it is.
    pub(crate) shade: Option<(f64, f64, &'static str)>,
}

/// An axis with what lies on it.
struct Range {
    scale: Scale,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Range {
    fn of(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Self {
        let finite = values.filter(|value| value.is_finite());
        match scale {
            Scale::Linear => {
                let high = finite.fold(0.0, f64::max).max(1e-3);
                let step = nice_step(high / 6.0);
                let count = (high / step).ceil();
                let ticks = steps(count).map(|tick| tick * step).collect();
                Self {
                    scale,
                    low: 0.0,
                    high: count * step,
                    ticks,
                }
            }
            Scale::Log => {
                let positive = finite.filter(|value| *value > 0.0);
                let low = positive
                    .clone()
                    .fold(f64::INFINITY, f64::min)
                    .clamp(1e-3, 1e7);
                let high = positive.fold(0.0, f64::max).clamp(low, 1e9);
                // From one of 1, 2, 5 times a power of ten to another.
                let first = low.log10().floor();
                let last = high.log10().ceil();
                let marks = steps(last - first + 1.0).flat_map(|power| {
                    [1.0, 2.0, 5.0].map(|mark| mark * 10_f64.powf(first + power))
                });
                let marks: Vec<f64> = marks.collect();
                let before = marks.iter().rposition(|mark| *mark <= low * 1.000_1);
                let before = before.unwrap_or_default();
                let after = marks.iter().position(|mark| *mark >= high * 0.999_9);
                // Two steps at least, so that a flat line is seen to be flat.
                let after = after
                    .unwrap_or_default()
                    .max(before + 2)
                    .min(marks.len() - 1);
                Self {
                    scale,
                    low: marks[before],
                    high: marks[after],
                    ticks: marks[before..=after].to_vec(),
                }
            }
            Scale::Tail => {
                let high = finite.fold(90.0, f64::max).min(99.9999);
                let ticks = [0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999];
                Self {
                    scale,
                    low: 0.0,
                    high,
                    ticks: ticks.into_iter().filter(|tick| *tick <= high).collect(),
                }
            }
        }
    }

    /// From 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let at = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(self.low).log10(),
            Scale::Tail => -(1.0 - value.min(99.9999) / 100.0).log10(),
        };
        let (low, high) = (at(self.low), at(self.high));
        ((at(value) - low) / (high - low)).clamp(0.0, 1.0)
    }
}

/// 0, 1, … up to this.
fn steps(last: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(0.0), |step| Some(step + 1.0))
        .take_while(move |step| *step <= last + 0.001)
}

/// The next of 1, 2, 5 times a power of ten.
fn nice_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(power * 10.0)
}

/// A number with as many digits as tell it from others.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A percentile with all digits that it has.
fn percentile(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What a page can have as text.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

impl Plot {
    /// The plot with its heading and legend.
    pub(crate) fn svg(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("a String takes everything");
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let points = || {
            self.lines
                .iter()
                .flat_map(|line| line.points.iter().copied())
        };
        let x = Range::of(self.x.scale, points().map(|(x, _)| x));
        let y = Range::of(self.y.scale, points().map(|(_, y)| y));
        let across = |value: f64| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
        let up = |value: f64| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
        let (base, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        writeln!(out, "<figure>\n<figcaption><h2>{}</h2>", self.title)?;
        write!(out, "<ul class=\"legend\">")?;
        for (place, line) in self.lines.iter().enumerate() {
            let name = escaped(&line.name);
            write!(out, "<li><i class=\"s{}\"></i>{name}</li>", place % COLOURS)?;
        }
        writeln!(out, "</ul></figcaption>")?;
        writeln!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            self.title
        )?;
        if let Some((from, to, name)) = self.shade {
            let (from, to) = (across(from), across(to));
            writeln!(
                out,
                "<rect class=\"shade\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/><text class=\"small\" x=\"{:.1}\" \
                 y=\"{:.1}\">{name}</text>",
                to - from,
                base - TOP,
                from + 4.0,
                TOP + 12.0
            )?;
        }
        for tick in &y.ticks {
            let at = up(*tick);
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/><text class=\"tick end\" x=\"{:.1}\" \
                 y=\"{:.1}\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                number(*tick)
            )?;
        }
        for tick in &x.ticks {
            let at = across(*tick);
            let text = if x.scale == Scale::Tail {
                percentile(*tick)
            } else {
                number(*tick)
            };
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{base}\"/><text class=\"tick middle\" x=\"{at:.1}\" \
                 y=\"{:.1}\">{text}</text>",
                base + 16.0
            )?;
        }
        writeln!(
            out,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{base}\" x2=\"{right}\" y2=\"{base}\"/>\
             <text class=\"label end\" x=\"{right}\" y=\"{:.1}\">{}</text>\
             <text class=\"label middle\" transform=\"translate(14 {:.1}) rotate(-90)\">{}</text>",
            HEIGHT - 6.0,
            self.x.label,
            f64::midpoint(TOP, base),
            self.y.label
        )?;
        for (place, line) in self.lines.iter().enumerate() {
            let class = place % COLOURS;
            write!(out, "<polyline class=\"l{class}\" points=\"")?;
            for (at, value) in &line.points {
                write!(out, "{:.1},{:.1} ", across(*at), up(*value))?;
            }
            writeln!(out, "\"/>")?;
            // Wide enough to be pointed at; what it is comes up then.
            for (at, value) in &line.points {
                let where_ = if x.scale == Scale::Tail {
                    format!("{} %", percentile(*at))
                } else {
                    format!("{} s", number(*at))
                };
                let name = escaped(&line.name);
                writeln!(
                    out,
                    "<circle class=\"p{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\"><title>{name}, {where_}: {}</title></circle>",
                    across(*at),
                    up(*value),
                    number(*value)
                )?;
            }
        }
        writeln!(out, "</svg>\n</figure>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.05, "0.05"),
            (1.0, "1"),
            (2.5, "2.5"),
            (12.34, "12.3"),
            (100.0, "100"),
            (1_234.5, "1234"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(percentile(99.99), "99.99");
        assert_eq!(percentile(50.0), "50");
    }

    #[test]
    fn a_range_holds_what_lies_on_it() {
        let values = [0.3, 7.0, 420.0];
        let log = Range::of(Scale::Log, values.into_iter());
        assert!((log.low - 0.2).abs() < 1e-9 && (log.high - 500.0).abs() < 1e-9);
        let linear = Range::of(Scale::Linear, values.into_iter());
        assert_eq!((linear.low, linear.high), (0.0, 500.0));
        let tail = Range::of(Scale::Tail, [0.0, 99.9].into_iter());
        assert!((tail.place(90.0) - 1.0 / 3.0).abs() < 1e-9);
        assert!((tail.place(99.0) - 2.0 / 3.0).abs() < 1e-9);
        for range in [log, linear, tail] {
            assert!(range.ticks.len() >= 3, "{:?}", range.ticks);
            for tick in &range.ticks {
                assert!((0.0..=1.0).contains(&range.place(*tick)));
            }
        }
    }

    #[test]
    fn a_plot_of_nothing_is_a_plot() {
        for scale in [Scale::Linear, Scale::Log, Scale::Tail] {
            let axis = |label| Axis { scale, label };
            let plot = Plot {
                title: "Nothing",
                x: axis("x"),
                y: axis("y"),
                lines: vec![Line {
                    name: "<none>".to_owned(),
                    points: Vec::new(),
                }],
                shade: None,
            };
            let svg = plot.svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.contains("&lt;none&gt;"));
        }
    }
}
