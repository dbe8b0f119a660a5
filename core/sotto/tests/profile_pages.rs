//! Pages of profiles: complete, closed, and safe whatever stands in a report.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use serde_json::Value;
use sotto::profile::compare::{differences, figures};
use sotto::profile::{
    ClipFigures, Machine, Measured, Memory, Outcome, Phase, Plan, PowerSource, ProfileReport, Rail, Reading, Run,
    Sample, Subject, ThermalState, page,
};

/// A profile of so many sustained runs that take `latency_s` each, on a device that says all that can be said.
fn profile(runs: usize, latency_s: f64, name: &str) -> ProfileReport {
    let run = |index: usize| Run {
        phase: match index {
            0 => Phase::Cold,
            1..=5 => Phase::Warm,
            _ => Phase::Sustained,
        },
        clip: 0,
        at_s: index as f64 * latency_s,
        latency_s,
        outcome: Outcome { audio_s: 8.0, windows: 1, tokens: 20, ..Outcome::default() },
        resident_bytes: Some(100 << 20),
        allocations: Some(7),
        wakeups: 3,
    };
    let states = [ThermalState::Nominal, ThermalState::Fair, ThermalState::Serious, ThermalState::Critical];
    let sample = |index: usize| Sample {
        at_s: index as f64 * 10.0 - 1.0,
        reading: Reading {
            thermal: Some(states[index % 4]),
            temperature_c: Some(30.0 + index as f64),
            battery_level: Some(0.9),
            power: Some(PowerSource::Battery),
            clock_mhz: Some(2000.0),
            rails: vec![Rail { name: name.to_owned(), energy_uj: index as u64 * 10_000_000 }],
            ..Reading::default()
        },
    };
    let duration_s = (runs + 6) as f64 * latency_s;
    ProfileReport::of(Measured {
        duration_s,
        subject: Subject { task: "speech".into(), model: name.to_owned(), threads: 4, ..Subject::default() },
        machine: Machine { name: name.to_owned(), system: name.to_owned(), ..Machine::default() },
        plan: Plan {
            clips: vec![ClipFigures { name: name.to_owned(), seconds: 8.0, has_text: false }],
            ..Plan::default()
        },
        runs: (0..runs + 6).map(run).collect(),
        memory: Memory { budget_bytes: Some(200 << 20), ..Memory::default() },
        samples: (0..(duration_s / 10.0) as usize + 2).map(sample).collect(),
        ..Measured::default()
    })
}

/// Reads the tags of a page and refuses what is not closed; returns the text between them.
fn read(page: &str) -> String {
    const VOID: [&str; 3] = ["meta", "path", "!doctype"];
    let (mut open, mut text, mut rest) = (Vec::new(), String::new(), page);
    while let Some((before, tail)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, tail) = tail.split_once('>').unwrap();
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
        rest = tail;
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "in <{tag}>");
        } else if name == "script" || name == "style" {
            rest = rest.split_once(&format!("</{name}>")).unwrap().1;
        } else if !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    text
}

#[test]
fn pages_are_whole_and_ask_nothing_of_any_network() {
    let (short, long, none) =
        (profile(4, 0.4, "short"), profile(2000, 0.4, "long"), ProfileReport::of(Measured::default()));
    let pages = [
        page::report(&short),
        page::report(&long),
        page::report(&none),
        page::comparison(&short, &long),
        page::comparison(&none, &none),
    ];
    for page in &pages {
        let text = read(page);
        for foreign in ["http://", "https://", "src=", "href=", "url(", "@import"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(!page.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(page.contains("prefers-color-scheme:dark") && page.contains("default-src 'none'"));
    }
    // Half an hour of runs is drawn as a band, not as dots.
    assert!(pages[1].len() < 300_000, "{} bytes", pages[1].len());
}

#[test]
fn names_from_outside_stay_text() {
    let name = "</script><script>alert('\"&')</script>";
    let hostile = profile(10, 0.4, name);
    for page in [page::report(&hostile), page::comparison(&hostile, &hostile)] {
        read(&page);
        assert!(!page.contains("<script>alert") && !page.contains("</script><script>alert"));
        assert!(page.contains("&lt;script&gt;alert"));
    }
}

#[test]
fn every_plot_has_a_description_and_a_table_behind_it() {
    let page = page::report(&profile(300, 0.4, "model"));
    for part in
        ["Latency of each run", "Memory of the process", "Heat", "Temperature", "Power of the rails", "Governor"]
    {
        assert!(page.contains(part), "{part}");
    }
    let plots = page.matches("class=plot ").count() + page.matches("class=\"plot lane\"").count();
    let rows = page.matches("class=hplot ").count() + page.matches("class=shares ").count();
    assert!(plots >= 9 && rows >= 3, "{plots} plots, {rows} rows");
    assert_eq!(page.matches("role=img aria-label=\"").count(), plots + rows);
    assert!(page.matches("<details").count() >= 6 && page.contains("class=limit"));
    assert!(page.contains(">critical</span>") && page.contains("not measured"));
}

#[test]
fn differences_have_a_sign_and_small_ones_are_noise() {
    let (a, b, c) = (profile(10, 0.40, "x"), profile(10, 0.41, "x"), profile(10, 0.80, "x"));
    let of = |one: &ProfileReport, other: &ProfileReport, name: &str| {
        let all = differences(one, other).differences;
        all.into_iter().find(|difference| difference.name == name).unwrap()
    };
    let small = of(&a, &b, "sustained_latency_p50_s");
    assert!(!small.notable && (small.change.unwrap() - 0.025).abs() < 1e-9);
    let doubled = of(&a, &c, "sustained_latency_p50_s");
    assert!(doubled.notable && (doubled.change.unwrap() - 1.0).abs() < 1e-9);
    assert!(of(&c, &a, "sustained_real_time_factor").change.unwrap() < 0.0);
    assert!(differences(&a, &b).warnings.iter().all(|warning| !warning.contains("differ in")));
    let other = profile(10, 0.4, "y");
    let warnings = differences(&a, &other).warnings;
    assert!(warnings.iter().any(|warning| warning.contains("machines") && warning.contains("models")), "{warnings:?}");
    assert_eq!(figures(&a).len(), figures(&ProfileReport::of(Measured::default())).len());
}

/// Every number of a value, in order.
fn numbers<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    match value {
        Value::Number(_) => found.push(value),
        Value::Array(values) => values.iter_mut().for_each(|value| numbers(value, found)),
        Value::Object(fields) => fields.values_mut().for_each(|value| numbers(value, found)),
        _ => {}
    }
}

#[test]
fn numbers_that_no_device_gives_break_no_page() {
    let sound: Value = serde_json::from_str(&profile(1, 0.4, "x").to_json().unwrap()).unwrap();
    let extremes = ["0", "-1", "1e308", "-1e308", "5e-324", "18446744073709551615", "-9223372036854775808"];
    let extremes = extremes.map(|number| serde_json::from_str::<Value>(number).unwrap());
    let count = {
        let mut copy = sound.clone();
        let mut found = Vec::new();
        numbers(&mut copy, &mut found);
        found.len()
    };
    let mut drawn = 0;
    for extreme in &extremes {
        // One after the other, and all at once.
        for index in (0..count).step_by(5).map(Some).chain([None]) {
            let mut broken = sound.clone();
            let mut found = Vec::new();
            numbers(&mut broken, &mut found);
            for (at, number) in found.into_iter().enumerate() {
                if index.is_none_or(|index| index == at) {
                    *number = extreme.clone();
                }
            }
            broken["version"] = 1.into();
            // Invalid counts are refused.
            let Ok(report) = ProfileReport::from_json(&broken.to_string()) else { continue };
            read(&page::comparison(&report, &report));
            drop(ProfileReport::of(report.measured));
            drawn += 1;
        }
    }
    assert!(drawn > count / 2, "{drawn} of {count}");
}
