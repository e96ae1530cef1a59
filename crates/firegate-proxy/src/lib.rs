//! The front door's input and output: listeners, HTTP, the way to the services, and the clients of Google that the
//! decision asks. What passes and what does not is decided in `firegate-core` alone.
//!
//! A request's way through the modules: [`listen`] accepts, a [`worker`] serves, [`connection`] speaks the protocol,
//! [`request`] reads the head, [`door`] drives the decision, [`control`] fetches what it needs, [`assertions`] signs who the
//! user is, [`upstream`] sends, [`stream`] bounds the bodies, [`respond`] refuses, and [`telemetry`] tells of it.

mod admin;
mod assertions;
mod client_places;
mod connection;
mod control;
mod door;
mod exchange;
mod files;
mod generation;
mod geography;
mod health;
mod http1;
pub mod limits;
mod limits_store;
mod listen;
mod metrics;
mod moment;
mod panics;
mod preflight;
mod private_listener;
mod refused;
mod reload;
mod request;
mod request_id;
mod requests;
mod respond;
mod start;
mod stream;
mod telemetry;
pub mod threads;
mod upstream;
mod well_known;
mod worker;

pub use assertions::AssertionKeyError;
#[doc(hidden)]
pub use connection::framing;
pub use door::{OwnAnswer, OwnPath};
pub use files::{FileReadError, FileWatch, read_at_start, read_start};
pub use geography::{GeographyError, open_geography};
pub use limits_store::LimitsStoreError;
pub use listen::{CertificateError, InheritError, InheritedSockets};
pub use preflight::{Preflight, PreflightError, preflight, preflight_files, preflight_url_map};
pub use reload::ReloadError;
pub use request::read as read_head;
pub use respond::grpc_status;
pub use start::{FrontDoor, FrontDoorOptions, StartError};
pub use telemetry::{LogForm, LogQueue, rfc_3339};
pub use upstream::BackendError;
