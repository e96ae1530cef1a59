//! A stranger begins forms for the token endpoint and does not end them. Each keeps a place until its time is over, and so few
//! strangers must not have them all.

use firegate_core::limits::EXCHANGE_FORM_BYTES_MAX;
use firegate_proxy::limits::{EXCHANGE_FORM_TIMEOUT, EXCHANGE_FORMS_PER_CLIENT_MAX, EXCHANGES_MAX};
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::project::{EXCHANGE, Gate, Project, TOKEN_ENDPOINT, exchange_of, form};
use crate::stack::{Answer, Call, log};
use crate::wire::PATIENCE;

const FORM: &str = "application/x-www-form-urlencoded";

/// Begins a form, and returns when the door waits for the rest of it: then it asks for that.
async fn begin(gate: &Gate, client: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gate.door.address()).await.expect("a connection");
    let head = format!(
        "POST {TOKEN_ENDPOINT} HTTP/1.1\r\nHost: door\r\nX-Forwarded-For: {client}\r\nContent-Type: {FORM}\r\nContent-Length: 3\r\n\
         Connection: close\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&asked), "HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

async fn exchange(gate: &Gate, client: &str, form: &str) -> Answer {
    let call = Call::new(Method::POST, &gate.url(TOKEN_ENDPOINT)).header("x-forwarded-for", client);
    call.header("content-type", FORM).body(form.to_owned()).send().await
}

/// What the log says of it.
async fn line_of(answer: &Answer) -> String {
    let request_id = answer.header("x-firegate-request-id").expect("a name");
    log::line(|line| line.contains(request_id)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_that_do_not_end_take_no_places_but_their_clients_own() {
    log::begin();
    let project = Project::open().await;
    let gate = project.gate(&format!("{EXCHANGE}\nbehind: {{ hops: 1, peers: [127.0.0.1/32] }}")).await;
    let good = form(&exchange_of(&project.id_token(), "api"));
    // Each from another address of one network, which is one client.
    let mut begun = Vec::new();
    for number in 1..=EXCHANGE_FORMS_PER_CLIENT_MAX {
        begun.push(begin(&gate, &format!("2001:db8:0:1::{number:x}")).await);
    }
    let refused = exchange(&gate, "2001:db8:0:1:ffff::1", &good).await;
    assert_eq!(refused.status.as_u16(), 503, "{:?}", refused.body);
    assert_eq!(refused.header("retry-after"), Some("2"));
    let evidence = "evidence=\"the client has too many forms under way\"";
    assert!(line_of(&refused).await.contains(evidence));
    for other in ["2001:db8:0:2::1", "192.0.2.1"] {
        exchange(&gate, other, &good).await.ok();
    }
    // The place of a form that ends is free.
    let mut first = begun.swap_remove(0);
    first.write_all(b"a=b").await.expect("it is sent");
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    exchange(&gate, "2001:db8:0:1:ffff::1", &good).await.ok();
    gate.close().await;
}

/// However many strangers there are, their forms take no more than there are places.
#[tokio::test(flavor = "multi_thread")]
async fn forms_of_many_clients_are_bounded_in_all() {
    log::begin();
    let project = Project::open().await;
    let gate = project.gate(&format!("{EXCHANGE}\nbehind: {{ hops: 1, peers: [127.0.0.1/32] }}")).await;
    let good = form(&exchange_of(&project.id_token(), "api"));
    let began = Instant::now();
    let client = |number: usize| format!("2001:db8:1:{:x}::1", number / EXCHANGE_FORMS_PER_CLIENT_MAX);
    let clients = (0..EXCHANGES_MAX).map(client).collect::<Vec<_>>();
    let begun = futures_util::future::join_all(clients.iter().map(|client| begin(&gate, client))).await;
    let refused = exchange(&gate, "192.0.2.1", &good).await;
    // On a machine that is so busy the first ones are over by then.
    if began.elapsed() < EXCHANGE_FORM_TIMEOUT {
        assert_eq!(refused.status.as_u16(), 503, "{:?}", refused.body);
        assert!(line_of(&refused).await.contains("evidence=\"too many exchanges are under way\""));
    }
    drop(begun);
    let admitted = async { while exchange(&gate, "192.0.2.1", &good).await.status.as_u16() != 200 {} };
    tokio::time::timeout(PATIENCE, admitted).await.expect("there are places again");
    gate.close().await;
}

/// Everybody has one address then, and the operator learns what there is to configure.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_load_balancer_that_nobody_told_of_the_log_says_what_to_tell() {
    log::begin();
    let project = Project::open().await;
    let gate = project.gate(EXCHANGE).await;
    let good = form(&exchange_of(&project.id_token(), "api"));
    let mut begun = Vec::new();
    for number in 1..=EXCHANGE_FORMS_PER_CLIENT_MAX {
        begun.push(begin(&gate, &format!("192.0.2.{number}")).await);
    }
    let refused = exchange(&gate, "198.51.100.1", &good).await;
    assert_eq!(refused.status.as_u16(), 503, "{:?}", refused.body);
    let line = line_of(&refused).await;
    let hint = "the client has too many forms under way; hint: if its address is a load balancer's or a proxy's, set `behind`";
    assert!(line.contains(hint), "{line}");
    gate.close().await;
}

/// What comes of a form of which so much is sent, and no more.
async fn unended(gate: &Gate, length: usize, sent: &str) -> String {
    let mut stream = TcpStream::connect(gate.door.address()).await.expect("a connection");
    let head = format!(
        "POST {TOKEN_ENDPOINT} HTTP/1.1\r\nHost: door\r\nContent-Type: {FORM}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{sent}").as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_too_long_is_refused_before_its_end_and_one_that_does_not_come_when_its_time_is_over()
{
    let project = Project::open().await;
    let gate = project.gate(EXCHANGE).await;
    let good = format!("{}&x=", form(&exchange_of(&project.id_token(), "api")));
    let filled = |length: usize| format!("{good}{}", "y".repeat(length - good.len()));
    let longest = filled(EXCHANGE_FORM_BYTES_MAX);
    let answer = unended(&gate, longest.len(), &longest).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let began = Instant::now();
    let answer = unended(&gate, 10 * EXCHANGE_FORM_BYTES_MAX, &filled(EXCHANGE_FORM_BYTES_MAX + 1)).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("the form is too long"), "{answer}");
    assert!(began.elapsed() < EXCHANGE_FORM_TIMEOUT, "the rest is not waited for");
    let began = Instant::now();
    let answer = unended(&gate, good.len() + 1, &good).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("did not come in time"), "{answer}");
    assert!(began.elapsed() >= EXCHANGE_FORM_TIMEOUT);
    gate.close().await;
}
