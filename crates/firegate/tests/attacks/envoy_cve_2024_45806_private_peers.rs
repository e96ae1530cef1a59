//! CVE-2024-45806: peers of private address ranges were trusted as internal by default, and so was what they forwarded.

use crate::project::seen;
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn no_peer_vouches_for_a_client_unless_it_is_configured() {
    let site = Site::open().await;
    let call = site.call("/public/a").header("x-forwarded-for", "203.0.113.9").header("via", "1.1 proxy");
    let call = call.header("x-real-ip", "203.0.113.9").header("forwarded", "for=203.0.113.9");
    let echo = site.send(call).await.ok();
    assert_eq!(seen(&echo, "x-forwarded-for"), Some("127.0.0.1"), "the test itself is the client: {echo}");
    assert_eq!(seen(&echo, "via"), Some("1.1 firegate"));
    let host = site.door.address().to_string();
    let forwarded = format!("by=_firegate;for=127.0.0.1;host=\"{host}\";proto=http");
    assert_eq!(seen(&echo, "forwarded"), Some(forwarded.as_str()));
    assert_eq!(seen(&echo, "x-real-ip"), None);
    site.close().await;
}
