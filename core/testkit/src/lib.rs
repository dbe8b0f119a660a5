//! Goldens, tolerances and synthetic models for Sotto's tests.

#![forbid(unsafe_code)]
