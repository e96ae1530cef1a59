//! What is told of a configuration of which a part cannot be used, and what of it is never told.

use super::*;

/// What is known of those that pass is told, and nothing that only holds of all.
#[test]
fn backends_that_pass_are_compared_beside_one_that_does_not() {
    let backends = |bad: &str| {
        format!(
            "project: my-project\nallow: [allAuthenticatedUsers]\nbackends:\n  bad: {bad}\n  a: https://a-abc123-uc.a.run.app\n  \
             b: {{ url: https://b-abc123-uc.a.run.app, audience: https://a-abc123-uc.a.run.app }}\n"
        )
    };
    let exchange = "assertion: { issuer: https://api.example.com }\nexchange: { enabled: true }\n";
    let routes = "routes: [ { path: /bad/*, backend: bad }, { path: /*, backend: a } ]\n";
    let accounts =
        "users: { accept: [id_token, google_id_token], google_audiences: [https://a-abc123-uc.a.run.app] }\n";
    for (bad, finding) in [
        ("{ url: nope }", "FG121 backends.bad.url"),
        ("5", "FG005 backends.bad"),
        ("{ url: https://c-abc123-uc.a.run.app, allow: [ada] }", "FG111 backends.bad.allow[0]"),
    ] {
        let text = backends(bad) + exchange + routes + accounts;
        let told = findings(&text);
        let expected =
            [finding, "FG131 backends.b", "FG108 backends.b.audience", "FG142 users.google_audiences[0]"];
        assert_eq!(told, expected, "{text}");
        // How many there are is not known, nor whether a path was meant.
        assert_eq!(findings(&backends(bad)), [finding]);
    }
    let text = backends("{ url: nope }") + "routes: [ { path: /*, backend: c } ]\n";
    assert!(findings(&text).contains(&"FG131 routes[0].backend".to_owned()));
}

#[test]
fn what_a_file_holds_is_no_name_of_one_and_is_not_told() {
    let pem = "-----BEGIN PRIVATE KEY-----\\nMIGHAgEA\\n-----END PRIVATE KEY-----";
    for (text, path) in [
        (with(&format!("assertion: {{ key: \"{pem}\" }}\n")), "assertion.key"),
        (with(&format!("assertion:\n  key: |\n    {}\n", pem.replace("\\n", "\n    "))), "assertion.key"),
        (
            with(&format!("tls: {{ certificates: [ {{ cert: c.pem, key: \"{pem}\" }} ] }}\n")),
            "tls.certificates[0].key",
        ),
        (with("groups: |\n  groups: {}\n"), "groups"),
    ] {
        assert_eq!(findings(&text), [format!("FG012 {path}")], "{text}");
        let told = read(&text).expect_err("it is refused");
        let json = serde_json::to_string(&told).expect("JSON");
        assert!(!told.to_string().contains("MIGH") && !json.contains("MIGH"), "{told}");
    }
    // A finding about its neighbour shows no secret either.
    let text = with("limits_store: { url: 'redis://:hunter2@10.0.0.3', pasword_file: p }\n");
    let told = read(&text).expect_err("it is refused").to_string();
    assert!(told.contains("firegate.yaml:5") && !told.contains("hunter2"), "{told}");
}
