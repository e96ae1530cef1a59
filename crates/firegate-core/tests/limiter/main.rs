//! How often a key may come: the counters by themselves.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bounds;
mod model;
mod semantics;
mod store;
mod threads;
mod world;
