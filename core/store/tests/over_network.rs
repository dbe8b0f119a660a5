//! What a store promises, with this process's own network.

// Helpers of tests may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "network")]

#[path = "cases/client.rs"]
mod client;
#[path = "cases/faults.rs"]
mod faults;
#[path = "cases/folder.rs"]
mod folder;
#[path = "cases/pull.rs"]
mod pull;

fn transport() -> sotto_store::Network {
    sotto_store::Network::new()
}
