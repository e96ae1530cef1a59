//! What was learnt under one configuration and is as true under the next one stays known; what is not does not.

use std::sync::atomic::Ordering;

use crate::gate::metric;
use crate::outage_lines::{APP, Google, PROJECT_NUMBER};
use crate::reloading::reload;
use crate::stack::{Call, at, clock, close, door};

/// A service that is nowhere: 502 is the answer to whoever passes.
fn configuration(users: &str, google: &str, more: &str) -> String {
    format!(
        "project: demo-project\nproject_number: '{PROJECT_NUMBER}'\nadmin: {{ listen: 127.0.0.1:0 }}\nallow: [allAuthenticatedUsers]\n\
         backends: {{ api: {{ url: 'http://127.0.0.1:9', credential: none }} }}\nusers: {{ {users} }}\ngoogle: {{ {google} }}\n{more}"
    )
}

/// A token that was used before the reload is a replay after it, and the access token by which Google is asked is kept, too.
#[tokio::test(flavor = "multi_thread")]
async fn app_check_tokens_that_are_spent_and_the_doors_own_access_token() {
    let (google, url) = Google::start().await;
    let (other, other_url) = Google::start().await;
    for google in [&google, &other] {
        google.works_from.store(0, Ordering::SeqCst);
    }
    let text = |app_check: &str, more: &str| {
        let google = format!(
            "id_token_keys: '{url}/keys', app_check_keys: '{url}/keys', app_check: '{app_check}', metadata: '{url}'"
        );
        configuration(&format!("app_check: {{ apps: ['{APP}'], consume: true }}"), &google, more)
    };
    let mut door = door(&text(&url, ""), &clock());
    door.ready().await;
    let user = google.user();
    let [first, second, third] = [1, 2, 3].map(|number| google.app_check(number));
    let send = async |address: &url::Url, token: &str| {
        Call::get(address).bearer(&user).header("x-firebase-appcheck", token).send().await
    };
    let address = at(&door, "/");
    send(&address, &first).await.expect_refusal(502, "UPSTREAM_UNREACHABLE", "RETRY_LATER");
    reload(&mut door, &text(&url, "cors: { origins: ['https://app.example.com'] }")).await.expect("sound");
    send(&address, &first).await.expect_refusal(401, "APP_CHECK_TOKEN_CONSUMED", "NONE");
    assert_eq!(google.calls.load(Ordering::SeqCst), 1, "nobody was asked about it again");
    send(&address, &second).await.expect_refusal(502, "UPSTREAM_UNREACHABLE", "RETRY_LATER");
    assert_eq!(google.calls.load(Ordering::SeqCst), 2);
    assert_eq!(google.access_tokens.load(Ordering::SeqCst), 1, "one serves under both");
    // Another endpoint is another one's memory.
    reload(&mut door, &text(&other_url, "")).await.expect("sound");
    send(&address, &third).await.expect_refusal(502, "UPSTREAM_UNREACHABLE", "RETRY_LATER");
    let asked = [&google, &other].map(|google| google.calls.load(Ordering::SeqCst));
    assert_eq!(asked, [2, 1]);
    close(door).await;
}

/// Signatures that were found good, unless the room for them is another.
#[tokio::test(flavor = "multi_thread")]
async fn verified_signatures_in_as_much_room_as_the_configuration_gives() {
    const MISSES: &str = "firegate_token_cache_misses_total";
    const ENTRIES: &str = "firegate_token_cache_entries";

    let (google, url) = Google::start().await;
    let text = |more: &str| configuration("", &format!("id_token_keys: '{url}/keys'"), more);
    let mut door = door(&text(""), &clock());
    door.ready().await;
    let address = at(&door, "/");
    let tokens = (0..20).map(|number| google.user_named(&format!("user-{number}"))).collect::<Vec<_>>();
    let send_all = async || {
        for token in &tokens {
            let answer = Call::get(&address).bearer(token).send().await;
            answer.expect_refusal(502, "UPSTREAM_UNREACHABLE", "RETRY_LATER");
        }
    };
    send_all().await;
    assert_eq!((metric(&door, MISSES).await, metric(&door, ENTRIES).await), (20.0, 20.0));
    reload(&mut door, &text("cors: { origins: ['https://app.example.com'] }")).await.expect("sound");
    send_all().await;
    assert_eq!(metric(&door, MISSES).await, 20.0, "each is known still");
    reload(&mut door, &text("cache: { verified_tokens_bytes: 1KiB }")).await.expect("sound");
    send_all().await;
    assert!(metric(&door, ENTRIES).await <= 8.0, "128 bytes are for one");
    reload(&mut door, &text("")).await.expect("sound");
    send_all().await;
    assert_eq!(metric(&door, ENTRIES).await, 20.0);
    close(door).await;
}
