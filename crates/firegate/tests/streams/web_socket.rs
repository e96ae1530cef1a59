//! WebSockets: how they end when their user's lease does, or when the door stops.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::site::{Site, in_time, read_head, read_rest};
use crate::stack::server::listen;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A client and a service that are joined by a door.
struct Joined {
    site: Site,
    client: TcpStream,
    service: TcpStream,
}

impl Joined {
    async fn open(settings: &str, seconds: i64) -> Self {
        let (listener, url) = listen().await;
        let site = Site::open(&url, settings).await;
        let mut client = site.send("GET /socket", UPGRADE, seconds).await;
        let service = accept(&listener).await;
        assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101 "));
        Self { site, client, service }
    }
}

/// Takes the next upgrade.
async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = in_time(listener.accept()).await.expect("a connection");
    let head = read_head(&mut stream).await;
    assert!(head.to_ascii_lowercase().contains("upgrade: websocket"), "{head}");
    let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.expect("it is sent");
    stream
}

async fn read_exactly(stream: &mut TcpStream, expected: &[u8]) {
    let mut found = vec![0; expected.len()];
    in_time(stream.read_exact(&mut found)).await.expect("it comes");
    assert_eq!(found, expected);
}

/// Code and reason of a Close frame, and whether it is masked.
fn close_frame(frame: &[u8]) -> (u16, String, bool) {
    assert_eq!(frame[0], 0x88, "a Close frame, whole and alone: {frame:?}");
    let (masked, length) = (frame[1] & 0x80 != 0, usize::from(frame[1] & 0x7f));
    let (mask, payload) = if masked { frame[2..].split_at(4) } else { (&[0_u8; 4][..], &frame[2..]) };
    assert_eq!(payload.len(), length, "nothing follows it: {frame:?}");
    let payload: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    let reason = String::from_utf8(payload[2..].to_vec()).expect("text");
    (u16::from_be_bytes([payload[0], payload[1]]), reason, masked)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_lease_both_sides_get_a_close_frame() {
    let Joined { site, mut client, mut service } = Joined::open("user_token: drop", 2).await;
    client.write_all(b"\x81\x82\0\0\0\0hi").await.expect("it is sent");
    read_exactly(&mut service, b"\x81\x82\0\0\0\0hi").await;
    service.write_all(b"\x81\x02ho").await.expect("it is sent");
    read_exactly(&mut client, b"\x81\x02ho").await;
    let (to_client, to_service) = tokio::join!(read_rest(&mut client), read_rest(&mut service));
    let expired = "the user's token expired".to_owned();
    assert_eq!(close_frame(&to_client), (1008, expired.clone(), false));
    assert_eq!(close_frame(&to_service), (1008, expired, true));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_under_way_is_finished_first() {
    let Joined { site, mut client, mut service } = Joined::open("user_token: drop", 2).await;
    // The service is in the middle of a frame when the lease ends, and goes on once it is told.
    service.write_all(b"\x82\x05one").await.expect("it is sent");
    read_exactly(&mut client, b"\x82\x05one").await;
    assert_eq!(close_frame(&read_rest(&mut service).await).0, 1008);
    service.write_all(b"23\x81\x04late").await.expect("it is sent");
    let rest = read_rest(&mut client).await;
    assert_eq!(&rest[..2], b"23", "the frame comes whole");
    assert_eq!(close_frame(&rest[2..]).0, 1008, "and none after it: {rest:?}");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_never_finishes_a_frame_is_cut_off() {
    let Joined { site, mut client, mut service } = Joined::open("user_token: drop", 2).await;
    service.write_all(b"\x82\x05one").await.expect("it is sent");
    read_exactly(&mut client, b"\x82\x05one").await;
    assert_eq!(read_rest(&mut client).await, b"", "no frame of ours in the middle of another");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_has_said_goodbye_is_not_told_twice() {
    let Joined { site, mut client, mut service } = Joined::open("user_token: drop", 2).await;
    service.write_all(b"\x88\x02\x03\xe8").await.expect("it is sent");
    assert_eq!(read_rest(&mut client).await, b"\x88\x02\x03\xe8");
    assert_eq!(close_frame(&read_rest(&mut service).await).0, 1008);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_stops_says_so() {
    let Joined { site, mut client, mut service } = Joined::open("user_token: drop", 3000).await;
    let ((), to_client, to_service) =
        tokio::join!(site.close(), read_rest(&mut client), read_rest(&mut service));
    assert_eq!(close_frame(&to_client).0, 1001);
    assert_eq!(close_frame(&to_service).0, 1001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_web_socket_is_closed() {
    let Joined { site, mut client, mut service } =
        Joined::open("user_token: drop, timeouts: { idle: 1s }", 3000).await;
    let (to_client, to_service) = tokio::join!(read_rest(&mut client), read_rest(&mut service));
    assert_eq!(close_frame(&to_client).0, 1001);
    assert_eq!(close_frame(&to_service).0, 1001);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_outlives_neither_lease_nor_grace() {
    let Joined { site, client, mut service } = Joined::open("user_token: drop", 2).await;
    let flood = async {
        let frame = [b"\x82\x7e\xff\xff".to_vec(), vec![b'x'; 65_535]].concat();
        while service.write_all(&frame).await.is_ok() {}
    };
    in_time(flood).await;
    drop(client);
    site.close().await;
}

/// Asks for a WebSocket, says this too before it is there, and waits until the service has the question.
async fn ask(site: &Site, listener: &TcpListener, early: &[u8]) -> (TcpStream, TcpStream) {
    let mut client = site.send("GET /socket", UPGRADE, 3000).await;
    client.write_all(early).await.expect("it is sent");
    let (mut service, _) = in_time(listener.accept()).await.expect("a connection");
    read_head(&mut service).await;
    (client, service)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_service_has_answered_is_not_waited_for() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    for early in [&b""[..], b"\x81\x82\0\0\0\0hi"] {
        let (client, mut service) = ask(&site, &listener, early).await;
        drop(client);
        assert_eq!(
            read_rest(&mut service).await,
            b"",
            "the service is let go, and was told nothing: {early:?}"
        );
    }
    site.close().await;
}

/// Closed over unread bytes, a connection is reset, and the answer may be lost on its way.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_something_before_a_refusal_gets_the_whole_of_it() {
    let (listener, url) = listen().await;
    let site = Site::open(&url, "user_token: drop").await;
    for early in [b"\x81\x82\0\0\0\0hi".to_vec(), vec![0x82; 300 * 1024]] {
        let (mut client, mut service) = ask(&site, &listener, &early).await;
        let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        service.write_all(refusal.as_bytes()).await.expect("it is sent");
        assert_eq!(read_rest(&mut service).await, b"", "nothing of what came early is handed on");
        let head = read_head(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        let mut rest = Vec::new();
        let end = in_time(client.read_to_end(&mut rest)).await;
        let rest = String::from_utf8_lossy(&rest);
        assert!(end.is_ok(), "{} bytes early: {end:?} behind {rest}", early.len());
        assert!(rest.starts_with("noHTTP/1.1 4"), "what came early is no request: {rest}");
    }
    site.close().await;
}
