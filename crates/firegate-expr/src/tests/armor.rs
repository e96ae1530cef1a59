use super::{parse, request, said};
use crate::{Dialect, Language};

/// The expression is accepted by Google, says this, and is the same in Firegate's own dialect.
fn check(text: &str, expected: &str) {
    let request = request();
    assert_eq!(said(text, Language::Armor, Dialect::Gcloud, &request), expected, "{text}");
    assert_eq!(said(text, Language::Armor, Dialect::Firegate, &request), expected, "{text}");
}

/// Google's examples: <https://cloud.google.com/armor/docs/rules-language-reference#examples>, and the tests of its open tool,
/// <https://github.com/cel-expr/cloud-armor-rules>.
#[test]
fn googles_examples_say_what_google_says() {
    check("request.method == 'GET'", "true");
    check("request.method != 'POST'", "true");
    check("has(request.headers['user-agent'])", "true");
    check("has(request.headers.host)", "true");
    check("has(request.headers['cookie'])", "false");
    check("has(request.headers['cookie']) && request.headers['cookie'].contains('80=BLAH')", "false");
    check("!has(request.headers['cookie']) || !request.headers['cookie'].contains('80=BLAH')", "true");
    check("inIpRange(origin.ip, '203.0.113.0/24')", "true");
    check("inIpRange(origin.ip, '198.51.100.0/24') || inIpRange(origin.user_ip, '2001:db8::/32')", "true");
    check("origin.region_code == 'AU' && !inIpRange(origin.ip, '1.2.3.0/24')", "true");
    check("origin.asn == 15169", "true");
    check("origin.asn > 64511", "false");
    check("origin.tls_ja4_fingerprint == 't13d1516h2_8daaf6152771_b186095e22b6'", "true");
    check("origin.tls_ja3_fingerprint == ''", "true");
    check("request.path.matches('/api/')", "true");
    check("request.path.matches('(?i)^/API/users/[0-9]+$')", "true");
    check("request.path.lower().urlDecode().contains('users')", "true");
    check("request.headers['user-agent'].contains('Mozilla')", "true");
    check("request.query.urlDecode() == 'q=google!&n=12'", "true");
    check("request.headers['User-Agent'.lower()].startsWith('Mozilla')", "true");
    check("request.method.lower() == 'get'", "true");
    check("'YWJj'.base64Decode() == 'abc'", "true");
    check("request.headers['x-data'].base64Decode() == 'abc'", "true");
    check("int('123') == 123", "true");
    check("int(request.headers['x-number']) + 1 == 43", "true");
    check("size(request.method) == 3", "true");
    check("'é'.size() == 1", "true");
    check("matches(request.path, '^/api')", "true");
    check("request.path.utf8ToUnicode() == request.path", "true");
    check("request.scheme + '://' + request.headers['host'] == 'https://www.example.com'", "true");
    check("2 * 3 - 1 == 5", "true");
    check("1.5 * 2.0 >= 3.0", "true");
    check("-1 < 0", "true");
    check("request.path == r'/api/Users/7'", "true");
    check("request.path == '''/api/Users/7''' // a comment", "true");
    check("true", "true");
}

#[test]
fn what_google_evaluates_alone_is_unknown() {
    check("evaluatePreconfiguredWaf('sqli-v33-stable')", "unknown: evaluatePreconfiguredWaf");
    check(
        "evaluatePreconfiguredWaf('sqli-v33-stable', {'sensitivity': 1, 'opt_out_rule_ids': ['owasp-crs-v030301-id942421-sqli']})",
        "unknown: evaluatePreconfiguredWaf",
    );
    check(
        "evaluatePreconfiguredExpr('xss-stable', ['owasp-crs-v020901-id981136-xss'])",
        "unknown: evaluatePreconfiguredExpr",
    );
    check("evaluateThreatIntelligence('iplist-tor-exit-nodes')", "unknown: evaluateThreatIntelligence");
    check(
        "evaluateThreatIntelligence('iplist-tor-exit-nodes', origin.user_ip, ['1.2.3.4'])",
        "unknown: evaluateThreatIntelligence",
    );
    check("evaluateAddressGroup('g', origin.ip)", "unknown: evaluateAddressGroup");
    check("evaluateAdaptiveProtectionAutoDeploy()", "unknown: evaluateAdaptiveProtectionAutoDeploy");
    check("token.recaptcha_action.score >= 0.8", "unknown: token.recaptcha_action.score");
    check(
        "token.recaptcha_exemption.valid && request.method == 'GET'",
        "unknown: token.recaptcha_exemption.valid",
    );
    check("token.recaptcha_exemption.valid && request.method == 'POST'", "false");
    check("token.recaptcha_session.valid || request.method == 'GET'", "true");
    check("!evaluatePreconfiguredWaf('sqli-v33-stable')", "unknown: evaluatePreconfiguredWaf");
}

#[test]
fn what_cannot_be_evaluated_is_an_error() {
    check("request.headers['absent'] == 'x'", "error: no such key");
    check("request.headers['User-Agent'] == 'x'", "error: no such key");
    check("int(request.path) > 1", "error: invalid number");
    check("inIpRange(request.headers['x-number'], '10.0.0.0/8')", "error: invalid IP address");
    check("inIpRange(origin.ip, request.headers['x-number'])", "error: invalid IP range");
    check("9223372036854775807 + 1 > 0", "error: overflow");
    check("!request.headers['absent'].contains('x')", "error: no such key");
}

#[test]
fn an_expression_says_what_it_asks_for() {
    let expression = parse(
        "origin.region_code == 'AU' && request.headers['x-a'] == 'b' && !evaluateAddressGroup('g', origin.ip)",
        Language::Armor,
        Dialect::Gcloud,
    );
    let reads: Vec<&str> = expression.reads().map(crate::Attribute::name).collect();
    assert_eq!(reads, ["origin.ip", "origin.region_code", "request.headers"]);
    assert_eq!(expression.headers().collect::<Vec<_>>(), ["x-a"]);
    assert_eq!(expression.unknown_functions(), ["evaluateAddressGroup"]);
    assert!(!expression.uses_user() && !expression.is_firegate_only());
    let expression =
        parse("evaluateAddressGroup('g', origin.ip) || auth.uid == 'a'", Language::Armor, Dialect::Firegate);
    assert!(expression.uses_user() && expression.is_firegate_only());
}
