//! Another configuration while requests are on their way: none fails, none sees a mix, and what was known stays known.

#[cfg(unix)]
mod binary;
#[cfg(unix)]
mod kept;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use bytes::Bytes;
use firegate_core::jose::{CompactJws, RsaSigner};
use firegate_core::time::{Clock, ShiftedClock};
use firegate_files::configuration;
use firegate_proxy::limits::FILE_READ_TIMEOUT;
use firegate_proxy::{FrontDoor, ReloadError};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use crate::gate::{
    PATIENCE, Site, expect_echo, key_file, metric, mirror, open_web_socket, read_head, read_to_end,
    web_sockets,
};
use crate::stack::server::serve;
use crate::stack::{Answer, Call, at, claims, clock, close, door, stranger, text};

/// How many clients send requests, one after the other.
const CLIENTS: usize = 8;
const RELOADS: usize = 100;
const SUCCESSES: &str = "firegate_configuration_reloads_total{result=\"success\"}";
const FAILURES: &str = "firegate_configuration_reloads_total{result=\"failure\"}";
const IS_FAILED: &str = "firegate_configuration_reload_failed";

pub(crate) async fn reload(door: &mut FrontDoor, text: &str) -> Result<(), ReloadError> {
    let text = text.to_owned();
    door.reload(move || configuration::parse("firegate.yaml", &text).map_err(ReloadError::Check)).await
}

/// Two services, and everything that Google does for both.
struct World {
    clock: ShiftedClock,
    signer: RsaSigner,
    google: Arc<Google>,
    google_url: String,
    services: [String; 2],
}

/// The metadata server and the key endpoint.
struct Google {
    signer: RsaSigner,
    now: i64,
    key_fetches: AtomicUsize,
    mints: Mutex<BTreeMap<String, usize>>,
    /// The next mint tells that it was asked for, and waits to be released.
    held: Mutex<Option<oneshot::Sender<()>>>,
    release: Semaphore,
}

/// Two configurations that differ in everything that follows a decision: where the request goes, for whom the tokens are, in
/// which headers the user is told, and which pages may read the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    A,
    B,
}

impl Version {
    fn audience(self) -> &'static str {
        match self {
            Self::A => "https://a.example",
            Self::B => "https://b.example",
        }
    }

    fn assertion_header(self) -> &'static str {
        match self {
            Self::A => "x-firegate-assertion",
            Self::B => "x-goog-iap-jwt-assertion",
        }
    }
}

impl World {
    async fn open() -> Self {
        let (clock, signer) = (clock(), stranger());
        let google = Arc::new(Google {
            signer: signer.clone(),
            now: clock.now().as_seconds(),
            key_fetches: AtomicUsize::new(0),
            mints: Mutex::default(),
            held: Mutex::default(),
            release: Semaphore::new(0),
        });
        let router = Router::new().route("/keys", get(keys)).fallback(get(mint));
        let google_url = serve(router.with_state(Arc::clone(&google))).await;
        let services = [mirror().await, mirror().await];
        Self { clock, signer, google, google_url, services }
    }

    fn configuration(&self, version: Version) -> String {
        let (google, service) = (&self.google_url, &self.services[version as usize]);
        let headers = if version == Version::A { "firegate" } else { "iap" };
        let audience = version.audience();
        format!(
            "project: demo-project\nadmin: {{ listen: 127.0.0.1:0 }}\nallow: [allAuthenticatedUsers]\n\
             cors: {{ origins: ['{audience}'] }}\n\
             backends: {{ api: {{ url: '{service}', audience: '{audience}', credential: metadata, identity_headers: {headers} }} }}\n\
             google: {{ id_token_keys: '{google}/keys', metadata: '{google}' }}\n"
        )
    }

    async fn door(&self) -> FrontDoor {
        let door = door(&self.configuration(Version::A), &self.clock);
        tokio::time::timeout(PATIENCE, door.ready()).await.expect("the door becomes ready");
        door
    }

    fn token(&self) -> String {
        self.signer.sign(&claims("demo-project", self.clock.now().as_seconds())).expect("a token")
    }

    /// A request of a page of version A.
    async fn send(&self, door: &FrontDoor) -> Answer {
        Call::get(&at(door, "/")).bearer(&self.token()).header("origin", Version::A.audience()).send().await
    }

    fn mints(&self) -> BTreeMap<String, usize> {
        self.google.mints.lock().expect("a lock").clone()
    }

    /// By which configuration a request was served: everything about it has to be of the same.
    fn version_of(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Version {
        let body = String::from_utf8_lossy(body);
        assert_eq!(status, 200, "{body}");
        let seen: Value = serde_json::from_str(&body).expect("JSON");
        let host = format!("http://{}", text(&seen["headers"]["host"]));
        let version = if host == self.services[0] { Version::A } else { Version::B };
        assert_eq!(host, self.services[version as usize]);
        let audience = |token: &Value| {
            let token = text(token);
            let jws = CompactJws::parse(token.trim_start_matches("Bearer ")).expect("a token");
            jws.payload_text("aud").expect("an audience").to_owned()
        };
        let seen = &seen["headers"];
        assert_eq!(audience(&seen["x-serverless-authorization"]), version.audience());
        assert_eq!(audience(&seen[version.assertion_header()]), version.audience());
        for other in [Version::A, Version::B].into_iter().filter(|other| *other != version) {
            assert_eq!(seen[other.assertion_header()], Value::Null, "{version:?}");
        }
        assert_eq!(headers.contains_key("access-control-allow-origin"), version == Version::A);
        version
    }
}

async fn keys(State(google): State<Arc<Google>>) -> String {
    google.key_fetches.fetch_add(1, Ordering::Relaxed);
    json!({"keys": [google.signer.public_jwk()]}).to_string()
}

async fn mint(
    State(google): State<Arc<Google>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> ([(&'static str, &'static str); 1], String) {
    let audience = query["audience"].clone();
    let held = google.held.lock().expect("a lock").take();
    if let Some(held) = held {
        held.send(()).expect("the test waits");
        google.release.acquire().await.expect("it is open").forget();
    }
    let (issuer, now) = ("https://accounts.google.com", google.now);
    let token = json!({"iss": issuer, "aud": audience, "sub": "1", "iat": now, "exp": now + 3600});
    *google.mints.lock().expect("a lock").entry(audience).or_default() += 1;
    ([("metadata-flavor", "Google")], google.signer.sign(&token).expect("a token"))
}

/// Sends requests one after the other until it is told to stop, and counts them by the version that served them.
async fn load(world: Arc<World>, url: url::Url, is_over: Arc<AtomicBool>, served: Arc<[AtomicUsize; 2]>) {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let token = world.token();
    while !is_over.load(Ordering::Relaxed) {
        let request = Request::get(url.as_str())
            .header("authorization", format!("Bearer {token}"))
            .header("origin", Version::A.audience())
            .body(Empty::new())
            .expect("a request");
        let (parts, body) = client.request(request).await.expect("no request fails").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let version = world.version_of(parts.status.as_u16(), &parts.headers, &body);
        served[version as usize].fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reloads_under_load_lose_no_request_and_mix_no_two_configurations() {
    let world = Arc::new(World::open().await);
    let mut door = world.door().await;
    let (is_over, served) = (Arc::new(AtomicBool::new(false)), Arc::new([const { AtomicUsize::new(0) }; 2]));
    let clients = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(load(Arc::clone(&world), at(&door, "/"), Arc::clone(&is_over), Arc::clone(&served)))
        })
        .collect::<Vec<_>>();
    let count = || served.iter().map(|count| count.load(Ordering::Relaxed)).sum::<usize>();
    for number in 1..=RELOADS {
        // Every configuration has requests of its own, and none of them is let off.
        let before = count();
        while count() < before + CLIENTS {
            assert!(clients.iter().all(|client| !client.is_finished()), "a client has found a fault");
            tokio::task::yield_now().await;
        }
        let version = if number % 2 == 0 { Version::A } else { Version::B };
        match number % 10 {
            0 => {
                let invalid = world.configuration(version).replace("allow:", "alow:");
                let refused = reload(&mut door, &invalid).await.expect_err("it does not check");
                assert!(refused.to_string().contains("alow"), "{refused}");
                assert_eq!(metric(&door, IS_FAILED).await, 1.0);
            }
            _ => {
                reload(&mut door, &world.configuration(version)).await.expect("it is put in force");
                assert_eq!(metric(&door, IS_FAILED).await, 0.0);
            }
        }
    }
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no request failed, and none saw a mix");
    }
    let of_version = served.each_ref().map(|count| count.load(Ordering::Relaxed));
    println!("{RELOADS} reloads: {of_version:?} requests by each of two configurations, none failed");
    assert!(of_version.iter().all(|count| *count > 0), "{of_version:?}");
    assert_eq!((metric(&door, SUCCESSES).await, metric(&door, FAILURES).await), (90.0, 10.0));
    let permits = "firegate_decisions_total{outcome=\"permit\",code=\"\",backend=\"api\"}";
    assert_eq!(metric(&door, permits).await as usize, count(), "counters go on");
    // What was fetched once serves under every configuration that needs it.
    assert_eq!(world.google.key_fetches.load(Ordering::Relaxed), 1);
    let once = [Version::A, Version::B].map(|version| (version.audience().to_owned(), 1));
    assert_eq!(world.mints(), BTreeMap::from(once));
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_ends_by_the_configuration_that_it_began_with() {
    let world = Arc::new(World::open().await);
    let mut door = world.door().await;
    let (asked, was_asked) = oneshot::channel();
    *world.google.held.lock().expect("a lock") = Some(asked);
    let url = at(&door, "/");
    let (token, origin) = (world.token(), Version::A.audience());
    let early = tokio::spawn(Call::get(&url).bearer(&token).header("origin", origin).send());
    was_asked.await.expect("the request waits for its Google ID token");
    reload(&mut door, &world.configuration(Version::B)).await.expect("it is put in force");
    let version = |answer: &Answer| world.version_of(answer.status.as_u16(), &answer.headers, &answer.body);
    assert_eq!(version(&world.send(&door).await), Version::B);
    world.google.release.add_permits(1);
    assert_eq!(version(&early.await.expect("it ends")), Version::A);
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_the_process_is_not_changed_and_is_named() {
    let world = World::open().await;
    let mut door = world.door().await;
    let good = world.configuration(Version::B);
    for (key, from, to) in [
        ("project", "demo-project", "other-project"),
        ("listen", "allow:", "listen: 127.0.0.1:9\nallow:"),
        ("health", "allow:", "health: { listen: 127.0.0.1:0 }\nallow:"),
        ("admin", "127.0.0.1:0", "127.0.0.1:9"),
        ("data_dir", "allow:", "data_dir: elsewhere\nallow:"),
        ("tls", "allow:", "tls: { certificates: [ { cert: c.pem, key: k.pem } ] }\nallow:"),
        ("limits", "allow:", "limits: { connections_max: 7 }\nallow:"),
    ] {
        let refused = reload(&mut door, &good.replacen(from, to, 1)).await.expect_err(key);
        assert!(matches!(refused, ReloadError::NeedsRestart { key: named } if named == key), "{refused}");
        let answer = world.send(&door).await;
        let version = world.version_of(answer.status.as_u16(), &answer.headers, &answer.body);
        assert_eq!(version, Version::A, "{key}: the one before stays in force as a whole");
    }
    assert_eq!((metric(&door, SUCCESSES).await, metric(&door, FAILURES).await), (0.0, 7.0));
    reload(&mut door, &good).await.expect("the rest can change");
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_used_changes_nothing_and_one_that_can_signs_from_then_on() {
    let world = World::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("assertion.pem");
    let configuration =
        format!("{}assertion: {{ key: '{}' }}\n", world.configuration(Version::A), key.display());
    let mut door = world.door().await;
    let key_ids = async |door: &FrontDoor| {
        let keys = Call::get(&at(door, "/.well-known/firegate/jwks.json")).send().await.ok();
        keys["keys"].as_array().expect("keys").iter().map(|key| text(&key["kid"])).collect::<Vec<_>>()
    };
    let generated = key_ids(&door).await;
    std::fs::write(&key, "no key").expect("it is written");
    let refused = reload(&mut door, &configuration).await.expect_err("it is no key");
    assert!(refused.to_string().contains("assertion.pem"), "{refused}");
    assert_eq!(key_ids(&door).await, generated);
    for _ in 0..2 {
        let former = key_ids(&door).await;
        key_file(folder.path());
        reload(&mut door, &configuration).await.expect("it is a key");
        let published = key_ids(&door).await;
        assert_ne!(published, former);
        let answer = world.send(&door).await.ok();
        let assertion = text(&answer["headers"]["x-firegate-assertion"]);
        let jws = CompactJws::parse(&assertion).expect("an assertion");
        assert_eq!(published, [jws.header_text("kid").expect("a key id")]);
    }
    close(door).await;
}

/// What is accepted from now on is verified from now on: the keys are there before the configuration is.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_token_that_is_newly_accepted_does_not_wait_for_its_keys() {
    let site = Site::open().await;
    // It is called without a token of Google's: nothing but the keys is waited for.
    let service = mirror().await;
    let of = |accepted: &str| {
        format!(
            "backends: {{ api: {{ url: '{service}', credential: none, token_sources: [cookie] }} }}\n\
             allow: [allAuthenticatedUsers]\nusers: {{ accept: {accepted} }}"
        )
    };
    let plain = format!(
        "backends: {{ api: {{ url: '{service}', credential: none }} }}\nallow: [allAuthenticatedUsers]"
    );
    let mut door = site.door(&plain).await;
    let session = site.new_user("cookie@example.com").await;
    let cookie = site.session_cookie(&text(&session["idToken"]), 3600).await;
    reload(&mut door, &site.configuration(&of("[id_token, session_cookie]")))
        .await
        .expect("it is put in force");
    let usable = "firegate_key_set_usable{issuer=\"session_cookie\"}";
    assert_eq!(metric(&door, usable).await, 1.0, "the keys were fetched before");
    let header = format!("__session={cookie}");
    let answer = Call::get(&at(&door, "/")).header("cookie", &header).send().await;
    assert_eq!(answer.status.as_u16(), 200, "{:?}", answer.body);
    site.close([door]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_users_stays_known_and_a_stream_ends_with_its_user_whatever_is_in_force() {
    let site = Site::open().await;
    let service = web_sockets().await;
    let of = |extra: &str, staleness: &str| {
        format!(
            "backends: {{ sockets: {{ url: '{service}', credential: none, streams: {{ until: revocation }} {extra} }} }}\n\
             allow: [allAuthenticatedUsers]\nusers: {{ revocation: {{ check: required, max_staleness: {staleness} }} }}"
        )
    };
    let mut door = site.door(&of("", "60s")).await;
    let session = site.new_user("stream@example.com").await;
    let bearer = format!("Bearer {}", text(&session["idToken"]));
    let fields = [("Authorization", bearer.as_str())];
    let (mut socket, head, _) = open_web_socket(&door, "/", &fields).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let lookups = "firegate_user_status_lookups_total{result=\"success\"}";
    assert_eq!(metric(&door, lookups).await, 1.0);
    // Another setting that has nothing to do with users.
    let other = of(", body_bytes_max: 1000", "60s");
    reload(&mut door, &site.configuration(&other)).await.expect("it is put in force");
    let (second, head, _) = open_web_socket(&door, "/", &fields).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    drop(second);
    assert_eq!(metric(&door, lookups).await, 1.0, "nobody was looked up again");
    // A setting by which users are looked up: the stream has its own look-ups, as it was opened.
    reload(&mut door, &site.configuration(&of("", "30s"))).await.expect("it is put in force");
    expect_echo(&mut socket).await;
    site.stack.clock.advance(10);
    let update = json!({"localId": session["localId"], "disableUser": true});
    site.stack.admin("/accounts:update", update).await;
    site.stack.clock.advance(61);
    read_to_end(&mut socket).await;
    let refused = Call::new(Method::GET, &at(&door, "/")).bearer(&text(&session["idToken"])).send().await;
    refused.expect_refusal(401, "USER_DISABLED", "SIGN_IN");
    site.close([door]).await;
}

/// A file that a backend names is missing, which shows when everything else of the configuration is there already.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_refused_late_changes_nothing_about_how_users_are_looked_up() {
    let site = Site::open().await;
    let service = mirror().await;
    let of = |staleness: &str, more: &str| {
        format!(
            "backends: {{ api: {{ url: '{service}', credential: none }} {more} }}\nallow: [allAuthenticatedUsers]\n\
             routes: [{{ path: '/*', backend: api }}]\n\
             users: {{ revocation: {{ check: required, max_staleness: {staleness} }} }}"
        )
    };
    let mut door = site.door(&of("60s", "")).await;
    let session = site.new_user("late@example.com").await;
    let token = text(&session["idToken"]);
    assert_eq!(Call::get(&at(&door, "/")).bearer(&token).send().await.status.as_u16(), 200);
    let more = ", other: { url: 'https://other.example', credential: none, ca_certificates: /nowhere/firegate/ca.pem }";
    let refused = reload(&mut door, &site.configuration(&of("3600s", more))).await;
    let refused = refused.expect_err("a file is missing");
    assert!(refused.to_string().contains("/nowhere/firegate/ca.pem"), "{refused}");
    let update = json!({"localId": session["localId"], "disableUser": true});
    site.stack.admin("/accounts:update", update).await;
    site.stack.clock.advance(61);
    let refused = Call::get(&at(&door, "/")).bearer(&token).send().await;
    refused.expect_refusal(401, "USER_DISABLED", "SIGN_IN");
    site.close([door]).await;
}

/// Also when no other request comes by which a worker could notice.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_configuration_had_open_is_closed_when_its_requests_are_over() {
    let service = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let configuration =
        |url: &str| format!("project: demo-project\nbackends: {{ api: '{url}' }}\nallow: [allUsers]\n");
    let former = configuration(&format!("http://{}", service.local_addr().expect("an address")));
    let mut door = door(&former, &clock());
    let asked = tokio::spawn(Call::get(&at(&door, "/")).send());
    let (mut connection, _) = service.accept().await.expect("a connection");
    read_head(&mut connection).await;
    reload(&mut door, &configuration(&mirror().await)).await.expect("it is put in force");
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("it is read");
    assert_eq!(asked.await.expect("an answer").status, 200);
    assert_eq!(read_to_end(&mut connection).await, b"", "the connection is closed, and was not to be kept");
    close(door).await;
}

/// A disk that is away: nothing else comes of it than that it is told.
#[tokio::test]
async fn a_reload_that_hangs_is_told_and_holds_no_other_and_what_comes_of_it_late_counts_for_nothing() {
    let world = World::open().await;
    let mut door = world.door().await;
    let version = async |door: &FrontDoor| {
        let answer = world.send(door).await;
        world.version_of(answer.status.as_u16(), &answer.headers, &answer.body)
    };
    let (answers, away) = std::sync::mpsc::channel::<()>();
    let (read, was_read) = oneshot::channel();
    let late = world.configuration(Version::A);
    tokio::time::pause();
    let hanging = door.reload(move || {
        // It ends when the other end is dropped.
        let _ = away.recv();
        let configuration = configuration::parse("firegate.yaml", &late).map_err(ReloadError::Check);
        read.send(()).expect("the test waits");
        configuration
    });
    tokio::select! {
        biased;
        reloaded = hanging => panic!("{reloaded:?}"),
        () = tokio::time::advance(2 * FILE_READ_TIMEOUT) => {}
    }
    tokio::time::resume();
    assert_eq!((metric(&door, IS_FAILED).await, metric(&door, FAILURES).await), (1.0, 1.0));
    reload(&mut door, &world.configuration(Version::B)).await.expect("it is put in force");
    assert_eq!((metric(&door, IS_FAILED).await, metric(&door, SUCCESSES).await), (0.0, 1.0));
    drop(answers);
    was_read.await.expect("it goes on");
    assert_eq!(version(&door).await, Version::B);
    assert_eq!(metric(&door, SUCCESSES).await, 1.0);
    close(door).await;
}
