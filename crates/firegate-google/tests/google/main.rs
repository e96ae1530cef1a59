//! The clients of Google against real servers on this machine that stand for Google's endpoints, well and ill.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod accounts;
mod app_check;
mod credential_faults;
mod credentials;
mod federation;
mod http;
mod id_tokens;
mod key_sets;
mod reliability_keys;
mod support;
mod user_status;
mod user_status_refusals;
mod user_status_refused_questions;
mod user_status_stage;
