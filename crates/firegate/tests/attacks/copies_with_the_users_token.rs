//! A mirror is a service of its own: what its backend may not see of the user's token does not come with a copy either,
//! wherever in the request it stood, and whatever the service may see that the request is for.

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use http::HeaderMap;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::project::{GOOGLE_AUDIENCE, Key, Project};
use crate::stack::server::serve;
use crate::wire::rest;

const CONFIGURATION: &str = "\
url_map: map.yaml
backends:
  api: { url: 'SERVICE', user_token: forward, token_sources: [authorization, cookie, query] }
  copy: { url: 'MIRROR' }
users: { accept: [id_token, session_cookie] }
allow: [allAuthenticatedUsers]";

const MAP: &str =
    "defaultService: api\ndefaultRouteAction: { requestMirrorPolicy: { backendService: copy } }\n";

/// A service that tells what it got: its target and its headers.
async fn told() -> (String, mpsc::UnboundedReceiver<(String, HeaderMap)>) {
    let (tell, told) = mpsc::unbounded_channel();
    let service = Router::new().fallback(any(move |request: Request| {
        let tell = tell.clone();
        async move {
            tell.send((request.uri().to_string(), request.headers().clone())).expect("the test listens");
        }
    }));
    (serve(service).await, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_holds_no_token_that_its_service_may_not_see() {
    let project = Project::open().await;
    let (mirror, mut copies) = told().await;
    let text = CONFIGURATION.replace("MIRROR", mirror.trim_end_matches('/'));
    let gate = project.gate_with_files(&text, &[("map.yaml", MAP)]).await;
    let (token, cookie) = (project.id_token(), project.session_cookie());
    let calls = [
        gate.call("/a?x=1").header("authorization", &format!("Bearer {token}")),
        gate.call("/a?x=1").header("cookie", &format!("__session={cookie}")),
        gate.call(&format!("/a?x=1&access_token={token}")).header("accept", "text/event-stream"),
    ];
    for call in calls {
        let answer = call.send().await.ok();
        let signatures = [&token, &cookie].map(|token| token.rsplit('.').next().expect("a signature"));
        let holds_token = |text: &str| signatures.iter().any(|signature| text.contains(signature));
        assert!(holds_token(&answer.to_string()), "the service may see it: {answer}");
        let (target, headers) = copies.recv().await.expect("a copy");
        assert_eq!(target, "/a?x=1");
        assert_eq!(headers["x-firegate-user-id"], "eve");
        assert!(!holds_token(&format!("{headers:?}")), "{headers:?}");
    }
    gate.close().await;
}

/// The token of the app is good for as long as the user's, and whoever gets it can be the app.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_holds_no_app_check_token_that_was_asked_for_by_the_service_of_the_request() {
    const CONFIGURATION: &str = "\
url_map: map.yaml
backends:
  api: { url: 'SERVICE', app_check: required }
  copy: { url: 'MIRROR' }
allow: [allAuthenticatedUsers]";
    let project = Project::open().await;
    let (mirror, mut copies) = told().await;
    let text = CONFIGURATION.replace("MIRROR", mirror.trim_end_matches('/'));
    let gate = project.gate_with_files(&text, &[("map.yaml", MAP)]).await;
    let call = gate.call("/a").bearer(&project.id_token());
    let answer = call.header("x-firebase-appcheck", &project.app_check_token()).send().await.ok();
    assert!(answer["headers"]["x-firebase-appcheck"].is_null(), "{answer}");
    let (_, headers) = copies.recv().await.expect("a copy");
    assert_eq!(headers["x-firegate-user-id"], "eve");
    assert_eq!(headers.get("x-firebase-appcheck"), None);
    gate.close().await;
}

/// What the rules of the mirror's own backend ask for was judged for the request's backend alone, or for nobody.
#[tokio::test(flavor = "multi_thread")]
async fn no_copy_goes_where_somebody_else_would_have_to_be_asked() {
    const CONFIGURATION: &str = "\
url_map: map.yaml
backends:
  api: { url: 'SERVICE' }
  copy: { url: 'MIRROR' }
  guarded: { url: 'MIRROR', security_policy: armor.yaml }
  attested: { url: 'MIRROR', app_check: required }
users: { accept: [id_token, google_id_token], google_audiences: ['https://api.example.com'] }
allow: [allAuthenticatedUsers, 'serviceAccount:job@ours.iam.gserviceaccount.com']";
    const MAP: &str = "\
name: m
defaultService: api
hostRules: [ { hosts: ['*'], pathMatcher: m } ]
pathMatchers:
- name: m
  defaultService: api
  pathRules:
  - { paths: [/copied], service: api, routeAction: { requestMirrorPolicy: { backendService: copy } } }
  - { paths: [/guarded], service: api, routeAction: { requestMirrorPolicy: { backendService: guarded } } }
  - { paths: [/attested], service: api, routeAction: { requestMirrorPolicy: { backendService: attested } } }
";
    const POLICY: &str = "name: edge\nrules: [ { priority: 2147483647, action: deny(403), match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } } } ]\n";
    let project = Project::open().await;
    let (mirror, mut copies) = told().await;
    let text = CONFIGURATION.replace("MIRROR", mirror.trim_end_matches('/'));
    let gate = project.gate_with_files(&text, &[("map.yaml", MAP), ("armor.yaml", POLICY)]).await;
    let user = project.id_token();
    let account =
        Key::Google.sign(&project.google_claims("job@ours.iam.gserviceaccount.com", GOOGLE_AUDIENCE));
    // The token of one audience says nothing to the services of another.
    for (path, token) in [("/guarded", &user), ("/attested", &user), ("/copied", &account)] {
        gate.call(path).bearer(token).send().await.ok();
    }
    for number in 0..3 {
        gate.call(&format!("/copied?{number}")).bearer(&user).send().await.ok();
    }
    for _ in 0..3 {
        let (target, headers) = copies.recv().await.expect("a copy");
        assert!(target.starts_with("/copied?"), "{target}");
        assert_eq!(headers["x-firegate-user-id"], "eve");
    }
    gate.close().await;
}

/// A request that the mirror's backend would refuse or take for somebody else's, whose own backend looks for tokens in other
/// places, or takes other paths.
#[tokio::test(flavor = "multi_thread")]
async fn no_copy_goes_where_the_request_itself_would_be_another_one() {
    const CONFIGURATION: &str = "\
url_map: map.yaml
backends:
  api: { url: 'SERVICE', encoded_slash: forward, allow: [allUsers] }
  copy: { url: 'MIRROR', token_sources: [authorization, cookie, query], allow: [allUsers] }
users: { accept: [id_token, session_cookie] }";
    let project = Project::open().await;
    let (mirror, mut copies) = told().await;
    let text = CONFIGURATION.replace("MIRROR", mirror.trim_end_matches('/'));
    let gate = project.gate_with_files(&text, &[("map.yaml", MAP)]).await;
    let (token, cookie) = (project.id_token(), format!("__session={}; a=b", project.session_cookie()));
    // A path that it does not take; a user whom nobody has judged; two users at once.
    gate.call("/files%2Fsecret").bearer(&token).send().await.ok();
    gate.call("/cookie").header("cookie", &cookie).send().await.ok();
    gate.call("/query?access_token=a.b.c").bearer(&token).send().await.ok();
    // What it would let go no further.
    gate.call("/beside").bearer(&token).header("cookie", &cookie).send().await.ok();
    let (target, headers) = copies.recv().await.expect("a copy");
    assert_eq!((&*target, &headers["x-firegate-user-id"]), ("/beside", &"eve".parse().expect("a value")));
    assert_eq!((headers.get("authorization"), &headers["cookie"]), (None, &"a=b".parse().expect("a value")));
    gate.call("/last").send().await.ok();
    assert_eq!(copies.recv().await.expect("a copy").0, "/last");
    gate.close().await;
}

/// A service whose backend takes bodies of so many bytes gets no more with a copy, whether or not the length is announced.
#[tokio::test(flavor = "multi_thread")]
async fn no_copy_is_larger_than_what_its_service_takes() {
    const CONFIGURATION: &str = "\
url_map: map.yaml
backends:
  api: { url: 'SERVICE' }
  copy: { url: 'MIRROR', body_bytes_max: 8 }
allow: [allAuthenticatedUsers]";
    let project = Project::open().await;
    let (tell, mut copies) = mpsc::unbounded_channel();
    let mirror = Router::new().fallback(any(async move |request: Request| {
        let path = request.uri().to_string();
        let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
        tell.send((path, body.map(|body| body.len()).ok())).expect("the test listens");
    }));
    let mirror = serve(mirror).await;
    let text = CONFIGURATION.replace("MIRROR", mirror.trim_end_matches('/'));
    let gate = project.gate_with_files(&text, &[("map.yaml", MAP)]).await;
    let token = project.id_token();
    let send = async |path: &str, body: &str, is_announced: bool| {
        let framing = match is_announced {
            true => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            false => format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: door\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
        );
        let mut stream = TcpStream::connect(gate.door.address()).await.expect("a connection");
        stream.write_all(format!("{head}{framing}").as_bytes()).await.expect("it is sent");
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    };
    send("/announced", "nine more", true).await;
    send("/in-chunks", "nine more", false).await;
    send("/last", "eight ok", true).await;
    // What is broken off may have begun.
    let mut told = Vec::new();
    while told.last().is_none_or(|(path, _)| path != "/last") {
        told.push(copies.recv().await.expect("a copy"));
    }
    told.retain(|copy| *copy != ("/in-chunks".to_owned(), None));
    assert_eq!(told, [("/last".to_owned(), Some(8))]);
    gate.close().await;
}
