//! coreos/go-oidc#482: every token with an unknown key id made the verifier fetch the keys.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::site::Site;
use crate::stack::{claims, unsigned};

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_keys_fetches_once_and_harms_nobody() {
    let site = Site::open().await;
    let before = site.key_fetches.load(Ordering::SeqCst);
    for number in 0..200 {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": format!("unknown-{number}")});
        let token = unsigned(header, claims("demo-project", site.now()), b"signature");
        let answer = site.send(site.call("/a").bearer(&token)).await;
        answer.expect_refusal(401, "TOKEN_KEY_UNKNOWN", "REFRESH_TOKEN");
    }
    assert_eq!(site.key_fetches.load(Ordering::SeqCst) - before, 1);
    site.send(site.call("/a").bearer(&site.token())).await.ok();
    site.close().await;
}
