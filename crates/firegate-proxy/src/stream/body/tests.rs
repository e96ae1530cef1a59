use futures_util::{FutureExt, stream};
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::mpsc;

use super::*;
use crate::limits::REQUEST_BODY_PACE_GRACE;

#[tokio::test(start_paused = true)]
async fn what_is_left_of_an_upload_counts_from_the_end_of_the_answer() {
    let progress = BodyProgress::default();
    let answering = progress.answering();
    let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, hyper::Error>>());
    let idle = Some(REQUEST_BODY_PACE_GRACE * 10);
    let bounds =
        Bounds { pace: Pace::at_least(240), idle, side: Side::Request, progress, ..Bounds::default() };
    let mut body = BoundedBody::new(silent, bounds);
    let began = Instant::now();
    let answer = async {
        tokio::time::sleep(REQUEST_BODY_PACE_GRACE * 3).await;
        drop(answering);
    };
    let (ended, ()) = tokio::join!(body.frame(), answer);
    assert!(matches!(ended, Some(Err(BodyError::TooSlow))));
    let waited = began.elapsed();
    assert!(waited >= REQUEST_BODY_PACE_GRACE * 4, "{waited:?}");
    assert!(waited < REQUEST_BODY_PACE_GRACE * 5, "{waited:?}");
}

/// The two bodies of an exchange are over their time together, and the request's end may be seen first: by the service,
/// which breaks off its answer.
#[tokio::test]
async fn an_answer_that_is_broken_off_because_the_requests_time_was_over_says_so_in_grpc() {
    let answer = async |error: &BodyError, start: &'static [u8]| {
        let progress = BodyProgress::default();
        progress.note_failure(error);
        let frames = [Ok(Frame::data(Bytes::from_static(start))), Err(BodyError::Reset)];
        let headers = [(http::header::CONTENT_TYPE, "application/grpc".parse().expect("a value"))];
        let ending = Ending::of(&headers.into_iter().collect(), http::Version::HTTP_2);
        let bounds = Bounds { ending, progress: progress.clone(), ..Bounds::default() };
        let mut body = BoundedBody::new(StreamBody::new(stream::iter(frames)), bounds);
        body.frame().await.expect("the start").expect("no error");
        let end = body.frame().await.expect("an end");
        (end.map(|frame| frame.into_trailers().expect("trailers")["grpc-status"].clone()), progress.cut())
    };
    const MESSAGE: &[u8] = b"\0\0\0\0\x03one";
    for (error, why) in [
        (BodyError::TooLong, "the request and its answer took longer than they may in all"),
        (BodyError::Idle, "no more of the body came in time"),
        (BodyError::TooSlow, "the body is sent too slowly"),
    ] {
        let (end, cut) = answer(&error, MESSAGE).await;
        assert_eq!((end.expect("trailers"), cut), ("4".parse().expect("a value"), Some(why)));
        // A part of a message is no message.
        let (end, cut) = answer(&error, &MESSAGE[..7]).await;
        assert!(matches!(end, Err(BodyError::Reset)) && cut.is_none());
    }
    let (end, cut) = answer(&BodyError::TooLarge, MESSAGE).await;
    assert!(matches!(end, Err(BodyError::Reset)) && cut.is_none());
}

/// The service takes part in a conversation that was an upload until then.
#[tokio::test(start_paused = true)]
async fn an_answer_that_begins_while_an_upload_is_waited_for_stops_the_pace() {
    let progress = BodyProgress::default();
    let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, hyper::Error>>());
    let idle = Some(REQUEST_BODY_PACE_GRACE * 10);
    let bounds = Bounds {
        pace: Pace::at_least(240),
        idle,
        side: Side::Request,
        progress: progress.clone(),
        ..Bounds::default()
    };
    let mut body = BoundedBody::new(silent, bounds);
    let began = Instant::now();
    let answer = async {
        tokio::time::sleep(REQUEST_BODY_PACE_GRACE / 2).await;
        let answering = progress.answering();
        tokio::time::sleep(REQUEST_BODY_PACE_GRACE * 3).await;
        drop(answering);
    };
    let (ended, ()) = tokio::join!(body.frame(), answer);
    assert!(matches!(ended, Some(Err(BodyError::TooSlow))));
    assert!(began.elapsed() > REQUEST_BODY_PACE_GRACE * 7 / 2, "{:?}", began.elapsed());
}

/// A request's body with these bounds, whose pieces come when they are said.
fn said(bounds: Bounds) -> (mpsc::UnboundedSender<&'static str>, Body) {
    let (say, mut said) = mpsc::unbounded_channel();
    let pieces = stream::poll_fn(move |context| {
        let piece = |text: &'static str| Ok::<_, hyper::Error>(Frame::data(Bytes::from(text)));
        said.poll_recv(context).map(|text| text.map(piece))
    });
    (say, BoundedBody::new(StreamBody::new(pieces), Bounds { side: Side::Request, ..bounds }).streamed())
}

/// Reads a body in a task of its own, as hyper does; how it ends, and how long after now.
async fn end_of(mut body: Body) -> (Duration, Option<BodyError>) {
    let began = Instant::now();
    let read = tokio::spawn(async move {
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                end => return end.and_then(Result::err),
            }
        }
    });
    let end = read.await.expect("no panic");
    (began.elapsed(), end)
}

/// Timers run while a piece is waited for, and here none ever is.
#[tokio::test(start_paused = true)]
async fn a_body_that_never_pauses_ends_at_its_very_moment_too() {
    const TIME: Duration = Duration::from_millis(20);
    for is_lease in [true, false] {
        let began = Instant::now();
        let end = Some(began + TIME);
        let lease = Lease { until: end.filter(|_| is_lease), watch: None };
        let bounds = Bounds { lease, deadline: end.filter(|_| !is_lease), ..Bounds::default() };
        let frames = stream::repeat_with(|| Ok::<_, hyper::Error>(Frame::data(Bytes::from_static(b"x"))));
        let mut body = BoundedBody::new(StreamBody::new(frames), bounds);
        let error = loop {
            match body.frame().await.expect("it has no end of its own") {
                Ok(_) => tokio::time::advance(Duration::from_millis(1)).await,
                Err(error) => break error,
            }
        };
        assert_eq!(began.elapsed(), TIME);
        assert_eq!(matches!(error, BodyError::LeaseOver(LeaseEnd::Expired)), is_lease, "{error}");
        assert_eq!(matches!(error, BodyError::TooLong), !is_lease, "{error}");
        assert!(body.is_end_stream() && body.frame().await.is_none(), "whatever would come");
    }
}

/// Of a request whose lease is over nothing more goes on, and the service has a while to end what it has begun.
#[tokio::test(start_paused = true)]
async fn a_request_body_that_is_waited_for_ends_by_what_comes_first() {
    const SOON: Duration = Duration::from_secs(30);
    const LATER: Duration = Duration::from_secs(60);
    let after = |time: Duration| Instant::now() + time;
    for (lease, deadline, idle, expected, failure) in [
        (LATER, SOON, LATER, SOON, BodyFailure::TooLong),
        (LATER, LATER, SOON, SOON, BodyFailure::Idle),
        (SOON, LATER, LATER, SOON + STREAM_ENDING_GRACE, BodyFailure::LeaseOver),
    ] {
        let progress = BodyProgress::default();
        let (say, body) = said(Bounds {
            lease: Lease { until: Some(after(lease)), watch: None },
            deadline: Some(after(deadline)),
            idle: Some(idle),
            ending: Ending::Withhold,
            progress: progress.clone(),
            ..Bounds::default()
        });
        let late = async {
            tokio::time::sleep(SOON + STREAM_ENDING_GRACE / 2).await;
            // Nobody hears it any more.
            let _ = say.send("late");
        };
        let ((passed, error), ()) = tokio::join!(end_of(body), late);
        assert!(error.is_some());
        assert_eq!((passed, progress.failure()), (expected, Some(failure)));
        assert!(!progress.take_other_moved(Side::Answer), "nothing went through");
    }
}

/// The time in which the service answered is none in which the client was waited for, and what came after it is.
#[tokio::test(start_paused = true)]
async fn a_client_is_waited_for_by_the_time_that_is_not_answered() {
    const SECOND: Duration = Duration::from_secs(1);
    // A piece comes while it is answered, or some seconds after that.
    for (comes_after, waited) in [(95, 0), (105, 5)] {
        let progress = BodyProgress::default();
        let answering = progress.answering();
        let idle = Some(1000 * SECOND);
        let (say, body) = said(Bounds { pace: Pace::at_least(240), idle, progress, ..Bounds::default() });
        let client = async {
            tokio::time::sleep(comes_after * SECOND).await;
            say.send("").expect("it is read");
        };
        let service = async {
            tokio::time::sleep(100 * SECOND).await;
            drop(answering);
        };
        let ((passed, error), (), ()) = tokio::join!(end_of(body), client, service);
        assert!(matches!(error, Some(BodyError::TooSlow)), "{error:?}");
        let from = comes_after.max(100) * SECOND;
        assert_eq!(passed, from + REQUEST_BODY_PACE_GRACE - waited * SECOND, "{comes_after}");
        drop(say);
    }
}

/// Whoever is silent is so from the first piece that is missed, whatever begins and ends meanwhile.
#[tokio::test(start_paused = true)]
async fn the_end_of_an_answer_gives_a_silent_client_no_more_time() {
    const IDLE: Duration = Duration::from_secs(60);
    let progress = BodyProgress::default();
    let answering = progress.answering();
    let (_say, body) =
        said(Bounds { pace: Pace::at_least(1), idle: Some(IDLE), progress, ..Bounds::default() });
    let service = async {
        tokio::time::sleep(IDLE - REQUEST_BODY_PACE_GRACE / 2).await;
        drop(answering);
    };
    let ((passed, error), ()) = tokio::join!(end_of(body), service);
    assert!(matches!(error, Some(BodyError::Idle)), "{error:?}");
    assert_eq!(passed, IDLE);
}

/// Each of the two directions keeps the other one, and each piece counts once.
#[tokio::test(start_paused = true)]
async fn a_silent_direction_is_idle_when_the_other_one_is() {
    const IDLE: Duration = Duration::from_secs(60);
    for side in [Side::Request, Side::Answer] {
        let progress = BodyProgress::default();
        let other = if side == Side::Request { Side::Answer } else { Side::Request };
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, hyper::Error>>());
        let bounds = Bounds { idle: Some(IDLE), side, progress: progress.clone(), ..Bounds::default() };
        let moving = async {
            for which in [other, side] {
                tokio::time::sleep(IDLE / 2 + IDLE / 4).await;
                progress.note_moved(which);
            }
        };
        let silent = BoundedBody::new(silent, bounds).streamed();
        let ((passed, error), ()) = tokio::join!(end_of(silent), moving);
        assert!(matches!(error, Some(BodyError::Idle)), "{error:?}");
        assert_eq!(passed, 2 * IDLE, "{side:?}");
    }
}

/// As a request that came at once is no reason to wait twice as long for its answer.
#[tokio::test(start_paused = true)]
async fn what_moved_before_a_piece_is_missed_gives_it_no_more_time() {
    const IDLE: Duration = Duration::from_secs(60);
    for side in [Side::Request, Side::Answer] {
        let progress = BodyProgress::default();
        progress.note_moved(if side == Side::Request { Side::Answer } else { Side::Request });
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, hyper::Error>>());
        let bounds = Bounds { idle: Some(IDLE), side, progress, ..Bounds::default() };
        let (passed, error) = end_of(BoundedBody::new(silent, bounds).streamed()).await;
        assert!(matches!(error, Some(BodyError::Idle)), "{error:?}");
        assert_eq!(passed, IDLE, "{side:?}");
    }
}

/// The end of the process waits for no rest of a request that is answered, and for what is not answered yet.
#[tokio::test(start_paused = true)]
async fn a_stop_ends_what_nobody_misses() {
    const IDLE: Duration = Duration::from_secs(60);
    const STOP: Duration = Duration::from_secs(5);
    for is_answered in [false, true] {
        let (progress, stop) = (BodyProgress::default(), Arc::new(CancellationToken::new()));
        let answering = progress.answering();
        let token = Some(Arc::clone(&stop));
        let (_say, body) = said(Bounds { idle: Some(IDLE), progress, stop: token, ..Bounds::default() });
        let stopping = async {
            tokio::time::sleep(STOP / 2).await;
            let answering = Some(answering).filter(|_| !is_answered);
            tokio::time::sleep(STOP / 2).await;
            stop.cancel();
            answering
        };
        let ((passed, error), _answering) = tokio::join!(end_of(body), stopping);
        assert_eq!(passed, if is_answered { STOP } else { IDLE });
        assert_eq!(matches!(error, Some(BodyError::Unwanted)), is_answered, "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_waited_for_only_while_somebody_asks_for_more() {
    const MOMENT: Duration = Duration::from_millis(1);
    let progress = BodyProgress::default();
    let (say, mut body) = said(Bounds { progress: progress.clone(), ..Bounds::default() });
    assert!(body.frame().now_or_never().is_none() && progress.awaits_client());
    assert_eq!(progress.last_moved(), None);
    for _ in 0..2 {
        tokio::time::advance(MOMENT).await;
        say.send("a").expect("it is read");
        body.frame().await.expect("a piece").expect("no error");
        assert!(!progress.awaits_client() && progress.last_moved() == Some(Instant::now()));
    }
    assert!(body.frame().now_or_never().is_none() && progress.awaits_client());
    tokio::time::advance(MOMENT).await;
    drop(body);
    assert!(!progress.awaits_client() && progress.last_moved() == Some(Instant::now()));
    tokio::time::advance(MOMENT).await;
    progress.note_awaits_client(false);
    assert!(progress.last_moved() < Some(Instant::now()), "nobody was waited for");
}

#[tokio::test]
async fn no_trailer_of_an_answer_says_what_is_the_doors_to_say() {
    let names = [FIREGATE_REASON, FIREGATE_REQUEST_ID, HeaderName::from_static("grpc-status")];
    let said = names.map(|name| (name, http::HeaderValue::from_static("0"))).into_iter().collect();
    let frames = stream::iter([Ok::<_, hyper::Error>(Frame::trailers(said))]);
    let mut body = BoundedBody::new(StreamBody::new(frames), Bounds::default());
    let trailers = body.frame().await.expect("trailers").expect("no error").into_trailers();
    assert_eq!(trailers.expect("trailers").keys().collect::<Vec<_>>(), ["grpc-status"]);
}
