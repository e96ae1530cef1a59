//! Clients that send slowly, or more than they may.

use std::io::Write as _;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::site::{PATIENCE, Site, in_time, listen, read_head, read_rest};

/// Sends a byte now and then until the other side has had enough of it.
async fn drip(stream: &mut TcpStream) -> Vec<u8> {
    let (mut reader, mut writer) = stream.split();
    let drops = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(500));
        loop {
            ticks.tick().await;
            if writer.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        answer = read_rest(&mut reader) => answer,
        () = drops => Vec::new(),
    }
}

/// Takes a request and reads of it whatever comes, until the other side breaks off or is done.
async fn swallow(listener: &TcpListener) -> (u64, bool) {
    let (mut stream, _) = in_time(listener.accept()).await.expect("a connection");
    read_head(&mut stream).await;
    let (mut bytes, mut buffer, mut last) = (0, vec![0; 64 * 1024], Vec::new());
    while let Ok(count @ 1..) =
        tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.expect("in time")
    {
        bytes += count as u64;
        last.extend_from_slice(&buffer[..count]);
        last.drain(..last.len().saturating_sub(5));
    }
    (bytes, last == b"0\r\n\r\n")
}

/// Scenario 16: heads and bodies of a byte now and then.
#[tokio::test(flavor = "multi_thread")]
async fn scenario_16_slow_heads_and_bodies_are_cut_off_and_honest_clients_pass() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut head = site.connect().await;
    head.write_all(b"GET / HTTP/1.1\r\nHost: door\r\nX-Slow: ").await.expect("it is sent");
    let mut announced = site.send("POST /a", "Content-Length: 100000\r\n", 3000).await;
    let mut chunked =
        site.send("POST /a", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1000\r\n", 3000).await;
    let services = async { tokio::join!(swallow(&listener), swallow(&listener)) };
    let (slow_head, announced, chunked, services) =
        tokio::join!(drip(&mut head), drip(&mut announced), drip(&mut chunked), services);
    for answer in [announced, chunked] {
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"BODY_TOO_SLOW\""), "{answer}");
    }
    let slow_head = String::from_utf8_lossy(&slow_head).into_owned();
    assert!(slow_head.is_empty() || slow_head.starts_with("HTTP/1.1 408 "), "{slow_head}");
    assert!(!services.0.1 && !services.1.1, "the service must not take a part for the whole: {services:?}");
    site.close().await;
}

/// Scenario 18: a body that turns out to be too large is refused when it does, and the service is not left waiting.
#[tokio::test(flavor = "multi_thread")]
async fn scenario_18_a_body_over_the_limit_is_413_and_the_service_is_broken_off() {
    const LIMIT: u64 = 4 * 1024 * 1024;
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop, body_bytes_max: 4MiB").await;
    let mut client = site.send("POST /a", "Transfer-Encoding: chunked\r\n", 3000).await;
    let (mut reader, mut writer) = client.split();
    let mut chunk = Vec::new();
    write!(chunk, "10000\r\n{}\r\n", "x".repeat(0x10000)).expect("memory");
    let flood = async {
        loop {
            if writer.write_all(&chunk).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let answer = async {
        let head = read_head(&mut reader).await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    };
    let (_, (bytes, is_whole)) = tokio::join!(
        async {
            tokio::select! { () = answer => {}, () = flood => {} }
        },
        swallow(&listener)
    );
    assert!(!is_whole, "the service must not take the part for the whole");
    assert!(bytes < LIMIT + 256 * 1024, "{bytes} bytes went on");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_outlives_its_token_is_told_so() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    let mut client = site.send("POST /a", "Content-Length: 100000\r\n", 2).await;
    let (answer, (_, is_whole)) = tokio::join!(drip(&mut client), swallow(&listener));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("\"LEASE_OVER\""), "{answer}");
    assert!(answer.contains("\"REFRESH_TOKEN\""), "{answer}");
    assert!(!is_whole);
    site.close().await;
}
