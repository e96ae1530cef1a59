use futures_util::FutureExt;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::limits::{CLIENT_IDLE_TIMEOUT, CLIENT_WRITE_STALL_TIMEOUT};

fn open_streams() -> OpenStreams {
    OpenStreams::new(CLIENT_IDLE_TIMEOUT, Arc::default())
}

/// How a connection has to end, if it has to.
fn end(connection: &ClientConnection) -> Option<ConnectionEnd> {
    connection.end().now_or_never()
}

fn is_cut(connection: &ClientConnection) -> bool {
    connection.connection.cut.is_due()
}

/// Looks at what is open once a second, for so many seconds.
async fn pass(open: &OpenStreams, seconds: u64) {
    for _ in 0..seconds {
        tokio::time::advance(Duration::from_secs(1)).await;
        open.lock().sweep(Instant::now());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_asks_for_more_ends_with_its_lease_and_takes_the_connection_along() {
    let cut = Arc::new(CutConnections::default());
    let open = OpenStreams::new(CLIENT_IDLE_TIMEOUT, Arc::clone(&cut));
    let (late, other) = (open.connection(), open.connection());
    let lease = Lease { until: Some(Instant::now() + Duration::from_secs(10)), watch: None };
    let _late_streams = [late.streams().open(&lease, None), late.streams().open(&lease, None)];
    let _endless = other.streams().open(&Lease::default(), None);
    let grace = STREAM_OVERDUE_GRACE.as_secs();
    pass(&open, 10 + grace - 1).await;
    assert!(!is_cut(&late), "what is under way has its grace");
    pass(&open, 1).await;
    assert!(is_cut(&late) && !is_cut(&other));
    late.cut().await;
    pass(&open, 5).await;
    assert_eq!(cut.figures(), CutFigures { stream_overdue: 1, write_stalled: 0 }, "a connection, once");
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_which_nothing_moves_is_idle_whoever_is_to_blame() {
    let open = open_streams();
    let connection = open.connection();
    let stream = connection.streams().open(&Lease::default(), Some(Duration::from_secs(30)));
    let grace = STREAM_OVERDUE_GRACE.as_secs();
    pass(&open, 30).await;
    stream.moved();
    pass(&open, 30 + grace).await;
    assert!(!is_cut(&connection));
    pass(&open, 1).await;
    assert!(is_cut(&connection));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_cut_though_no_stream_is_open() {
    let cut = Arc::new(CutConnections::default());
    let open = OpenStreams::new(CLIENT_IDLE_TIMEOUT, Arc::clone(&cut));
    let connection = open.connection();
    let (ours, mut theirs) = tokio::io::duplex(8);
    let mut writes = connection.watched(ours);
    let stalled = async {
        let _ = writes.write_all(&[0; 64]).await;
    };
    tokio::pin!(stalled);
    assert!(futures_util::poll!(&mut stalled).is_pending());
    let timeout = CLIENT_WRITE_STALL_TIMEOUT.as_secs();
    pass(&open, timeout).await;
    // A client that takes something, however little, begins anew.
    let mut some = [0; 8];
    tokio::io::AsyncReadExt::read_exact(&mut theirs, &mut some).await.expect("some bytes");
    assert!(futures_util::poll!(&mut stalled).is_pending());
    pass(&open, timeout).await;
    assert!(!is_cut(&connection));
    pass(&open, 2).await;
    assert!(is_cut(&connection));
    pass(&open, 5).await;
    assert_eq!(cut.figures(), CutFigures { stream_overdue: 0, write_stalled: 1 }, "once");
}

/// Whoever serves a connection sleeps until it is told.
#[tokio::test(start_paused = true)]
async fn who_waits_for_the_end_is_woken_by_it() {
    let open = open_streams();
    for is_cut in [true, false] {
        let connection = open.connection();
        connection.end_without(SignsOfUse::Requests);
        let lease = Lease { until: Some(Instant::now()).filter(|_| is_cut), watch: None };
        let _stream = connection.streams().open(&lease, None);
        let waiting = tokio::spawn(async move { connection.end().await });
        tokio::task::yield_now().await;
        pass(&open, CLIENT_IDLE_TIMEOUT.as_secs() + 1).await;
        let told = tokio::time::timeout(Duration::from_secs(1), waiting).await.expect("it is told");
        assert_eq!(told.expect("no panic") == ConnectionEnd::Cut, is_cut);
    }
}

/// A worker that was held up looks late, and what is over by then has had its grace.
#[tokio::test(start_paused = true)]
async fn a_late_look_gives_no_more_time() {
    let open = open_streams();
    let [late, idle] = [open.connection(), open.connection()];
    let lease = Lease { until: Some(Instant::now() + Duration::from_secs(10)), watch: None };
    let _late = late.streams().open(&lease, None);
    // The time of this one is over before its lease is, and its grace with it.
    let _idle = idle.streams().open(&lease, Some(Duration::from_secs(10) - STREAM_OVERDUE_GRACE));
    pass(&open, 1).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    open.lock().sweep(Instant::now());
    assert!(is_cut(&idle) && !is_cut(&late));
    tokio::time::advance(STREAM_OVERDUE_GRACE - Duration::from_secs(1)).await;
    open.lock().sweep(Instant::now());
    assert!(is_cut(&late), "from its end, and not from when that was seen");
}

/// A connection by which something is said is used, though nobody asked.
#[tokio::test(start_paused = true)]
async fn a_connection_by_which_something_was_written_is_used() {
    let open = open_streams();
    let connection = open.connection();
    connection.end_without(SignsOfUse::Bytes);
    let timeout = CLIENT_IDLE_TIMEOUT.as_secs();
    pass(&open, timeout).await;
    let (ours, _client) = tokio::io::duplex(8);
    connection.watched(ours).write_all(b"x").await.expect("there is room");
    pass(&open, timeout).await;
    assert_eq!(end(&connection), None);
    pass(&open, 2).await;
    assert_eq!(end(&connection), Some(ConnectionEnd::Unused));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_uses_ends_and_one_with_a_request_under_way_does_not() {
    let open = open_streams();
    let [idle, asked, lasting] = [open.connection(), open.connection(), open.connection()];
    idle.end_without(SignsOfUse::Bytes);
    asked.end_without(SignsOfUse::Bytes);
    let request = asked.streams().begin_request();
    let timeout = CLIENT_IDLE_TIMEOUT.as_secs();
    pass(&open, timeout).await;
    // Whoever sends something begins anew.
    send_a_byte(&idle).await;
    pass(&open, timeout).await;
    assert_eq!(end(&idle), None);
    pass(&open, 2).await;
    // A request that comes when the end is decided, and not yet known, keeps the connection.
    let late = idle.streams().begin_request();
    assert_eq!(end(&idle), None);
    drop(late);
    pass(&open, timeout + 2).await;
    assert_eq!(end(&idle), Some(ConnectionEnd::Unused));
    assert_eq!(end(&asked), None);
    drop(request);
    pass(&open, timeout + 1).await;
    assert_eq!(end(&asked), Some(ConnectionEnd::Unused));
    assert_eq!(end(&lasting), None);
}

#[tokio::test(start_paused = true)]
async fn where_requests_alone_count_no_other_bytes_keep_a_connection_and_none_outlives_its_goodbye() {
    let open = open_streams();
    let [pinging, asking] = [open.connection(), open.connection()];
    pinging.end_without(SignsOfUse::Requests);
    asking.end_without(SignsOfUse::Requests);
    let (timeout, goodbye) = (CLIENT_IDLE_TIMEOUT.as_secs(), REQUEST_HEAD_TIMEOUT.as_secs());
    for _ in 0..timeout {
        send_a_byte(&pinging).await;
        pass(&open, 1).await;
        // Over before anybody looks.
        drop(asking.streams().begin_request());
    }
    pass(&open, 1).await;
    assert_eq!(end(&pinging), Some(ConnectionEnd::Unused));
    assert_eq!(end(&asking), None);
    pass(&open, goodbye - 1).await;
    assert!(!is_cut(&pinging), "it was just told");
    pass(&open, 1).await;
    assert_eq!(end(&pinging), Some(ConnectionEnd::Cut));
    assert_eq!(end(&asking), None);
}

async fn send_a_byte(connection: &ClientConnection) {
    let (ours, mut theirs) = tokio::io::duplex(8);
    theirs.write_all(b"x").await.expect("room");
    let mut byte = [0];
    tokio::io::AsyncReadExt::read_exact(&mut connection.watched(ours), &mut byte).await.expect("a byte");
}

#[tokio::test]
async fn what_is_closed_is_listed_no_more() {
    let open = open_streams();
    let connection = open.connection();
    let streams = connection.streams();
    let stream = streams.open(&Lease::default(), None);
    drop((connection, stream));
    let listed = open.lock();
    assert!(listed.streams.is_empty() && listed.connections.is_empty());
}
