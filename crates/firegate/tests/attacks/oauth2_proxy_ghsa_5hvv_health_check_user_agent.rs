//! GHSA-5hvv-m4w4-gf6v: a health checker's User-Agent was let through without a token.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn health_checkers_are_nobody_special() {
    let site = Site::open().await;
    for agent in ["GoogleHC/1.0", "kube-probe/1.33", "ELB-HealthChecker/2.0"] {
        for path in ["/", "/a", "/livez", "/readyz", "/healthz"] {
            let answer = site.send(site.call(path).header("user-agent", agent)).await;
            answer.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
        }
    }
    site.close().await;
}
