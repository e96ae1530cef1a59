//! A server on a loopback port and a client that speaks plain HTTP/1.1 to it, with the headers that it is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use firegate_core::time::{ShiftedClock, SystemClock};
use firegate_identity::{IdentityServer, Options, TokenSigning};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const PROJECT: &str = "demo-firegate";
pub(crate) const TOOLKIT: &str = "/identitytoolkit.googleapis.com";

/// How a server for a test is opened.
pub(crate) struct Setup {
    pub(crate) token_signing: TokenSigning,
    pub(crate) data_dir: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { token_signing: TokenSigning::Rs256, data_dir: None }
    }
}

/// A running server whose clock the test can move.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) clock: ShiftedClock,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The status and `error.message`.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let body = self.json();
        let error = &body["error"];
        assert_eq!(error["code"], self.status.as_u16(), "{body}");
        assert_eq!(error["errors"][0]["message"], error["message"], "{body}");
        assert_eq!(error["errors"][0]["domain"], "global", "{body}");
        (self.status.as_u16(), error["message"].as_str().unwrap().to_owned())
    }

    /// The body of a success.
    pub(crate) fn success(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.json()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub(crate) async fn start_with(setup: Setup) -> Self {
        let clock = ShiftedClock::new(Arc::new(SystemClock));
        let mut options = Options::new(PROJECT, Arc::new(clock.clone()));
        options.token_signing = setup.token_signing;
        options.data_dir = setup.data_dir;
        let server = IdentityServer::open(options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.serve(listener, async move {
            let _ = stopped.await;
        }));
        Self { address, clock, stop, task }
    }

    /// Stops the server and waits until it has stopped.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }

    /// Sends one request on its own connection. `Host` is the server's address unless given.
    pub(crate) async fn send(&self, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut builder = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            builder = builder.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let request = builder.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], "").await
    }

    /// An end user's call, with an API key.
    pub(crate) async fn user(&self, operation: &str, body: Value) -> Answer {
        let request = format!("POST {TOOLKIT}/v1/accounts:{operation}?key=any");
        self.send(&request, &[("content-type", "application/json")], &body.to_string()).await
    }

    /// An administrator's call within the project, or within a tenant: `projects/{project}{rest}`.
    pub(crate) async fn admin(&self, rest: &str, body: Value) -> Answer {
        let headers = [("authorization", "Bearer owner"), ("content-type", "application/json")];
        let request = format!("POST {TOOLKIT}/v1/projects/{PROJECT}{rest}");
        self.send(&request, &headers, &body.to_string()).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let body = format!("grant_type=refresh_token&refresh_token={refresh_token}");
        self.send("POST /securetoken.googleapis.com/v1/token?key=any", &headers, &body).await
    }

    /// Signs up with an address and the password `password`.
    pub(crate) async fn sign_up(&self, email: &str) -> Value {
        let body = json!({ "email": email, "password": "password", "returnSecureToken": true });
        self.user("signUp", body).await.success()
    }
}

/// A member that is a string.
pub(crate) fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}"))
}

/// The claims of a token whose signature does not matter here.
pub(crate) fn claims(token: &str) -> Value {
    Value::Object(firegate_core::jose::CompactJws::parse(token).unwrap().into_payload())
}
