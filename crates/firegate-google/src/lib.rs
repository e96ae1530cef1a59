//! The front door's clients of Google: published key sets, Firegate's own Google identity, the exchange of a user's
//! token by workload identity federation, and the look-up of accounts.
//!
//! Everything here runs on the runtime that the [`http::HttpClient`] was made with, whoever awaits it, and survives that
//! the caller goes away. Expiry is judged by the passed-in wall clock, because a process may be frozen and wake with
//! everything stale; pauses and time-outs run on tokio's timer.

pub mod accounts;
pub mod app_check;
mod backoff;
pub mod caller;
mod clock_watch;
pub mod credentials;
pub mod fault;
pub mod federation;
pub mod http;
pub mod id_tokens;
mod kept;
pub mod key_sets;
pub mod limits;
pub mod outage;
mod single_flight;
pub mod tokens;
pub mod user_status;

pub use clock_watch::watch_clock;
