//! RFC 8725, section 3.3: every cryptographic operation has to succeed. Of two good tokens and one bad one, the bad one
//! decides; and no part of a good token makes a changed one good.

use crate::project::{Key, Project, edited};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn one_good_signature_does_not_carry_a_bad_one() {
    let project = Project::open().await;
    let gate = project
        .gate("backends: { api: 'SERVICE' }\nallow: [allAuthenticatedUsers]\nusers: { app_check: required }")
        .await;
    let forged = |key: Key, claims| Key::Stranger.sign_as(&key.header(), format!("{claims}"));
    let (user, app) = (project.id_token(), project.app_check_token());
    let false_user = forged(Key::IdToken, project.id_claims());
    let false_app = forged(Key::AppCheck, project.app_check_claims());
    for (user, app, status, reason) in [
        (&user, &app, 200, None),
        (&user, &false_app, 401, Some("APP_CHECK_TOKEN_INVALID")),
        (&false_user, &app, 401, Some("TOKEN_SIGNATURE_INVALID")),
        (&false_user, &false_app, 401, Some("TOKEN_SIGNATURE_INVALID")),
        (&user, &user, 401, Some("APP_CHECK_TOKEN_INVALID")),
        (&app, &app, 401, Some("TOKEN_IS_APP_CHECK_TOKEN")),
    ] {
        let answer = gate.call("/a").bearer(user).header("x-firebase-appcheck", app).send().await;
        let found = (answer.status.as_u16(), answer.header("x-firegate-reason"));
        assert_eq!(found, (status, reason), "{:?}", answer.body);
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_two_good_tokens_make_no_third() {
    let project = Project::open().await;
    let gate = project.plain_gate().await;
    let mine = project.id_token();
    let theirs = Key::IdToken.sign(&edited(
        &edited(&project.id_claims(), "sub", json!("ada")),
        "user_id",
        json!("ada"),
    ));
    gate.admits(&mine).await;
    gate.admits(&theirs).await;
    let part = |token: &str, index| token.split('.').nth(index).expect("a part").to_owned();
    let mixed = format!("{}.{}.{}", part(&mine, 0), part(&theirs, 1), part(&mine, 2));
    gate.refuses(&mixed, 401, "TOKEN_SIGNATURE_INVALID", "another's claims").await;
    let short = mine[..mine.len() - 2].to_owned();
    gate.refuses(&short, 401, "TOKEN_SIGNATURE_INVALID", "a cut signature").await;
    for (token, why) in [
        (format!("{mine}."), "a fourth part"),
        (format!("{mine}="), "padding"),
        (format!("{}.{}.", part(&mine, 0), part(&mine, 1)), "no signature"),
    ] {
        let answer = gate.with_bearer(&token).await;
        assert_eq!(answer.status.as_u16(), 401, "{why}");
    }
    gate.close().await;
}
