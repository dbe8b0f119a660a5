//! Bytes as a manifest (`sotto.json`) and as a hub's description of a repository: a value or an error. Whatever is
//! accepted as a manifest names files inside its own folder only, and reads back the same after writing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_store::{Manifest, RepositoryInfo};

fuzz_target!(|data: &[u8]| {
    if let Ok(manifest) = Manifest::parse(data) {
        assert!(!manifest.files.is_empty());
        for file in &manifest.files {
            assert!(
                !file.path.is_empty() && !file.path.contains(['/', '\\', ':', '\0']) && !file.path.starts_with('.')
            );
        }
        assert_eq!(Manifest::parse(manifest.to_json().as_bytes()).as_ref(), Ok(&manifest));
    }
    if let Ok(info) = RepositoryInfo::parse(data) {
        assert_eq!(info.commit.as_str().len(), 40);
    }
});
