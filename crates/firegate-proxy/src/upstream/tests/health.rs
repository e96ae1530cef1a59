//! Active health checks: what an endpoint has to answer, in which time, and how often it may fail.

use http::header::{HOST, USER_AGENT};

use super::*;
use crate::limits::UPSTREAM_HEALTH_FAILURES_MAX;

/// Instead of a status: there is no answer.
const SILENT: usize = 0;

/// Whether a request asks as a health check does, and in the service's own name.
fn is_check(request: &Request<Incoming>, address: SocketAddr) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or(request.uri().authority().map(http::uri::Authority::as_str));
    let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    request.method() == Method::GET
        && request.uri().path_and_query().is_some_and(|target| target == "/healthz?deep")
        && host == Some(&*address.to_string())
        && agent.is_some_and(|agent| agent.starts_with("firegate-health/"))
}

#[tokio::test]
async fn whatever_is_no_success_in_time_is_a_failure() {
    for protocol in ["http1", "h2c"] {
        let (status, address) = (Arc::new(AtomicUsize::new(SILENT)), Arc::new(Mutex::new(None)));
        let (says, listens) = (Arc::clone(&status), Arc::clone(&address));
        let origin = Origin::answering(100, move |request| {
            let (says, listens) = (says.load(Ordering::Relaxed), *listens.lock().expect("an address"));
            async move {
                let says = match says {
                    SILENT => std::future::pending().await,
                    _ if listens.is_none_or(|address| !is_check(&request, address)) => 400,
                    says => u16::try_from(says).expect("a status"),
                };
                let mut answer = Response::new(full(""));
                *answer.status_mut() = StatusCode::from_u16(says).expect("a status");
                answer
            }
        })
        .await;
        *address.lock().expect("an address") = Some(origin.address);
        let check = "health_check: { path: '/healthz?deep', interval: 1ms, timeout: 50ms }";
        let site = Site::new(&format!("url: '{}', protocol: {protocol}, {check}", origin.url()));
        let endpoint = site.endpoint(0);
        for fails in [SILENT, 302, 404, 500, 503] {
            status.store(fails, Ordering::Relaxed);
            until(|| !endpoint.is_healthy()).await;
            status.store(204, Ordering::Relaxed);
            until(|| endpoint.is_healthy()).await;
        }
    }
}

#[tokio::test]
async fn only_failures_in_a_row_count_and_one_success_is_enough() {
    let site = Site::new("url: 'http://127.0.0.1:9'");
    let endpoint = site.endpoint(0);
    let fail = |times: usize| (0..times).for_each(|_| endpoint.checked(Err("no".to_owned())));
    for _ in 0..3 {
        fail(UPSTREAM_HEALTH_FAILURES_MAX - 1);
        assert!(endpoint.is_healthy(), "it may fail now and then");
        endpoint.checked(Ok(()));
    }
    fail(UPSTREAM_HEALTH_FAILURES_MAX);
    assert!(!endpoint.is_healthy());
    endpoint.checked(Ok(()));
    assert!(endpoint.is_healthy());
}

/// It asks at its interval, and of an endpoint that no configuration has any more nothing is left until then.
#[tokio::test(start_paused = true)]
async fn a_check_comes_at_its_interval_and_holds_no_endpoint_meanwhile() {
    const SECOND: Duration = Duration::from_secs(1);
    const INTERVAL: u32 = 100;
    const TURNS: u32 = 100;
    let _still = Still::stand();
    let checks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&checks);
    let origin = Origin::answering(100, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Response::new(full("")) }
    })
    .await;
    let check = format!("health_check: {{ path: /healthz, interval: {INTERVAL}s, timeout: 10s }}");
    let site = Site::new(&format!("url: '{}', {check}", origin.url()));
    for number in 1..=2 {
        // An exchange takes some turns, and no time.
        for _ in 0..TURNS {
            settle().await;
        }
        assert_eq!(checks.load(Ordering::Relaxed), number, "it is due");
        for _ in 1..INTERVAL {
            tokio::time::advance(SECOND).await;
            settle().await;
        }
        assert_eq!(checks.load(Ordering::Relaxed), number, "the next one is not due");
        if number == 1 {
            tokio::time::advance(SECOND).await;
        }
    }
    let endpoint = Arc::downgrade(&site.endpoint(0));
    drop(site);
    assert_eq!(endpoint.strong_count(), 0);
}
