//! Fetches models from their publishers and keeps them.

#![forbid(unsafe_code)]
