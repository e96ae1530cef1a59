//! The front over real sockets: Google's pages to the byte, and who gets through.

use std::fmt::Write as _;

use firegate_emulator::cloud_run::{Arrival, CloudRunService, Ingress};
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Answer, get, send};
use crate::forwarding::mirror;
use crate::world::{SERVICE_URL, World};

const HOST: (&str, &str) = ("host", "api.localhost");

const FORBIDDEN: &str = r#"<html><head>
<meta http-equiv="content-type" content="text/html;charset=utf-8">
<title>403 Forbidden</title>
</head>
<body text=#000000 bgcolor=#ffffff>
<h1>Error: Forbidden</h1>
<h2>Your client does not have permission to get URL <code>/a&quot;b&amp;&#39;c</code> from this server.</h2>
<h2></h2>
</body></html>
"#;

const UNAUTHORIZED: &str = r#"<html><head>
<meta http-equiv="content-type" content="text/html;charset=utf-8">
<title>401 Unauthorized</title>
</head>
<body text=#000000 bgcolor=#ffffff>
<h1>Error: Unauthorized</h1>
<h2>Your client does not have permission to the requested URL <code>/api/account</code>.</h2>
<h2></h2>
</body></html>
"#;

const NOT_FOUND: &str = r#"<html><head>
<meta http-equiv="content-type" content="text/html;charset=utf-8">
<title>404 Page not found</title>
</head>
<body text=#000000 bgcolor=#ffffff>
<h1>Error: Page not found</h1>
<h2>The requested URL was not found on this server.</h2>
<h2></h2>
</body></html>
"#;

/// Sends bytes as they are and reads until the other side closes.
async fn raw(front: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(front.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The answer with the two values that differ each time replaced.
fn settled(answer: &str) -> String {
    let mut settled = String::new();
    for line in answer.split_inclusive("\r\n") {
        match line.split_once(": ") {
            Some(("date", _)) => settled.push_str("date: …\r\n"),
            Some(("x-cloud-trace-context", value)) => {
                let (trace, options) = value.split_once(';').unwrap();
                assert_eq!((trace.len(), options), (32, "o=1\r\n"));
                settled.push_str("x-cloud-trace-context: …\r\n");
            }
            _ => settled.push_str(line),
        }
    }
    settled
}

fn expected(status: &str, extra: &str, body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-type: text/html; charset=UTF-8\r\n");
    write!(
        text,
        "x-cloud-trace-context: …\r\nserver: Google Frontend\r\n{extra}content-length: {}\r\n",
        body.len()
    )
    .unwrap();
    write!(text, "connection: close\r\ndate: …\r\n\r\n{body}").unwrap();
    text
}

#[tokio::test]
async fn refusals_are_googles_to_the_byte() {
    let world = World::start().await;
    let front = world.front(world.private_service("http://127.0.0.1:1"), Arrival::Internet).await;
    let end = "connection: close\r\n\r\n";
    let forbidden = raw(&front, &format!("GET /a\"b&'c?q=1 HTTP/1.1\r\nhost: api.localhost\r\n{end}")).await;
    assert_eq!(settled(&forbidden), expected("403 Forbidden", "", FORBIDDEN));

    let firebase = world.user_token("alice");
    let request = format!(
        "GET /api/account HTTP/1.1\r\nhost: api.localhost\r\nauthorization: Bearer {firebase}\r\n{end}"
    );
    let challenge = "www-authenticate: Bearer error=\"invalid_token\" \
                     error_description=\"The access token could not be verified\"\r\n";
    assert_eq!(settled(&raw(&front, &request).await), expected("401 Unauthorized", challenge, UNAUTHORIZED));

    let foreign = raw(&front, &format!("GET / HTTP/1.1\r\nhost: other.localhost\r\n{end}")).await;
    assert_eq!(settled(&foreign), expected("404 Not Found", "", NOT_FOUND));
}

#[tokio::test]
async fn a_path_with_markup_is_escaped_and_a_head_request_has_no_body() {
    let world = World::start().await;
    let front = world.front(world.private_service("http://127.0.0.1:1"), Arrival::Internet).await;
    let head = send(Method::HEAD, &format!("{front}/"), &[HOST], "").await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (403, ""));
    let encoded = get(&format!("{front}/%3Cscript%3E"), &[HOST]).await;
    assert!(encoded.body.contains("<code>/%3Cscript%3E</code>"), "{}", encoded.body);
}

#[tokio::test]
async fn a_preflight_is_refused_like_any_request_without_a_credential() {
    let world = World::start().await;
    let front = world.front(world.private_service("http://127.0.0.1:1"), Arrival::Internet).await;
    let headers = [HOST, ("origin", "https://app.example.com"), ("access-control-request-method", "GET")];
    let answer = send(Method::OPTIONS, &format!("{front}/"), &headers, "").await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")),
        "{:?}",
        answer.headers
    );
}

#[tokio::test]
async fn google_keeps_healthz_and_nothing_near_it() {
    let world = World::start().await;
    let container = mirror().await;
    let mut service = world.private_service(&container);
    service.invokers = vec!["allUsers".parse().unwrap()];
    let front = world.front(service, Arrival::Internet).await;
    let answer = get(&format!("{front}/healthz"), &[HOST]).await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("<title>Error 404 (Not Found)!!1</title>"), "{}", answer.body);
    assert!(answer.body.contains("<code>/healthz</code> was not found"), "{}", answer.body);
    for path in ["/healthz/", "/readyz", "/livez", "/health"] {
        assert_eq!(get(&format!("{front}{path}"), &[HOST]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn ingress_lets_in_by_where_a_request_comes_from() {
    let world = World::start().await;
    let container = mirror().await;
    let check = async |ingress: Ingress, arrival: Arrival, expected: u16| {
        let service = CloudRunService {
            ingress,
            invokers: vec!["allUsers".parse().unwrap()],
            ..world.private_service(&container)
        };
        let front = world.front(service, arrival).await;
        let answer = get(&format!("{front}/"), &[HOST]).await;
        assert_eq!(answer.status.as_u16(), expected, "{ingress:?} {arrival:?}");
        if expected == 404 {
            assert_eq!(answer.body, NOT_FOUND);
        }
    };
    check(Ingress::All, Arrival::Internet, 200).await;
    check(Ingress::Internal, Arrival::Internet, 404).await;
    check(Ingress::Internal, Arrival::LoadBalancer, 404).await;
    check(Ingress::Internal, Arrival::Internal, 200).await;
    check(Ingress::InternalAndCloudLoadBalancing, Arrival::Internet, 404).await;
    check(Ingress::InternalAndCloudLoadBalancing, Arrival::LoadBalancer, 200).await;
    check(Ingress::InternalAndCloudLoadBalancing, Arrival::Internal, 200).await;
}

#[tokio::test]
async fn a_minted_token_gets_through_for_its_audience_until_it_expires() {
    let world = World::start().await;
    let container = mirror().await;
    let front = world.front(world.private_service(&container), Arrival::Internet).await;
    let call = async |token: &str| -> Answer {
        let authorization = format!("Bearer {token}");
        get(&format!("{front}/"), &[HOST, ("authorization", &authorization)]).await
    };
    let token = world.id_token(SERVICE_URL).await;
    assert_eq!(call(&token).await.status, 200);
    assert_eq!(call(&world.id_token("my-audience").await).await.status, 200);
    assert_eq!(call(&world.id_token("https://example.com").await).await.status, 401);
    assert_eq!(call(&world.access_token().await).await.status, 401);
    world.clock.advance(3600);
    assert_eq!(call(&token).await.status, 401);
}
