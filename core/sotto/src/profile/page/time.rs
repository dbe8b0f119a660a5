//! Plots below each other that share one time axis, with a cursor across all of them.

use std::fmt::Write;

use serde::Serialize;

use super::axis::Axis;
use super::html::escape;
use crate::profile::compare;

/// How values are drawn; many values become a band from minimum to maximum with medians.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Single results.
    Dots,
    /// A value that holds until the next.
    Steps,
}

/// Values over time.
pub(super) struct Series {
    pub(super) label: String,
    /// Its colour in the style sheet.
    pub(super) class: &'static str,
    pub(super) mark: Mark,
    pub(super) points: Vec<(f64, f64)>,
}

/// A period of time with a name.
pub(super) struct Segment {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) class: String,
    pub(super) text: String,
}

/// A row of periods.
pub(super) struct Lane {
    pub(super) label: String,
    pub(super) segments: Vec<Segment>,
}

/// One plot of the stack.
pub(super) enum Panel {
    Curves {
        title: String,
        show: fn(f64) -> String,
        axis: Axis,
        series: Vec<Series>,
        /// A limit line.
        limit: Option<(f64, String)>,
    },
    Lanes {
        title: String,
        lanes: Vec<Lane>,
    },
    /// A plot without measurements.
    Missing {
        title: String,
        text: String,
    },
}

/// Values for the cursor: times, and the texts from each time on.
#[derive(Serialize)]
struct Readout {
    label: String,
    times: Vec<f64>,
    texts: Vec<String>,
}

// A plot is some hundred pixels wide: more dots than this hide each other.
const MOST_DOTS: usize = 600;
const BINS: usize = 240;
// Size of the drawing, which is scaled to the available space.
const SIZE: f64 = 1000.0;

/// Draws the panels over `length` seconds.
pub(super) fn stack(out: &mut String, length: f64, panels: &[Panel]) {
    let time = Axis::time(length);
    let mut readouts = Vec::new();
    out.push_str(
        "<figure class=stack><p class=readout>Move over a plot, or touch it, to read all of them at a moment.</p>",
    );
    for panel in panels {
        match panel {
            Panel::Curves { title, show, axis, series, limit } => {
                curves(out, &time, title, *show, axis, series, limit.as_ref());
                let several = series.len() > 1;
                readouts.extend(series.iter().map(|series| {
                    // The cursor needs no more points than a plot has pixels.
                    let points = || series.points.iter().step_by(series.points.len().div_ceil(MOST_DOTS).max(1));
                    Readout {
                        label: if several { format!("{title}, {}", series.label) } else { title.clone() },
                        times: points().map(|point| rounded(point.0)).collect(),
                        texts: points().map(|point| show(point.1)).collect(),
                    }
                }));
            }
            Panel::Lanes { title, lanes } => {
                draw_lanes(out, &time, title, lanes);
                readouts.extend(lanes.iter().filter(|lane| !lane.segments.is_empty()).map(|lane| Readout {
                    label: lane.label.clone(),
                    times: lane.segments.iter().map(|segment| rounded(segment.from)).collect(),
                    texts: lane.segments.iter().map(|segment| segment.text.clone()).collect(),
                }));
            }
            Panel::Missing { title, text } => {
                let (title, text) = (escape(title), escape(text));
                let _ = write!(out, "<div class=panel><h3>{title}</h3><p class=missing>{text}</p></div>");
            }
        }
    }
    out.push_str("<div class=ticks aria-hidden=true>");
    for &tick in &time.ticks {
        let place = time.place(tick) * 100.0;
        let class = if place > 97.0 { " class=end" } else { "" };
        let _ = write!(out, "<span{class} style=\"left:{place:.2}%\">{}</span>", moment(tick));
    }
    // The text of a script ends at the first `</`, wherever it occurs.
    let data = serde_json::to_string(&readouts).unwrap_or_else(|_| "[]".into()).replace("</", "<\\/");
    let _ = write!(
        out,
        "</div><script type=\"application/json\" class=data data-length=\"{}\">{data}</script></figure>",
        time.high()
    );
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// A tick of the axis of time.
fn moment(seconds: f64) -> String {
    match seconds {
        0.0 => "0".into(),
        s if s < 10.0 && s != s.trunc() => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s => format!("{} min", rounded(s / 60.0)),
    }
}

fn curves(
    out: &mut String,
    time: &Axis,
    title: &str,
    show: fn(f64) -> String,
    axis: &Axis,
    series: &[Series],
    limit: Option<&(f64, String)>,
) {
    let _ = write!(out, "<div class=panel><h3>{}", escape(title));
    if series.len() > 1 {
        for Series { label, class, .. } in series {
            let _ = write!(out, "<span class=key><i class={class}></i>{}</span>", escape(label));
        }
    }
    let description: Vec<String> = series.iter().filter_map(|series| describe(series, show)).collect();
    let description = escape(&format!("{title} over time. {}", description.join(" ")));
    let _ = write!(out, "</h3><div class=row><div class=values aria-hidden=true>");
    for &tick in &axis.ticks {
        let place = axis.place(tick) * 100.0;
        let _ = write!(out, "<span style=\"bottom:{place:.2}%\">{}</span>", escape(&show(tick)));
    }
    let _ = write!(
        out,
        "</div><div class=plot role=img aria-label=\"{description}\"><svg viewBox=\"0 0 {SIZE} {SIZE}\" \
         preserveAspectRatio=none aria-hidden=true>"
    );
    for &tick in &axis.ticks {
        let y = (1.0 - axis.place(tick)) * SIZE;
        let _ = write!(out, "<path class=grid d=\"M0 {y:.1}H{SIZE}\"/>");
    }
    if let Some((value, _)) = limit {
        let y = (1.0 - axis.place(*value)) * SIZE;
        let _ = write!(out, "<path class=limit d=\"M0 {y:.1}H{SIZE}\"/>");
    }
    for series in series {
        draw(out, time, axis, series);
    }
    out.push_str("</svg>");
    if let Some((value, text)) = limit {
        let place = axis.place(*value) * 100.0;
        let _ = write!(out, "<span class=limit-text style=\"bottom:{place:.2}%\">{}</span>", escape(text));
    }
    out.push_str("<b class=cursor></b></div></div></div>");
}

fn describe(series: &Series, show: fn(f64) -> String) -> Option<String> {
    let values = series.points.iter().map(|point| point.1);
    let lowest = values.clone().reduce(f64::min)?;
    let highest = values.reduce(f64::max)?;
    Some(format!("{}: {} to {}.", series.label, show(lowest), show(highest)))
}

fn draw(out: &mut String, time: &Axis, axis: &Axis, series: &Series) {
    let x = |seconds: f64| time.place(seconds) * SIZE;
    let y = |value: f64| (1.0 - axis.place(value)) * SIZE;
    let Series { class, points, mark, .. } = series;
    let mut path = String::new();
    match mark {
        _ if points.len() > MOST_DOTS => {
            let bins = bins(points, time.high());
            for (index, bin) in bins.iter().enumerate() {
                let _ = write!(path, "{}{:.1} {:.1}", if index == 0 { 'M' } else { 'L' }, x(bin.at), y(bin.high));
            }
            for bin in bins.iter().rev() {
                let _ = write!(path, "L{:.1} {:.1}", x(bin.at), y(bin.low));
            }
            let _ = write!(out, "<path class=\"band {class}\" d=\"{path}Z\"/>");
            path.clear();
            for (index, bin) in bins.iter().enumerate() {
                let _ = write!(path, "{}{:.1} {:.1}", if index == 0 { 'M' } else { 'L' }, x(bin.at), y(bin.median));
            }
            let _ = write!(out, "<path class=\"line {class}\" d=\"{path}\"/>");
        }
        Mark::Dots => {
            for &(at, value) in points {
                // A line of length 0 with round ends stays round when the drawing is scaled.
                let _ = write!(path, "M{:.1} {:.1}h0", x(at), y(value));
            }
            let _ = write!(out, "<path class=\"dots {class}\" d=\"{path}\"/>");
        }
        Mark::Steps => {
            for (index, &(at, value)) in points.iter().enumerate() {
                let _ = if index == 0 {
                    write!(path, "M{:.1} {:.1}", x(at), y(value))
                } else {
                    write!(path, "H{:.1}V{:.1}", x(at), y(value))
                };
            }
            let _ = write!(out, "<path class=\"line {class}\" d=\"{path}h0\"/>");
        }
    }
}

struct Bin {
    at: f64,
    low: f64,
    median: f64,
    high: f64,
}

/// Groups points into equal periods of time.
fn bins(points: &[(f64, f64)], length: f64) -> Vec<Bin> {
    let width = length / BINS as f64;
    let of = |at: f64| (at / width) as usize;
    let mut bins = Vec::new();
    for group in points.chunk_by(|a, b| of(a.0) == of(b.0)) {
        let mut values: Vec<f64> = group.iter().map(|point| point.1).collect();
        values.sort_by(f64::total_cmp);
        if let (Some(first), Some(&low), Some(&high)) = (group.first(), values.first(), values.last()) {
            bins.push(Bin { at: first.0, low, median: values[values.len() / 2], high });
        }
    }
    bins
}

fn draw_lanes(out: &mut String, time: &Axis, title: &str, lanes: &[Lane]) {
    let _ = write!(out, "<div class=panel><h3>{}</h3>", escape(title));
    for Lane { label, segments } in lanes {
        let story: Vec<String> = segments
            .iter()
            .take(12)
            .map(|segment| format!("{} from {}", segment.text, compare::seconds(segment.from.max(0.0))))
            .collect();
        let more = if segments.len() > story.len() { ", and more" } else { "" };
        let description = escape(&format!("{label}: {}{more}.", story.join(", ")));
        let _ = write!(
            out,
            "<div class=row><div class=lane-name aria-hidden=true>{}</div><div class=\"plot lane\" role=img \
             aria-label=\"{description}\">",
            escape(label)
        );
        for Segment { from, to, class, text } in segments {
            let (left, right) = (time.place(*from) * 100.0, time.place(*to) * 100.0);
            let (width, text) = ((right - left).max(0.1), escape(text));
            let _ = write!(
                out,
                "<span class=\"segment {class}\" style=\"left:{left:.2}%;width:{width:.2}%\" \
                 title=\"{text}\">{text}</span>"
            );
        }
        out.push_str("<b class=cursor></b></div></div>");
    }
    out.push_str("</div>");
}
