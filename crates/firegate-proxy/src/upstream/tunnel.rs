//! The service's side of a WebSocket, by whichever HTTP it was asked for.

use http::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_util::either::Either;

use super::http1::SwitchedConnection;
use super::service_body::ServiceBody;

/// A service that switches to another protocol.
#[derive(Debug)]
pub(crate) enum ServiceTunnel {
    Http1(Box<SwitchedConnection>),
    Http2(OnUpgrade),
}

/// The bytes that come and go then.
pub(crate) type TunnelStream = Either<Box<SwitchedConnection>, TokioIo<Upgraded>>;

impl ServiceTunnel {
    /// Of the answer by which the service switches.
    pub(crate) fn of(response: &mut Response<ServiceBody>) -> Self {
        match response.body_mut().take_switched() {
            Some(connection) => Self::Http1(Box::new(connection)),
            None => Self::Http2(hyper::upgrade::on(response)),
        }
    }

    /// The stream, when it is there.
    ///
    /// # Errors
    /// If the connection ends before.
    pub(crate) async fn open(self) -> hyper::Result<TunnelStream> {
        match self {
            Self::Http1(connection) => Ok(Either::Left(connection)),
            Self::Http2(upgrade) => upgrade.await.map(|upgraded| Either::Right(TokioIo::new(upgraded))),
        }
    }
}
