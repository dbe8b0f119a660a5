//! UniFFI's generator for Kotlin, of the version that made the library.

fn main() {
    uniffi::uniffi_bindgen_main();
}
