//! A token among the subprotocols of a WebSocket: whoever answers with "the first one offered" would send the token back,
//! into the browser's console and every proxy's log. It is removed before the service sees it, and never answered.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::project::Project;

/// A service that switches, and says that it chose this subprotocol; what it saw comes back.
async fn service(listener: &TcpListener, chosen: &str) -> String {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let seen = head(&mut stream).await;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\
         Sec-WebSocket-Protocol: {chosen}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.expect("it is sent");
    seen
}

async fn head(stream: &mut TcpStream) -> String {
    let mut seen = String::new();
    while !seen.contains("\r\n\r\n") {
        let mut piece = vec![0; 8192];
        let count = stream.read(&mut piece).await.expect("a piece");
        assert_ne!(count, 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    seen.to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_never_echoed_and_the_service_gets_the_others_alone() {
    let project = Project::open().await;
    let token = project.id_token();
    let secret = token.rsplit('.').next().expect("a signature").to_lowercase();
    for user_token in ["drop", "forward"] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let text = format!(
            "backends: {{ api: {{ url: 'http://{address}', user_token: {user_token}, token_sources: [websocket_protocol] }} }}\n\
             allow: [allAuthenticatedUsers]"
        );
        let gate = project.gate(&text).await;
        let offer = format!("chat, access_token, {token}, superchat");
        for (chosen, is_told) in
            [("chat", true), (token.as_str(), false), ("access_token", false), ("superchat", true)]
        {
            let mut client = TcpStream::connect(gate.door.address()).await.expect("a connection");
            let request = format!(
                "GET /a HTTP/1.1\r\nHost: door\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {offer}\r\n\r\n"
            );
            client.write_all(request.as_bytes()).await.expect("it is sent");
            let (seen, answer) = tokio::join!(service(&listener, chosen), head(&mut client));
            assert!(answer.starts_with("http/1.1 101 "), "{answer}");
            assert!(!answer.contains(&secret) && !answer.contains("access_token"), "{user_token}: {answer}");
            let tells = answer.contains(&format!("sec-websocket-protocol: {chosen}\r\n"));
            assert_eq!(tells, is_told, "{user_token}, {chosen}: {answer}");
            assert_eq!(seen.contains(&secret), user_token == "forward", "{seen}");
            assert!(seen.contains("chat") && seen.contains("superchat"), "the others stay: {seen}");
            if user_token == "drop" {
                assert!(seen.contains("sec-websocket-protocol: chat, superchat\r\n"), "{seen}");
            }
        }
        // It counts for a WebSocket alone.
        let answer = gate.call("/a").header("sec-websocket-protocol", &offer).send().await;
        answer.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
        gate.close().await;
    }
}
