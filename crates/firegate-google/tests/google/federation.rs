use std::sync::Arc;
use std::time::Duration;

use firegate_core::identity::TokenKind;
use firegate_core::time::{Clock, ShiftedClock, UnixTime};
use firegate_google::credentials::Endpoints;
use firegate_google::fault::{FaultKind, Step};
use firegate_google::federation::{FederatedUser, FederationCache, FederationFault, FederationTarget};
use firegate_google::limits::{FEDERATED_TOKENS_BYTES_MAX, FEDERATED_TOKENS_MAX};
use firegate_google::tokens::MintCounts;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Answer, Received, Server, client, clock, id_token, now};

const TARGET: FederationTarget<'_> = FederationTarget {
    workload_identity_provider: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/f",
    service_account: "caller@my-project.iam.gserviceaccount.com",
    audience: "https://api.example.com",
};

fn user<'a>(token: &'a str, clock: &ShiftedClock) -> FederatedUser<'a> {
    let expires_at = UnixTime::from_seconds(now(clock) + 600);
    FederatedUser { token, kind: TokenKind::IdToken, uid: "alice", expires_at }
}

/// The Security Token Service and IAM Credentials in one; tokens are padded to `bytes`.
fn google(clock: &ShiftedClock, bytes: usize) -> impl Fn(&Received) -> Answer + Send + Sync + 'static {
    let clock = clock.clone();
    move |request| {
        if request.target == "/v1/token" {
            let subject = &Received::form(&request.body)["subject_token"];
            return Answer::json(
                &json!({"access_token": format!("federated-{subject}"), "expires_in": 3599}),
            );
        }
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        let token = id_token(body["audience"].as_str().expect("text"), now(&clock) + 3600, 0);
        Answer::json(&json!({"token": token + &"A".repeat(bytes)}))
    }
}

async fn start() -> (ShiftedClock, Server, Arc<FederationCache>) {
    let (clock, server, cache, _) = start_counted().await;
    (clock, server, cache)
}

async fn start_counted() -> (ShiftedClock, Server, Arc<FederationCache>, Arc<MintCounts>) {
    let clock = clock();
    let server = Server::start(google(&clock, 0)).await;
    let endpoints = Endpoints {
        sts: Some(server.url("/v1/token")),
        iam_credentials: Some(server.url("/")),
        ..Endpoints::default()
    };
    let mints = Arc::default();
    let cache = FederationCache::new(endpoints, client(), Arc::new(clock.clone()), Arc::clone(&mints));
    (clock, server, cache, mints)
}

#[tokio::test]
async fn the_users_own_token_is_exchanged_once_for_all_who_ask() {
    let (clock, server, cache) = start().await;
    let expires_at = user("", &clock).expires_at;
    let asking = |_| {
        let cache = Arc::clone(&cache);
        let asked =
            FederatedUser { token: "a.user.token", kind: TokenKind::IdToken, uid: "alice", expires_at };
        tokio::spawn(async move { cache.get(asked, TARGET).await.expect("a token") })
    };
    for asked in (0..200).map(asking).collect::<Vec<_>>() {
        asked.await.expect("no panic");
    }
    let [exchange, generate] = server.received().try_into().expect("two calls");
    let form = Received::form(&exchange.body);
    assert_eq!(
        (form["audience"].as_str(), form["subject_token"].as_str(), form["subject_token_type"].as_str()),
        (TARGET.workload_identity_provider, "a.user.token", "urn:ietf:params:oauth:token-type:jwt")
    );
    assert_eq!(generate.header("authorization"), "Bearer federated-a.user.token");
    assert!(generate.target.ends_with("/caller@my-project.iam.gserviceaccount.com:generateIdToken"));
}

#[tokio::test]
async fn every_part_of_the_question_is_part_of_the_key() {
    let (clock, server, cache) = start().await;
    let targets = [
        TARGET,
        FederationTarget { workload_identity_provider: "//iam.googleapis.com/other", ..TARGET },
        FederationTarget { service_account: "other@my-project.iam.gserviceaccount.com", ..TARGET },
        FederationTarget { audience: "https://other.example.com", ..TARGET },
    ];
    for round in 0..2 {
        for target in targets {
            let token = cache.get(user("a.user.token", &clock), target).await.expect("a token");
            assert!(token.text().len() > 10, "round {round}");
        }
        cache.get(user("another.user.token", &clock), TARGET).await.expect("a token");
        assert_eq!(server.count(), 10, "round {round}");
    }
}

#[tokio::test]
async fn a_token_is_never_kept_beyond_the_users_own() {
    let (clock, server, cache) = start().await;
    let alice = user("a.user.token", &clock);
    let token = cache.get(alice, TARGET).await.expect("a token");
    assert!(token.expires_at() > alice.expires_at);
    clock.advance(599 - 5);
    cache.get(alice, TARGET).await.expect("still kept");
    assert_eq!(server.count(), 2);
    clock.advance(10);
    assert_eq!(cache.get(alice, TARGET).await, Err(FederationFault::Expired));
    // The same token text with a later expiry is nobody's; even so what was kept for the earlier one is gone.
    cache
        .get(
            FederatedUser { expires_at: clock.now().plus(std::time::Duration::from_secs(60)), ..alice },
            TARGET,
        )
        .await
        .expect("anew");
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn who_cannot_be_federated_is_refused_before_any_call() {
    let (clock, server, cache) = start().await;
    let alice = user("a.user.token", &clock);
    let (longest, too_long) = ("u".repeat(127), "u".repeat(128));
    let cookie = FederatedUser { kind: TokenKind::SessionCookie, ..alice };
    assert_eq!(cache.get(cookie, TARGET).await, Err(FederationFault::SessionCookie));
    assert_eq!(
        cache.get(FederatedUser { uid: &too_long, ..alice }, TARGET).await,
        Err(FederationFault::SubjectTooLong)
    );
    assert_eq!(
        cache.get(FederatedUser { expires_at: clock.now(), ..alice }, TARGET).await,
        Err(FederationFault::Expired)
    );
    assert_eq!(server.count(), 0);
    cache.get(FederatedUser { uid: &longest, ..alice }, TARGET).await.expect("127 bytes are allowed");
}

#[tokio::test]
async fn a_refusal_is_told_from_an_outage_and_remembered_for_a_while() {
    let (clock, server, cache, mints) = start_counted().await;
    let alice = user("a.user.token", &clock);
    let condition = "The given credential is rejected by the attribute condition.";
    server.respond(move |_| {
        let body = json!({"error": "unauthorized_client", "error_description": condition});
        Answer::new(400, "application/json", body.to_string())
    });
    for _ in 0..3 {
        let fault = cache.get(alice, TARGET).await.expect_err("refused");
        assert_eq!(fault.kind(), FaultKind::Refused);
        assert!(
            fault.to_string().contains(condition) && !format!("{fault:?}").contains("a.user.token"),
            "{fault}"
        );
    }
    assert_eq!(server.count(), 1);
    assert_eq!((mints.successes(), mints.failures()), (0, 1), "what is remembered is not asked for");

    let bob = user("b.user.token", &clock);
    server.respond(|_| Answer::new(503, "text/html", "<html>"));
    assert_eq!(cache.get(bob, TARGET).await.expect_err("down").kind(), FaultKind::Unavailable);
    server.respond(google(&clock, 0));
    until_exchanged(&cache, bob).await;
    assert_eq!((mints.successes(), mints.failures()), (1, 2), "an outage is not remembered for long");

    let carol = user("c.user.token", &clock);
    let well = google(&clock, 0);
    server.respond(move |request| match request.target.as_str() {
        "/v1/token" => well(request),
        _ => Answer::new(
            403,
            "application/json",
            json!({"error": {"status": "PERMISSION_DENIED", "message": "no"}}).to_string(),
        ),
    });
    match cache.get(carol, TARGET).await {
        Err(FederationFault::Credential(fault)) => {
            assert_eq!((fault.step, fault.kind()), (Step::GenerateIdToken, FaultKind::Refused));
        }
        other => panic!("{other:?}"),
    }
}

/// Asks until there is a token.
async fn until_exchanged(cache: &Arc<FederationCache>, user: FederatedUser<'_>) {
    let exchanged = async { while cache.get(user, TARGET).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), exchanged).await.expect("it recovers");
}

#[tokio::test]
async fn nobody_asks_again_with_every_request_while_google_is_away() {
    let (clock, server, cache) = start().await;
    let alice = user("a.user.token", &clock);
    let well = google(&clock, 0);
    server.respond(move |request| match request.target.as_str() {
        "/v1/token" => well(request),
        _ => Answer::new(500, "text/plain", ""),
    });
    let began = Instant::now();
    for _ in 0..100 {
        let fault = cache.get(alice, TARGET).await.expect_err("it is away");
        assert_eq!(fault.kind(), FaultKind::Unavailable);
    }
    let (calls, seconds) = (server.count() as u64, began.elapsed().as_secs());
    assert!(calls <= 2 * (seconds + 1), "{calls} calls in {seconds} s");
    server.respond(google(&clock, 0));
    until_exchanged(&cache, alice).await;
}

/// What the configuration names wrongly refuses everybody, and nobody in particular.
#[tokio::test]
async fn a_refusal_of_the_user_is_told_from_one_of_the_question() {
    let (clock, server, cache) = start().await;
    let (oauth, iam) = (|code: &str| json!({"error": code}), |code: &str| json!({"error": {"status": code}}));
    let info = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"});
    let disabled = json!({"error": {"status": "PERMISSION_DENIED", "details": [{"links": []}, info]}});
    for (number, (path, status, body, is_about_the_user)) in [
        ("/v1/token", 400, oauth("invalid_target"), false),
        ("/v1/token", 400, oauth("invalid_request"), false),
        ("/v1/token", 400, oauth("invalid_grant"), true),
        ("/v1/token", 400, oauth("unauthorized_client"), true),
        ("/v1/token", 403, iam("PERMISSION_DENIED"), true),
        ("/v1/token", 429, oauth("invalid_grant"), false),
        ("/v1/token", 503, oauth("invalid_grant"), false),
        ("generate", 401, iam("UNAUTHENTICATED"), true),
        ("generate", 403, iam("PERMISSION_DENIED"), true),
        ("/v1/token", 403, disabled.clone(), false),
        ("generate", 403, disabled, false),
        ("generate", 400, iam("INVALID_ARGUMENT"), false),
        ("generate", 404, iam("NOT_FOUND"), false),
        ("generate", 500, iam("INTERNAL"), false),
    ]
    .into_iter()
    .enumerate()
    {
        let (well, text) = (google(&clock, 0), body.to_string());
        server.respond(move |request| match request.target.contains(path) {
            true => Answer::new(status, "application/json", text.clone()),
            false => well(request),
        });
        let token = format!("{number}.user.token");
        let fault = cache.get(user(&token, &clock), TARGET).await.expect_err("refused");
        assert_eq!(fault.is_about_the_user(), is_about_the_user, "{path} {status} {body}: {fault}");
    }
}

#[tokio::test]
async fn the_cache_is_bounded_in_bytes() {
    let (clock, server, cache) = start().await;
    let bytes = 12_000;
    server.respond(google(&clock, bytes));
    // A token counts twice: as text and as the header made of it.
    let fits = usize::try_from(FEDERATED_TOKENS_BYTES_MAX).expect("fits") / (2 * bytes);
    assert!(fits < FEDERATED_TOKENS_MAX);
    for number in 0..fits + 200 {
        cache.get(user(&number.to_string(), &clock), TARGET).await.expect("a token");
    }
    assert!(cache.len() <= fits && cache.len() > fits / 2, "{} of at most {fits}", cache.len());
}
