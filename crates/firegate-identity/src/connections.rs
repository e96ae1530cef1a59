//! The listener and its connections. Under `firegate dev --lan` anybody in the network can open some: none is kept that asks for
//! nothing, and other machines never take the places of this one.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::limits::{
    ACCEPT_RETRY_PAUSE, CONNECTION_IDLE_TIMEOUT, CONNECTION_STOP_GRACE, FOREIGN_CONNECTIONS_MAX,
};

/// The bounds of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long a connection may be without a request.
    idle: Duration,
    /// How many connections there may be of clients that are bounded in number.
    bounded_max: usize,
    /// Which clients are.
    is_bounded: fn(IpAddr) -> bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            idle: CONNECTION_IDLE_TIMEOUT,
            bounded_max: FOREIGN_CONNECTIONS_MAX,
            is_bounded: |peer| !peer.to_canonical().is_loopback(),
        }
    }
}

/// Serves HTTP/1.1 and HTTP/2 without TLS until `shutdown`, then finishes what is under way.
pub(crate) async fn serve<A, F>(
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
    bounds: Bounds,
    answer: A,
) -> io::Result<()>
where
    A: Fn(SocketAddr, Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(bounds.bounded_max));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut has_warned = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            // What has ended is forgotten.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // Files are short, or the client is gone already.
            tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
            continue;
        };
        let place = Arc::clone(&places).try_acquire_owned().ok();
        if (bounds.is_bounded)(peer.ip()) && place.is_none() {
            if !std::mem::replace(&mut has_warned, true) {
                let most = bounds.bounded_max;
                tracing::warn!(%peer, "other machines have {most} connections to the identity server, and get no more");
            }
            continue;
        }
        let place = place.filter(|_| (bounds.is_bounded)(peer.ip()));
        let (answer, stopped) = (answer.clone(), stopped.clone());
        connections.spawn(async move {
            connection(stream, peer, bounds.idle, stopped, answer).await;
            drop(place);
        });
    }
    drop(listener);
    stop.send_replace(true);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Serves one connection to its end, or for as long as it has requests.
async fn connection<A, F>(
    stream: TcpStream,
    peer: SocketAddr,
    mut idle: Duration,
    mut stopped: watch::Receiver<bool>,
    answer: A,
) where
    A: Fn(SocketAddr, Request<Body>) -> F,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let usage = Usage::begun(Instant::now());
    let service = service_fn(|request: Request<Incoming>| {
        let under_way = usage.request();
        let answering = answer(peer, request.map(Body::new));
        async move {
            let response = answering.await;
            drop(under_way);
            Ok::<_, Infallible>(response)
        }
    });
    // A head that does not end, the first bytes that do not come, and a client that takes no answer are all the same here: nothing
    // is under way. hyper waits for the first bytes without an end.
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut until = Instant::now() + idle;
    let mut is_stopping = false;
    loop {
        tokio::select! {
            // A client that breaks off has itself to blame.
            _ = connection.as_mut() => return,
            _ = stopped.wait_for(|stopped| *stopped), if !is_stopping => {
                is_stopping = true;
                idle = CONNECTION_STOP_GRACE;
                until = Instant::now() + idle;
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep_until(until) => {
                let now = Instant::now();
                until = usage.idle_since().unwrap_or(now).max(until - idle) + idle;
                if until <= now {
                    return;
                }
            }
        }
    }
}

/// Whether a connection has requests under way, and since when it has none.
#[derive(Clone, Debug)]
struct Usage(Arc<Mutex<Used>>);

#[derive(Debug)]
struct Used {
    requests: usize,
    idle_since: Instant,
}

impl Usage {
    fn begun(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Used { requests: 0, idle_since: now })))
    }

    /// A request is under way until what this gives is dropped.
    fn request(&self) -> UnderWay {
        self.lock().requests += 1;
        UnderWay(self.clone())
    }

    fn idle_since(&self) -> Option<Instant> {
        let used = self.lock();
        (used.requests == 0).then_some(used.idle_since)
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct UnderWay(Usage);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut used = self.0.lock();
        used.requests -= 1;
        used.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{Notify, oneshot};

    use super::*;

    struct Served {
        address: SocketAddr,
        /// Lets a request for `/slow` be answered.
        slow: Arc<Notify>,
        stop: oneshot::Sender<()>,
        serving: tokio::task::JoinHandle<io::Result<()>>,
    }

    impl Served {
        async fn within(bounds: Bounds) -> Self {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let slow = Arc::new(Notify::new());
            let (stop, stopped) = oneshot::channel();
            let slowed = Arc::clone(&slow);
            let answer = move |_, request: Request<Body>| {
                let slowed = Arc::clone(&slowed);
                async move {
                    if request.uri().path() == "/slow" {
                        slowed.notified().await;
                    }
                    Response::new(Body::from("answered"))
                }
            };
            let stopped = async move {
                let _ = stopped.await;
            };
            let serving = tokio::spawn(serve(listener, stopped, bounds, answer));
            Self { address, slow, stop, serving }
        }

        async fn open(&self, bytes: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.expect("a connection");
            stream.write_all(bytes.as_bytes()).await.expect("it is sent");
            stream
        }

        async fn close(self) {
            self.stop.send(()).expect("it is served");
            self.serving.await.expect("no panic").expect("it ends");
        }
    }

    /// Everything up to the end, which comes.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut read = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut read).await;
        String::from_utf8(read).expect("text")
    }

    fn request(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: identity\r\n\r\n")
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_closed() {
        let served = Served::within(Bounds::default()).await;
        for (bytes, answers) in [
            (String::new(), 0),
            ("GET / HT".to_owned(), 0),
            ("GET / HTTP/1.1\r\nHost: identity\r\n".to_owned(), 0),
            ("PRI * HTTP/2.0\r\n".to_owned(), 0),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_owned(), 0),
            (request("/"), 1),
            (request("/").repeat(2), 2),
        ] {
            let mut stream = served.open(&bytes).await;
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.expect("an end");
            let found = String::from_utf8_lossy(&read).matches("answered").count();
            assert_eq!(found, answers, "{bytes:?}");
        }
        served.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_takes_its_time_and_so_does_a_stop() {
        let served = Served::within(Bounds::default()).await;
        let mut stream = served.open(&request("/slow")).await;
        tokio::time::sleep(10 * CONNECTION_IDLE_TIMEOUT).await;
        served.slow.notify_one();
        assert!(rest(&mut stream).await.ends_with("answered"));
        let mut stream = served.open(&request("/slow")).await;
        let mut silent = served.open("GET /").await;
        tokio::time::sleep(CONNECTION_STOP_GRACE).await;
        let (slow, closing) = (Arc::clone(&served.slow), tokio::spawn(served.close()));
        assert_eq!(rest(&mut silent).await, "", "nothing is under way on it");
        tokio::time::sleep(10 * CONNECTION_STOP_GRACE).await;
        slow.notify_one();
        assert!(rest(&mut stream).await.ends_with("answered"));
        closing.await.expect("it ends");
    }

    #[tokio::test]
    async fn others_have_so_many_connections_and_this_machine_has_any_number() {
        let bounds = Bounds { bounded_max: 2, is_bounded: |_| true, ..Bounds::default() };
        let served = Served::within(bounds).await;
        let mut first = [served.open("").await, served.open("").await];
        assert_eq!(rest(&mut served.open("").await).await, "", "it is closed at once");
        for stream in &mut first {
            stream.write_all(request("/").as_bytes()).await.expect("it is open");
            assert_ne!(stream.read(&mut [0; 1024]).await.expect("an answer"), 0);
        }
        drop(first);
        served.close().await;
        let own = Served::within(Bounds { bounded_max: 0, ..Bounds::default() }).await;
        let mut stream = own.open(&request("/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
        assert!(rest(&mut stream).await.ends_with("answered"));
        own.close().await;
    }
}
