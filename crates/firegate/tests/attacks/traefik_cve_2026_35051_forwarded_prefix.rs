//! CVE-2026-35051: most of the forwarded headers were written anew, and X-Forwarded-Prefix was not.

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_family_is_written_anew() {
    let site = Site::open().await;
    let names = [
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Forwarded-Port",
        "X-Forwarded-Uri",
        "X-Forwarded-User",
        "X-Forwarded-Tls-Client-Cert",
        "X_Forwarded_For",
        "X.Forwarded.Host",
        "X-Forwarded",
        "True-Client-IP",
    ];
    let call = names.into_iter().fold(site.call("/public/a"), |call, name| call.header(name, "evil"));
    let echo = site.send(call).await.ok();
    assert!(!echo["headers"].to_string().contains("evil"), "{echo}");
    let headers = echo["headers"].as_object().expect("headers");
    let family = headers.keys().filter(|name| name.replace(['_', '.'], "-").starts_with("x-forwarded"));
    let family = family.map(String::as_str).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(family, ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"].into());
    site.close().await;
}
