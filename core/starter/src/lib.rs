//! The small models that ship with the repository.

#![forbid(unsafe_code)]
