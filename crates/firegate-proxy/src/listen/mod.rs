//! How connections get in. [`sockets`] binds what is listened on, or takes it over; one [`acceptor`] takes every connection
//! from there, asks [`admission`] whether there is a place for it, and hands it to the worker that has the fewest; the
//! worker gets a [`ClientStream`], which is encrypted by [`tls`] with one of the [`certificates`] if there are any.

mod acceptor;
mod admission;
mod certificates;
mod descriptors;
mod entrance;
mod seldom;
mod sockets;
mod stream;
mod tls;

pub(crate) use acceptor::Incoming;
pub(crate) use admission::ConnectionFigures;
pub use certificates::CertificateError;
pub(crate) use certificates::{CertificateFigures, Certificates};
pub(crate) use entrance::{Entrance, EntranceFigures, EntranceOptions};
pub use sockets::{InheritError, InheritedSockets};
pub(crate) use sockets::{Listener, bind};
pub(crate) use stream::ClientStream;
pub(crate) use tls::{Tls, TlsFigures};
