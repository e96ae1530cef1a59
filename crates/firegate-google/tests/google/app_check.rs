use std::sync::Arc;
use std::time::Duration;

use firegate_google::accounts::EMULATOR_BEARER;
use firegate_google::app_check::{AppCheckClient, ConsumeFault, Consumed};
use firegate_google::caller::Caller;
use firegate_google::fault::FaultKind;
use firegate_google::limits::APP_CHECK_CONSUMING_MAX;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Answer, Server, client};

fn app_check(server: &Server) -> AppCheckClient {
    let caller = Caller::Fixed(EMULATOR_BEARER);
    AppCheckClient::new(client(), Some(server.url("/")), "demo".to_owned(), caller)
}

#[tokio::test]
async fn a_token_is_consumed_once() {
    let server = Server::start(|_| Answer::json(&json!({}))).await;
    let app_check = app_check(&server);
    assert_eq!(app_check.consume("a.b.c").await, Ok(Consumed::Now));
    let request = server.last();
    assert_eq!(
        (request.method.as_str(), request.target.as_str(), request.header("authorization")),
        ("POST", "/v1beta/projects/demo:verifyAppCheckToken", "Bearer owner")
    );
    let body = serde_json::from_str::<Value>(&request.body).expect("JSON");
    assert_eq!(body, json!({"app_check_token": "a.b.c"}));
    for (token, answer, expected) in [
        ("a.b.d", json!({"alreadyConsumed": true}), Consumed::Before),
        ("a.b.e", json!({"alreadyConsumed": false}), Consumed::Now),
        ("a.b.f", json!({"alreadyConsumed": true, "ofALaterVersion": 1}), Consumed::Before),
    ] {
        server.respond(move |_| Answer::json(&answer));
        assert_eq!(app_check.consume(token).await, Ok(expected));
    }
    assert_eq!(server.count(), 4, "one attempt each");
}

#[tokio::test]
async fn a_spent_token_is_no_hammer() {
    let server = Server::start(|_| Answer::json(&json!({}))).await;
    let app_check = Arc::new(app_check(&server));
    let consume = |_| {
        let app_check = Arc::clone(&app_check);
        tokio::spawn(async move { app_check.consume("a.b.c").await })
    };
    let asked: Vec<_> = (0..2000).map(consume).collect();
    let mut first_uses = 0;
    for asked in asked {
        let consumed = asked.await.expect("no panic").expect("nobody is turned away");
        first_uses += usize::from(consumed == Consumed::Now);
    }
    assert_eq!((first_uses, server.count()), (1, 1));
    // Who was told at Google that it was used before needs no second telling either.
    server.respond(|_| Answer::json(&json!({"alreadyConsumed": true})));
    for token in ["a.b.c", "a.b.d", "a.b.d"] {
        assert_eq!(app_check.consume(token).await, Ok(Consumed::Before), "{token}");
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_token_whose_call_is_under_way_is_a_replay_until_its_caller_goes_away() {
    let server = Server::start(|_| Answer::json(&json!({}))).await;
    server.hold();
    let app_check = Arc::new(app_check(&server));
    let consume = |token: &'static str| {
        let app_check = Arc::clone(&app_check);
        tokio::spawn(async move { app_check.consume(token).await })
    };
    let first = consume("a.b.c");
    server.wait_for_requests(1).await;
    let other = consume("a.b.d");
    server.wait_for_requests(2).await;
    let began = Instant::now();
    assert_eq!(app_check.consume("a.b.c").await, Ok(Consumed::Before));
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!(server.count(), 2, "it was told at once");
    first.abort();
    assert!(first.await.is_err_and(|ended| ended.is_cancelled()));
    // Whether Google saw the first one nobody knows here, so Google is asked.
    let again = consume("a.b.c");
    server.wait_for_requests(3).await;
    server.release();
    assert_eq!(again.await.expect("no panic"), Ok(Consumed::Now));
    assert_eq!(other.await.expect("no panic"), Ok(Consumed::Now), "another token is no matter of the first");
}

#[tokio::test]
async fn no_other_answer_means_a_first_use() {
    let text = |text: &'static str| Answer::new(200, "application/json", text);
    let unauthorized = Answer::json(&json!({"error": {"status": "UNAUTHENTICATED"}}));
    let status = |status| Answer { status, ..unauthorized.clone() };
    // The answer, whether the token is at fault, whether trying again helps.
    let cases = [
        ("HTML", Answer::new(200, "text/html", "<html>Sign in</html>"), false, FaultKind::Unavailable),
        ("nothing", text(""), false, FaultKind::Unavailable),
        ("a list", text("[]"), false, FaultKind::Unavailable),
        ("null", text("null"), false, FaultKind::Unavailable),
        ("truncated", text(r#"{"alreadyConsumed": tr"#), false, FaultKind::Unavailable),
        ("a string", text(r#"{"alreadyConsumed": "true"}"#), false, FaultKind::Unavailable),
        ("a number", text(r#"{"alreadyConsumed": 1}"#), false, FaultKind::Unavailable),
        ("null inside", text(r#"{"alreadyConsumed": null}"#), false, FaultKind::Unavailable),
        (
            "said twice",
            text(r#"{"alreadyConsumed": true, "alreadyConsumed": false}"#),
            false,
            FaultKind::Unavailable,
        ),
        ("an error with status 200", unauthorized.clone(), false, FaultKind::Unavailable),
        ("large", Answer::new(200, "application/json", vec![b' '; 20_000]), false, FaultKind::Unavailable),
        ("compressed", text("{}").with("content-encoding", "gzip"), false, FaultKind::Unavailable),
        (
            "a redirect",
            Answer::new(302, "text/plain", "").with("location", "http://169.254.169.254/"),
            false,
            FaultKind::Unavailable,
        ),
        ("a refused token", status(400), true, FaultKind::Refused),
        ("no credential", status(401), false, FaultKind::Refused),
        ("no permission", status(403), false, FaultKind::Refused),
        ("no project", status(404), false, FaultKind::Refused),
        ("too many", status(429), false, FaultKind::Unavailable),
        ("down", status(503), false, FaultKind::Unavailable),
    ];
    let server = Server::start(|_| Answer::json(&json!({}))).await;
    let app_check = app_check(&server);
    let count = cases.len();
    for (what, answer, is_about_token, kind) in cases {
        server.respond(move |_| answer.clone());
        let fault = app_check.consume("a.b.c").await.expect_err(what);
        assert_eq!((fault.is_about_token(), fault.kind()), (is_about_token, kind), "{what}: {fault}");
        assert!(!fault.to_string().contains("a.b.c"), "{fault}");
    }
    assert_eq!(server.count(), count, "one attempt each, and no redirect followed");
}

#[tokio::test]
async fn a_hanging_endpoint_is_given_up_after_three_seconds_and_holds_a_bounded_number() {
    let server = Server::start(|_| Answer::json(&json!({}))).await;
    server.hold();
    let app_check = Arc::new(app_check(&server));
    let began = Instant::now();
    let consume = |number| {
        let app_check = Arc::clone(&app_check);
        tokio::spawn(async move { app_check.consume(&format!("a.b.{number}")).await })
    };
    let asked: Vec<_> = (0..APP_CHECK_CONSUMING_MAX + 10).map(consume).collect();
    let mut overloaded = 0;
    for asked in asked {
        match asked.await.expect("no panic").expect_err("it hangs") {
            ConsumeFault::Overloaded => overloaded += 1,
            fault => assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}"),
        }
    }
    let waited = began.elapsed();
    eprintln!("{overloaded} were told at once, the others after {waited:?}");
    assert_eq!(overloaded, 10);
    assert!(waited >= Duration::from_millis(2900) && waited <= Duration::from_secs(6), "{waited:?}");
    server.release();
    let again = app_check.consume("a.b.0").await;
    assert_eq!(again, Ok(Consumed::Now), "the places are free again, and a failure left no memory");
}
