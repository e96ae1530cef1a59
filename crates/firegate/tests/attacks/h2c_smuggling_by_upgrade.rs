//! h2c smuggling (Bishop Fox, 2020; CVE-2021-29492's neighbours): after an upgrade to cleartext HTTP/2 a client speaks to the
//! service behind the proxy's back.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn only_web_sockets_are_upgraded_to() {
    let site = Site::open().await;
    for protocol in ["h2c", "h2c, websocket", "foo", "TLS/1.0"] {
        let request = format!(
            "GET /public/a HTTP/1.1\r\nHost: door\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: {protocol}\r\n\
             HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
        );
        let answer = site.send_raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{protocol}: {answer}");
        assert!(
            !answer.contains("\"upgrade\":") && !answer.contains("\"http2-settings\":"),
            "{protocol}: {answer}"
        );
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_switches_unasked_is_not_joined() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let _ = stream.read(&mut head).await;
            let answer =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nowned";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let clock = crate::stack::clock();
    let configuration =
        format!("project: demo-project\nbackends: {{ api: 'http://{address}' }}\nallow: [allUsers]\n");
    let door = crate::stack::door(&configuration, &clock);
    let answer = crate::stack::Call::get(&crate::stack::at(&door, "/")).send().await;
    assert_eq!(answer.status.as_u16(), 502, "{answer:?}");
    crate::stack::close(door).await;
}
