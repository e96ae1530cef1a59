//! A client of HTTP/2 with a window without room: the answer's body cannot go, and every one that is kept takes a place among
//! the requests of all. Refusals take one too, so that nobody has to be signed in for it.

use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use firegate_files::configuration::parse_with_files;
use http::StatusCode;

use crate::frames::{Connection, END_HEADERS, END_STREAM, HEADERS, frame, others_are_served, request};
use crate::site::TheMap;
use crate::stack::server::serve;
use crate::stack::{clock, close, door_of};
use crate::wire::{PATIENCE, Wire};

/// `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113, section 6.5.2), and no room.
const NO_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_answers_untouched_is_cut_off() {
    let wire = Wire::open().await;
    let mut connection = Connection::open_with(&wire, &NO_WINDOW).await;
    for stream in [1, 3, 5] {
        let block = request("GET", "/.well-known/firegate/nothing", &[]);
        connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)).await;
        assert_eq!(connection.status(stream).await, Some(404));
    }
    others_are_served(&wire).await;
    // It answers pings, so that nothing but what it holds speaks against it.
    let ended = tokio::time::timeout(PATIENCE, connection.answers_pings_until_the_end()).await;
    ended.expect("the connection is cut");
    others_are_served(&wire).await;
    wire.close().await;
}

/// The page in the place of an error has no bound that its service's answers have.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_the_page_of_an_error_untouched_is_cut_off() {
    const MAP: &str = "name: m\ndefaultService: web\ndefaultCustomErrorResponsePolicy:\n  errorService: web\n  \
        errorResponseRules: [{ matchResponseCodes: ['404'], path: /page }]\n";
    let router = Router::new().route("/page", any(|| async { "a page" }));
    let router = router.fallback(any(|| async { (StatusCode::NOT_FOUND, "its own word") }));
    let service = serve(router).await;
    let text = format!(
        "project: demo-project\nallow: [allUsers]\nurl_map: map.yaml\nbackends: {{ web: '{service}' }}\n"
    );
    let configuration = parse_with_files("firegate.yaml", &text, &TheMap(MAP)).expect("a configuration");
    let door = door_of(configuration, Arc::new(clock()), None);
    let mut connection = Connection::to_with(&door, &NO_WINDOW).await;
    let block = request("GET", "/missing", &[]);
    connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).await;
    assert_eq!(connection.status(1).await, Some(404));
    let ended = tokio::time::timeout(PATIENCE, connection.answers_pings_until_the_end()).await;
    ended.expect("the connection is cut");
    close(door).await;
}
