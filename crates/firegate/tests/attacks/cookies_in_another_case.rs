//! Cookie tossing by letters: browsers keep `__session` and `__SESSION` apart, and ASP.NET Core does not (dotnet/aspnetcore,
//! issue 48421). A sibling domain that plants the second with its own user's session would be heard by such a service, while
//! Firegate vouches for the user of the first. Queries are read there alike.

use serde_json::json;

use crate::project::{Key, Project, edited, expect, seen, without};

const CONFIGURATION: &str = "\
backends:
  web: { url: 'SERVICE', token_sources: [authorization, cookie, query], user_token: forward }
users: { accept: [id_token, session_cookie] }
allow: [allAuthenticatedUsers]";

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_another_case_is_no_second_place_for_a_token() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let session = project.session_cookie();
    let planted = without(&edited(&project.session_claims(), "sub", json!("mallory")), "user_id");
    let planted = Key::SessionCookie.sign(&planted);
    for name in ["__SESSION", "__Session", "%5f_sEssion", "_.SESSION", "__SESSION[0]"] {
        for cookie in [
            format!("{name}={planted}; __session={session}"),
            format!("__session={session}; {name}={planted}"),
        ] {
            let answer = gate.call("/a").header("cookie", &cookie).send().await;
            expect(&answer, 400, "CREDENTIAL_AMBIGUOUS", name);
        }
        // What was sent on purpose is not held up by it, and it goes no further.
        let cookie = format!("a=b; {name}={planted}");
        let answer = gate.call("/a").header("cookie", &cookie).bearer(&project.id_token()).send().await.ok();
        assert_eq!(
            (seen(&answer, "x-firegate-user-id"), seen(&answer, "cookie")),
            (Some("eve"), Some("a=b"))
        );
    }
    let good = project.id_token();
    for name in ["Access_Token", "ACCESS_TOKEN", "%41ccess_token", "ACCESS.TOKEN"] {
        for query in [format!("{name}=t&access_token={good}"), format!("access_token={good}&{name}=t")] {
            let call = gate.call(&format!("/a?{query}")).header("accept", "text/event-stream");
            expect(&call.send().await, 400, "CREDENTIAL_AMBIGUOUS", name);
        }
    }
    // Names that only begin alike are nobody's.
    let cookie = format!("__sessions=x; __SESSION_ID=y; __session={session}");
    let answer = gate.call("/a").header("cookie", &cookie).send().await.ok();
    assert_eq!(seen(&answer, "cookie"), Some(cookie.as_str()));
    gate.close().await;
}
