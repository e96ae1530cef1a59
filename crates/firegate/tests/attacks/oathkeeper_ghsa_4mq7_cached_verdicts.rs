//! GHSA-4mq7-pvjg-xp2r: a token that had been accepted once was accepted again without its claims being judged, and by
//! rules that it had never met.

use crate::site::Site;
use crate::stack::{claims, unsigned};

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_signature_is_no_remembered_permission() {
    let site = Site::open().await;
    let token = site.token();
    site.send(site.call("/a").bearer(&token)).await.ok();
    site.send(site.call("/a").bearer(&token)).await.ok();
    site.send(site.call("/admin/users").bearer(&token)).await.expect_refusal(
        403,
        "NO_INVOKER_BINDING",
        "NONE",
    );
    let header = serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": site.signer.key_id()});
    let forged = unsigned(header, claims("demo-project", site.now()), &[7; 256]);
    for _ in 0..2 {
        let answer = site.send(site.call("/a").bearer(&forged)).await;
        answer.expect_refusal(401, "TOKEN_SIGNATURE_INVALID", "SIGN_IN");
    }
    site.clock.advance(3600);
    site.send(site.call("/a").bearer(&token)).await.expect_refusal(401, "TOKEN_EXPIRED", "REFRESH_TOKEN");
    site.close().await;
}
