//! Plots without a time axis: percentiles, loads, shares.

use std::fmt::Write;

use super::axis::Axis;
use super::html::{escape, table};
use super::panels::{Named, plural};
use crate::profile::compare::seconds;
use crate::profile::report::PhaseFigures;
use crate::profile::spans::SpanName;

/// Median, 90th and 99th percentile of each phase on one axis.
pub(super) fn distributions(out: &mut String, reports: &[Named<'_>]) {
    let mut phases: Vec<(String, &'static str, &PhaseFigures)> = Vec::new();
    for (name, class) in [("cold", "s2"), ("warm", "s3"), ("sustained", "s1")] {
        for named in reports {
            let of = &named.report.phases;
            let figures = match name {
                "cold" => &of.cold,
                "warm" => &of.warm,
                _ => &of.sustained,
            };
            if let Some(figures) = figures {
                let class = if named.name.is_some() { named.class } else { class };
                phases.push((named.label(name), class, figures));
            }
        }
    }
    let axis = Axis::from_zero(phases.iter().map(|(_, _, figures)| figures.latency_s.max));
    let place = |value: f64| axis.place(value) * 100.0;
    out.push_str("<figure class=rows>");
    for (name, class, figures) in &phases {
        let p = &figures.latency_s;
        let text = format!(
            "{name}: median {}, 90 % {}, 99 % {}, {}",
            seconds(p.p50),
            seconds(p.p90),
            seconds(p.p99),
            plural(p.count, "run")
        );
        let (text, name) = (escape(&text), escape(name));
        let _ = write!(
            out,
            "<div class=hrow><span class=hname>{name}</span>\
             <div class=hplot role=img aria-label=\"{text}\" title=\"{text}\">\
             <i class=\"range {class}\" style=\"left:{:.2}%;width:{:.2}%\"></i>",
            place(p.min),
            (place(p.max) - place(p.min)).max(0.3)
        );
        for (mark, value) in [("p99", p.p99), ("p90", p.p90), ("p50", p.p50)] {
            let _ = write!(out, "<i class=\"mark {mark} {class}\" style=\"left:{:.2}%\"></i>", place(value));
        }
        let _ = write!(out, "</div><span class=hvalue>{}</span></div>", seconds(p.p50));
    }
    ticks(out, &axis);
    out.push_str(
        "<figcaption><i class=\"mark p50 s0\"></i>median <i class=\"mark p90 s0\"></i>90 % \
         <i class=\"mark p99 s0\"></i>99 % \
         <i class=\"range s0\"></i>lowest to highest</figcaption></figure>",
    );
    let row = |(name, _, figures): &(String, &str, &PhaseFigures)| {
        let p = &figures.latency_s;
        let factor = format!("{:.3}", figures.real_time_factor);
        let slowdown = figures.slowdown.map_or_else(|| "–".into(), |times| format!("× {times:.3}"));
        let times = [p.min, p.p50, p.p90, p.p99, p.max].map(seconds);
        let first = [name.clone(), p.count.to_string()];
        first.into_iter().chain(times).chain([factor, slowdown]).collect()
    };
    let head = [
        "Phase",
        "Runs",
        "Lowest",
        "Median",
        "90 %",
        "99 %",
        "Highest",
        "Real-time factor",
        "Last third against first",
    ];
    table(out, "Latency by phase, as a table", &head, &phases.iter().map(row).collect::<Vec<_>>(), false);
}

/// The first load and later ones.
pub(super) fn loads(out: &mut String, reports: &[Named<'_>]) {
    let mut bars: Vec<(String, &'static str, f64)> = Vec::new();
    for named in reports {
        let loads = &named.report.measured.loads;
        if named.report.phases.cold.is_some() {
            bars.push((named.label("first"), named.class, loads.first_s));
        }
        for (index, later) in loads.later_s.iter().enumerate() {
            bars.push((named.label(&format!("later {}", index + 1)), named.class, *later));
        }
    }
    let axis = Axis::from_zero(bars.iter().map(|bar| bar.2));
    out.push_str("<figure class=rows>");
    for (name, class, value) in &bars {
        let text = escape(&format!("{name}: {}", seconds(*value)));
        let width = (axis.place(*value) * 100.0).max(0.3);
        let _ = write!(
            out,
            "<div class=hrow><span class=hname>{}</span>\
             <div class=hplot role=img aria-label=\"{text}\" title=\"{text}\">\
             <i class=\"bar {class}\" style=\"width:{width:.2}%\"></i></div><span class=hvalue>{}</span></div>",
            escape(name),
            seconds(*value)
        );
    }
    ticks(out, &axis);
    out.push_str(
        "<figcaption>The first load of the process, then loads after the model was let go. Whether the system had \
         the file in its cache before is not known.</figcaption></figure>",
    );
    let rows: Vec<Vec<String>> = bars.into_iter().map(|(name, _, value)| vec![name, seconds(value)]).collect();
    table(out, "Loads, as a table", &["Load", "Time"], &rows, false);
}

fn ticks(out: &mut String, axis: &Axis) {
    out.push_str("<div class=hrow aria-hidden=true><span></span><div class=hticks>");
    for &tick in &axis.ticks {
        let (place, text) = (axis.place(tick) * 100.0, if tick == 0.0 { "0".to_owned() } else { seconds(tick) });
        let class = if place > 97.0 { " class=end" } else { "" };
        let _ = write!(out, "<span{class} style=\"left:{place:.2}%\">{text}</span>");
    }
    out.push_str("</div><span></span></div>");
}

/// Shares of the time of all runs.
pub(super) fn spans(out: &mut String, reports: &[Named<'_>]) {
    const NAMES: [(SpanName, &str, &str); 4] = [
        (SpanName::Mel, "log-mel", "s4"),
        (SpanName::Encode, "encode", "s1"),
        (SpanName::Decode, "decode", "s3"),
        (SpanName::Align, "align", "s2"),
    ];
    out.push_str("<figure class=rows>");
    for named in reports {
        let measured = &named.report.measured;
        let busy: f64 = measured.runs.iter().map(|run| run.latency_s).sum();
        let of = |name: SpanName| {
            let span = measured.spans.iter().find(|span| span.name == name.name());
            span.map_or(0.0, |span| span.total_s)
        };
        let mut parts: Vec<(&str, &str, f64)> =
            NAMES.into_iter().map(|(name, label, class)| (label, class, of(name))).collect();
        let known: f64 = parts.iter().map(|part| part.2).sum();
        parts.push(("other", "s0", (busy - known).max(0.0)));
        let all = busy.max(known).max(1e-9);
        parts.retain(|part| part.2 / all >= 0.0005);
        let texts: Vec<String> =
            parts.iter().map(|(label, _, value)| format!("{label} {:.1} %", value / all * 100.0)).collect();
        let description = escape(&named.label(&texts.join(", ")));
        if let Some(name) = named.name {
            let _ = write!(out, "<p class=hname>{name}</p>");
        }
        let _ = write!(out, "<div class=shares role=img aria-label=\"{description}\">");
        for ((_, class, value), text) in parts.iter().zip(&texts) {
            let width = value / all * 100.0;
            let _ = write!(out, "<i class={class} style=\"width:{width:.2}%\" title=\"{}\"></i>", escape(text));
        }
        out.push_str("</div><p class=keys>");
        for ((_, class, _), text) in parts.iter().zip(&texts) {
            let _ = write!(out, "<span class=key><i class={class}></i>{}</span>", escape(text));
        }
        out.push_str("</p>");
    }
    out.push_str("</figure>");
}
