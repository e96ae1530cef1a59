//! What is said of a request beside its user: its name, its trace, and that there are too many.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use firegate_files::configuration;
use firegate_proxy::ReloadError;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use crate::gate::{PATIENCE, mirror};
use crate::stack::server::serve;
use crate::stack::{Call, at, clock, close, door};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_carried_on_and_a_name_is_taken_from_a_proxy_of_ones_own() {
    let text = |behind: &str, service: &str| {
        format!(
            "project: demo-project\nbackends: {{ api: {{ url: '{service}', credential: none }} }}\nallow: [allUsers]\n{behind}"
        )
    };
    let service = mirror().await;
    let trusting = door(&text("behind: { hops: 1, peers: [127.0.0.1/32] }\n", &service), &clock());
    let direct = door(&text("", &service), &clock());
    let (parent, google) = (format!("00-{TRACE}-b7ad6b7169203331-01"), format!("{TRACE}/1;o=1"));
    for (door, is_trusted) in [(&trusting, true), (&direct, false)] {
        let call = Call::get(&at(door, "/")).header("x-request-id", "from-the-edge.7");
        let call = call.header("traceparent", &parent).header("tracestate", "a=b");
        let answer = call.header("x-cloud-trace-context", &google).send().await;
        let name = answer.header("x-firegate-request-id").expect("a name").to_owned();
        match is_trusted {
            true => assert_eq!(name, "from-the-edge.7"),
            false => {
                assert!(name.len() == 32 && name.bytes().all(|digit| digit.is_ascii_hexdigit()), "{name}")
            }
        }
        let seen = &answer.ok()["headers"];
        assert_eq!((&seen["traceparent"], &seen["tracestate"]), (&parent.as_str().into(), &"a=b".into()));
        assert_eq!(seen["x-cloud-trace-context"], google.as_str());

        let call = Call::get(&at(door, "/")).header("x-request-id", "two words").header("tracestate", "a=b");
        let call = call.header("traceparent", &parent).header("traceparent", &parent);
        let answer = call.header("x-cloud-trace-context", "../1").send().await;
        assert_ne!(answer.header("x-firegate-request-id"), Some("two words"));
        let seen = &answer.ok()["headers"];
        for name in ["traceparent", "tracestate", "x-cloud-trace-context"] {
            assert_eq!(seen[name], Value::Null, "{name}");
        }
    }
    close(trusting).await;
    close(direct).await;
}

/// A request is under way until the last byte of its answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_beyond_the_bound_is_answered_at_once_and_unverified() {
    let (sender, pieces) = mpsc::channel::<Bytes>(1);
    let pieces = Arc::new(tokio::sync::Mutex::new(Some(pieces)));
    let came = Arc::new(Notify::new());
    let arrived = Arc::clone(&came);
    let long = move || async move {
        let pieces = pieces.lock().await.take().expect("it is asked once");
        arrived.notify_one();
        let stream = futures_util::stream::unfold(pieces, |mut pieces| async move {
            Some((Ok::<_, std::convert::Infallible>(pieces.recv().await?), pieces))
        });
        Body::from_stream(stream)
    };
    let service = serve(Router::new().route("/long", any(long)).fallback(any(|| async { "hello" }))).await;
    let text = |requests_max: u32| {
        format!(
            "project: demo-project\nbackends: {{ api: {{ url: '{service}', credential: none }} }}\nallow: [allUsers]\n\
             cors: {{ origins: ['https://page.example'] }}\nlimits: {{ requests_max: {requests_max} }}\n"
        )
    };
    let mut door = door(&text(1), &clock());
    let url = at(&door, "/");
    let long = tokio::spawn(Call::get(&at(&door, "/long")).send());
    came.notified().await;
    sender.send(Bytes::from_static(b"a piece")).await.expect("it is streamed");
    // A bad token: it is not even looked at.
    let refused = Call::get(&url).bearer("a.b.c").header("origin", "https://page.example").send().await;
    refused.expect_refusal(503, "FIREGATE_OVERLOADED", "RETRY_LATER");
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("https://page.example"),
        "the page may read it"
    );

    let more = text(2);
    let read = move || configuration::parse("firegate.yaml", &more).map_err(ReloadError::Check);
    door.reload(read).await.expect("it is put in force");
    assert_eq!(Call::get(&url).send().await.status.as_u16(), 200, "there is a second place");
    let one = text(1);
    let read = move || configuration::parse("firegate.yaml", &one).map_err(ReloadError::Check);
    door.reload(read).await.expect("it is put in force");
    Call::get(&url).send().await.expect_refusal(503, "FIREGATE_OVERLOADED", "RETRY_LATER");

    drop(sender);
    assert_eq!(long.await.expect("it ends").body.as_ref(), b"a piece");
    let served = async {
        while Call::get(&url).send().await.status.as_u16() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.expect("its place is free again");
    close(door).await;
}
