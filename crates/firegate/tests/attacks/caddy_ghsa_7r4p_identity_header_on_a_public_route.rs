//! GHSA-7r4p-vjf4-gxv4: an identity header was set only when there was a user, so that the client's own copy survived on
//! a public route.

use serde_json::Value;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_user_there_is_no_identity_header() {
    let site = Site::open().await;
    let call = site
        .call("/public/a")
        .header("x-firegate-user-id", "root")
        .header("x-firegate-user-email", "root@example.com")
        .header("x-firegate-assertion", "a.b.c")
        .header("x-serverless-authorization", "Bearer a.b.c");
    let seen = site.send(call).await.ok();
    for name in
        ["x-firegate-user-id", "x-firegate-user-email", "x-firegate-assertion", "x-serverless-authorization"]
    {
        assert_eq!(seen["headers"][name], Value::Null, "{name}");
    }
    site.close().await;
}
