//! CVE-2024-45809 and CVE-2025-64527: fetching keys was part of a request's own state, and a fetch that hung, or keys that
//! changed beneath it, brought the proxy down. Here a fetch belongs to nobody's request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use firegate_proxy::FrontDoor;
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::watch;

use crate::project::{Key, Project, expect, shared};
use crate::stack::server::serve;
use crate::stack::{Answer, Call, at, close};

/// A key server that can be held up, and whose keys can be changed.
struct KeyServer {
    document: Arc<Mutex<String>>,
    held: watch::Sender<bool>,
    asked: Arc<AtomicUsize>,
}

fn keys(keys: &[Key]) -> String {
    json!({"keys": keys.iter().map(|key| key.signer().public_jwk()).collect::<Vec<_>>()}).to_string()
}

impl KeyServer {
    async fn open(project: &Project) -> (Self, FrontDoor) {
        let document = shared(keys(&[Key::IdToken]));
        let (held, asked) = (watch::Sender::new(false), Arc::new(AtomicUsize::new(0)));
        let (current, released, count) = (Arc::clone(&document), held.subscribe(), Arc::clone(&asked));
        let answer = move || async move {
            count.fetch_add(1, Ordering::SeqCst);
            released.clone().wait_for(|held| !held).await.expect("it is released");
            current.lock().expect("a lock").clone()
        };
        let url = serve(Router::new().route("/keys", get(answer))).await;
        let door = project.door_with_keys_at(&format!("{url}/keys"));
        door.ready().await;
        (Self { document, held, asked }, door)
    }

    fn publish(&self, published: &[Key]) {
        *self.document.lock().expect("a lock") = keys(published);
    }

    /// Waits until the server was asked so many times.
    async fn was_asked(&self, times: usize) {
        let asked = async {
            while self.asked.load(Ordering::SeqCst) < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), asked).await.expect("the keys are asked for");
    }
}

async fn send(door: &FrontDoor, token: &str) -> Answer {
    Call::get(&at(door, "/a")).bearer(token).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_hangs_holds_up_nobody_else() {
    let project = Project::open().await;
    let (server, door) = KeyServer::open(&project).await;
    let known = project.id_token();
    let unknown = Key::SessionCookie.sign(&project.id_claims());
    send(&door, &known).await.ok();
    let asked = server.asked.load(Ordering::SeqCst);
    server.held.send_replace(true);

    // One waits for the key that is missing; one goes away while it waits; the others pass meanwhile.
    let url = at(&door, "/a");
    let waiting = tokio::spawn(Call::get(&url).bearer(&unknown).send());
    let gone = tokio::spawn(Call::get(&url).bearer(&unknown).send());
    server.was_asked(asked + 1).await;
    gone.abort();
    for _ in 0..20 {
        send(&door, &known).await.ok();
    }
    assert!(!waiting.is_finished(), "it waits, and is not in the way of the others");
    expect(
        &waiting.await.expect("an answer"),
        503,
        "KEYS_UNAVAILABLE",
        "no key, and no fault of the token's",
    );
    send(&door, &known).await.ok();

    // Once the server answers again, the new key counts, and the one that was taken back no longer does.
    server.publish(&[Key::SessionCookie]);
    server.held.send_replace(false);
    let recovered = async {
        while send(&door, &unknown).await.status.as_u16() != 200 {
            project.clock.advance(31);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), recovered).await.expect("the new key is learnt");
    expect(&send(&door, &known).await, 401, "TOKEN_KEY_UNKNOWN", "its key was taken back");
    close(door).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_change_beneath_requests_break_none() {
    let project = Project::open().await;
    let (server, door) = KeyServer::open(&project).await;
    let tokens = [Key::IdToken, Key::SessionCookie].map(|key| key.sign(&project.id_claims()));
    for round in 0..6 {
        server.publish(if round % 2 == 0 { &[Key::SessionCookie] } else { &[Key::IdToken] });
        project.clock.advance(31);
        let answers = join_all((0..40).map(|number| send(&door, &tokens[number % 2]))).await;
        for answer in &answers {
            let found = (answer.status.as_u16(), answer.header("x-firegate-reason"));
            assert!(
                matches!(found, (200, None) | (401, Some("TOKEN_KEY_UNKNOWN"))),
                "{found:?}: {:?}",
                answer.body
            );
        }
        assert!(answers.iter().any(|answer| answer.status.as_u16() == 200), "round {round}");
    }
    close(door).await;
}
