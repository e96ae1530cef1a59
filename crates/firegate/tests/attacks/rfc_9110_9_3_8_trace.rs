//! TRACE: the service answers with what it got (RFC 9110, section 9.3.8), Firegate's Google token and assertion among it. With
//! the token a client would call the service past Firegate.

use crate::frames::{Connection, END_HEADERS, END_STREAM, HEADERS, frame, request};
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_never_traced() {
    let wire = Wire::open().await;
    wire.admits("OPTIONS / HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n").await;
    wire.refuses("TRACE / HTTP/1.1\r\nHost: door\r\n\r\n").await;
    wire.refuses("TRACE http://door/ HTTP/1.1\r\nHost: door\r\nMax-Forwards: 3\r\n\r\n").await;
    let received = wire.origin.received();
    let mut connection = Connection::open(&wire).await;
    connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("TRACE", "/", &[]))).await;
    assert_eq!(connection.status(1).await, Some(400));
    assert_eq!(wire.origin.received(), received);
    drop(connection);
    wire.close().await;
}
