//! What is told of a request that names its user in more than one way.

use firegate_core::reason::Code;
use firegate_core::snapshot::Snapshot;
use http::Method;

use crate::outcome::{snapshot, told};

#[test]
fn what_is_ambiguous_in_a_request_is_told_and_how_to_mend_that() {
    let everywhere = snapshot(
        "project: demo-project\nallow: [allUsers]\nusers: { accept: [session_cookie, id_token] }\n\
         backends: { api: { url: 'https://api.example.com', token_sources: [cookie, authorization] } }\n",
    );
    let by_cookie = snapshot(
        "project: demo-project\nallow: [allUsers]\nusers: { accept: [session_cookie, id_token] }\n\
         backends: { api: { url: 'https://api.example.com', token_sources: [cookie] } }\n",
    );
    let app = snapshot(
        "project: demo-project\nproject_number: 1\nallow: [allUsers]\n\
         backends: { api: { url: 'https://api.example.com', app_check: required } }\n",
    );
    let check = |snapshot: &Snapshot, pairs: &[(&str, &str)], evidence: &str, hint: &str| {
        let (code, told, advice) = told(snapshot, Method::GET, pairs);
        assert_eq!(code, Code::CredentialAmbiguous, "{pairs:?}");
        assert!(told.contains(evidence), "{pairs:?}: {told}");
        assert!(advice.contains(hint), "{pairs:?}: {advice}");
    };
    let bearer = ("authorization", "Bearer a.b.c");
    let exactly_one = "send exactly one `Authorization: Bearer <token>` header";
    check(&everywhere, &[bearer, bearer], "more than one `Authorization` header", exactly_one);
    let list = ("authorization", "Basic YTpi, Bearer a.b.c");
    check(&everywhere, &[list], "`Authorization` holds more than one credential", exactly_one);
    let cookies = ("cookie", "__session=a.b.c; __session=d.e.f");
    check(&everywhere, &[cookies], "more than one `__session` cookie", "delete all but one");
    let look_alike = ("cookie", "__SESSION=a.b.c");
    check(&everywhere, &[look_alike], "some services take for `__session`", "rename the cookie");
    let cookie = ("cookie", "__session=a.b.c");
    check(
        &by_cookie,
        &[cookie, bearer],
        "a bearer token in `Authorization`, where",
        "to the backend's `token_sources`",
    );
    let app_check = ("x-firebase-appcheck", "a.b.c");
    check(
        &app,
        &[app_check, app_check],
        "more than one `X-Firebase-AppCheck`",
        "exactly one `X-Firebase-AppCheck",
    );
}
