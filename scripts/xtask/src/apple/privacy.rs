//! The privacy manifest: nothing is collected, nobody is tracked.

use std::collections::BTreeMap;

use crate::artifact::Value;

/// Functions for whose use Apple asks for a reason, and the reasons that apply (Apple, "Describing use of required
/// reason API"). Rust's standard library calls them.
const ACCESSED: &[(&str, &str)] = &[
    // `stat`: times of files in the app's own folders, and of those that the user chose.
    ("NSPrivacyAccessedAPICategoryFileTimestamp", "C617.1"),
    // `mach_absolute_time`: how long something took.
    ("NSPrivacyAccessedAPICategorySystemBootTime", "35F9.1"),
];

/// The manifest.
pub fn manifest() -> String {
    let text = |text: &str| Value::Text(text.to_owned());
    let accessed = ACCESSED.iter().map(|(category, reason)| {
        dictionary([
            ("NSPrivacyAccessedAPIType", text(category)),
            ("NSPrivacyAccessedAPITypeReasons", Value::List(vec![text(reason)])),
        ])
    });
    crate::artifact::write_plist(&dictionary([
        ("NSPrivacyTracking", Value::Boolean(false)),
        ("NSPrivacyTrackingDomains", Value::List(Vec::new())),
        ("NSPrivacyCollectedDataTypes", Value::List(Vec::new())),
        ("NSPrivacyAccessedAPITypes", Value::List(accessed.collect())),
    ]))
}

/// A dictionary of a property list.
pub fn dictionary<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Dictionary(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>())
}
