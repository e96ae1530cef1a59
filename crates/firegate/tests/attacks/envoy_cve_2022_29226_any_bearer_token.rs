//! CVE-2022-29226: the presence of a bearer token counted as a valid one.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_to_be_a_good_one() {
    let site = Site::open().await;
    for (authorization, status) in [
        ("Bearer x", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Bearer [object Promise]", 401),
        ("bearer null", 401),
        ("Bearer undefined", 401),
        ("Basic cm9vdDpyb290", 401),
        ("Bearer a.b.c", 401),
        ("Bearer a, Bearer b", 400),
    ] {
        let answer = site.send(site.call("/a").header("authorization", authorization)).await;
        assert_eq!(answer.status.as_u16(), status, "{authorization}");
    }
    let (good, bad) = (format!("Bearer {}", site.token()), "Bearer a.b.c");
    let twice = site.send(site.call("/a").header("authorization", &good).header("authorization", bad)).await;
    twice.expect_refusal(400, "CREDENTIAL_AMBIGUOUS", "NONE");
    site.close().await;
}
