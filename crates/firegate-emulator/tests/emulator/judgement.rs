//! The decision alone: every cause, its status, and what it tells whoever reads it.

use firegate_core::jose::{KeySet, RsaSigner, encode_base64url};
use firegate_core::time::UnixTime;
use firegate_emulator::cloud_run::{
    Caller, CloudRunService, CredentialHeader, DisputedStatuses, Ingress, PublicServiceToken, Refusal,
    RefusalCause, RefusalStatus, Verdict, judge,
};
use firegate_emulator::google::ServiceAccount;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::world::{DOOR, OUTSIDER, PROJECT, SERVICE_URL};

const NOW: i64 = 1_800_000_000;

struct Bench {
    signer: RsaSigner,
    stranger: RsaSigner,
    keys: KeySet,
}

impl Bench {
    fn new() -> Self {
        let signer = RsaSigner::generate().unwrap();
        let keys =
            KeySet::parse_rs256(json!({ "keys": [signer.public_jwk()] }).to_string().as_bytes()).unwrap();
        Self { signer, stranger: RsaSigner::generate().unwrap(), keys }
    }

    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "iss": "https://accounts.google.com", "aud": SERVICE_URL, "sub": ServiceAccount::new(DOOR).unique_id(),
            "email": DOOR, "email_verified": true, "iat": NOW, "exp": NOW + 3600,
        });
        change(&mut claims);
        self.signer.sign(&claims).unwrap()
    }

    fn judge(
        &self,
        service: &CloudRunService,
        headers: &[(&str, &str)],
        statuses: &DisputedStatuses,
    ) -> Verdict {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        judge(service, &map, &self.keys, UnixTime::from_seconds(NOW), statuses)
    }

    fn refusal(&self, headers: &[(&str, &str)]) -> Refusal {
        match self.judge(
            &service(&[&format!("serviceAccount:{DOOR}")]),
            headers,
            &DisputedStatuses::default(),
        ) {
            Verdict::Refuse(refusal) => refusal,
            Verdict::Admit(admission) => panic!("{headers:?} is admitted: {admission:?}"),
        }
    }
}

fn service(invokers: &[&str]) -> CloudRunService {
    CloudRunService {
        hosts: Vec::new(),
        audiences: vec![SERVICE_URL.to_owned(), "my-audience".to_owned()],
        invokers: invokers.iter().map(|member| member.parse().unwrap()).collect(),
        ingress: Ingress::All,
        invoker_iam_check: true,
        container: "http://127.0.0.1:1".parse().unwrap(),
        use_http2: false,
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn every_unacceptable_token_is_unauthorized_for_its_own_cause() {
    let bench = Bench::new();
    let check = |token: String, expected: RefusalCause| {
        let refusal = bench.refusal(&[("authorization", &bearer(&token))]);
        assert_eq!(refusal, Refusal { status: RefusalStatus::Unauthorized, cause: expected }, "{token}");
    };
    let accepted = || vec![SERVICE_URL.to_owned(), "my-audience".to_owned()];
    let audience = |found: &str| RefusalCause::Audience { found: found.to_owned(), accepted: accepted() };
    let set = |name: &'static str, value: Value| move |claims: &mut Value| claims[name] = value;

    for issuer in ["https://securetoken.google.com/demo", "https://session.firebase.google.com/demo"] {
        let expected = RefusalCause::FirebaseToken { issuer: issuer.to_owned() };
        check(bench.token(set("iss", json!(issuer))), expected);
    }
    let foreign = |issuer: &str| RefusalCause::ForeignIssuer(issuer.to_owned());
    check(
        bench.token(set("iss", json!("https://accounts.google.com/"))),
        foreign("https://accounts.google.com/"),
    );
    check(bench.token(set("iss", json!("https://example.com"))), foreign("https://example.com"));
    check(bench.token(set("iss", Value::Null)), foreign(""));
    check(bench.token(set("aud", json!(format!("{SERVICE_URL}/")))), audience(&format!("{SERVICE_URL}/")));
    check(
        bench.token(set("aud", json!(format!("{SERVICE_URL}/path")))),
        audience(&format!("{SERVICE_URL}/path")),
    );
    check(bench.token(set("aud", json!([SERVICE_URL]))), audience(""));
    check(bench.token(set("aud", json!(PROJECT))), audience(PROJECT));
    let expired = |seconds| RefusalCause::Expired {
        expired_at: UnixTime::from_seconds(seconds),
        now: UnixTime::from_seconds(NOW),
    };
    check(bench.token(set("exp", json!(NOW))), expired(NOW));
    check(bench.token(set("exp", json!(NOW - 1))), expired(NOW - 1));
    check(bench.token(set("exp", json!("never"))), RefusalCause::MissingClaim("exp"));
    check(bench.token(set("sub", Value::Null)), RefusalCause::MissingClaim("sub"));

    let good = bench.token(|_| {});
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    check(format!("{unsigned}.SIGNATURE_REMOVED_BY_GOOGLE"), RefusalCause::SignatureRemoved);
    check(format!("{unsigned}."), RefusalCause::BadSignature);
    let forged = RsaSigner::from_pkcs8(bench.signer.key_id(), bench.stranger.pkcs8()).unwrap();
    let claims = json!({ "iss": "https://accounts.google.com", "aud": SERVICE_URL });
    check(forged.sign(&claims).unwrap(), RefusalCause::BadSignature);
    check(
        bench.stranger.sign(&claims).unwrap(),
        RefusalCause::UnknownKey(bench.stranger.key_id().to_owned()),
    );
    let none = encode_base64url(br#"{"alg":"none"}"#);
    let payload = encode_base64url(claims.to_string().as_bytes());
    check(format!("{none}.{payload}."), RefusalCause::Algorithm("none".to_owned()));
    check("ya29.c.opaque".to_owned(), RefusalCause::AccessToken);
    assert!(matches!(bench.refusal(&[("authorization", "Bearer x")]).cause, RefusalCause::Malformed(_)));
}

#[test]
fn headers_decide_which_credential_counts() {
    let bench = Bench::new();
    let good = bearer(&bench.token(|_| {}));
    let forbidden = Refusal { status: RefusalStatus::Forbidden, cause: RefusalCause::NoCredential };
    for headers in
        [&[][..], &[("authorization", "")], &[("authorization", "Bearer ")], &[("authorization", "bearer")]]
    {
        assert_eq!(bench.refusal(headers), forbidden, "{headers:?}");
    }
    assert_eq!(bench.refusal(&[("x-serverless-authorization", ""), ("authorization", &good)]), forbidden);
    let cause = |headers: &[(&str, &str)]| bench.refusal(headers).cause;
    let authorization = CredentialHeader::Authorization;
    assert_eq!(cause(&[("authorization", "Basic abc")]), RefusalCause::NotBearer(authorization));
    let repeated = [("authorization", good.as_str()), ("authorization", good.as_str())];
    assert_eq!(cause(&repeated), RefusalCause::RepeatedHeader(authorization));
    let both = [("authorization", good.as_str()), ("x-serverless-authorization", "Bearer ya29.x")];
    assert_eq!(cause(&both), RefusalCause::AccessToken);

    let service = service(&[&format!("serviceAccount:{DOOR}")]);
    let firebase =
        bearer(&bench.token(|claims| claims["iss"] = json!("https://securetoken.google.com/demo")));
    let admitted = |headers: &[(&str, &str)], expected: CredentialHeader| match bench.judge(
        &service,
        headers,
        &DisputedStatuses::default(),
    ) {
        Verdict::Admit(admission) => {
            assert_eq!(admission.validated, Some(expected));
            assert_eq!(admission.caller.and_then(|caller| caller.email).as_deref(), Some(DOOR));
        }
        Verdict::Refuse(refusal) => panic!("{headers:?}: {refusal:?}"),
    };
    admitted(&[("authorization", &good)], authorization);
    admitted(&[("authorization", &good.replace("Bearer", "bEARER"))], authorization);
    let serverless = CredentialHeader::ServerlessAuthorization;
    admitted(&[("authorization", &firebase), ("x-serverless-authorization", &good)], serverless);
}

#[test]
fn bindings_decide_who_may_invoke() {
    let bench = Bench::new();
    let user = |claims: &mut Value| {
        claims["email"] = json!("dev@example.com");
        claims["sub"] = json!("108");
    };
    let unverified = |claims: &mut Value| claims["email_verified"] = json!(false);
    let without_email = |claims: &mut Value| {
        claims.as_object_mut().unwrap().remove("email");
    };
    let check = |invokers: &[&str], token: &str, expected: bool| {
        let verdict = bench.judge(
            &service(invokers),
            &[("authorization", &bearer(token))],
            &DisputedStatuses::default(),
        );
        match (&verdict, expected) {
            (Verdict::Admit(_), true) => {}
            (Verdict::Refuse(Refusal { status, cause: RefusalCause::NotInvoker(_) }), false) => {
                assert_eq!(*status, RefusalStatus::Forbidden);
            }
            _ => panic!("{invokers:?}: {verdict:?}"),
        }
    };
    let (door, developer) = (format!("serviceAccount:{DOOR}"), "user:dev@example.com");
    check(&[&door], &bench.token(|_| {}), true);
    check(&[&door], &bench.token(without_email), true);
    check(&[&door], &bench.token(user), false);
    check(&[developer], &bench.token(user), true);
    check(&[developer], &bench.token(|_| {}), false);
    check(&["user:dev@example.com", "allAuthenticatedUsers"], &bench.token(|_| {}), true);
    check(&[&format!("serviceAccount:{OUTSIDER}")], &bench.token(|_| {}), false);
    check(&[], &bench.token(|_| {}), false);
    // An unverified address is nobody's; the account is still known by its number.
    check(&[&door], &bench.token(unverified), true);
    check(
        &[developer],
        &bench.token(|claims| {
            user(claims);
            unverified(claims);
        }),
        false,
    );
    // Firebase's users are not Google's, so that the wider binding does not admit them.
    let firebase = bench.token(|claims| claims["iss"] = json!("https://securetoken.google.com/demo"));
    let verdict = bench.judge(
        &service(&["allAuthenticatedUsers"]),
        &[("authorization", &bearer(&firebase))],
        &DisputedStatuses::default(),
    );
    assert!(matches!(verdict, Verdict::Refuse(Refusal { status: RefusalStatus::Unauthorized, .. })));
}

#[test]
fn a_public_service_asks_nobody_and_the_switches_say_otherwise() {
    let bench = Bench::new();
    let public = service(&["allUsers"]);
    let admits = |service: &CloudRunService, headers: &[(&str, &str)], statuses: &DisputedStatuses| {
        matches!(bench.judge(service, headers, statuses), Verdict::Admit(_))
    };
    let default = DisputedStatuses::default();
    let bad = [("authorization", "Bearer bad")];
    assert!(admits(&public, &[], &default));
    assert!(admits(&public, &bad, &default));
    let strict = DisputedStatuses { public_service_token: PublicServiceToken::Refuse, ..default };
    assert!(admits(&public, &[], &strict));
    assert!(!admits(&public, &bad, &strict));
    let unchecked = CloudRunService { invoker_iam_check: false, ..service(&[]) };
    assert!(admits(&unchecked, &bad, &default));

    let door = service(&[&format!("serviceAccount:{DOOR}")]);
    let status = |change: fn(&mut Value), statuses: DisputedStatuses| {
        let token = bearer(&bench.token(change));
        match bench.judge(&door, &[("authorization", &token)], &statuses) {
            Verdict::Refuse(refusal) => Some(refusal.status),
            Verdict::Admit(_) => None,
        }
    };
    let (unauthorized, not_found) = (RefusalStatus::Unauthorized, RefusalStatus::NotFound);
    let missing_invoker = DisputedStatuses { missing_invoker: unauthorized, ..default };
    assert_eq!(
        status(|claims| claims["email"] = json!("x@example.com"), missing_invoker),
        Some(unauthorized)
    );
    let wrong_audience = DisputedStatuses { wrong_audience: not_found, ..default };
    assert_eq!(status(|claims| claims["aud"] = json!("x"), wrong_audience), Some(not_found));
    let foreign_issuer = DisputedStatuses { foreign_issuer: RefusalStatus::Forbidden, ..default };
    let firebase: fn(&mut Value) = |claims| claims["iss"] = json!("https://securetoken.google.com/demo");
    assert_eq!(status(firebase, foreign_issuer), Some(RefusalStatus::Forbidden));
    let slash: fn(&mut Value) = |claims| claims["aud"] = json!(format!("{SERVICE_URL}/"));
    assert_eq!(status(slash, default), Some(unauthorized));
    assert_eq!(status(slash, DisputedStatuses { trailing_slash_is_forgiven: true, ..default }), None);
}

#[test]
fn a_cause_explains_itself_and_quotes_no_signature() {
    let check =
        |cause: RefusalCause, expected: &str| assert!(cause.to_string().contains(expected), "{cause}");
    let firebase = RefusalCause::FirebaseToken { issuer: "https://securetoken.google.com/demo".to_owned() };
    check(firebase.clone(), "identifies a user of the Firebase project, whom IAM does not know");
    check(firebase, "no binding or custom audience changes that");
    let caller = Caller { email: Some(DOOR.to_owned()), subject: "1".to_owned() };
    check(RefusalCause::NotInvoker(caller), &format!("{DOOR} has no roles/run.invoker"));
    check(
        RefusalCause::NotInvoker(Caller { email: None, subject: "117".to_owned() }),
        "117 has no roles/run.invoker",
    );
    assert!(RefusalCause::NoCredential.log_text().starts_with("The request was not authenticated."));
    assert!(RefusalCause::BadSignature.log_text().ends_with("The access token could not be verified."));
}
