//! Towards the service: everything from a permit to the head of the service's answer.
//!
//! A backend is opened in the [`registry`], which keeps its [endpoints](endpoint) over reloads. A request
//! [enters](passage::Upstream::enter) and thereby has a [`passage`]: its place among those under way ([`load`]) and its
//! endpoint, which [`balance`] chooses, passing over those of which [`outliers`] and [`health`] say that they do badly. It
//! is sent by one of the worker's open [`connections`], or by a new one ([`connect`]) to an address that [`resolve`] found.

mod aside;
mod balance;
mod connect;
mod connections;
mod endpoint;
mod expectation;
mod figures;
mod handshake;
mod headers;
mod health;
mod http1;
mod load;
mod outliers;
mod passage;
mod records;
mod recoverable_body;
mod refusal;
mod registry;
mod resolve;
mod retries;
mod service_body;
mod service_host;
mod socket;
mod transport;
mod tunnel;
mod unanswered;

pub(crate) use figures::{BackendFigures, EndpointFigures};
pub(crate) use handshake::{Handshake, is_switched};
pub(crate) use headers::{IdentityHeaders, OwnFields, RequestHeaders, strip_hop_by_hop};
pub(crate) use http1::Http1Error;
pub(crate) use passage::{Passage, Sending, TimeLimits, Upstream};
pub(crate) use refusal::{FrontRefusal, peek};
pub use registry::BackendError;
pub(crate) use registry::{Upstreams, read_roots};
pub(crate) use resolve::SystemResolver;
pub(crate) use retries::Retries;
pub(crate) use service_body::ServiceBody;
pub(crate) use service_host::ServiceHost;
pub(crate) use tunnel::ServiceTunnel;

#[cfg(test)]
mod tests;
