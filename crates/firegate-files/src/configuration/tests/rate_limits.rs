//! Where limits are counted, and how.

use crate::configuration::parse;
use crate::configuration::rate_limits::{LimitsStore, RedisServer};

use super::{backend, check, with};

fn server(lines: &str) -> RedisServer {
    match parse("firegate.yaml", &with(lines)).map(|configuration| configuration.limits_store) {
        Ok(LimitsStore::Redis(server)) => *server,
        other => panic!("{lines}: {other:?}"),
    }
}

#[test]
fn a_server_is_a_url_or_a_mapping_with_one() {
    let check = |lines: &str, name: &str, database, username: Option<&str>, password: Option<&str>| {
        let found = server(lines);
        assert_eq!((found.to_string().as_str(), found.database), (name, database), "{lines}");
        assert_eq!(found.username.as_deref(), username, "{lines}");
        assert_eq!(found.password.as_ref().map(|password| password.reveal()), password, "{lines}");
    };
    check("limits_store: redis://limits.internal\n", "redis://limits.internal:6379", 0, None, None);
    check("limits_store: rediss://10.0.0.3:6380/2\n", "rediss://10.0.0.3:6380", 2, None, None);
    check("limits_store: \"redis://[::1]\"\n", "redis://[::1]:6379", 0, None, None);
    check("limits_store: redis://:a%40b@h\n", "redis://h:6379", 0, None, Some("a@b"));
    check("limits_store: redis://eve:x@h\n", "redis://h:6379", 0, Some("eve"), Some("x"));
    check("limits_store: { url: \"redis://h\" }\n", "redis://h:6379", 0, None, None);
    let full = server(
        "limits_store: { url: \"rediss://h\", username: eve, password_file: p, ca_certificates: c, cluster: true }\n",
    );
    assert_eq!(full.username.as_deref(), Some("eve"));
    assert!(full.cluster && full.password_file.is_some() && full.ca_certificates.is_some());
}

#[test]
fn what_is_no_server_is_refused_where_it_stands() {
    let refused =
        |lines: &str, expected: &str| check(&with(&format!("limits_store: {lines}\n")), &[expected]);
    refused("disk", "FG006 limits_store");
    refused("http://h", "FG006 limits_store");
    refused("redis:///0", "FG170 limits_store");
    refused("redis://h/two", "FG170 limits_store");
    refused("redis://h?protocol=resp3", "FG170 limits_store");
    refused("redis://eve@h", "FG170 limits_store");
    refused("{ on_failure: open }", "FG008 limits_store.url");
    refused("{ url: \"disk\" }", "FG006 limits_store.url");
    refused("{ url: \"redis://:x@h\", password_file: p }", "FG170 limits_store.password_file");
    refused("{ url: \"redis://h\", username: eve }", "FG170 limits_store.username");
    refused("{ url: \"redis://h\", ca_certificates: c }", "FG170 limits_store.ca_certificates");
    refused("{ url: \"redis://h/1\", cluster: true }", "FG170 limits_store.cluster");
    refused("{ url: \"redis://h\", on_failure: maybe }", "FG006 limits_store.on_failure");
}

#[test]
fn a_password_is_in_no_debug_output() {
    let configuration = parse("firegate.yaml", &with("limits_store: redis://eve:hunter2@h\n")).unwrap();
    assert!(!format!("{configuration:?}").contains("hunter2"));
}

#[test]
fn rate_limits_are_for_a_backend_with_a_policy() {
    let url = "url: https://example.run.app";
    let policy = "security_policy: limits.yaml";
    check(
        &backend(&format!("{url}\nrate_limits: {{ on_failure: open }}")),
        &["FG171 backends.api.rate_limits"],
    );
    check(
        &backend(&format!("{url}\n{policy}\nrate_limits: {{ rules: {{ first: {{}} }} }}")),
        &["FG171 backends.api.rate_limits.rules.first"],
    );
    check(
        &backend(&format!("{url}\n{policy}\nrate_limits: {{ rules: {{ \"1\": {{ algorithm: leaky }} }} }}")),
        &["FG006 backends.api.rate_limits.rules.1.algorithm"],
    );
}

#[test]
fn limits_that_each_instance_counts_for_itself_are_told() {
    let limits = backend("url: https://example.run.app\nsecurity_policy: limits.yaml");
    check(&limits, &[]);
    check(&format!("{limits}behind: cloud-run\n"), &["FG172 backends.api.security_policy"]);
    check(&format!("{limits}behind: cloud-run\nlimits_store: redis://h\n"), &[]);
    let none = backend("url: https://example.run.app\nsecurity_policy: armor.yaml");
    check(&format!("{none}behind: cloud-run\n"), &[]);
}

#[test]
fn a_limit_by_the_app_needs_one() {
    const POLICY: &str = "url: https://a.run.app\nsecurity_policy: { file: apps.yaml, dialect: firegate }";
    let own =
        |app_check: &str| backend(&format!("{POLICY}\napp_check: {app_check}")) + "project_number: 12\n";
    check(&backend(POLICY), &["FG208 backends.api.security_policy"]);
    check(&own("off"), &["FG208 backends.api.security_policy"]);
    check(&own("required"), &[]);
}
