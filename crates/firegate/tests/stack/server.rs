//! Servers of a test's own: services behind the door, and whatever else it asks.

use std::sync::Arc;

use axum::Router;
use firegate_core::time::ShiftedClock;
use firegate_emulator::service::{EchoOptions, EchoService};
use tokio::net::TcpListener;
use url::Url;

/// A free port of this machine, and the URL of what listens there.
pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

/// Serves a router until the test ends, and says where.
pub(crate) async fn serve(router: Router) -> String {
    let (listener, url) = listen().await;
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    url
}

/// The sample service, which says what reached it, until the test ends.
pub(crate) async fn echo(clock: &ShiftedClock) -> Url {
    let (listener, url) = listen().await;
    let url = Url::parse(&url).expect("a URL");
    let options =
        EchoOptions { jwks_url: url.clone(), audiences: Vec::new(), clock: Arc::new(clock.clone()) };
    tokio::spawn(EchoService::new(options).serve(listener, std::future::pending()));
    url
}
