//! UniFFI's generator for Swift, of the version that made the library.

#![forbid(unsafe_code)]

fn main() {
    uniffi::uniffi_bindgen_swift();
}
