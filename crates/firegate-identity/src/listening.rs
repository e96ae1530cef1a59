//! Connections, and their bounds: with `firegate dev --lan` whoever is in the local network can open them, and those that
//! ask for nothing would take every place that the process has, the front door's too.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::limits::{
    ACCEPT_RETRY_PAUSE, CONNECTION_IDLE_TIMEOUT, CONNECTION_STREAMS_MAX, CONNECTIONS_MAX, DRAIN_TIMEOUT,
    HEAD_BYTES_MAX, OTHERS_CONNECTIONS_MAX,
};

/// Serves `router` on `listener` until `shutdown`, then finishes what is under way, and not much longer.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let router = TowerToHyperService::new(router);
    let graceful = GracefulShutdown::new();
    let places = Places::new();
    // Dropped at the end, and with it whoever is still connected.
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
            continue;
        };
        match places.take(peer.ip()) {
            Some(place) => {
                let connection = connection(stream, peer, router.clone(), graceful.watcher());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            None => tracing::debug!(%peer, "a connection is closed: there are too many"),
        }
    }
    drop(listener);
    // Longer than this only who dawdles takes.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
}

/// The places for connections. Other machines have their own, so that they cannot take those of this one.
struct Places {
    ours: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Places {
    fn new() -> Self {
        Self {
            ours: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            others: Arc::new(Semaphore::new(OTHERS_CONNECTIONS_MAX)),
        }
    }

    fn take(&self, peer: IpAddr) -> Option<OwnedSemaphorePermit> {
        let places = if peer.to_canonical().is_loopback() { &self.ours } else { &self.others };
        Arc::clone(places).try_acquire_owned().ok()
    }
}

/// Serves one connection until it ends or asks for nothing for too long.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: TowerToHyperService<Router>,
    watcher: Watcher,
) {
    let (requests, under_way) = watch::channel(0_usize);
    let requests = Arc::new(requests);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let turn = UnderWay::begin(&requests);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.call(request);
        async move {
            let answer = answer.await;
            drop(turn);
            answer
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(HEAD_BYTES_MAX);
    builder.http2().max_concurrent_streams(CONNECTION_STREAMS_MAX);
    let serving = watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
    tokio::select! {
        // A client that breaks off has itself to blame.
        _ = serving => {}
        () = idle(under_way) => {}
    }
}

/// A request that is being answered.
struct UnderWay(Arc<watch::Sender<usize>>);

impl UnderWay {
    fn begin(requests: &Arc<watch::Sender<usize>>) -> Self {
        requests.send_modify(|count| *count += 1);
        Self(Arc::clone(requests))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Ends when no request was under way for too long: with a head that does not come to its end as with none at all, with an
/// answer that is not read, and with an HTTP/2 connection that says everything but a request.
async fn idle(mut under_way: watch::Receiver<usize>) {
    loop {
        let is_idle = *under_way.borrow_and_update() == 0;
        let changed = under_way.changed();
        let outcome = match is_idle {
            true => tokio::time::timeout(CONNECTION_IDLE_TIMEOUT, changed).await,
            false => Ok(changed.await),
        };
        // Nobody can begin a request any more, or nobody did.
        if !matches!(outcome, Ok(Ok(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::routing::any;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    /// Longer than anything here may take. The clock is stopped, and goes on to the next timer whenever everybody waits.
    const LONG: Duration = Duration::from_secs(3600);

    async fn start(router: Router) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            serve(listener, router, async move { drop(stopped.await) }).await;
        });
        (address, stop, serving)
    }

    async fn sent(address: SocketAddr, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_for_nothing_ends() {
        let (address, _stop, _serving) = start(Router::new().fallback(any(|| async { "hello" }))).await;
        for bytes in [
            "",
            "P",
            "PRI * HTTP/2.0\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0",
            "GET / HTTP/1.1\r\nhost: a\r\nx: ",
            REQUEST,
        ] {
            let mut stream = sent(address, bytes).await;
            let mut read = Vec::new();
            let ended = tokio::time::timeout(LONG, stream.read_to_end(&mut read)).await;
            assert!(ended.is_ok(), "{bytes:?}");
            assert_eq!(String::from_utf8_lossy(&read).contains("hello"), bytes == REQUEST, "{bytes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_under_way_is_waited_for() {
        let slow = || async {
            tokio::time::sleep(CONNECTION_IDLE_TIMEOUT * 2).await;
            "hello"
        };
        let (address, _stop, _serving) = start(Router::new().fallback(any(slow))).await;
        let mut read = Vec::new();
        sent(address, REQUEST).await.read_to_end(&mut read).await.unwrap();
        assert!(String::from_utf8_lossy(&read).ends_with("hello"), "{read:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_no_half_head() {
        let (address, stop, serving) = start(Router::new()).await;
        let _half = sent(address, "GET / HTTP/1.1\r\nx: ").await;
        // An answer on another connection shows that the first one was taken.
        let mut whole = sent(address, REQUEST).await;
        whole.read_exact(&mut [0; 12]).await.unwrap();
        stop.send(()).unwrap();
        tokio::time::timeout(DRAIN_TIMEOUT * 2, serving).await.expect("it ends").unwrap();
    }

    #[test]
    fn other_machines_cannot_take_the_places_of_this_one() {
        let places = Places::new();
        let there: IpAddr = "192.168.1.7".parse().unwrap();
        let taken: Vec<_> =
            std::iter::from_fn(|| places.take(there)).take(OTHERS_CONNECTIONS_MAX * 2).collect();
        assert_eq!(taken.len(), OTHERS_CONNECTIONS_MAX);
        assert!(places.take("::ffff:192.168.1.8".parse().unwrap()).is_none());
        for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(places.take(here.parse().unwrap()).is_some(), "{here}");
        }
        drop(taken);
        assert!(places.take(there).is_some());
    }
}
