//! Trailers: servers merge them into the headers, so a protected name there is a protected header (RFC 9110, section
//! 6.5.1).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn no_identity_comes_by_trailer() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let service = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut seen = String::new();
        while !seen.contains("\r\n0\r\n") || !seen.ends_with("\r\n\r\n") {
            let mut piece = vec![0; 4096];
            let count = stream.read(&mut piece).await.expect("a piece");
            assert_ne!(count, 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("it is sent");
        seen
    });
    let configuration =
        format!("project: demo-project\nbackends: {{ api: 'http://{address}' }}\nallow: [allUsers]\n");
    let door = crate::stack::door(&configuration, &crate::stack::clock());
    let mut stream = tokio::net::TcpStream::connect(door.address()).await.expect("a connection");
    let request = "POST /public/a HTTP/1.1\r\nHost: door\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\
                   Trailer: X-Firegate-User-Id, X_Serverless_Authorization, Authorization, X-Firebase-AppCheck, Sec-WebSocket-Protocol, X-Checksum\r\n\r\n2\r\nhi\r\n0\r\n\
                   X-Firegate-User-Id: admin\r\nX_Serverless_Authorization: Bearer evil\r\nAuthorization: Bearer evil\r\n\
                   X-Firebase-AppCheck: evil\r\nSec-WebSocket-Protocol: bearer, evil\r\n\
                   X-Checksum: kept\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let seen = service.await.expect("the service got it");
    let (_, trailers) = seen.split_once("\r\n0\r\n").expect("trailers");
    assert!(!trailers.contains("admin") && !trailers.contains("evil"), "{trailers}");
    assert!(trailers.to_lowercase().contains("x-checksum: kept"), "other trailers pass: {trailers}");
    crate::stack::close(door).await;
}
