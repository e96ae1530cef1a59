//! Firegate's own log, played to a configuration: what is compared by more than a status, and what no log carries.

use serde_json::{Value, json};

use crate::simulation::{CONFIGURATION, as_json, folder, merge, run};

/// A line of Firegate's about a request, from `site` unless it says another backend.
fn own_line(method: &str, url: &str, status: u16, more: &Value) -> String {
    let mut line = json!({
        "severity": "INFO", "time": "2027-01-15T08:00:00.000001Z", "outcome": "denial", "backend": "site",
        "httpRequest": {
            "requestMethod": method, "requestUrl": url, "status": status, "requestSize": "0", "responseSize": "512",
            "remoteIp": "203.0.113.9", "latency": "0.004321s", "protocol": "HTTP/2",
        },
    });
    merge(&mut line, more);
    line.to_string()
}

/// Looks at what a log of one line of Firegate's comes to.
fn check_own(method: &str, url: &str, status: u16, more: Value, expected: &str) {
    let found = as_json(&run(folder(&own_line(method, url, status, &more)).path(), &["--output", "json"]));
    let told = found["groups"].as_array().expect("groups").iter().map(|group| {
        format!("{}: {} → {}", group["change"], group["was"], group["would_be"]).replace('"', "")
    });
    assert_eq!(told.collect::<Vec<_>>(), [expected], "{more}");
}

/// Under the configuration that wrote it nothing in a log is answered otherwise, for whatever it was refused.
#[test]
fn what_was_refused_for_what_no_log_carries_is_not_guessed() {
    let site = "https://www.example.com/";
    let refused =
        |stage: &str, code: &str, evidence: &str| json!({"stage": stage, "code": code, "evidence": evidence});
    let unknown = |status: u16, code: &str| {
        format!(
            "undecided: {status} {code} → unknown: for what it was refused as {code}, the log does not carry"
        )
    };
    for (stage, status, code) in [
        ("facts", 400, "REQUEST_MALFORMED"),
        ("facts", 431, "REQUEST_HEAD_TOO_LARGE"),
        ("identity", 401, "TOKEN_SIGNATURE_INVALID"),
        ("identity", 401, "USER_DISABLED"),
        ("identity", 403, "ANONYMOUS_USER_NOT_ACCEPTED"),
        ("upstream", 413, "BODY_TOO_LARGE"),
    ] {
        check_own("GET", site, status, refused(stage, code, ""), &unknown(status, code));
    }
    let overloaded = json!({"outcome": "fault", "stage": "facts", "code": "FIREGATE_OVERLOADED"});
    check_own("GET", site, 503, overloaded, &unknown(503, "FIREGATE_OVERLOADED"));
    let empty = refused("identity", "TOKEN_MISSING", "`Authorization` says `Bearer` with nothing behind it");
    check_own("GET", site, 401, empty, &unknown(401, "TOKEN_MISSING"));
    // What has no token at all, and whom no member named, passes where everyone may.
    let nothing = refused("identity", "TOKEN_MISSING", "the request carries no ID token");
    check_own("GET", site, 401, nothing, "changed: 401 TOKEN_MISSING → to site");
    let stranger = refused("iam", "NO_INVOKER_BINDING", "");
    check_own("GET", site, 403, stranger, "changed: 403 NO_INVOKER_BINDING → to site");
    let orders = "https://api.example.com/orders/7";
    let federation = refused("credential", "FEDERATION_REFUSED", "");
    check_own(
        "GET",
        orders,
        403,
        federation,
        "left_to_token: 403 FEDERATION_REFUSED → to orders, if its token lets it",
    );
    // What is refused earlier is refused otherwise.
    let admin = "https://api.example.com/orders/admin";
    let large = refused("upstream", "BODY_TOO_LARGE", "");
    check_own("POST", admin, 413, large, "changed: 413 BODY_TOO_LARGE → 403 ARMOR_DENIED");
}

#[test]
fn what_the_status_alone_does_not_say_is_compared_all_the_same() {
    let (site, admin) = ("https://www.example.com/", "https://api.example.com/orders/admin");
    // A client of gRPC gets 200.
    let denied = json!({"stage": "armor", "code": "ARMOR_DENIED"});
    check_own("POST", admin, 200, denied.clone(), "unchanged: 200 ARMOR_DENIED → 403 ARMOR_DENIED");
    check_own("POST", site, 200, denied, "changed: 200 ARMOR_DENIED → to site");
    let limited = json!({"stage": "armor", "code": "RATE_LIMITED"});
    check_own("POST", admin, 200, limited, "changed: 200 RATE_LIMITED → 403 ARMOR_DENIED");
    // Of the redirects some are a URL map's and some a policy's, which comes behind a route.
    let old = "https://www.example.com/old/page";
    check_own("GET", old, 301, json!({"outcome": "respond"}), "unchanged: 301 → 301");
    check_own("GET", old, 302, json!({"outcome": "respond"}), "changed: 302 → 301");
    let by_policy = json!({"outcome": "permit", "statusDetails": "redirected_by_security_policy"});
    check_own("GET", old, 301, by_policy, "unchanged: 301 → 301");
    check_own("GET", site, 301, json!({"outcome": "permit"}), "unchanged: forwarded to site, 3xx → to site");
    let keys = "https://www.example.com/.well-known/firegate/jwks.json";
    check_own(
        "GET",
        keys,
        304,
        json!({"outcome": "respond"}),
        "unchanged: 304 → answered by Firegate itself",
    );
    // A WebSocket over HTTP/2 comes as a CONNECT, and is judged as a GET.
    check_own(
        "CONNECT",
        site,
        200,
        json!({"outcome": "permit"}),
        "unchanged: forwarded to site, 2xx → to site",
    );
    let connect = json!({"stage": "facts", "code": "REQUEST_MALFORMED"});
    check_own("CONNECT", site, 400, connect, "unchanged: 400 REQUEST_MALFORMED → 400 REQUEST_MALFORMED");
    check_own(
        "GET",
        "http:///",
        200,
        json!({"outcome": "permit"}),
        "undecided: forwarded to site, 2xx → unknown: its `requestUrl` names no host",
    );
    // A backend that is only observed lets through what its policy refuses.
    let observed = json!({"outcome": "would_refuse", "stage": "armor", "code": "ARMOR_DENIED",
        "statusDetails": "denied_by_security_policy", "enforcedSecurityPolicy": { "name": "edge", "outcome": "DENY" }});
    check_own("GET", site, 200, observed, "unchanged: forwarded to site, 2xx → to site");
}

/// What a log of one line comes to under a configuration of the same backends.
fn told_under(configuration: &str, line: &str) -> String {
    let folder = folder(line);
    let deny = "rules:\n- denyRule:\n    deniedPrincipals: ['principal://goog/subject/eve@example.com']\n    \
                deniedPermissions: [run.googleapis.com/routes.invoke]\n    \
                denialCondition: { title: private, expression: \"request.path.startsWith('/private')\" }\n";
    for (name, text) in [("firegate.yaml", configuration), ("deny.yaml", deny)] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let found = as_json(&run(folder.path(), &["--output", "json"]));
    format!("{}: {}", found["groups"][0]["change"], found["groups"][0]["would_be"]).replace('"', "")
}

#[test]
fn a_request_of_whom_a_rule_may_deny_is_left_to_its_token() {
    let denying = format!("{CONFIGURATION}deny_policies: [ deny.yaml ]\n");
    let observing = denying.replace(
        "site-abc123-uc.a.run.app",
        "site-abc123-uc.a.run.app\n    credential: none\n    enforce: observe",
    );
    let check = |configuration: &str, path: &str, status: u16, more: Value, expected: &str| {
        let line = own_line("GET", &format!("https://www.example.com{path}"), status, &more);
        assert_eq!(told_under(configuration, &line), expected, "{path} {more}");
    };
    let (passed, left) = (json!({"outcome": "permit"}), "left_to_token: to site, if its token lets it");
    check(&denying, "/private/x", 200, passed.clone(), left);
    check(&denying, "/x", 200, passed.clone(), "unchanged: to site");
    check(&observing, "/private/x", 200, passed, "unchanged: to site");
    let denied = json!({"stage": "iam", "code": "DENIED_BY_IAM_POLICY"});
    check(&denying, "/private/x", 403, denied.clone(), left);
    check(CONFIGURATION, "/private/x", 403, denied, "changed: to site");
    // Nobody is refused who is only observed.
    let disabled = json!({"stage": "identity", "code": "USER_DISABLED"});
    check(&observing, "/x", 401, disabled, "changed: to site");
}

#[test]
fn what_is_exchanged_for_a_token_is_in_no_log() {
    let exchanging = format!(
        "{CONFIGURATION}assertion: {{ issuer: 'https://www.example.com' }}\nexchange: {{ enabled: true }}\n"
    );
    let check = |method: &str, status: u16, more: Value, expected: &str| {
        let line = own_line(method, "https://www.example.com/.well-known/firegate/token", status, &more);
        assert_eq!(told_under(&exchanging, &line), expected, "{more}");
    };
    let unknown = "undecided: unknown: what the token endpoint answers, the body of the request says";
    check("POST", 401, json!({"stage": "identity", "code": "TOKEN_EXPIRED"}), unknown);
    check("POST", 200, json!({"outcome": "respond"}), unknown);
    check("GET", 405, json!({"outcome": "respond"}), "unchanged: answered by Firegate itself");
    let nothing = json!({"stage": "route", "code": "ROUTE_NOT_FOUND"});
    check("POST", 404, nothing, "changed: answered by Firegate itself");
}

/// Who is refused for their token does not come so far as to have their request spoilt on purpose.
#[test]
fn a_request_that_is_spoilt_on_purpose_may_have_been_refused_for_its_token() {
    let of_all = "name: shop\ndefaultRouteAction:\n  weightedBackendServices: [{ backendService: site, weight: 1 }]\n  \
               faultInjectionPolicy: { abort: { httpStatus: 503, percentage: 100 } }\n";
    let configuration = CONFIGURATION.replace("url_map: map.yaml", "url_map: spoilt.yaml");
    let check = |map: &str, status: u16, more: Value, expected: &str| {
        let folder = folder(&own_line("GET", "https://www.example.com/", status, &more));
        for (name, text) in [("firegate.yaml", configuration.as_str()), ("spoilt.yaml", map)] {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        let found = as_json(&run(folder.path(), &["--output", "json"]));
        let told = format!("{}: {}", found["groups"][0]["change"], found["groups"][0]["would_be"]);
        assert_eq!(told.replace('"', ""), expected, "{more}");
    };
    let disabled = json!({"stage": "identity", "code": "USER_DISABLED"});
    let unknown = "undecided: unknown: for what it was refused as USER_DISABLED, the log does not carry";
    check(of_all, 401, disabled, unknown);
    let stranger = json!({"stage": "iam", "code": "NO_INVOKER_BINDING"});
    check(of_all, 403, stranger.clone(), "changed: 503 FAULT_INJECTED");
    let spoilt = json!({"stage": "route", "code": "FAULT_INJECTED"});
    check(of_all, 503, spoilt, "unchanged: 503 FAULT_INJECTED");
    let of_users = of_all.replace("backendService: site", "backendService: orders");
    check(&of_users, 403, stranger, "left_to_token: to orders, if its token lets it");
}
