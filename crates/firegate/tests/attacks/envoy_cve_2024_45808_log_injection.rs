//! CVE-2024-45808: what a client sends stood in the log as it came, so that a client could write lines of its own into it.
//! Here a request is one line, in whatever form the log is, and every byte of the client's is shown and not obeyed.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::site::echo;
use crate::stack::binary::Served;
use crate::stack::clock;

/// What a line of the attacker's would say, if it came to be one.
const FORGED: &str = "{\"severity\":\"INFO\",\"message\":\"forged\"}";

/// Sends bytes as they are, and waits for the end of the answer.
async fn send(served: &Served, request: &[u8]) -> Vec<u8> {
    let address = served.url.socket_addrs(|| None).expect("an address")[0];
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request).await.expect("it is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the answer ends");
    assert!(answer.starts_with(b"HTTP/1.1 "), "{:?}", String::from_utf8_lossy(&answer));
    answer
}

/// Requests with everything in them that a socket can carry: escapes of terminals in their 7 and 8 bits, bytes that are no
/// UTF-8, what turns the direction of writing, quotes and backslashes, and percent-encoded line feeds.
fn requests() -> Vec<Vec<u8>> {
    let hostile: [&[u8]; 5] = [
        "\t\u{9b}31m\u{85}\u{2028}\u{202e}".as_bytes(),
        b"\xff\xfe\xc3\x28 \x9b2J\x80",
        b"\",\"severity\":\"ERROR\",\"x\":\"",
        b"\\\",\\\"x\\\":\\\"\\u000a",
        "\\n\\u001b[2J 𝒳 é".as_bytes(),
    ];
    let mut requests = Vec::new();
    for bytes in hostile {
        for name in ["User-Agent", "Referer", "X-Cloud-Trace-Context", "traceparent", "X-Forwarded-For"] {
            let head =
                format!("GET /a?forged=%0a{} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n", "%0d%1b[2J");
            requests.push([head.as_bytes(), name.as_bytes(), b": ", bytes, b"\r\n\r\n"].concat());
        }
    }
    for target in ["/a%0d%0a%7b%7d", "/a?x=\"}", "/%1b[2J", "/\"\\u000a", "/a?'\"\\", "/a?\u{202e}\u{9b}"] {
        requests
            .push(format!("GET {target} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n").into_bytes());
    }
    requests.push(b"FORGED'*|~ / HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n".to_vec());
    requests
}

/// The last request, by which it is seen that those before it are in the log.
const LAST: &[u8] = b"GET /the-last-one HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n";

async fn log_of_attacks(format: &str) -> (String, usize) {
    let service = echo(&clock()).await;
    let service = service.as_str().trim_end_matches('/');
    let configuration = format!(
        "project: demo-project\nbackends: {{ open: '{service}' }}\nallow: [allUsers]\nbehind: direct\n"
    );
    let served = Served::start(&configuration, format, "info");
    let requests = requests();
    for request in &requests {
        send(&served, request).await;
    }
    send(&served, LAST).await;
    served.line(|line| line.contains("/the-last-one")).await;
    (served.stop(), requests.len() + 1)
}

/// Every line is of Firegate's own making, and nothing in it moves a cursor.
fn expect_shown(log: &str) {
    let obeyed = |character: char| {
        (character.is_control() && character != '\n')
            || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!log.contains(obeyed), "{log:?}");
    assert!(!log.lines().any(|line| line.starts_with(FORGED)), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_line_of_json_that_says_what_was_sent() {
    let (log, sent) = log_of_attacks("json").await;
    expect_shown(&log);
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    let requests = lines.filter(|line| line["httpRequest"].is_object()).collect::<Vec<_>>();
    // What hyper itself refuses is never a request, and has no line; most of these are.
    assert!(requests.len() > sent * 3 / 4 && requests.len() <= sent, "{} of {sent}:\n{log}", requests.len());
    for line in &requests {
        assert!(matches!(line["severity"].as_str(), Some("INFO" | "WARNING")), "{line}");
        assert!(line.get("x").is_none() && line["httpRequest"].get("x").is_none(), "{line}");
        // Of a head that cannot be read nothing is repeated.
        let url = line["httpRequest"].get("requestUrl").map(|url| url.as_str().expect("a URL"));
        assert!(url.is_none_or(|url| url.starts_with("http://door/")), "{line}");
        assert!(line["httpRequest"]["remoteIp"] == "127.0.0.1", "nobody vouches for another: {line}");
        assert!(line.get("logging.googleapis.com/trace").is_none(), "no trace has such an id: {line}");
    }
    let agents =
        requests.iter().filter_map(|line| line["httpRequest"]["userAgent"].as_str()).collect::<Vec<_>>();
    assert!(
        agents.iter().any(|agent| agent.contains("\",\"severity\":\"ERROR\"")),
        "it is told as it was sent: {agents:?}"
    );
    assert!(agents.iter().any(|agent| agent.contains('\u{fffd}')), "{agents:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_line_of_text_in_which_nothing_is_obeyed() {
    let (log, sent) = log_of_attacks("text").await;
    expect_shown(&log);
    let requests = log.lines().filter(|line| line.contains(" http://door/")).count();
    assert!(requests > sent * 3 / 4 && requests <= sent, "{requests} of {sent}:\n{log}");
    let level = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    assert!(log.lines().all(|line| matches!(level(line).as_deref(), Some("INFO" | "WARN"))), "{log}");
}
