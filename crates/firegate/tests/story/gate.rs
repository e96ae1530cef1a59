//! Doors of a test's own among the parts of a running stack: as many as the test needs, each with its own configuration,
//! and with the line to the look-ups of users in between, which can be cut.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use firegate::dev::{DevArguments, Mapping, PROJECT_NUMBER};
use firegate_core::jose::{EcdsaP256Signer, encode_base64url};
use firegate_proxy::FrontDoor;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::stack::server::{listen, serve};
use crate::stack::{Call, Stack, door, text};

/// How long something may take that ought to happen at once, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const PASSWORD: &str = "correct horse battery staple";

/// The parts that doors stand among.
pub(crate) struct Site {
    pub(crate) stack: Stack,
    /// From the doors to what says who is disabled.
    pub(crate) lookups: Line,
}

impl Site {
    pub(crate) async fn open() -> Self {
        let stack = Stack::start().await;
        let lookups = Line::to(stack.dev.places.identity.socket_addrs(|| None).expect("an address")[0]).await;
        Self { stack, lookups }
    }

    /// A door with this configuration, but for the project and Google's endpoints, that is ready.
    pub(crate) async fn door(&self, text: &str) -> FrontDoor {
        let door = door(&self.configuration(text), &self.stack.clock);
        tokio::time::timeout(PATIENCE, door.ready()).await.expect("the door becomes ready");
        door
    }

    /// The whole of a configuration, with the project and Google's endpoints.
    pub(crate) fn configuration(&self, text: &str) -> String {
        let places = &self.stack.dev.places;
        let (identity, google) = (&places.identity, &places.google);
        format!(
            "project: demo-firegate\nproject_number: '{PROJECT_NUMBER}'\nadmin: {{ listen: 127.0.0.1:0 }}\n{text}\ngoogle:\n  \
             id_token_keys: '{identity}www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com'\n  \
             session_cookie_keys: '{identity}www.googleapis.com/identitytoolkit/v3/relyingparty/publicKeys'\n  \
             app_check_keys: '{google}v1/jwks'\n  app_check: '{google}'\n  google_id_token_keys: '{google}oauth2/v3/certs'\n  \
             identity_toolkit: 'http://{}/identitytoolkit.googleapis.com'\n  oauth2_token: '{google}token'\n  \
             sts: '{google}'\n  iam_credentials: '{google}'\n  metadata: '{google}'\n",
            self.lookups.address
        )
    }

    /// The sample service behind Cloud Run's front, as a backend's settings.
    pub(crate) fn service(&self) -> String {
        let service = self.stack.dev.places.service.as_str().trim_end_matches('/');
        format!("url: '{service}', credential: default")
    }

    /// Somebody who has just signed up: `localId`, `idToken`.
    pub(crate) async fn new_user(&self, email: &str) -> Value {
        let body = json!({"email": email, "password": PASSWORD, "returnSecureToken": true});
        self.stack.identity("v1/accounts:signUp", body).await.ok()
    }

    pub(crate) async fn sign_in(&self, email: &str, tenant: Option<&str>) -> Value {
        let body =
            json!({"email": email, "password": PASSWORD, "tenantId": tenant, "returnSecureToken": true});
        self.stack.identity("v1/accounts:signInWithPassword", body).await.ok()
    }

    /// A user made by an administrator, in a tenant (`/tenants/red`) or the project itself.
    pub(crate) async fn create_user(&self, scope: &str, uid: &str, email: &str) {
        let body = json!({"localId": uid, "email": email, "password": PASSWORD});
        self.stack.admin(&format!("{scope}/accounts"), body).await;
    }

    /// What the Admin SDK's `createSessionCookie` returns.
    pub(crate) async fn session_cookie(&self, id_token: &str, valid_seconds: i64) -> String {
        let body = json!({"idToken": id_token, "validDuration": valid_seconds.to_string()});
        text(&self.stack.admin(":createSessionCookie", body).await["sessionCookie"])
    }

    /// Closes the doors and then what they stand among.
    pub(crate) async fn close<const COUNT: usize>(self, doors: [FrontDoor; COUNT]) {
        for door in doors {
            crate::stack::close(door).await;
        }
        self.stack.stop().await;
    }
}

/// A stack that runs a configuration file, with the sample in the place of its service at
/// `https://api-abc123-uc.a.run.app`.
pub(crate) async fn stack_with_file(text: &str) -> Stack {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let text = format!("project: demo-firegate\nproject_number: '{PROJECT_NUMBER}'\n{text}\n");
    std::fs::write(&file, text).expect("a file");
    let map = vec![Mapping { backend: "api".to_owned(), url: mirror().await.parse().expect("a URL") }];
    Stack::with(DevArguments { config: Some(file), map, ..DevArguments::default() }).await
}

/// A TCP relay that can be cut and mended.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    is_cut: watch::Sender<bool>,
}

impl Line {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (is_cut, cut) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut cut = cut.clone();
                tokio::spawn(async move {
                    let relay = async {
                        let mut far = TcpStream::connect(target).await?;
                        tokio::io::copy_bidirectional(&mut near, &mut far).await
                    };
                    // Either way both ends are closed.
                    tokio::select! {
                        biased;
                        _ = cut.wait_for(|is_cut| *is_cut) => {}
                        _ = relay => {}
                    }
                });
            }
        });
        Self { address, is_cut }
    }

    pub(crate) fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    pub(crate) fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

/// A new assertion key, in a file.
pub(crate) fn key_file(folder: &Path) -> PathBuf {
    let key = EcdsaP256Signer::generate().expect("a key");
    let text = encode_base64url(key.pkcs8()).replace('-', "+").replace('_', "/");
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    let path = folder.join("assertion.pem");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}{padding}\n-----END PRIVATE KEY-----\n");
    std::fs::write(&path, pem).expect("a file");
    path
}

/// A service that tells as JSON what reached it: `path`, and `headers` by name, each with all its values.
pub(crate) async fn mirror() -> String {
    let answer = |headers: HeaderMap, uri: axum::http::Uri| async move {
        let values = |name: &http::HeaderName| {
            let texts = headers.get_all(name).iter().map(|value| value.to_str().expect("text").to_owned());
            json!(texts.collect::<Vec<_>>().join(" | "))
        };
        let pairs = headers.keys().map(|name| (name.to_string(), values(name)));
        json!({"path": uri.to_string(), "headers": Value::Object(pairs.collect())}).to_string()
    };
    serve(Router::new().fallback(any(answer))).await
}

/// A service whose answer never ends.
pub(crate) async fn endless() -> String {
    let answer = || async {
        let pieces = futures_util::stream::unfold((), |()| async {
            tokio::task::yield_now().await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"data: tick\n\n")), ()))
        });
        Body::from_stream(pieces)
    };
    serve(Router::new().fallback(any(answer))).await
}

/// A service that switches protocols, tells the head that reached it, and then sends back what it gets. It answers with
/// the subprotocols that it was offered, as careless ones do.
pub(crate) async fn web_sockets() -> String {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = read_head(&mut stream).await;
                let offered = head.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
                let chosen = offered.map(|offered| format!("Sec-WebSocket-Protocol: {offered}\r\n"));
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{}\r\n{head}",
                    chosen.unwrap_or_default()
                );
                stream.write_all(answer.as_bytes()).await.expect("it is sent");
                let (mut from, mut to) = stream.split();
                // Ends when the front door does.
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    url
}

/// Reads up to the empty line; what came, if the other side closes before.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).expect("text")
}

/// Sends a head to a door, and gives the connection and the head of the answer.
pub(crate) async fn send_head(
    door: &FrontDoor,
    target: &str,
    fields: &[(&str, &str)],
) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(door.address()).await.expect("a connection");
    let fields = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", door.address());
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let answer = tokio::time::timeout(PATIENCE, read_head(&mut stream)).await.expect("an answer");
    (stream, answer)
}

/// Opens a WebSocket; with the connection, the answer's head and the head that reached the service.
pub(crate) async fn open_web_socket(
    door: &FrontDoor,
    target: &str,
    fields: &[(&str, &str)],
) -> (TcpStream, String, String) {
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let (mut stream, answer) = send_head(door, target, &[&upgrade, fields].concat()).await;
    let seen = match answer.starts_with("HTTP/1.1 101 ") {
        true => read_head(&mut stream).await,
        false => String::new(),
    };
    (stream, answer, seen)
}

/// That a WebSocket to the service still sends back.
pub(crate) async fn expect_echo(stream: &mut TcpStream) {
    stream.write_all(b"ping").await.expect("it is sent");
    let mut echo = [0; 4];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut echo)).await.expect("in time").expect("an echo");
    assert_eq!(&echo, b"ping");
}

/// Reads to the end of the connection, which has to come; the last bytes.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let read = async {
        let (mut last, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            last.extend_from_slice(&buffer[..count]);
            let keep = last.len().saturating_sub(16);
            last.drain(..keep);
        }
        last
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the stream ends")
}

/// A number at the admin listener.
pub(crate) async fn metric(door: &FrontDoor, name: &str) -> f64 {
    let address = door.admin_address().expect("an admin listener");
    let url = format!("http://{address}/metrics").parse().expect("a URL");
    let answer = Call::new(Method::GET, &url).send().await;
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} is missing:\n{text}")).parse().expect("a number")
}
