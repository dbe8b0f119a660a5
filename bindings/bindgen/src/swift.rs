//! UniFFI's generator for Swift, of the version that made the library.

fn main() {
    uniffi::uniffi_bindgen_swift();
}
