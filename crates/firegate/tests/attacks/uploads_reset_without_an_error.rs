//! A client of HTTP/2 that resets its upload with NO_ERROR: for hyper that is the upload's end, and a service that has begun to
//! answer would take the part for the whole.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::frames::{DATA, END_HEADERS, HEADERS, RST_STREAM, frame, request};
use crate::stack::{clock, close, door};
use crate::wire::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_not_taken_for_the_whole() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let service = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut seen = Vec::new();
        while !seen.ends_with(b"4\r\npart\r\n") {
            assert_ne!(stream.read_buf(&mut seen).await.expect("a piece"), 0);
        }
        let begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n";
        stream.write_all(begun).await.expect("it is sent");
        let mut after = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut after).await;
        after
    });
    let text = format!("project: demo-project\nbackends: {{ api: 'http://{address}' }}\nallow: [allUsers]\n");
    let door = door(&text, &clock());
    let mut connection = crate::frames::Connection::to(&door).await;
    connection.write(&frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &[]))).await;
    connection.write(&frame(DATA, 0, 1, b"part")).await;
    assert_eq!(connection.status(1).await, Some(200));
    connection.write(&frame(RST_STREAM, 0, 1, &[0; 4])).await;
    let after = tokio::time::timeout(PATIENCE, service).await.expect("it ends").expect("no panic");
    assert_eq!(String::from_utf8_lossy(&after), "", "what comes behind the part");
    drop(connection);
    close(door).await;
}
