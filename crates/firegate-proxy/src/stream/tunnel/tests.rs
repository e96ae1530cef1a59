use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{DuplexStream, ReadBuf, duplex};
use tokio::task::JoinHandle;

use super::*;

/// A connection that panics when it is read.
struct Treacherous(DuplexStream);

impl AsyncRead for Treacherous {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        panic!("the connection fell down")
    }
}

impl AsyncWrite for Treacherous {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[tokio::test]
async fn a_panic_is_counted_and_the_client_gets_a_close_frame() {
    let panics = Arc::new(Panics::default());
    let (ours, mut client) = duplex(1024);
    let (theirs, _service) = duplex(1024);
    let tunnels = Tunnels::new(Arc::clone(&panics));
    let tunnel = Tunnel::between(ours, Treacherous(theirs));
    let lease = Lease::default();
    let task = tunnels.panics.contain("a tunnel was given up", async move {
        tunnel.run(Duration::from_secs(60), &lease, &CancellationToken::new(), &panics).await;
    });
    let run = tokio::spawn(task);
    let mut frame = [0; 4];
    client.read_exact(&mut frame).await.expect("a frame");
    assert_eq!((frame[0], &frame[2..]), (0x88, &1011_u16.to_be_bytes()[..]));
    drop(client);
    run.await.expect("it ends");
    assert!(tunnels.panics.count() >= 1);
}

#[tokio::test(start_paused = true)]
async fn sides_that_say_nothing_to_a_goodbye_are_not_waited_for_as_long_as_one_in_the_middle_of_a_frame() {
    let (ours, mut client) = duplex(1024);
    let (theirs, mut service) = duplex(1024);
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    let lease = Lease { until: Some(until), ..Lease::default() };
    let (stop, panics) = (CancellationToken::new(), Panics::default());
    let run = Tunnel::between(ours, theirs).run(Duration::from_secs(3600), &lease, &stop, &panics).await;
    assert_eq!(run.cut, Some(LeaseEnd::Expired.as_str()));
    assert_eq!(until.elapsed(), WEB_SOCKET_CLOSE_TIMEOUT);
    for side in [&mut client, &mut service] {
        let mut goodbye = Vec::new();
        side.read_to_end(&mut goodbye).await.expect("a goodbye");
        assert_eq!(goodbye[0], 0x88);
    }
}

/// What was read at once may take a slow reader longer than the idle time to take.
#[tokio::test(start_paused = true)]
async fn whoever_reads_slowly_and_steadily_is_not_idle() {
    const IDLE: Duration = Duration::from_secs(60);
    const PIECE_BYTES: usize = 1024;
    let (ours, mut client) = duplex(TUNNEL_BUFFER_BYTES);
    let (theirs, mut service) = duplex(PIECE_BYTES);
    client.write_all(&[b'x'; TUNNEL_BUFFER_BYTES]).await.expect("there is room");
    let run = tokio::spawn(async move {
        let (lease, stop, panics) = (Lease::default(), CancellationToken::new(), Panics::default());
        Tunnel::between(ours, theirs).run(IDLE, &lease, &stop, &panics).await
    });
    let mut piece = [0; PIECE_BYTES];
    for number in 0..TUNNEL_BUFFER_BYTES / PIECE_BYTES {
        tokio::time::sleep(IDLE / 2).await;
        service.read_exact(&mut piece).await.expect("a piece");
        assert_eq!(piece, [b'x'; PIECE_BYTES], "{number}");
    }
    // Now nothing moves any more.
    let run = run.await.expect("it ends");
    assert_eq!((run.to_service, run.cut), (TUNNEL_BUFFER_BYTES as u64, Some(TunnelEnd::Idle.reason())));
}

/// A client that does not read what came before has not switched yet, and a stop does not wait until it has.
#[tokio::test(start_paused = true)]
async fn connections_that_do_not_switch_are_told_of_and_hold_no_stop() {
    let joined = async |client: Result<DuplexStream, ()>, is_stopped: bool| {
        let (lease, stop, panics) = (Lease::default(), CancellationToken::new(), Panics::default());
        if is_stopped {
            stop.cancel();
        }
        let never = std::future::pending::<Result<DuplexStream, ()>>();
        let joined = run_switched(async { client }, never, Duration::from_secs(60), &lease, &stop, &panics);
        let joined = tokio::time::timeout(Duration::from_secs(3600), joined).await;
        joined.ok().map(|run| (run.to_client, run.to_service, run.cut))
    };
    let not_switched = Some((0, 0, Some(NOT_SWITCHED)));
    assert_eq!(joined(Err(()), false).await, not_switched);
    assert_eq!(joined(Ok(duplex(8).0), true).await, not_switched);
    assert_eq!(joined(Ok(duplex(8).0), false).await, None, "nothing else ends the wait");
}

/// Each direction ends by itself, and each counts its own.
#[tokio::test(start_paused = true)]
async fn a_side_that_says_no_more_is_still_told_the_rest() {
    let (ours, mut client) = duplex(1024);
    let (theirs, mut service) = duplex(1024);
    let run = tokio::spawn(async move {
        let (lease, stop, panics) = (Lease::default(), CancellationToken::new(), Panics::default());
        Tunnel::between(ours, theirs).run(Duration::from_secs(60), &lease, &stop, &panics).await
    });
    client.write_all(b"all").await.expect("there is room");
    client.shutdown().await.expect("it ends");
    let (mut told, mut answered) = (Vec::new(), Vec::new());
    service.read_to_end(&mut told).await.expect("an end");
    assert_eq!(told, b"all");
    service.write_all(b"the rest").await.expect("there is room");
    drop(service);
    client.read_to_end(&mut answered).await.expect("an end");
    assert_eq!(answered, b"the rest");
    let run = run.await.expect("no panic");
    assert_eq!((run.to_service, run.to_client, run.cut), (3, 8, None));
}

#[tokio::test(start_paused = true)]
async fn a_side_that_leaves_in_the_middle_of_a_frame_gets_no_other_frame_into_it() {
    let (ours, mut client) = duplex(1024);
    let (theirs, mut service) = duplex(1024);
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    let run = tokio::spawn(async move {
        let lease = Lease { until: Some(until), ..Lease::default() };
        let (stop, panics) = (CancellationToken::new(), Panics::default());
        Tunnel::between(ours, theirs).run(Duration::from_secs(3600), &lease, &stop, &panics).await
    });
    service.write_all(b"\x82\x05one").await.expect("there is room");
    tokio::time::sleep_until(until + STREAM_ENDING_GRACE / 2).await;
    drop(service);
    let mut told = Vec::new();
    client.read_to_end(&mut told).await.expect("an end");
    assert_eq!(told, b"\x82\x05one");
    drop(client);
    assert_eq!(run.await.expect("no panic").cut, Some(LeaseEnd::Expired.as_str()));
}

/// A tunnel whose lease is over after a while, in a task of its own.
fn leased<S>(ours: DuplexStream, theirs: S) -> (tokio::time::Instant, JoinHandle<TunnelRun>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    let run = tokio::spawn(async move {
        let lease = Lease { until: Some(until), ..Lease::default() };
        let (stop, panics) = (CancellationToken::new(), Panics::default());
        Tunnel::between(ours, theirs).run(Duration::from_secs(3600), &lease, &stop, &panics).await
    });
    (until, run)
}

/// What is read at once is not all written at once, and the last frame comes behind the whole of it.
#[tokio::test(start_paused = true)]
async fn whoever_reads_slowly_gets_the_whole_frame_and_then_the_goodbye() {
    const FRAME: &[u8] = b"\x82\x08abcdefgh";
    let (ours, mut client) = duplex(4);
    let (theirs, mut service) = duplex(1024);
    let (until, run) = leased(ours, theirs);
    service.write_all(FRAME).await.expect("there is room");
    tokio::time::sleep_until(until + STREAM_ENDING_GRACE / 2).await;
    let mut told = Vec::new();
    client.read_to_end(&mut told).await.expect("an end");
    assert_eq!(told.get(..FRAME.len()), Some(FRAME));
    assert_eq!(told.get(FRAME.len()), Some(&0x88));
    // The end is told with the goodbye, and not when nobody waits for an answer any more.
    assert_eq!(until.elapsed(), STREAM_ENDING_GRACE / 2);
    drop(client);
    run.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn who_has_been_told_goodbye_is_not_told_twice() {
    let (ours, mut client) = duplex(1024);
    let (theirs, mut service) = duplex(1024);
    let (_, run) = leased(ours, theirs);
    service.write_all(b"\x88\x00").await.expect("there is room");
    let mut told = Vec::new();
    client.read_to_end(&mut told).await.expect("an end");
    assert_eq!(told, b"\x88\x00");
    run.await.expect("no panic");
}

/// A connection may hold what is written until it is told to send it, as TLS does.
#[tokio::test(start_paused = true)]
async fn what_was_written_is_sent_though_nothing_follows() {
    let (ours, mut client) = duplex(1024);
    let (theirs, mut service) = duplex(1024);
    let (until, run) = leased(ours, tokio::io::BufWriter::new(theirs));
    client.write_all(b"hello").await.expect("there is room");
    let mut told = [0; 5];
    service.read_exact(&mut told).await.expect("it is sent");
    assert_eq!(&told, b"hello");
    assert!(tokio::time::Instant::now() < until, "and not with the end");
    drop((client, service));
    run.await.expect("no panic");
}
