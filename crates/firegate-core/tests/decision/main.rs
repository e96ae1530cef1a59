//! The decision, from a configuration file and a request to its outcome.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod accounts;
mod ambiguous;
mod app_check;
mod armor;
mod callers;
mod iam_files;
mod mirrors;
mod misplaced_tokens;
mod observe;
mod open_backends;
mod outcome;
mod rate_limits;
mod url_map;
mod waiting;
mod world;
