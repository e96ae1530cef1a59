use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::limits::{UPSTREAM_EJECTION_FAILURES, UPSTREAM_REPEATED_MIN, UPSTREAM_REPEATED_PERCENT_MAX};

#[tokio::test]
async fn where_nothing_listens_is_unreachable() {
    let site = Site::new(&format!("url: 'http://{}'", nobody()));
    assert_eq!(code(site.get().await), Code::UpstreamUnreachable);
    let site = Site::new("url: 'http://nowhere.example'");
    assert_eq!(code(site.get().await), Code::UpstreamUnreachable);
    let figures = &site.figures()[0];
    assert_eq!((figures.connects, figures.failed_connects, figures.failures), (0, 1, 1));
}

#[tokio::test]
async fn when_one_is_down_the_other_serves_and_the_first_is_soon_left_alone() {
    let (down, up) = (nobody(), Origin::saying("hello").await);
    let endpoints = format!("endpoints: [ {{ url: 'http://{down}' }}, {{ url: '{}' }} ]", up.url());
    let site = Site::new(&endpoints);
    for _ in 0..50 {
        // A body that was not sent may go elsewhere, whatever the method.
        assert_eq!(
            site.post(streamed([Bytes::from_static(b"body")])).await.expect("an answer").body,
            "hello"
        );
    }
    let figures = site.figures();
    assert_eq!(figures[0].failed_connects, u64::from(UPSTREAM_EJECTION_FAILURES));
    assert!(figures[0].is_ejected && figures[0].ejections == 1 && !figures[1].is_ejected);
}

/// A handshake for each of them would be one more burden on those that are left.
#[tokio::test]
async fn what_goes_elsewhere_goes_by_a_connection_that_is_open_there() {
    let (down, up) = (nobody(), Origin::saying("hello").await);
    let site = Site::new(&format!("endpoints: [ {{ url: 'http://{down}' }}, {{ url: '{}' }} ]", up.url()));
    for _ in 0..50 {
        assert_eq!(site.get().await.expect("an answer").body, "hello");
    }
    let figures = site.figures();
    assert_eq!(figures[0].failed_connects, u64::from(UPSTREAM_EJECTION_FAILURES));
    assert_eq!((figures[1].connects, up.connections()), (1, 1));
}

/// While all are left alone, each is asked; who answers then is not left alone any longer, and who is down is.
#[tokio::test]
async fn whoever_comes_back_first_serves_alone() {
    let down = nobody();
    let back = Origin::start(|mut stream, number| async move {
        while number >= UPSTREAM_EJECTION_FAILURES as usize
            && let Some(_head) = head(&mut stream).await
        {
            say(&mut stream, "hello").await;
        }
    })
    .await;
    let site = Site::new(&format!("endpoints: [ {{ url: 'http://{down}' }}, {{ url: '{}' }} ]", back.url()));
    let failed = || site.figures()[0].failed_connects;
    while site.get().await.is_err() {}
    assert_eq!(site.figures().iter().map(|figures| figures.ejections).collect::<Vec<_>>(), [1, 1]);
    let before = failed();
    for _ in 0..50 {
        assert_eq!(site.get().await.expect("an answer").body, "hello");
    }
    assert_eq!(failed(), before, "nobody else is sent to the one that is down");
}

#[tokio::test]
async fn answers_that_say_there_is_none_eject_too_and_others_do_not() {
    const REQUESTS: u32 = 50;
    for (status, ejects) in [(502, true), (503, true), (504, true), (500, false), (501, false), (429, false)]
    {
        let failing = Origin::start(move |mut stream, _| async move {
            while let Some(_head) = head(&mut stream).await {
                let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.expect("it is sent");
            }
        })
        .await;
        let up = Origin::saying("hello").await;
        let site =
            Site::new(&format!("endpoints: [ {{ url: '{}' }}, {{ url: '{}' }} ]", failing.url(), up.url()));
        let mut refused = 0;
        for _ in 0..REQUESTS {
            refused += u32::from(site.get().await.expect("an answer").status.as_u16() == status);
        }
        // They are the service's own answers, and handed on.
        let expected = if ejects { UPSTREAM_EJECTION_FAILURES } else { REQUESTS / 2 };
        assert_eq!((refused, site.figures()[0].is_ejected), (expected, ejects), "{status}");
    }
}

/// An endpoint that fails now and then does well enough.
#[tokio::test]
async fn failures_with_an_answer_in_between_eject_nobody() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let origin = Origin::start(move |mut stream, _| {
        let count = Arc::clone(&count);
        async move {
            while let Some(_head) = head(&mut stream).await {
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                if number.is_multiple_of(UPSTREAM_EJECTION_FAILURES as usize) {
                    say(&mut stream, "hello").await;
                } else {
                    stream
                        .write_all(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")
                        .await
                        .expect("it is sent");
                }
            }
        }
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    for _ in 0..4 * UPSTREAM_EJECTION_FAILURES {
        site.get().await.expect("an answer");
    }
    let figures = &site.figures()[0];
    assert_eq!((figures.ejections, figures.failures), (0, u64::from(4 * (UPSTREAM_EJECTION_FAILURES - 1))));
}

/// A service that answers once it is told to.
async fn waiting() -> (Origin, watch::Sender<bool>) {
    let (go, told) = watch::channel(false);
    let origin = Origin::start(move |mut stream, _| {
        let mut told = told.clone();
        async move {
            while let Some(_head) = head(&mut stream).await {
                let _ = told.wait_for(|told| *told).await;
                say(&mut stream, "hello").await;
            }
        }
    })
    .await;
    (origin, go)
}

#[tokio::test]
async fn requests_go_where_the_fewest_are_under_way() {
    let ((one, go), other) = (waiting().await, Origin::saying("other").await);
    let site = Site::new(&format!("endpoints: [ {{ url: '{}' }}, {{ url: '{}' }} ]", one.url(), other.url()));
    let busy = site.get();
    let rest = async {
        until(|| one.connections() == 1 || other.connections() == 1).await;
        for _ in 0..10 {
            assert_eq!(site.get().await.expect("an answer").body, "other");
        }
        go.send_replace(true);
    };
    let (busy, ()) = tokio::join!(busy, rest);
    assert_eq!(busy.expect("an answer").status, StatusCode::OK);
}

#[tokio::test]
async fn only_so_many_requests_are_under_way_to_a_backend() {
    let (origin, go) = waiting().await;
    let site = Site::new(&format!("url: '{}', requests_max: 2", origin.url()));
    let two = async { tokio::join!(site.get(), site.get()) };
    let third = async {
        until(|| site.endpoint(0).requests.count() == 2).await;
        let refused = code(site.get().await);
        go.send_replace(true);
        refused
    };
    let ((first, second), third) = tokio::join!(two, third);
    assert_eq!(third, Code::UpstreamOverloaded);
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(site.get().await.expect("a place is free again").body, "hello");
    assert_eq!(site.upstreams.backend_figures()[0].refused, 1);
    // An answer that is not read to its end holds its place.
    let held = [(); 2].map(|()| site.send(Method::GET, &[], full("")));
    let [first, second] = held;
    let (first, _second) = (first.await.expect("an answer"), second.await.expect("an answer"));
    assert_eq!(code(site.get().await), Code::UpstreamOverloaded);
    drop(first);
    assert!(site.get().await.is_ok());
}

#[tokio::test]
async fn a_name_that_moves_takes_the_requests_along() {
    let (old, new) = (Origin::saying("old").await, Origin::saying("new").await);
    let site = Site::new("url: 'http://service.example'");
    site.names.set("service.example", old.address);
    assert_eq!(site.get().await.expect("an answer").body, "old");
    site.names.set("service.example", new.address);
    assert_eq!(site.get().await.expect("an answer").body, "old", "nobody has looked yet");
    let endpoint = site.endpoint(0);
    assert_eq!(endpoint.idle_connections(), 1);
    endpoint.addresses.refresh(&site.names).await;
    assert_eq!(site.get().await.expect("an answer").body, "new", "the open connection is not reused");
    assert_eq!((old.connections(), new.connections(), endpoint.idle_connections()), (1, 1, 1));
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    let up = Origin::saying("hello").await;
    for addresses in [[nobody(), up.address], [up.address, nobody()]] {
        let upstreams = upstreams(Two(addresses), Arc::default(), 1);
        let upstream = open(&upstreams, "url: 'http://service.example'");
        let site = Site { upstreams, upstream, names: Names::default() };
        assert_eq!(site.get().await.expect("an answer").body, "hello");
    }
}

/// Each connection begins with another one.
#[tokio::test]
async fn the_addresses_of_a_name_share_the_connections() {
    let (one, two) = (Origin::saying("one").await, Origin::saying("two").await);
    let upstreams = upstreams(Two([one.address, two.address]), Arc::default(), 1);
    let upstream = open(&upstreams, "url: 'http://service.example'");
    let site = Site { upstreams, upstream, names: Names::default() };
    let held = [(); 4].map(|()| site.send(Method::GET, &[], full("")));
    let held = futures_util::future::join_all(held).await;
    assert!(held.iter().all(Result::is_ok), "{held:?}");
    assert_eq!((one.connections(), two.connections()), (2, 2));
}

/// Nothing on a worker waits for another one.
#[tokio::test]
async fn each_worker_has_connections_of_its_own() {
    let origin = Origin::saying("hello").await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    for (worker, connections) in [(0, 1), (1, 2), (0, 2), (1, 2)] {
        let passage = site.upstream.enter(worker, TimeLimits::default()).expect("a place");
        let answer = passage.send(Request::new(full("")), &sending()).await.expect("an answer");
        Answer::read(answer).await;
        assert_eq!(origin.connections(), connections, "{worker}");
        assert_eq!(site.endpoint(0).idle_connections(), connections, "{worker}");
    }
}

/// Otherwise nobody would ever look for the address again.
#[tokio::test(start_paused = true)]
async fn what_tends_an_endpoint_is_run_again_after_a_panic() {
    #[derive(Debug, Default)]
    struct Treacherous(AtomicUsize);
    impl Resolve for Treacherous {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
            assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "the resolver fell down");
            Box::pin(std::future::ready(Ok(vec![SocketAddr::from(([192, 0, 2, 1], 80))])))
        }
    }
    let panics = Arc::new(Panics::default());
    let upstreams = upstreams(Treacherous::default(), Arc::clone(&panics), 1);
    let _upstream = open(&upstreams, "url: 'http://service.example'");
    let found = upstreams.endpoints()[0].addresses.wait(Instant::now() + PATIENCE).await;
    assert_eq!(found.expect("it is looked for again").len(), 1);
    assert_eq!(panics.count(), 1);
}

/// Nobody's time-out is so long: with this one every attempt to connect panics.
#[tokio::test]
async fn a_panic_of_what_connects_for_many_is_a_fault_of_our_own_for_each_and_counted_once() {
    const REQUESTS: usize = 8;
    let text = "project: demo-project\nallow: [allUsers]\nbackends: { api: { url: 'http://127.0.0.1:9', protocol: h2c } }\n";
    let mut configuration = configuration::parse("firegate.yaml", text).expect("a configuration");
    for backend in configuration.backends.values_mut() {
        backend.timeouts.connect = Duration::MAX;
    }
    let (names, panics) = (Names::default(), Arc::new(Panics::default()));
    let upstreams = upstreams(names.clone(), Arc::clone(&panics), 1);
    let upstream = upstreams.open(&Snapshot::compile(&configuration).backends[0]).expect("a way");
    let site = Site { upstreams, upstream, names };
    for expected in 1..=2 {
        let requests = futures_util::future::join_all((0..REQUESTS).map(|_| site.get()));
        for outcome in tokio::time::timeout(PATIENCE, requests).await.expect("nobody waits for ever") {
            assert_eq!(code(outcome), Code::Internal);
        }
        assert_eq!(panics.count(), expected, "who comes later tries again");
    }
    assert_eq!(site.figures()[0].failures, 0, "it is none of the service's");
}

#[tokio::test]
async fn an_endpoint_that_fails_its_checks_gets_no_requests_until_one_succeeds() {
    let (well, is_well) = watch::channel(false);
    let checked = Origin::start(move |mut stream, _| {
        let is_well = is_well.clone();
        async move {
            while let Some(asked) = head(&mut stream).await {
                match asked.starts_with("GET /healthz?deep HTTP/1.1\r\n") && !*is_well.borrow() {
                    true => {
                        stream.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").await.expect("sent")
                    }
                    false => say(&mut stream, "checked").await,
                }
            }
        }
    })
    .await;
    let other = Origin::saying("other").await;
    let (one, two) = (checked.url(), other.url());
    let check = "health_check: { path: '/healthz?deep', interval: 1ms }";
    let site = Site::new(&format!("endpoints: [ {{ url: '{one}' }}, {{ url: '{two}' }} ], {check}"));
    let endpoint = site.endpoint(0);
    until(|| !endpoint.is_healthy()).await;
    for _ in 0..5 {
        assert_eq!(site.get().await.expect("an answer").body, "other");
    }
    well.send_replace(true);
    until(|| endpoint.is_healthy()).await;
    let mut bodies = Vec::new();
    for _ in 0..4 {
        bodies.push(site.get().await.expect("an answer").body);
    }
    assert!(bodies.iter().any(|body| body == "checked"), "{bodies:?}");
}

#[tokio::test]
async fn what_a_reload_does_not_change_goes_on() {
    let (kept, other) = (Origin::saying("hello").await, Origin::saying("hello").await);
    let settings = |more: &str| format!("endpoints: [ {{ url: '{}' }}{more} ]", kept.url());
    let mut site = Site::new(&settings(""));
    site.get().await.expect("an answer");
    let before = site.endpoint(0);
    site.upstream = open(&site.upstreams, &settings(&format!(", {{ url: '{}' }}", other.url())));
    assert!(Arc::ptr_eq(&before, &site.endpoint(0)));
    assert_eq!(site.upstreams.endpoints().len(), 2);
    site.upstream = open(&site.upstreams, &format!("{}, timeouts: {{ idle: 1s }}", settings("")));
    drop(before);
    assert_eq!(site.upstreams.endpoints().len(), 1, "what no configuration has any more is forgotten");
    site.get().await.expect("an answer");
    assert_eq!(kept.connections(), 1, "the open connection is used");
    let through_time = format!("{}, timeouts: {{ connect: 1s }}", settings(""));
    site.upstream = open(&site.upstreams, &through_time);
    site.get().await.expect("an answer");
    assert_eq!(kept.connections(), 2, "it is made in another way now");
}

/// However little there is under way where it failed.
#[tokio::test]
async fn what_failed_at_one_endpoint_is_not_sent_there_again_while_there_is_another() {
    let (down, up) = (nobody(), Origin::saying("hello").await);
    let site = Site::new(&format!("endpoints: [ {{ url: 'http://{down}' }}, {{ url: '{}' }} ]", up.url()));
    let _busy = site.send(Method::GET, &[], full("")).await.expect("an answer that is not read");
    for failures in 1..UPSTREAM_EJECTION_FAILURES {
        assert_eq!(site.get().await.expect("the other one is well").body, "hello", "{failures}");
    }
    assert!(site.figures()[0].failed_connects > 0, "the one that seems idle is tried first");
}

#[tokio::test]
async fn what_is_under_way_counts_after_a_reload_too() {
    let origin = Origin::saying("hello").await;
    let settings = format!("url: '{}', requests_max: 1", origin.url());
    let mut site = Site::new(&settings);
    let held = site.send(Method::GET, &[], full("")).await.expect("an answer");
    let former = Arc::clone(&site.upstream);
    site.upstream = open(&site.upstreams, &format!("{settings}, timeouts: {{ connect: 1s }}"));
    assert_eq!(code(site.get().await), Code::UpstreamOverloaded);
    drop((held, former));
    assert_eq!(site.get().await.expect("a place is free again").body, "hello");
}

/// What is answered is no repeat any more, however long its answer lasts.
#[tokio::test]
async fn an_answer_that_lasts_takes_nothing_from_the_budget_of_repeats() {
    // Every other connection takes a request and dies.
    let origin = Origin::start(|mut stream, number| async move {
        head(&mut stream).await;
        if number % 2 == 1 {
            say(&mut stream, "hello").await;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let mut lasting = Vec::new();
    for number in 0..2 * UPSTREAM_REPEATED_MIN {
        let answer = site.send(Method::GET, &[], full("")).await;
        lasting.push(answer.unwrap_or_else(|refused| panic!("{number}: {refused:?}")));
    }
    assert_eq!(origin.connections(), 2 * lasting.len(), "each was sent once more");
}

/// A service that is down is not also asked twice as much.
#[tokio::test]
async fn of_many_requests_that_break_off_at_once_only_so_many_are_sent_once_more() {
    const REQUESTS: usize = 60;
    const REPEATS: usize = REQUESTS * UPSTREAM_REPEATED_PERCENT_MAX / 100;
    let (came, go) = (Arc::new(AtomicUsize::new(0)), watch::channel(false).0);
    let (count, told) = (Arc::clone(&came), go.subscribe());
    let origin = Origin::start(move |mut stream, number| {
        let (count, mut told) = (Arc::clone(&count), told.clone());
        async move {
            head(&mut stream).await;
            count.fetch_add(1, Ordering::Relaxed);
            if number < REQUESTS {
                until(|| count.load(Ordering::Relaxed) >= REQUESTS).await;
            } else {
                told.wait_for(|told| *told).await.expect("the test goes on");
                say(&mut stream, "hello").await;
            }
        }
    })
    .await;
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let release = async {
        until(|| site.figures()[0].failures == REQUESTS as u64).await;
        until(|| came.load(Ordering::Relaxed) == REQUESTS + REPEATS).await;
        go.send_replace(true);
    };
    let requests = futures_util::future::join_all((0..REQUESTS).map(|_| site.get()));
    let (outcomes, ()) = tokio::join!(requests, release);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), REPEATS);
    let figures = &site.upstreams.backend_figures()[0];
    assert_eq!(
        (figures.repeats, figures.unaffordable_repeats),
        (REPEATS as u64, (REQUESTS - REPEATS) as u64)
    );
}

/// A repeat that comes too late gives its place back, like one that is answered: else nothing would be repeated any more.
#[tokio::test(start_paused = true)]
async fn a_repeat_that_is_too_late_keeps_no_place() {
    const WHOLE: Duration = Duration::from_secs(1);
    let site = Site::new("url: 'http://service.example'");
    let enter = || {
        let limits = TimeLimits { whole: Some(WHOLE), ..TimeLimits::default() };
        let mut passage = site.upstream.enter(0, limits).expect("a place");
        passage.request_ended();
        passage
    };
    for _ in 0..2 * UPSTREAM_REPEATED_MIN {
        let mut passage = enter();
        assert!(passage.begin_repeat(), "there is a place, and time");
        tokio::time::advance(WHOLE).await;
        assert!(!passage.begin_repeat(), "there is no time any more");
    }
}

/// Of a request that began before a reload and the endpoint that it changed, nobody could tell two series apart.
#[tokio::test]
async fn an_endpoint_that_a_reload_changes_is_told_of_once() {
    let (origin, go) = waiting().await;
    let settings = |connect: &str| format!("url: '{}', timeouts: {{ connect: {connect} }}", origin.url());
    let mut site = Site::new(&settings("1s"));
    let former = Arc::clone(&site.upstream);
    go.send_replace(true);
    let old = site.send(Method::GET, &[], full("")).await.expect("an answer");
    let next = open(&site.upstreams, &settings("2s"));
    let told = site.figures();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].requests, told[0].connects), (1, 1), "the next one is not in force yet");
    site.upstream = next;
    let told = site.figures();
    assert_eq!(site.upstreams.endpoints().len(), 2, "the stream that began before goes on");
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].requests, told[0].connects), (1, 0), "the one in force, and all that is under way");
    drop((former, old));
    assert_eq!((site.upstreams.endpoints().len(), site.figures()[0].requests), (1, 0));
}
