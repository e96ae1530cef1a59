//! GHSA-vhr5-ggp3-qq85: X-Forwarded-Proto was honoured although nobody was trusted to send it.

use crate::project::seen;
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_that_nobody_vouches_for_is_not_believed() {
    let site = Site::open().await;
    for forwarded in ["https", "HTTPS", "https,http"] {
        let call = site.call("/public/a").header("x-forwarded-proto", forwarded);
        let echo = site.send(call).await.ok();
        assert_eq!(seen(&echo, "x-forwarded-proto"), Some("http"), "{forwarded}");
    }
    site.close().await;
}
