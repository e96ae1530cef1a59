//! CVE-2026-26308: a rule looked at one value of a header that had several. Of two credentials none counts, wherever they
//! stand and whichever is the good one.

use crate::project::{Project, expect};

const CONFIGURATION: &str = "\
backends:
  api: { url: 'SERVICE', token_sources: [authorization, cookie, query, websocket_protocol] }
  app: { url: 'SERVICE', app_check: required }
routes: [{ path: '/app', backend: app }, { path: '/*', backend: api }]
users: { accept: [id_token, session_cookie] }
allow: [allAuthenticatedUsers]";

#[tokio::test(flavor = "multi_thread")]
async fn of_two_credentials_none_counts() {
    let project = Project::open().await;
    let gate = project.gate(CONFIGURATION).await;
    let (token, cookie, app) = (project.id_token(), project.session_cookie(), project.app_check_token());
    let bearer = format!("Bearer {token}");
    let check = async |path: &str, fields: &[(&str, &str)], expected: u16| {
        let mut call = gate.call(path);
        for (name, value) in fields {
            call = call.header(name, value);
        }
        let answer = call.send().await;
        match expected {
            400 => expect(&answer, 400, "CREDENTIAL_AMBIGUOUS", &format!("{path} {fields:?}")),
            status => assert_eq!(answer.status.as_u16(), status, "{path} {fields:?}: {:?}", answer.body),
        }
    };
    let (good, bad) = (("authorization", bearer.as_str()), ("authorization", "Bearer a.b.c"));
    let basic = ("authorization", "Basic eDp5");
    check("/a", &[good], 200).await;
    for pair in [[good, bad], [bad, good], [good, good], [good, basic], [basic, good]] {
        check("/a", &pair, 400).await;
    }
    let list = format!("{bearer}, {bearer}");
    check("/a", &[("authorization", &list)], 400).await;
    check("/a", &[("authorization", &format!("{bearer},Basic eDp5"))], 400).await;
    // One token with a blank in it, and so none.
    check("/a", &[("authorization", &format!("{bearer} {token}"))], 401).await;

    check("/a", &[("authorization", &format!("Basic eDp5, {bearer}"))], 400).await;

    let own = format!("__session={cookie}");
    check("/a", &[("cookie", &own)], 200).await;
    check("/a", &[("cookie", &format!("a=b; {own}; c=d"))], 200).await;
    check("/a", &[("cookie", &format!("{own}; {own}"))], 400).await;
    check("/a", &[("cookie", &format!("__session=x; {own}"))], 400).await;
    check("/a", &[("cookie", &own), ("cookie", "__session=x")], 400).await;

    // What some services read as the very same cookie.
    for look_alike in ["__session[a]=x", "%5f_session=x", "a=\"b __session=x\""] {
        check("/a", &[("cookie", &format!("{own}; {look_alike}"))], 400).await;
    }

    let events = ("accept", "text/event-stream");
    check(&format!("/a?access_token={token}"), &[events], 200).await;
    for query in [
        format!("access_token={token}&access_token={token}"),
        format!("access_token=x&a=b&access_token={token}"),
        format!("access_token={token}&%61ccess_token=x"),
        format!("access_token={token}&access_token"),
    ] {
        check(&format!("/a?{query}"), &[events], 400).await;
    }
    check(&format!("/a?access_token={token}"), &[events, good], 400).await;

    let attestation = ("x-firebase-appcheck", app.as_str());
    check("/app", &[good, attestation], 200).await;
    for pair in [[attestation, attestation], [attestation, ("x-firebase-appcheck", "x")]] {
        check("/app", &[good, pair[0], pair[1]], 400).await;
        check("/app", &[good, pair[1], pair[0]], 400).await;
    }
    check("/app", &[good, ("x-firebase-appcheck", &format!("{app}, {app}"))], 401).await;
    gate.close().await;
}
