//! Any text as the name of a model, as a revision, as a folder to pull from and as the range of a download: an error,
//! or what stays inside its folder, is asked over an encrypted connection and reads back as it was written.

#![no_main]

use std::path::Component;

use libfuzzer_sys::fuzz_target;
use sotto_store::{ContentRange, ModelName, Origin, Revision};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = text.parse::<ModelName>() {
        assert_eq!(name.to_string(), text);
        let repository: ModelName = name.repository().parse().expect("a name's repository is a name");
        assert_eq!(repository.file(), None);
        let safe =
            |path: &str| std::path::Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        assert!(safe(text), "a name that leaves its folder");
    }
    if let Ok(revision) = text.parse::<Revision>() {
        assert_eq!(revision.as_str(), text);
        assert!(!text.contains("..") && !text.starts_with('/'));
    }
    if let Ok(Origin::Web(_)) = Origin::folder(text) {
        let text = text.to_ascii_lowercase();
        let inside = ["127.", "localhost", "["].iter().any(|host| text.starts_with(&format!("http://{host}")));
        assert!(inside || text.starts_with("https://"), "a folder on another machine without encryption");
    }
    if let Some(range) = ContentRange::parse(text) {
        assert!(range.first <= range.last && range.total.is_none_or(|total| range.last < total));
    }
});
