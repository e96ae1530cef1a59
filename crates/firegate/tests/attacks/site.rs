use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use firegate_core::jose::RsaSigner;
use firegate_core::time::{Clock, ShiftedClock};
use firegate_files::configuration::{NamedFiles, parse_with_files};
use firegate_proxy::FrontDoor;
use serde_json::json;
use tokio::net::TcpListener;
use url::Url;

pub(crate) use crate::stack::server::echo;
use crate::stack::server::serve;
use crate::stack::{Answer, Call, at, claims, clock, close, door, door_of, stranger};

/// A front door before a service that echoes: `/public/*` is for everyone, `/admin/*` for one other user, the rest for
/// every signed-in user.
pub(crate) struct Site {
    pub(crate) door: FrontDoor,
    pub(crate) signer: RsaSigner,
    pub(crate) clock: ShiftedClock,
    /// How often the keys were fetched.
    pub(crate) key_fetches: Arc<AtomicUsize>,
}

impl Site {
    pub(crate) async fn open() -> Self {
        let (clock, signer, key_fetches) = (clock(), stranger(), Arc::new(AtomicUsize::new(0)));
        let service = echo(&clock).await;
        let keys = keys(&signer, &key_fetches).await;
        let door = door(
            &format!(
                "project: demo-project\nallow: [allAuthenticatedUsers]\nbackends:\n  \
                 open: {{ url: '{service}', credential: none, allow: [allUsers] }}\n  \
                 admin: {{ url: '{service}', allow: ['user:root@example.com'] }}\n  api: '{service}'\n\
                 routes:\n  - {{ path: /public/*, backend: open }}\n  - {{ path: /admin/*, backend: admin }}\n  \
                 - {{ path: /*, backend: api }}\ngoogle: {{ id_token_keys: '{keys}/keys' }}\n"
            ),
            &clock,
        );
        door.ready().await;
        Self { door, signer, clock, key_fetches }
    }

    pub(crate) async fn close(self) {
        close(self.door).await;
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_seconds()
    }

    /// A good token of a user who may do nothing special.
    pub(crate) fn token(&self) -> String {
        self.signer.sign(&claims("demo-project", self.now())).expect("a token")
    }

    pub(crate) fn call(&self, path: &str) -> Call {
        Call::get(&at(&self.door, path))
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        call.send().await
    }

    /// Sends bytes as they are and reads what comes until the connection ends or a second passes without any.
    pub(crate) async fn send_raw(&self, bytes: &[u8]) -> String {
        let (address, bytes) = (self.door.address(), bytes.to_vec());
        let exchange = move || {
            let mut stream = TcpStream::connect(address).expect("a connection");
            stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a time-out");
            stream.write_all(&bytes).expect("it is sent");
            let mut answer = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                answer.extend_from_slice(&buffer[..count]);
            }
            String::from_utf8_lossy(&answer).into_owned()
        };
        tokio::task::spawn_blocking(exchange).await.expect("it ends")
    }
}

/// A folder in which every file is this one.
pub(crate) struct TheMap(pub(crate) &'static str);

impl NamedFiles for TheMap {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.to_owned())
    }
}

/// A front door that a URL map leads through, before a service that echoes: `api`, which is for everyone.
pub(crate) async fn door_with_map(map: &'static str) -> FrontDoor {
    let clock = clock();
    let service = echo(&clock).await;
    let service = service.as_str().trim_end_matches('/');
    let text = format!(
        "project: demo-project\nallow: [allUsers]\nurl_map: map.yaml\nbackends: {{ api: '{service}' }}\n"
    );
    let configuration = parse_with_files("firegate.yaml", &text, &TheMap(map)).expect("a configuration");
    door_of(configuration, Arc::new(clock), None)
}

pub(crate) async fn listen() -> (TcpListener, Url) {
    let (listener, url) = crate::stack::server::listen().await;
    (listener, Url::parse(&url).expect("a URL"))
}

async fn keys(signer: &RsaSigner, fetches: &Arc<AtomicUsize>) -> String {
    let (document, fetches) = (json!({"keys": [signer.public_jwk()]}).to_string(), Arc::clone(fetches));
    let answer = move || async move {
        fetches.fetch_add(1, Ordering::SeqCst);
        document
    };
    serve(Router::new().route("/keys", get(answer))).await
}
