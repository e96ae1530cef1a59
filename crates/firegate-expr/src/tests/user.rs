use super::{Request, request, said};
use crate::{Attribute, Dialect, Expression, Language};

/// Both languages of dialect `firegate` say this.
fn check(text: &str, expected: &str) {
    check_of(&request(), text, expected);
}

fn check_of(request: &Request, text: &str, expected: &str) {
    for language in [Language::Armor, Language::IamCondition] {
        assert_eq!(said(text, language, Dialect::Firegate, request), expected, "{text} in {language}");
        let refused =
            Expression::parse(text, language, Dialect::Gcloud).expect_err("Google has no verified user");
        assert!(refused.iter().any(|error| error.code == crate::code::FIREGATE_ONLY), "{refused:?}");
    }
}

#[test]
fn the_verified_user_can_be_asked_for() {
    check("auth.uid == 'alice'", "true");
    check("auth.email.endsWith('@example.com') && auth.email_verified", "true");
    check("auth.provider == 'google.com' || auth.anonymous", "false");
    check("auth.token.admin", "true");
    check("auth.token.admin == true", "true");
    check("auth.token['admin'] && auth.token['level'] >= 3", "true");
    check("auth.token.level == 3 && auth.token.score < 2.0", "true");
    check("auth.token.org.plan.name == 'pro'", "true");
    check("auth.token.org['plan'].name == 'pro'", "true");
    check("auth.token['org']['id'] == 'acme'", "true");
    check("'billing' in auth.token.roles", "true");
    check("'owner' in auth.token.roles", "false");
    check("auth.token.roles[0] == 'editor'", "true");
    check("'admin' in auth.token && !('owner' in auth.token)", "true");
    check("'id' in auth.token.org", "true");
    check("auth.uid in ['bob', 'alice']", "true");
    check("size(auth.token.roles) == 2", "true");
    check("auth.token.firebase.sign_in_provider == 'password'", "true");
    check("auth.token.nothing == null", "true");
    check("auth != null", "true");
    check("has(auth.token.admin) && !has(auth.token.owner) && has(auth.token.org.id)", "true");
    check("has(auth.email) && !has(auth.tenant)", "true");
    check("auth.tenant == ''", "true");
    check("auth.app_id == ''", "true");
    check("auth.token.level == '3'", "false");
    check("auth.token.level.startsWith('3')", "error: no such overload");
    check("auth.token.roles[2] == 'x'", "error: index out of range");
    check("auth.token.owner == 'x'", "error: no such key");
    check("auth.token.admin.name == 'x'", "error: no such overload");
    check("auth.token.level", "error: no such overload");
}

#[test]
fn without_a_user_nothing_is_said_of_one() {
    let nobody = Request { claims: None, ..request() };
    check_of(&nobody, "auth.uid == 'alice'", "error: there is no verified user");
    check_of(&nobody, "auth.uid != 'alice'", "error: there is no verified user");
    check_of(&nobody, "!auth.token.admin", "error: there is no verified user");
    check_of(&nobody, "!auth.anonymous", "error: there is no verified user");
    check_of(&nobody, "'admin' in auth.token", "error: there is no verified user");
    check_of(&nobody, "!('admin' in auth.token)", "error: there is no verified user");
    check_of(&nobody, "auth.tenant == ''", "error: there is no verified user");
    check_of(&nobody, "auth == null", "true");
    check_of(&nobody, "auth != null && auth.uid == 'alice'", "false");
    check_of(&nobody, "has(auth.token.admin) && auth.token.admin", "false");
    check_of(&nobody, "auth.uid == 'alice' || request.path.startsWith('/api/')", "true");
    check_of(&nobody, "auth.app_id == ''", "true");
}

#[test]
fn conditions_take_the_spelling_of_security_rules() {
    let check = |text: &str| {
        assert_eq!(said(text, Language::IamCondition, Dialect::Firegate, &request()), "true", "{text}");
        assert!(Expression::parse(text, Language::IamCondition, Dialect::Gcloud).is_err());
        assert!(Expression::parse(text, Language::Armor, Dialect::Firegate).is_err());
    };
    check("request.auth.uid == 'alice'");
    check("request.auth != null && request.auth.token.admin");
    check("request.auth.token.org.plan.name == 'pro' && request.auth.token['level'] == 3");
    check("has(request.auth.token.admin)");
}

#[test]
fn limits_of_google_are_lifted_for_firegate() {
    let many = ["request.path != '/x'"; 40].join(" && ");
    for language in [Language::Armor, Language::IamCondition] {
        assert_eq!(said(&many, language, Dialect::Firegate, &request()), "true");
        assert!(Expression::parse(&many, language, Dialect::Gcloud).is_err());
    }
    let text = "request.path.matches('(a)') || request.path.matches('/api/')";
    assert_eq!(said(text, Language::Armor, Dialect::Firegate, &request()), "true");
}

#[test]
fn a_region_that_cannot_be_told_is_unknown() {
    let request =
        Request { unavailable: vec![Attribute::OriginRegionCode, Attribute::OriginAsn], ..request() };
    let check = |text: &str, expected: &str| {
        assert_eq!(said(text, Language::Armor, Dialect::Gcloud, &request), expected, "{text}");
    };
    check("origin.region_code == 'AU'", "unknown: origin.region_code");
    check("origin.region_code != 'AU'", "unknown: origin.region_code");
    check("origin.asn == 1 && request.method == 'POST'", "false");
}
