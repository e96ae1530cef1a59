//! What is told of requests while they pass: a line of the log for each, and the numbers of [`crate::metrics`]. A
//! [`RequestRecord`] goes with a request from its head to the last byte of its answer; when it is dropped, everything is told.
//!
//! Nothing on a request's way waits for whoever reads the log. Lines go into a worker's own buffer ([`AccessLog`]), buffers
//! into a bounded queue ([`LogQueue`]), and one thread writes.

mod access_log;
mod line;
mod log_queue;
mod observed_body;
mod record;

pub(crate) use access_log::AccessLogPolicy;
pub use line::rfc_3339;
pub use log_queue::{LogForm, LogQueue};
pub(crate) use observed_body::ObservedBody;
pub(crate) use record::{RequestRecord, Telemetry};
