//! A real front door for each case: with the case's configuration, but for keys that the test publishes, a local service in the
//! place of every backend, and a proxy before it that says where a client is.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use firegate::cases::{Answer, Issuer};
use firegate_core::time::{Clock as _, ShiftedClock, UnixTime};
use firegate_files::Configuration;
use firegate_files::configuration::{Behind, Credential};
use firegate_files::decision_cases::{Arrival, DecisionCase};
use firegate_proxy::{FrontDoor, FrontDoorOptions, LogForm, LogQueue};
use http::header::{AUTHORIZATION, HOST, LOCATION};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::stack::server::{echo, serve};
use crate::stack::{clock, close, options};

/// What the cases of one file are put before.
pub(crate) struct Doors<'a> {
    issuer: &'a Issuer,
    configuration: Configuration,
    clock: ShiftedClock,
    log: LogQueue,
}

impl<'a> Doors<'a> {
    pub(crate) async fn new(issuer: &'a Issuer, configuration: &Configuration) -> Self {
        let clock = clock();
        let (mut configuration, service) = (configuration.clone(), echo(&clock).await);
        let hosts = configuration.backends.values().map(|backend| backend.endpoint.url.host_str());
        let hosts = hosts.collect::<BTreeSet<_>>();
        assert_eq!(
            hosts.len(),
            configuration.backends.len(),
            "a backend is known by its host: give each its own"
        );
        let names = configuration.backends.keys().map(ToString::to_string).collect::<Vec<_>>();
        for name in names {
            configuration.connect_through(&name, service.clone()).expect("a local service");
        }
        for backend in configuration.backends.values_mut() {
            backend.credential = Credential::None;
        }
        let document = issuer.key_set().to_string();
        let keys = serve(Router::new().fallback(get(move || async move { document }))).await;
        configuration.google.id_token_keys = Url::parse(&keys).expect("a URL");
        let loopback = "127.0.0.0/8".parse().expect("a range");
        configuration.behind.get_or_insert(Behind::Hops { count: 1, peers: vec![loopback] });
        let log = LogQueue::start(io::sink(), LogForm::Text { coloured: false }, Arc::new(clock.clone()));
        Self { issuer, configuration, clock, log: log.expect("a thread") }
    }

    /// What a front door, which has served nobody before, makes of a case.
    pub(crate) async fn decide(&self, case: &DecisionCase, now: UnixTime) -> Answer {
        self.set_clock(case.arrival.at_seconds.map_or(now, UnixTime::from_seconds));
        let door = self.open();
        door.ready().await;
        for arrival in &case.before {
            for _ in 0..arrival.repeat {
                self.answer(&door, arrival, now).await;
            }
        }
        let mut answer = self.answer(&door, &case.arrival, now).await;
        for _ in 1..case.arrival.repeat {
            answer = self.answer(&door, &case.arrival, now).await;
        }
        close(door).await;
        answer
    }

    /// What one front door makes of all the cases, one after the other. None of them may count anything.
    pub(crate) async fn decide_all(&self, cases: &[DecisionCase], now: UnixTime) -> Vec<Answer> {
        self.set_clock(now);
        let door = self.open();
        door.ready().await;
        let mut answers = Vec::with_capacity(cases.len());
        for case in cases {
            answers.push(self.answer(&door, &case.arrival, now).await);
        }
        close(door).await;
        answers
    }

    fn set_clock(&self, to: UnixTime) {
        self.clock.advance(to.as_seconds() - self.clock.now().as_seconds());
    }

    async fn answer(&self, door: &FrontDoor, arrival: &Arrival, now: UnixTime) -> Answer {
        let now = arrival.at_seconds.map_or(now, UnixTime::from_seconds);
        self.set_clock(now);
        let mut request = Request::builder()
            .method(arrival.method.as_str())
            .uri(arrival.target.path_and_query.as_str())
            .header(HOST, arrival.target.authority.as_str())
            .header("x-forwarded-for", arrival.client.to_string())
            .header("x-forwarded-proto", if arrival.target.is_https { "https" } else { "http" });
        for (name, value) in &arrival.headers {
            request = request.header(name, value);
        }
        if let Some(user) = &arrival.user {
            let token =
                self.issuer.id_token(user, self.configuration.project.as_str(), now).expect("a token");
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        match request.body(Empty::<Bytes>::new()) {
            Ok(request) => self.send(door.address(), request).await,
            Err(_) => send_raw(door.address(), arrival).await,
        }
    }

    async fn send(&self, door: SocketAddr, request: Request<Empty<Bytes>>) -> Answer {
        let stream = TcpStream::connect(door).await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        let connection = tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        drop(sender);
        connection.abort();
        let (status, reason) = (parts.status.as_u16(), text(&parts.headers, "x-firegate-reason"));
        if let Some(code) = reason {
            return Answer::Refused { code, status, evidence: None };
        }
        if let Some(to) = text(&parts.headers, LOCATION.as_str()) {
            return Answer::Redirected { to, status };
        }
        // What the service saw, it tells: any other answer is Firegate's own.
        match serde_json::from_slice::<Value>(&body) {
            Ok(seen) if seen["headers"].is_object() => self.passed(&seen),
            _ => Answer::Answered { status, why: None },
        }
    }

    /// What the service saw.
    fn passed(&self, seen: &Value) -> Answer {
        let fields = seen["headers"].as_object().expect("headers").iter();
        let headers = fields
            .flat_map(|(name, value)| match value {
                Value::Array(values) => values.iter().map(|value| (name.clone(), value.clone())).collect(),
                value => vec![(name.clone(), value.clone())],
            })
            .map(|(name, value)| (name, value.as_str().expect("text").to_owned()))
            .collect::<Vec<_>>();
        let is_host = |(name, _): &&(String, String)| name == "host";
        let host = headers.iter().find(is_host).map(|(_, value)| value.clone()).expect("a host");
        let url = Url::parse(&format!("http://{host}")).expect("a host");
        let mut backends = self.configuration.backends.iter();
        let found = backends.find(|(_, backend)| backend.endpoint.url.host_str() == url.host_str());
        Answer::Passed {
            to: found.map(|(name, _)| name.to_string()).unwrap_or(host),
            path_and_query: seen["path"].as_str().expect("a path").to_owned(),
            headers,
            would_be_refused: None,
        }
    }

    fn open(&self) -> FrontDoor {
        let options = options(self.configuration.clone(), Arc::new(self.clock.clone()), None);
        let options = FrontDoorOptions { log: self.log.clone(), workers: Some(1), ..options };
        FrontDoor::start(options).expect("the front door starts")
    }
}

/// What the types of HTTP cannot hold, in bytes.
async fn send_raw(door: SocketAddr, arrival: &Arrival) -> Answer {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
        arrival.method, arrival.target.path_and_query, arrival.target.authority
    );
    for (name, value) in &arrival.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(door).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let field = |name: &str| {
        let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let code = field("x-firegate-reason").unwrap_or_else(|| panic!("{answer}"));
    Answer::Refused { code, status, evidence: None }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().expect("text").to_owned())
}
