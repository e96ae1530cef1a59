//! A team puts Firegate before a service that is open today, looks at what would be refused, and refuses nothing.

use crate::gate::{Site, metric, mirror};
use crate::stack::{Call, at, log, text};

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_refused_is_logged_counted_and_let_through() {
    log::begin();
    let site = Site::open().await;
    let open = mirror().await;
    let door = site
        .door(&format!(
            "backends: {{ api: {{ url: '{open}', credential: none, enforce: observe, user_token: forward }} }}\n\
             allow: ['user:root@example.com']"
        ))
        .await;
    let user = site.new_user("observed@example.com").await;
    let call = |path: &str| Call::get(&at(&door, path));
    call("/no-token").send().await.ok();
    call("/no-binding").bearer(&text(&user["idToken"])).send().await.ok();
    call("/no-binding").bearer(&text(&user["idToken"])).send().await.ok();
    let count = async |code: &str| {
        let labels = format!("outcome=\"would_refuse\",code=\"{code}\",backend=\"api\"");
        metric(&door, &format!("firegate_decisions_total{{{labels}}}")).await
    };
    assert!((count("TOKEN_MISSING").await - 1.0).abs() < f64::EPSILON);
    assert!((count("NO_INVOKER_BINDING").await - 2.0).abs() < f64::EPSILON);
    let would_be_refused = |line: &str, path: &str| line.contains("would be refused") && line.contains(path);
    let line = log::line(|line| would_be_refused(line, "/no-token")).await;
    assert!(line.contains("TOKEN_MISSING"), "{line}");
    let line = log::line(|line| would_be_refused(line, "/no-binding")).await;
    assert!(line.contains("NO_INVOKER_BINDING") && line.contains("user:root@example.com"), "{line}");
    site.close([door]).await;
}
