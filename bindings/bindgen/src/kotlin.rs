//! UniFFI's generator for Kotlin, of the version that made the library.

#![forbid(unsafe_code)]

fn main() {
    uniffi::uniffi_bindgen_main();
}
