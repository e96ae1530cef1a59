//! Good tokens of users whom the configuration does not let in.

use firegate::explain::{ExplainInput, explain};
use serde_json::json;

use crate::{SERVICE, explained, file, input, minimal, outline, ring, signed};

#[test]
fn a_user_of_a_tenant() {
    let firebase = json!({"firebase": {"sign_in_provider": "password", "tenant": "blue-x1y2z"}});
    let token = signed(firebase);
    insta::assert_snapshot!(outline(&explained(&token, &minimal(&["allAuthenticatedUsers"]))), @r#"
    tenant Failed TENANT_NOT_ACCEPTED: found "blue-x1y2z"
    allAuthenticatedUsers None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     403       TENANT_NOT_ACCEPTED: users of this tenant are not accepted
                   because   the user belongs to tenant "blue-x1y2z"
      Cloud Run    401       FIREBASE_TOKEN: the issuer is not Google: expected
                             https://accounts.google.com, found
                             https://securetoken.google.com/my-project
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`
                   - a custom audience cannot help: it adds to the audiences that are accepted, not to
                     the issuers
                   - `allAuthenticatedUsers` in Google's IAM means everyone with a Google account; users
                     of Firebase are not among them
                   - `allUsers` makes the 401 go away because nobody's token is asked for any more: the
                     service is open to the world

    Advice
      Name the tenant in `users.tenants` and grant it with a `principalSet://…/attribute.tenant/TENANT`
      member.
    "#);
    let admitted = file(&format!(
        "project: my-project\nbackends: {{ api: {SERVICE} }}\nallow: ['user:ada@example.com', allAuthenticatedUsers]\n\
         users: {{ tenants: [blue-x1y2z] }}\n"
    ));
    let keys = ring();
    let given = ExplainInput { configuration_file: Some("firegate.yaml"), ..input(&token, &admitted, &keys) };
    insta::assert_snapshot!(outline(&explain(given)), @r#"
    user:ada@example.com Some(false): the user belongs to tenant "blue-x1y2z", and ids and addresses repeat across tenants: only a member that names the tenant can match
    allAuthenticatedUsers Some(true): every user of the Firebase project "my-project" whom `users` admits
    Answers to GET / with this token
      Firegate     passes    goes on to https://my-service-abc-uc.a.run.app as user "ada", with
                             Firegate's own Google ID token for https://my-service-abc-uc.a.run.app in
                             X-Serverless-Authorization
      Cloud Run    401       FIREBASE_TOKEN: the issuer is not Google: expected
                             https://accounts.google.com, found
                             https://securetoken.google.com/my-project
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`
                   - a custom audience cannot help: it adds to the audiences that are accepted, not to
                     the issuers
                   - `allAuthenticatedUsers` in Google's IAM means everyone with a Google account; users
                     of Firebase are not among them
                   - `allUsers` makes the 401 go away because nobody's token is asked for any more: the
                     service is open to the world

    Advice
      Keep the service private, run Firegate before it, and let the app (or the load balancer) call
      Firegate instead; on the service, grant roles/run.invoker to Firegate's service account alone, not
      to allUsers.

        firegate serve \
          --config firegate.yaml

    Notes
      - the token of a user who is deleted or disabled keeps working until it expires (in 59 min),
        because `users.revocation.check` is off; only refreshing it fails at once
    "#);
}

#[test]
fn an_anonymous_user() {
    let token = signed(json!({
        "email": null, "email_verified": null, "provider_id": "anonymous",
        "firebase": {"identities": {}, "sign_in_provider": "anonymous"},
    }));
    insta::assert_snapshot!(outline(&explained(&token, &minimal(&["allAuthenticatedUsers"]))), @r#"
    anonymous Failed ANONYMOUS_USER_NOT_ACCEPTED: found "anonymous"
    allAuthenticatedUsers None: the token did not pass its checks, so that there is no user to compare with
    Answers to GET / with this token
      Firegate     403       ANONYMOUS_USER_NOT_ACCEPTED: anonymous users are not accepted (action:
                             SIGN_IN)
      Cloud Run    401       FIREBASE_TOKEN: the issuer is not Google: expected
                             https://accounts.google.com, found
                             https://securetoken.google.com/my-project
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`
                   - a custom audience cannot help: it adds to the audiences that are accepted, not to
                     the issuers
                   - `allAuthenticatedUsers` in Google's IAM means everyone with a Google account; users
                     of Firebase are not among them
                   - `allUsers` makes the 401 go away because nobody's token is asked for any more: the
                     service is open to the world

    Advice
      Let the user sign in with a provider, or set `users: { anonymous: allow }`.
    "#);
}

#[test]
fn a_user_whom_no_member_names() {
    let pool = "iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase";
    let configuration = minimal(&[
        "user:eve@example.com",
        "domain:example.org",
        "serviceAccount:caller@my-project.iam.gserviceaccount.com",
        &format!("principal://{pool}/subject/eve"),
        &format!("principalSet://{pool}/attribute.role/admin"),
        &format!("principalSet://{}/attribute.provider/password", pool.replace("/firebase", "/other")),
    ]);
    let token = signed(json!({"email_verified": false, "role": "editor"}));
    insta::assert_snapshot!(outline(&explained(&token, &configuration)), @r#"
    user:eve@example.com Some(false): the user's address "ada@example.com" is not verified, and only verified ones count
    domain:example.org Some(false): the user's address "ada@example.com" is not verified, and only verified ones count
    serviceAccount:caller@my-project.iam.gserviceaccount.com Some(false): a service account is a caller of Google's, never a signed-in user of the Firebase project
    principal://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase/subject/eve Some(false): the user id is "ada"
    principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/firebase/attribute.role/admin Some(false): the user's `role` is "editor"
    principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/other/attribute.provider/password Some(false): the member is of pool "other" in project number 42; `users.identity_pool` or `project_number` names another
    Answers to GET / with this token
      Firegate     403       NO_INVOKER_BINDING: the user is not allowed to call this service
                   because   none of the members names the user, who is
                             principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/wor
                             kloadIdentityPools/firebase/subject/ada
      Cloud Run    401       FIREBASE_TOKEN: the issuer is not Google: expected
                             https://accounts.google.com, found
                             https://securetoken.google.com/my-project
                   asked at  https://my-service-abc-uc.a.run.app
                   body      an HTML page, and `www-authenticate: Bearer error="invalid_token"`
                   - a custom audience cannot help: it adds to the audiences that are accepted, not to
                     the issuers
                   - `allAuthenticatedUsers` in Google's IAM means everyone with a Google account; users
                     of Firebase are not among them
                   - `allUsers` makes the 401 go away because nobody's token is asked for any more: the
                     service is open to the world

    Advice
      Add
      `principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/workloadIdentityPools/fir
      ebase/subject/ada` to the backend's `allow` for this user, or `allAuthenticatedUsers` for every
      signed-in user.
    "#);
}

/// The member is there already; what is missing is that the address is verified.
#[test]
fn a_user_whose_address_is_named_and_not_verified() {
    let token = signed(json!({"email_verified": false}));
    let advice = |member: &str| {
        let rendered = outline(&explained(&token, &minimal(&[member])));
        let words = rendered.split_whitespace().collect::<Vec<_>>().join(" ");
        words.split_once("Advice ").expect("an advice").1.to_owned()
    };
    for member in ["user:ada@example.com", "domain:example.com"] {
        let advice = advice(member);
        assert!(
            advice.starts_with("Let the user verify their address, by `sendEmailVerification(user)`"),
            "{advice}"
        );
    }
    for member in ["user:eve@example.com", "domain:example.org"] {
        let advice = advice(member);
        assert!(advice.starts_with("Add `principal://"), "{advice}");
    }
}
