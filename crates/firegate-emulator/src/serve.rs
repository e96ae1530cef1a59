//! How every server of this crate runs: on a listener that is passed in, until it is told to stop, and not much longer.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::limits::DRAIN_TIMEOUT;

/// Serves HTTP/1 and h2c on `listener` until `shutdown` completes, then lets requests under way finish for
/// [`DRAIN_TIMEOUT`]: an event stream or a WebSocket would otherwise hold up the end for ever.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stop, stopped) = oneshot::channel();
    let signal = async move {
        shutdown.await;
        // Nobody listens any more only if serving has ended by itself.
        let _ = stop.send(());
    };
    let serving = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(signal);
    let drained = async {
        match stopped.await {
            Ok(()) => tokio::time::sleep(DRAIN_TIMEOUT).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        result = serving => result,
        () = drained => Ok(()),
    }
}
