//! The `sotto` command line.

#![forbid(unsafe_code)]

fn main() {}
