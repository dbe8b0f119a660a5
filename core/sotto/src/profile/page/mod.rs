//! Reports as pages: one self-contained HTML file with plots and their tables.
//!
//! The file makes no network requests, follows the light or dark colours of the system, and is readable on a phone and
//! by a screen reader. Drawing a report of half an hour takes some milliseconds.

mod axis;
mod bars;
mod html;
mod panels;
mod tables;
mod time;

use std::fmt::Write;

use self::html::escape;
use self::panels::{Named, plural};
use super::compare::{self, Comparison, Difference, figures};
use super::energy::EnergyMethod;
use super::report::ProfileReport;
use super::verdict::Validity;

/// The page of one report.
#[must_use]
pub fn report(report: &ProfileReport) -> String {
    let named = [Named { name: None, class: "s1", report }];
    let subject = &report.measured.subject;
    let title = format!("Profile of {} ({})", subject.model, subject.task);
    let mut body = String::new();
    let _ = write!(body, "<header><p class=over>Sotto profile</p><h1>{}</h1>", escape(&subject.model));
    conditions(&mut body, report);
    body.push_str("</header>");
    verdict(&mut body, report, None);
    tiles(&mut body, report);
    body.push_str("<section><h2>Over time</h2>");
    time::stack(&mut body, report.measured.duration_s, &panels::panels(&named));
    tables::over_time(&mut body, &named);
    body.push_str("</section>");
    shared(&mut body, &named);
    body.push_str("<section><h2>Energy</h2>");
    energy(&mut body, report, None);
    body.push_str("</section>");
    footer(&mut body);
    html::page(&title, &body)
}

/// The page of two reports side by side, with the differences of the second from the first.
#[must_use]
pub fn comparison(a: &ProfileReport, b: &ProfileReport) -> String {
    let named = [Named { name: Some("A"), class: "s1", report: a }, Named { name: Some("B"), class: "s2", report: b }];
    let Comparison { warnings, differences } = compare::differences(a, b);
    let mut body = String::from("<header><p class=over>Sotto profiles</p><h1>A against B</h1><div class=pair>");
    for Named { name, class, report } in named {
        let (name, model) = (name.unwrap_or_default(), escape(&report.measured.subject.model));
        let _ = write!(body, "<div><h2><i class={class}></i>{name}: {model}</h2>");
        conditions(&mut body, report);
        verdict(&mut body, report, Some(name));
        body.push_str("</div>");
    }
    body.push_str("</div></header>");
    if !warnings.is_empty() {
        body.push_str("<div class=\"verdict semivalid\"><p><b>Compare with care</b></p><ul>");
        for warning in warnings {
            let _ = write!(body, "<li>{}</li>", escape(&warning));
        }
        body.push_str("</ul></div>");
    }
    body.push_str("<section><h2>Differences</h2>");
    difference_table(&mut body, &differences);
    body.push_str("</section><section><h2>Over time</h2>");
    let length = a.measured.duration_s.max(b.measured.duration_s);
    time::stack(&mut body, length, &panels::panels(&named));
    tables::over_time(&mut body, &named);
    body.push_str("</section>");
    shared(&mut body, &named);
    body.push_str("<section><h2>Energy</h2><div class=pair>");
    for Named { name, report, .. } in named {
        body.push_str("<div>");
        energy(&mut body, report, name);
        body.push_str("</div>");
    }
    body.push_str("</div></section>");
    footer(&mut body);
    html::page("Profiles, A against B", &body)
}

/// The common parts of both pages.
fn shared(body: &mut String, named: &[Named<'_>]) {
    body.push_str("<section><h2>Latency by phase</h2>");
    bars::distributions(body, named);
    body.push_str("</section><section><h2>Loading</h2>");
    bars::loads(body, named);
    body.push_str("</section><section><h2>Where the time goes</h2>");
    bars::spans(body, named);
    tables::spans_and_counters(body, named);
    body.push_str("</section>");
}

/// What was measured, on which device, and for how long.
fn conditions(body: &mut String, report: &ProfileReport) {
    let measured = &report.measured;
    let (subject, machine, plan) = (&measured.subject, &measured.machine, &measured.plan);
    let device = [&machine.name, &machine.system, &machine.architecture];
    let device: Vec<&str> = device.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let audio: f64 = plan.clips.iter().map(|clip| clip.seconds).sum();
    let lines = [
        device.join(", "),
        format!("{}, {}, {}", subject.precision, subject.kernels, plural(subject.threads, "thread")),
        format!(
            "{} of {}; {}",
            plural(plan.clips.len(), "clip"),
            compare::seconds(audio),
            plural(measured.runs.len(), "run")
        ),
        format!("took {}, sotto {}", compare::seconds(measured.duration_s), report.sotto),
    ];
    body.push_str("<ul class=conditions>");
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let _ = write!(body, "<li>{}</li>", escape(line));
    }
    let unix = measured.started_unix_s;
    let _ = write!(body, "<li><time data-unix={unix}>Unix time {unix}</time></li></ul>");
}

fn verdict(body: &mut String, report: &ProfileReport, name: Option<&str>) {
    let (class, sign, text) = match report.verdict.validity {
        Validity::Valid => ("valid", "✓", "Valid: comparable with other valid profiles"),
        Validity::Semivalid => ("semivalid", "!", "Semivalid: real figures, but compare with care"),
        Validity::Invalid => ("invalid", "✕", "Invalid: these figures say nothing of the device"),
    };
    let label = name.map_or_else(|| "Verdict".to_owned(), |name| format!("Verdict on {name}"));
    let _ = write!(
        body,
        "<div class=\"verdict {class}\" role=group aria-label=\"{label}\">\
         <p><i aria-hidden=true>{sign}</i><b>{text}</b></p>"
    );
    if !report.verdict.reasons.is_empty() {
        body.push_str("<ul>");
        for reason in &report.verdict.reasons {
            let kind = match reason.validity {
                Validity::Invalid => "invalid",
                _ => "semivalid",
            };
            let _ = write!(body, "<li><span class=kind>{kind}</span> {}</li>", escape(&reason.text));
        }
        body.push_str("</ul>");
    }
    body.push_str("</div>");
}

/// The most important figures.
fn tiles(body: &mut String, report: &ProfileReport) {
    let of = |name: &str| figures(report).into_iter().find(|figure| figure.name == name).and_then(|f| f.value);
    let shown = |name: &str| {
        let figure = figures(report).into_iter().find(|figure| figure.name == name);
        figure.and_then(|figure| figure.value.map(|value| figure.unit.show(value)))
    };
    // The sustained phase shows what users get; without it the warm runs are used.
    let phase = if report.phases.sustained.is_some() { "sustained" } else { "warm" };
    let factor = of(&format!("{phase}_real_time_factor")).filter(|factor| *factor > 0.0);
    let speed = factor.map(|factor| format!("{:.1} ×", 1.0 / factor));
    let median = shown(&format!("{phase}_latency_p50_s"));
    let tails = match &report.phases.sustained {
        Some(figures) => {
            let latency = figures.latency_s;
            format!("90 % {}, 99 % {}", compare::seconds(latency.p90), compare::seconds(latency.p99))
        }
        None => "warm runs".to_owned(),
    };
    let energy = match report.energy.method {
        EnergyMethod::NotMeasured => None,
        _ => shown("joules_per_audio_minute"),
    };
    let slowdown = of("slowdown").map_or_else(String::new, |times| match times {
        times if times > 1.05 => format!("{:.0} % slower at the end", (times - 1.0) * 100.0),
        _ => "no slower at the end".into(),
    });
    let errors = report.quality.as_ref().map_or_else(String::new, |quality| {
        let errors = quality.errors;
        format!("{} of {} words", errors.wrong(), errors.words)
    });
    let later = shown("later_load_s").map_or_else(String::new, |later| format!("later {later}"));
    let reserved = shown("reserved_bytes").map_or_else(String::new, |bytes| format!("model {bytes}"));
    let energy_text = match report.energy.watts {
        Some(watts) if energy.is_some() => format!("{watts:.1} W"),
        _ => String::new(),
    };
    let tiles = [
        ("Faster than speech", speed, slowdown),
        ("Latency, median", median, tails),
        ("First load", shown("first_load_s"), later),
        ("Peak memory", shown("peak_bytes"), reserved),
        ("Word errors", shown("word_error_rate"), errors),
        ("Energy per minute of audio", energy, energy_text),
    ];
    body.push_str("<dl class=tiles>");
    for (label, value, text) in tiles {
        let value = value.map_or_else(|| "<small>not measured</small>".to_owned(), |value| escape(&value));
        let _ = write!(body, "<div><dt>{label}</dt><dd>{value}</dd><dd class=text>{}</dd></div>", escape(&text));
    }
    body.push_str("</dl>");
}

/// The figures of both, and in words whether the second is better.
fn difference_table(body: &mut String, differences: &[Difference]) {
    body.push_str(
        "<p>Of all figures less is better. What differs by less than a twentieth is within what two runs of the same \
         differ by.</p><div class=scroll><table><thead><tr><th scope=col>Figure</th><th scope=col>A</th>\
         <th scope=col>B</th><th scope=col>B against A</th></tr></thead><tbody>",
    );
    for Difference { label, unit, a, b, change, notable, .. } in differences {
        let show = |value: Option<f64>| value.map_or_else(|| "not measured".to_owned(), |value| unit.show(value));
        let (class, text) = match (a.zip(*b), change) {
            (None, _) => ("", String::new()),
            (Some(_), Some(change)) if *notable && *change < 0.0 => ("better", format!("▼ {}", percent(*change))),
            (Some(_), Some(change)) if *notable => ("worse", format!("▲ {}", percent(*change))),
            (Some(_), Some(change)) => ("", format!("{}, alike", percent(*change))),
            (Some((a, b)), None) if b > a => ("worse", "▲ from none".to_owned()),
            (Some(_), None) => ("", "alike".to_owned()),
        };
        let word = if class.is_empty() { String::new() } else { format!(" {class}") };
        let _ = write!(
            body,
            "<tr><th scope=row>{label}</th><td>{}</td><td>{}</td><td class=\"{class}\">{text}{word}</td></tr>",
            escape(&show(*a)),
            escape(&show(*b))
        );
    }
    body.push_str("</tbody></table></div>");
}

fn percent(change: f64) -> String {
    let percent = change * 100.0;
    if percent.abs() < 0.05 { "0 %".into() } else { format!("{percent:+.1} %") }
}

fn energy(body: &mut String, report: &ProfileReport, name: Option<&str>) {
    let energy = &report.energy;
    let of = name.map_or_else(String::new, |name| format!("{name}: "));
    let stretch = compare::seconds(energy.to_s - energy.from_s);
    let text = match (energy.method, energy.joules, energy.watts) {
        (EnergyMethod::Rails, Some(joules), Some(watts)) => {
            format!("{of}{joules:.1} J in {stretch}, {watts:.2} W in the mean, from the counters of the rails.")
        }
        (EnergyMethod::CurrentVoltage, Some(joules), Some(watts)) => format!(
            "{of}{joules:.1} J in {stretch}, {watts:.2} W in the mean, from current and voltage of the battery."
        ),
        _ => format!("{of}not measured."),
    };
    let _ = write!(body, "<p>{}</p>", escape(&text));
    if !energy.notes.is_empty() {
        body.push_str("<ul>");
        for note in &energy.notes {
            let _ = write!(body, "<li>{}</li>", escape(note));
        }
        body.push_str("</ul>");
    }
    if !energy.rails.is_empty() {
        let rows: Vec<Vec<String>> =
            energy.rails.iter().map(|rail| vec![rail.name.clone(), format!("{:.2} J", rail.joules)]).collect();
        html::table(body, "Energy of each rail", &["Rail", "Energy"], &rows, true);
    }
}

fn footer(body: &mut String) {
    body.push_str(
        "<footer><p>Nothing that was said is in this file. What the figures mean, and what makes a profile invalid: \
         docs/PROFILING.md of Sotto.</p></footer>",
    );
}
