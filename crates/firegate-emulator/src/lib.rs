//! Google's part of `firegate dev`, on this machine: the endpoints that mint Google's tokens ([`google`]), Cloud Run's
//! front that enforces IAM before a container ([`cloud_run`]), and a sample container ([`service`]).
//!
//! They check what Google checks and refuse in Google's words, so that a configuration that works here fails nowhere
//! else for a reason that could have been seen here. Nothing in this crate reaches beyond loopback by itself.

pub mod cloud_run;
pub mod google;
pub mod limits;
pub mod member;
pub mod service;

mod loopback;
mod published_keys;
mod serve;

pub use firegate_core::time::SharedClock;
