//! CVE-2023-27487 and CVE-2026-40575: a header of the client's chose which rule was applied.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn no_header_chooses_the_route() {
    let site = Site::open().await;
    for name in [
        "X-Envoy-Original-Path",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Uri",
        "X-Forwarded-Path",
        "X-Forwarded-Prefix",
        "X-Client-Request-Url",
        "X-HTTP-Method-Override",
    ] {
        let answer = site.send(site.call("/admin/users").header(name, "/public/a")).await;
        answer.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
    }
    site.close().await;
}
