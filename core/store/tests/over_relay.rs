//! What a store promises, with an app that fetches for it: the same cases as over the network.

// Helpers of tests may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "cases/app.rs"]
mod app;
#[path = "cases/client.rs"]
mod client;
#[path = "cases/faults.rs"]
mod faults;
#[path = "cases/folder.rs"]
mod folder;
#[path = "cases/pull.rs"]
mod pull;

fn transport() -> app::App {
    app::App::start()
}
