//! A token outlives what happened to its user. With the revocation check every kind of a user's token ends with the user:
//! the ID token, the session cookie, what was exchanged for them, and the exchange itself.

use serde_json::{Value, json};

use crate::project::{TOKEN_ENDPOINT, exchange_of, expect, expect_no_token, form, stack_with};
use crate::stack::{Answer, Call, Stack, text};

const CONFIGURATION: &str = "\
backends:
  api: { url: 'SERVICE', audience: api, token_sources: [authorization, cookie] }
users:
  accept: [id_token, session_cookie, exchanged_token]
  revocation: { check: required, max_staleness: 60s }
exchange: { enabled: true }
assertion: { issuer: 'http://127.0.0.1:9' }
allow: [allAuthenticatedUsers]";

/// Every token that a user has.
struct Tokens {
    id: String,
    session: String,
    exchanged: String,
}

async fn exchange(stack: &Stack, subject: &str) -> Answer {
    let call = Call::new(http::Method::POST, &stack.door(TOKEN_ENDPOINT));
    let call = call.header("content-type", "application/x-www-form-urlencoded");
    call.body(form(&exchange_of(subject, "api"))).send().await
}

impl Tokens {
    async fn of(stack: &Stack, email: &str) -> (Self, Value) {
        let body = json!({"email": email, "password": "correct horse", "returnSecureToken": true});
        let signed_in = match stack.identity("v1/accounts:signUp", body.clone()).await {
            answer if answer.status.as_u16() == 200 => answer.json(),
            _ => stack.identity("v1/accounts:signInWithPassword", body).await.ok(),
        };
        let id = text(&signed_in["idToken"]);
        let session = json!({"idToken": id, "validDuration": "3600"});
        let session = text(&stack.admin(":createSessionCookie", session).await["sessionCookie"]);
        let exchanged = text(&exchange(stack, &id).await.ok()["access_token"]);
        (Self { id, session, exchanged }, signed_in["localId"].clone())
    }

    async fn pass(&self, stack: &Stack) {
        for token in [&self.id, &self.session, &self.exchanged] {
            Call::get(&stack.door("/a")).bearer(token).send().await.ok();
        }
    }

    async fn are_refused(&self, stack: &Stack, reason: &str) {
        for _ in 0..2 {
            for token in [&self.id, &self.session, &self.exchanged] {
                expect(&Call::get(&stack.door("/a")).bearer(token).send().await, 401, reason, "a bearer");
            }
            let cookie = format!("__session={}", self.session);
            expect(
                &Call::get(&stack.door("/a")).header("cookie", &cookie).send().await,
                401,
                reason,
                "a cookie",
            );
            for token in [&self.id, &self.session] {
                let answer = exchange(stack, token).await;
                expect_no_token(&answer, None, reason);
                assert_eq!(answer.json()["firegate_reason"], json!(reason));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_token_ends_with_its_user() {
    let stack = stack_with(CONFIGURATION, Default::default()).await;
    let (honest, _) = Tokens::of(&stack, "honest@example.com").await;
    let (tokens, user) = Tokens::of(&stack, "eve@example.com").await;
    tokens.pass(&stack).await;

    stack.admin("/accounts:update", json!({"localId": user, "disableUser": true})).await;
    stack.clock.advance(61);
    tokens.are_refused(&stack, "USER_DISABLED").await;
    stack.admin("/accounts:update", json!({"localId": user, "disableUser": false})).await;
    stack.clock.advance(61);
    tokens.pass(&stack).await;

    stack.admin("/accounts:update", json!({"localId": user, "validSince": stack.now().to_string()})).await;
    stack.clock.advance(61);
    tokens.are_refused(&stack, "TOKEN_REVOKED").await;
    // Who signs in again passes, and the old tokens still do not.
    let (again, _) = Tokens::of(&stack, "eve@example.com").await;
    again.pass(&stack).await;
    tokens.are_refused(&stack, "TOKEN_REVOKED").await;

    stack.admin("/accounts:delete", json!({"localId": user})).await;
    stack.clock.advance(61);
    again.are_refused(&stack, "USER_NOT_FOUND").await;
    honest.pass(&stack).await;
    stack.stop().await;
}
