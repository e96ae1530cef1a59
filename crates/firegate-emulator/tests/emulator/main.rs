//! The local Google parts over real sockets: what each endpoint grants, and every reason for which it refuses.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot get on has failed")]

mod app_check;
mod client;
mod cloud_run;
mod federation;
mod forwarding;
mod judgement;
mod metadata;
mod oauth;
mod sample_service;
mod world;
