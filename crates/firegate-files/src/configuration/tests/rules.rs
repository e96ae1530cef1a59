use super::*;

#[test]
fn shape() {
    check("", &["FG008 project", "FG008 backends", "FG110 allow"]);
    check("project: my-project\n", &["FG008 backends", "FG110 allow"]);
    check("project: my-project\nbackends: {}\n", &["FG008 backends", "FG110 allow"]);
    check("project: my-project\nbackends: https://a.run.app\n", &["FG005 backends"]);
    check("- a\n", &["FG005 "]);
    check(&with("alow: []\n"), &["FG004 alow"]);
    check(&with("<<: {}\n"), &["FG004 \"<<\""]);
    check(&with("users: { tenant: any }\n"), &["FG004 users.tenant"]);
    check(&with("project: other-project\n"), &["FG003 project"]);
    check(&with("data_dir:\n"), &["FG007 data_dir"]);
    check(&with("data_dir: 5\n"), &["FG005 data_dir"]);
    check(&with("data_dir: \"\"\n"), &["FG007 data_dir"]);
    check(&with("assertion: { key: \"\" }\n"), &["FG007 assertion.key"]);
    let former = "assertion: { key: assertion.pem, previous_keys: [former.pem, \"\"] }\n";
    check(&with(former), &["FG007 assertion.previous_keys[1]"]);
    check(&with("listen: { a: b }\n"), &["FG005 listen"]);
    check(&with("limits: { connections_max: many }\n"), &["FG005 limits.connections_max"]);
    check(&with("users: none\n"), &["FG005 users"]);
    check(&with("exchange: { enabled: \"false\" }\n"), &["FG005 exchange.enabled"]);
    check(&with("users: { anonymous: alow }\n"), &["FG006 users.anonymous"]);
    check(&with("users: { accept: [id_tokn] }\n"), &["FG006 users.accept[0]"]);
    check(&with("users: { app_check: no }\n"), &["FG006 users.app_check"]);
    check(&with("users: { clock_skew: 10 }\n"), &["FG005 users.clock_skew"]);
    check(&with("behind: { hops: 300 }\n"), &["FG104 behind", "FG005 behind.hops"]);
    check(&with("behind: google_lb\n"), &["FG006 behind"]);
    check(&backend("url: https://a.run.app\nenforce: true\n"), &["FG006 backends.api.enforce"]);
    check("project: my-project\nallow: [allUsers]\nbackends: {}\n", &["FG008 backends"]);
    check("project: my-project\nallow: [allUsers]\nbackends: { api: 5 }\n", &["FG005 backends.api"]);
    check("project: my-project\nallow: allUsers\nbackends: { api: https://a.run.app }\n", &["FG005 allow"]);
}

#[test]
fn a_wrong_value_is_not_reported_as_missing_too() {
    check("project: 5\nbackends: { api: https://a.run.app }\nallow: [allUsers]\n", &["FG005 project"]);
    check(&backend("url: 5"), &["FG005 backends.api.url"]);
    check(
        "project: my-project\nbackends: { api: { url: https://a.run.app, allow: 5 } }\n",
        &["FG005 backends.api.allow", "FG110 allow"],
    );
}

#[test]
fn a_misspelled_key_is_not_reported_as_missing_too() {
    check(
        "projct: my-project\nbackend: { api: https://a.run.app }\nalow: [allUsers]\n",
        &["FG004 projct", "FG004 backend", "FG004 alow"],
    );
    check("project: my-project\nbackends: { api: https://a.run.app }\nalow: [allUsers]\n", &["FG004 alow"]);
    check(&backend("ulr: https://a.run.app"), &["FG004 backends.api.ulr"]);
    // What is given twice, once rightly, is checked.
    check(&with("projct: my-project\n").replace("my-project\nb", "5\nb"), &["FG005 project", "FG004 projct"]);
}

#[test]
fn every_problem_is_found_at_once() {
    check(
        "project: 123456789012\nbackends:\n  api: { url: api.example.com, bodybytes: 5 }\nrotes: []\nusers: { clock_skew: 1h }\n",
        &[
            "FG005 project",
            "FG121 backends.api.url",
            "FG004 backends.api.bodybytes",
            "FG004 rotes",
            "FG011 users.clock_skew",
            "FG110 allow",
        ],
    );
}

#[test]
fn project() {
    let file = |project: &str| MINIMAL.replace("my-project", project);
    check(&file("\"123456789012\""), &["FG101 project"]);
    check(&file("My_Project"), &["FG101 project"]);
    check(&MINIMAL.replace("project: my-project\n", ""), &["FG008 project"]);
    check(&with("project_number: my-project\n"), &["FG102 project_number"]);
    check(&with("project_number: 123456789012\n"), &[]);
}

#[test]
fn allow() {
    let file = "project: my-project\nbackends: { api: https://a.run.app }\n";
    check(file, &["FG110 allow"]);
    check(&format!("{file}allow: []\n"), &["FG110 allow"]);
    assert!(
        parse("firegate.yaml", &format!("{file}allow: []\n")).is_ok(),
        "an empty list is meant, and warned of"
    );
    check(&format!("{file}allow: [allUser, \"user:x\"]\n"), &["FG111 allow[0]", "FG111 allow[1]"]);
    check(&format!("{file}allow: [\"group:a@example.com\"]\n"), &["FG112 allow[0]"]);
    check(
        &format!("{file}allow: [allUser, \"group:a@example.com\"]\n"),
        &["FG111 allow[0]", "FG112 allow[1]"],
    );
    let partial = "project: my-project\nbackends:\n  a: { url: https://a.run.app, allow: [allUsers] }\n  b: https://b.run.app\nroutes: [ { path: /*, backend: a }, { path: /b, backend: b } ]\n";
    check(partial, &["FG110 backends.b"]);
    check(&format!("{partial}allow: [allUsers]\n"), &[]);
    check(&backend("url: https://a.run.app\nallow: [allUsers]\niam_policy: p.yaml\n"), &["FG005 "]);
    check(&backend("url: https://a.run.app\niam_policy: p.yaml\n"), &["FG005 "]);
}

#[test]
fn members_that_match_nobody() {
    let pool = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools";
    let file = |member: &str, more: &str| {
        format!("project: my-project\nbackends: {{ api: https://a.run.app }}\nallow: [\"{member}\"]\n{more}")
    };
    check(&file(&format!("principal://{pool}/firebase/subject/u"), ""), &[]);
    check(&file(&format!("principal://{pool}/other-pool/subject/u"), ""), &["FG112 allow[0]"]);
    check(
        &file(&format!("principal://{pool}/other-pool/subject/u"), "users: { identity_pool: other-pool }\n"),
        &[],
    );
    check(
        &file(&format!("principal://{pool}/firebase/subject/u"), "project_number: 99\n"),
        &["FG112 allow[0]"],
    );
    check(&file(&format!("principalSet://{pool}/firebase/attribute.tenant/a"), ""), &["FG112 allow[0]"]);
    check(
        &file(&format!("principalSet://{pool}/firebase/attribute.tenant/a"), "users: { tenants: [b] }\n"),
        &["FG112 allow[0]"],
    );
    check(
        &file(&format!("principalSet://{pool}/firebase/attribute.tenant/a"), "users: { tenants: [a] }\n"),
        &[],
    );
    check(&file("serviceAccount:job@my-project.iam.gserviceaccount.com", ""), &["FG112 allow[0]"]);
}

#[test]
fn urls() {
    let refused = |url: &str| check(&backend(&format!("url: \"{url}\"")), &["FG121 backends.api.url"]);
    refused("api-abc123-uc.a.run.app");
    refused("localhost:3000");
    refused("ftp://example.com");
    refused("https://user:secret@example.com");
    refused("https://example.com/v1");
    refused("https://example.com?a=b");
    refused("https://example.com#a");
    refused("https://exa mple.com");
    refused("https:\\\\\\\\example.com");
    refused("https://");
    refused("https://example.com:0");
    refused("");
    check(&backend("url: https://example.run.app/"), &[]);
    check(&backend("url: https://example.com/"), &["FG123 backends.api.url"]);
    check(&backend("audience: a"), &["FG008 backends.api.url"]);
    check(
        &backend("url: https://a.run.app\nendpoints: [ { url: https://b.run.app } ]"),
        &["FG113 backends.api.endpoints"],
    );
    check(&backend("endpoints: [ { audience: a } ]"), &["FG008 backends.api.endpoints[0].url"]);
    check(&backend("endpoints: [ { url: https://a.run.app }, { url: https://b.run.app } ]"), &[]);
    check(
        &backend(
            "endpoints: [ { url: https://a.run.app }, { url: https://b.run.app }, { url: https://A.run.app:443/, audience: b } ]",
        ),
        &["FG121 backends.api.endpoints[2].url"],
    );
    let many = "{ url: https://a.run.app }, ".repeat(33);
    check(&backend(&format!("endpoints: [ {many} ]")), &["FG002 backends.api.endpoints"]);
    check(
        "project: my-project\nallow: [allUsers]\nbackends: { \"a.b\": https://a.run.app }\n",
        &["FG120 backends.\"a.b\""],
    );
}

#[test]
fn a_version_of_http_goes_with_the_scheme() {
    check(&backend("url: https://a.run.app\nprotocol: h2"), &[]);
    check(&backend("url: http://127.0.0.1:9000\nprotocol: h2c"), &[]);
    check(&backend("url: https://a.run.app\nprotocol: h2c"), &["FG160 backends.api.protocol"]);
    check(&backend("url: http://127.0.0.1:9000\nprotocol: h2"), &["FG160 backends.api.protocol"]);
    check(
        &backend("endpoints: [ { url: https://a.run.app }, { url: http://127.0.0.1:9000 } ]\nprotocol: h2"),
        &["FG160 backends.api.protocol"],
    );
    let both = "url: https://a.run.app }, { url: http://127.0.0.1:9000";
    for word in ["h2", "h2c"] {
        // The other word would be refused as well.
        let found = rendered(&backend(&format!("endpoints: [ {{ {both} }} ]\nprotocol: {word}")));
        assert!(found.contains("remove it, or give all of them one scheme"), "{found}");
    }
}

#[test]
fn how_a_service_is_waited_for_and_asked() {
    let local = |more: &str| backend(&format!("url: http://127.0.0.1:9000\n{more}"));
    check(&local("timeouts: { total: 2h }"), &["FG011 backends.api.timeouts.total"]);
    check(&local("requests_max: 0"), &["FG011 backends.api.requests_max"]);
    check(&local("ca_certificates: ''"), &["FG007 backends.api.ca_certificates"]);
    check(&local("health_check: { path: /healthz }"), &[]);
    check(&local("health_check: {}"), &["FG008 backends.api.health_check.path"]);
    check(&local("health_check: { path: healthz }"), &["FG161 backends.api.health_check.path"]);
    check(&local("health_check: { path: '/a b' }"), &["FG161 backends.api.health_check.path"]);
    check(&local("health_check: { path: /, timeout: 0s }"), &["FG011 backends.api.health_check.timeout"]);
    check(
        &backend("url: https://a.run.app\ncredential: none\nhealth_check: { path: /healthz }"),
        &["FG161 backends.api.health_check"],
    );
    check(
        &backend(
            "endpoints: [ { url: https://a.example }, { url: https://a.run.app. } ]\ncredential: none\nhealth_check: { path: / }",
        ),
        &["FG161 backends.api.health_check"],
    );
    check(&backend("url: https://a.example\ncredential: none\nhealth_check: { path: / }"), &[]);
    // Cloud Run's front would answer, and not the service.
    check(
        &backend("url: https://a.run.app\nhealth_check: { path: /healthz }"),
        &["FG161 backends.api.health_check"],
    );
}

#[test]
fn a_password_is_not_repeated() {
    for text in [
        backend("url: https://eve:hunter2@example.com"),
        with("google: { sts: \"https://eve:hunter2@sts.example\" }\n"),
        with("assertion: { issuer: \"https://eve:hunter2@sts.example\" }\n"),
        with("limits_store: redis://eve:hunter2@limits.example/x\n"),
        with("limits_store: eve:hunter2@limits.example\n"),
    ] {
        let found = parse("firegate.yaml", &text).unwrap_err();
        assert!(!found.to_string().contains("hunter2"), "{found}");
        assert!(!serde_json::to_string(&found).unwrap().contains("hunter2"));
        assert!(!format!("{found:?}").contains("hunter2"));
    }
}

#[test]
fn plaintext() {
    let refused = |lines: &str| check(&backend(lines), &["FG122 backends.api.url"]);
    let fine = |lines: &str| check(&backend(lines), &[]);
    refused("url: http://10.0.0.1:9000");
    refused("url: http://api.internal");
    refused("url: http://10.0.0.1:9000\nidentity_headers: none\ncredential: metadata");
    refused("url: http://10.0.0.1:9000\nidentity_headers: none\nuser_token: forward");
    fine("url: http://10.0.0.1:9000\nidentity_headers: none");
    fine("url: http://10.0.0.1:9000\nplaintext: allow");
    fine("url: http://127.0.0.1:9000\ncredential: metadata\nuser_token: forward");
    check(
        "project: my-project\nallow: [allUsers]\nbackends: { api: \"http://10.0.0.1\" }\n",
        &["FG122 backends.api.url"],
    );
}

#[test]
fn audiences() {
    let warned = |audience: &str| {
        check(
            &backend(&format!("url: https://a.run.app\naudience: {audience}")),
            &["FG123 backends.api.audience"],
        )
    };
    warned("https://a.run.app/");
    warned("my-project");
    warned("\"a b\"");
    assert!(parse("f", &backend("url: https://a.run.app\naudience: https://a.run.app/")).is_ok());
    assert!(parse("f", &backend("url: https://a.run.app\naudience: \"a b\"")).is_err());
    check(&backend("url: https://a.run.app\naudience: my-service"), &[]);
}

#[test]
fn credentials() {
    const ACCOUNT: &str = "service_account: caller@my-project.iam.gserviceaccount.com";
    const PROVIDER: &str = "workload_identity_provider: //iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/prov";
    let file = |lines: &str| backend(&format!("url: https://a.run.app\n{lines}"));
    check(&file("credential: impersonate"), &["FG124 backends.api.credential"]);
    check(&file(&format!("credential: impersonate\n{ACCOUNT}")), &[]);
    check(
        &file("credential: impersonate\nservice_account: eve@example.com"),
        &["FG124 backends.api.service_account"],
    );
    check(&file("credential: impersonate\nservice_account: 5"), &["FG005 backends.api.service_account"]);
    check(&file("credential: federate_user"), &["FG124 backends.api.credential"; 2]);
    check(&file(&format!("credential: federate_user\n{ACCOUNT}")), &["FG124 backends.api.credential"]);
    check(
        &file(&format!("credential: default\n{ACCOUNT}\n{PROVIDER}")),
        &["FG124 backends.api.service_account", "FG124 backends.api.workload_identity_provider"],
    );
    check(&file("credential: impersonat"), &["FG006 backends.api.credential"]);
}

#[test]
fn what_federation_opens_and_what_it_cannot_take() {
    let federated = |more: &str| {
        let text = backend(
            "url: https://a.run.app\ncredential: federate_user\n\
             service_account: caller@my-project.iam.gserviceaccount.com\n\
             workload_identity_provider: //iam.googleapis.com/projects/1/locations/global/\
             workloadIdentityPools/pool/providers/prov",
        );
        format!("{text}{more}")
    };
    let check = |more: &str, starts: bool, expected: &[&str]| {
        check(&federated(more), expected);
        assert_eq!(parse("firegate.yaml", &federated(more)).is_ok(), starts, "{more}");
    };
    const OPEN: &str = "FG128 backends.api.credential";
    check("", true, &[OPEN]);
    check("    allow: [allUsers]\n", true, &[OPEN, "FG124 backends.api.allow"]);
    // Another backend may take the cookies.
    const COOKIE: &str = "FG124 backends.api.credential";
    check("users: { accept: [id_token, session_cookie] }\n", true, &[COOKIE, OPEN]);
    check("users: { accept: [session_cookie] }\n", false, &[COOKIE, OPEN]);
    const ISSUER: &str = "assertion: { issuer: https://door.example }\n";
    let accepts = |kinds: &str| format!("{ISSUER}users: {{ accept: {kinds} }}\n");
    check(&accepts("[id_token, exchanged_token]"), true, &[COOKIE, OPEN]);
    check(&accepts("[exchanged_token]"), false, &[COOKIE, OPEN]);
}

#[test]
fn enforcement_and_streams() {
    let file = |lines: &str| backend(&format!("url: https://a.run.app\n{lines}"));
    check(&file("enforce: observe"), &["FG125 backends.api.enforce"]);
    assert!(parse("firegate.yaml", &file("enforce: observe")).is_err(), "never with a credential");
    check(&file("enforce: observe\ncredential: none"), &["FG125 backends.api.enforce"]);
    check(&file("enforce: observe\ncredential: none\nuser_token: forward"), &[]);
    check(&file("enforce: observe\ncredential: none\nuser_token: drop"), &[]);
    check(&file("streams: { until: revocation }"), &["FG126 backends.api.streams.until"]);
    let until_revocation = file("streams: { until: revocation }");
    check(&format!("{until_revocation}users: {{ revocation: {{ check: required }} }}\n"), &[]);
    check(&file("streams: { until: token_expiry }"), &[]);
    check(&file("streams: { until: never }"), &[]);
}

#[test]
fn security_policies_are_read_with_the_configuration() {
    let file = |policy: &str| backend(&format!("url: https://a.run.app\nsecurity_policy: {policy}"));
    let at = "backends.api.security_policy";
    check(&file("armor.yaml"), &[]);
    check(&file("missing.yaml"), &[&format!("FG012 {at}")]);
    check(&file("empty.yaml"), &["FG005 "]);
    // What of a policy is wrong is said with its own file's place.
    check(&file("users.yaml"), &["FG507 rules[0].match.expr.expression"]);
    check(&file("{ file: users.yaml, dialect: firegate }"), &[]);
    check(&file("regions.yaml"), &[&format!("FG229 {at}")]);
    check(&format!("{}geo: {{ mmdb: places.mmdb }}\n", file("regions.yaml")), &[]);
    check(&file("limits.yaml"), &[]);
    check(&format!("{}behind: google-lb\n", file("limits.yaml")), &[&format!("FG228 {at}")]);
    let upstream = file("{ file: limits.yaml, assume: evaluated_upstream }");
    check(&format!("{upstream}behind: google-lb\n"), &[]);
}

#[test]
fn quantities() {
    let refused = |lines: &str, path: &str| {
        check(&backend(&format!("url: https://a.run.app\n{lines}")), &[&format!("FG011 backends.api.{path}")])
    };
    refused("body_bytes_max: 32M", "body_bytes_max");
    refused("body_bytes_max: 0", "body_bytes_max");
    refused("body_bytes_max: 1000GiB", "body_bytes_max");
    refused("body_bytes_per_second_min: 2MiB", "body_bytes_per_second_min");
    refused("timeouts: { connect: 0s }", "timeouts.connect");
    refused("timeouts: { idle: 2h }", "timeouts.idle");
    refused("timeouts: { response_headers: soon }", "timeouts.response_headers");
    check(&with("users: { clock_skew: 301s }\n"), &["FG011 users.clock_skew"]);
    check(&with("users: { clock_skew: 300s }\n"), &[]);
    check(&with("users: { clock_skew: 5m }\n"), &[]);
}

#[test]
fn routes() {
    let two = "project: my-project\nallow: [allUsers]\nbackends: { api: https://a.run.app, web: https://b.run.app }\n";
    check(two, &["FG132 backends"]);
    let routes = |routes: &str| {
        format!("{two}routes: [ {{ path: /*, backend: api }}, {{ path: /w/*, backend: web }}, {routes} ]\n")
    };
    check(&routes(""), &[]);
    check(&routes("{ path: /a, backend: ap }"), &["FG131 routes[2].backend"]);
    check(&routes("{ path: /a }"), &["FG008 routes[2].backend"]);
    check(&routes("{ backend: api }"), &["FG008 routes[2].path"]);
    check(&routes("{ path: a, backend: api }"), &["FG130 routes[2].path"]);
    check(&routes("{ path: /w/*, backend: api }"), &["FG130 routes[2].path"]);
    check(&routes("{ path: /.well-known/firegate/x, backend: api }"), &["FG130 routes[2].path"]);
    check(&format!("{two}routes: []\n"), &["FG132 routes"]);
    check(&format!("{two}routes: [ {{ path: /*, backend: api }} ]\n"), &["FG131 backends.web"]);
    check(&with("routes: [ { path: /a, backend: api } ]\nurl_map: m.yaml\n"), &["FG113 url_map"]);
    check(&with("url_map: { file: m.yaml }\n"), &["FG005 "]);
    check(&with("url_map: { dialect: gcloud }\n"), &["FG008 url_map.file"]);
    // Who may not have `/admin/` of a service would have `/admin`, which most servers answer alike.
    let one_service = |routes: &str| {
        format!(
            "project: my-project\nallow: [allUsers]\nbackends:\n  api: https://a.run.app\n  web: https://b.run.app\n  \
             admin: {{ url: https://a.run.app, allow: ['user:root@example.com'] }}\nroutes: [ {routes} ]\n"
        )
    };
    let usual =
        "{ path: /*, backend: api }, { path: /w/*, backend: web }, { path: /admin/*, backend: admin }";
    check(&one_service(usual), &["FG130 routes[2].path"]);
    check(&one_service(&format!("{usual}, {{ path: /admin, backend: api }}")), &[]);
    check(&one_service(&format!("{usual}, {{ path: /admin, backend: admin }}")), &[]);
    check(&one_service(&usual.replace("/admin/*", "/w/admin/*")), &[]);
    check(&one_service(&usual.replace("/*, backend: api", "/api/*, backend: api")), &[]);
    check(
        &one_service(&usual.replace("/*, backend: api", "/admin/users/*, backend: api")),
        &["FG130 routes[0].path"],
    );
    // The names of backends that did not pass are known all the same.
    check(
        "project: my-project\nallow: [allUsers]\nbackends: { api: a.run.app }\nroutes: [ { path: /*, backend: api } ]\n",
        &["FG121 backends.api.url"],
    );
}

#[test]
fn users() {
    check(&with("users: { accept: [] }\n"), &["FG140 users.accept"]);
    check(&with("users: { tenants: [] }\n"), &["FG140 users.tenants"]);
    check(&with("users: { tenants: [any] }\n"), &["FG140 users.tenants[0]"]);
    check(&with("users: { tenants: all }\n"), &["FG006 users.tenants"]);
    check(&with("users: { identity_pool: fb }\n"), &["FG140 users.identity_pool"]);
}

#[test]
fn edge() {
    check(&with("trust: emulator\n"), &["FG105 trust"]);
    check(&with("listen: \":8080\"\n"), &["FG103 listen"]);
    check(&with("listen: localhost:8080\n"), &["FG103 listen"]);
    check(&with("listen: 0.0.0.0:8080\nhealth: { listen: 127.0.0.1:8080 }\n"), &["FG103 health.listen"]);
    check(&with("health: {}\n"), &["FG008 health.listen"]);
    check(&with("listen: [a, 0.0.0.0:8080, 127.0.0.1:8080]\n"), &["FG103 listen[0]", "FG103 listen[2]"]);
    check(&with("listen: []\n"), &["FG103 listen"]);
    check(&with("listen: [0.0.0.0:8080, \"[::1]:8080\"]\n"), &[]);
    check(&with("listen: [127.0.0.1:8080, \"[::]:8080\"]\n"), &["FG103 listen[1]"]);
    check(
        &with("listen: [127.0.0.1:8080, 10.0.0.1:8080]\nadmin: { listen: 127.0.0.1:8080 }\n"),
        &["FG103 admin.listen"],
    );
    check(&with("limits: { connections_max: 0 }\n"), &["FG011 limits.connections_max"]);
    check(&with("limits: { requests_max: 0 }\n"), &["FG011 limits.requests_max"]);
    check(
        &with("limits: { connections_per_address_max: 1000001 }\n"),
        &["FG011 limits.connections_per_address_max"],
    );
    check(&with("behind: cloud-run\n"), &[]);
    check(&with("behind: google-lb\n"), &[]);
    check(&with("behind: { hops: 1 }\n"), &["FG104 behind"]);
    check(&with("listen: 127.0.0.1:8080\nbehind: { hops: 1 }\n"), &[]);
    check(&with("listen: [127.0.0.1:8080, \"[::1]:8080\"]\nbehind: { hops: 1 }\n"), &[]);
    check(&with("listen: [127.0.0.1:8080, 0.0.0.0:8081]\nbehind: { hops: 1 }\n"), &["FG104 behind"]);
    check(&with("behind: { hops: 0, peers: [10.0.0.0/8] }\n"), &["FG104 behind.hops"]);
    check(&with("behind: { hops: 1, peers: [10.0.0.1/8] }\n"), &["FG104 behind.peers[0]"]);
    check(&with("behind: { hops: 1, peers: [ten] }\n"), &["FG104 behind.peers[0]"]);
    check(&with("behind: { peers: [10.0.0.0/8] }\n"), &["FG008 behind.hops"]);
    check(&with("tls: { certificates: [] }\n"), &["FG008 tls.certificates"]);
    check(&with("limits_store: disk\n"), &["FG006 limits_store"]);
}

#[test]
fn cors() {
    let refused = |cors: &str, path: &str| {
        check(&with(&format!("cors: {{ {cors} }}\n")), &[&format!("FG150 cors.{path}")])
    };
    refused("origins: [\"null\"]", "origins[0]");
    refused("origins: [\"*\"], credentials: true", "origins[0]");
    refused("origins: [\"https://a.example\", \"*\"]", "origins[1]");
    refused("origins: [\"https://a.example/\"]", "origins[0]");
    refused("origins: []", "origins");
    refused("methods: [GET]", "origins");
    refused("origins: [\"https://a.example\"], methods: [get]", "methods[0]");
    refused("origins: [\"https://a.example\"], headers: [\"*x y\"]", "headers[0]");
    check(&with("cors: { origins: [\"*\"] }\n"), &[]);
}

#[test]
fn google_and_assertion() {
    check(&with("google: { sts: http://sts.example }\n"), &["FG106 google.sts"]);
    check(&with("google: { sts: sts.example }\n"), &["FG106 google.sts"]);
    check(&with("google: { metadata: http://metadata.example }\n"), &[]);
    check(&with("google: { id_token_key: https://a.example }\n"), &["FG004 google.id_token_key"]);
    check(&with("assertion: { issuer: http://api.example.com }\n"), &["FG107 assertion.issuer"]);
    check(&with("assertion: { previous_keys: [a.pem] }\n"), &["FG107 assertion.previous_keys"]);
}
