//! Trailers: servers merge them into the headers, so a protected name there is a protected header (RFC 9110, section
//! 6.5.1). lighttpd did so with any name, after its own checks (CVE-2025-12642); Apache does with `MergeTrailers`.

use std::net::SocketAddr;

use firegate_proxy::FrontDoor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::project::Project;

/// A service that answers one request, whose text it gives.
async fn service() -> (SocketAddr, JoinHandle<String>) {
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
    (address, service)
}

/// The trailers that the service gets of these.
async fn trailers(door: &FrontDoor, service: JoinHandle<String>, names: &str, trailers: &str) -> String {
    let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
    let request = format!(
        "POST /public/a HTTP/1.1\r\nHost: door\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: {names}\r\n\r\n\
         2\r\nhi\r\n0\r\n{trailers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let seen = service.await.expect("the service got it");
    let (_, trailers) = seen.split_once("\r\n0\r\n").expect("trailers");
    trailers.to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_identity_comes_by_trailer() {
    let (address, service) = service().await;
    let configuration =
        format!("project: demo-project\nbackends: {{ api: 'http://{address}' }}\nallow: [allUsers]\n");
    let door = crate::stack::door(&configuration, &crate::stack::clock());
    let names = "X-Firegate-User-Id, X_Serverless_Authorization, Authorization, X-Firebase-AppCheck, Sec-WebSocket-Protocol, X-Checksum";
    let sent = "X-Firegate-User-Id: admin\r\nX_Serverless_Authorization: Bearer evil\r\nAuthorization: Bearer evil\r\n\
                X-Firebase-AppCheck: evil\r\nSec-WebSocket-Protocol: bearer, evil\r\n\
                X-Checksum: kept\r\n";
    let trailers = trailers(&door, service, names, sent).await;
    assert!(!trailers.contains("admin") && !trailers.contains("evil"), "{trailers}");
    assert!(trailers.contains("x-checksum: kept"), "other trailers pass: {trailers}");
    crate::stack::close(door).await;
}

/// What a rule of the security policy looked at in the head, or counts by, and what policy and URL map set there or took out.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_head_decided_is_said_anew_by_trailer() {
    const POLICY: &str = "name: edge\nrules:\n\
        - { priority: 1, action: deny(403), match: { expr: { expression: \"has(request.headers['x-mode']) && request.headers['x-mode'] == 'unsafe'\" } } }\n\
        - { priority: 2, action: throttle, match: { expr: { expression: \"request.path == '/counted' && request.method == 'PUT'\" } }, rateLimitOptions: { conformAction: allow, \
        exceedAction: deny(429), enforceOnKey: HTTP_HEADER, enforceOnKeyName: x-key, rateLimitThreshold: { count: 9, intervalSec: 60 } } }\n\
        - { priority: 2147483647, action: allow, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } }, \
        headerAction: { requestHeadersToAdds: [ { headerName: X-Role, headerValue: guest } ] } }\n";
    const MAP: &str = "name: m\ndefaultService: api\nheaderAction: { requestHeadersToRemove: [X-Gone], \
        requestHeadersToAdd: [ { headerName: X-Team, headerValue: guests, replace: true } ] }\n";
    let (address, service) = service().await;
    let text = format!(
        "backends: {{ api: {{ url: 'http://{address}', security_policy: armor.yaml }} }}\nurl_map: map.yaml\nallow: [allUsers]"
    );
    let project = Project::open().await;
    let gate = project.gate_with_files(&text, &[("armor.yaml", POLICY), ("map.yaml", MAP)]).await;
    let names =
        ["X-Mode", "X_Mode", "X-Key", "X-Role", "X.Role", "X-Gone", "X-Team", "X_Team", "X-HTTP-Method"];
    let sent = names.map(|name| format!("{name}: evil\r\n")).concat() + "X-Checksum: kept\r\n";
    let trailers = trailers(&gate.door, service, &(names.join(", ") + ", X-Checksum"), &sent).await;
    assert!(!trailers.contains("evil"), "{trailers}");
    assert!(trailers.contains("x-checksum: kept"), "other trailers pass: {trailers}");
    gate.close().await;
}
