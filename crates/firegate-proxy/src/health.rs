//! The probes' own listener: `/livez` says that the process runs, `/readyz` that it can decide. They are not on the
//! public listener, where a load balancer's idea of a health check could become a way around it.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::body::Body;
use crate::control::ControlHandle;
use crate::limits::{ACCEPT_RETRY_PAUSE, REQUEST_HEAD_TIMEOUT};
use crate::respond::full;

/// Answers probes until the stop.
pub(crate) async fn serve(listener: TcpListener, control: ControlHandle, stop: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
                    continue;
                }
            },
        };
        let control = control.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let response = answer(request.uri().path(), &control);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                // A probe that breaks off is the prober's affair.
                _ = connection => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

fn answer(path: &str, control: &ControlHandle) -> Response<Body> {
    let (status, text) = match path {
        "/livez" => (StatusCode::OK, "alive\n"),
        "/readyz" if control.is_ready() => (StatusCode::OK, "ready\n"),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "not ready: the issuer's keys were not fetched yet\n"),
        _ => (StatusCode::NOT_FOUND, "only /livez and /readyz are here\n"),
    };
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response
}
