use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::members::Member;
use url::Url;

/// Every key that the documentation shows, with other values.
const EVERY_KEY: &str = include_str!("every_key.yaml");

/// Every key again, with those together that go together.
const EVERY_BUILT_KEY: &str = include_str!("every_built_key.yaml");

#[test]
fn the_smallest_configuration_has_the_documented_defaults() {
    let configuration = accepted(MINIMAL);
    assert!(configuration.warnings.is_empty(), "{}", configuration.warnings);
    assert_eq!(configuration.project.as_str(), "my-project");
    assert!(configuration.listen.is_empty());
    assert_eq!(configuration.tls, None);
    let limits = ConnectionLimits { connections_max: None, connections_per_address_max: 1024 };
    assert_eq!(configuration.limits, limits);
    assert_eq!(configuration.requests_max, 16_384);
    assert_eq!(configuration.health, None);
    assert_eq!(configuration.behind, None);
    assert_eq!(configuration.data_dir, PathBuf::from("./firegate-data"));
    assert_eq!(configuration.trust(), Trust::Google);
    assert_eq!(configuration.cors, None);
    assert_eq!(configuration.assertion, AssertionSettings::default());
    assert!(!configuration.exchange);
    assert_eq!(configuration.limits_store, LimitsStore::Memory);
    assert_eq!(configuration.verified_tokens_bytes, 64 * 1024 * 1024);
    assert_eq!(configuration.access_log, AccessLogSettings { sample: Share::ALL, user_ids: false });
    assert_eq!(
        configuration.users,
        Users {
            accept: vec![AcceptedToken::IdToken],
            google_audiences: Vec::new(),
            tenants: Tenants::None,
            anonymous: Anonymous::Deny,
            identity_pool: "firebase".to_owned(),
            clock_skew: Duration::from_secs(10),
            revocation: Revocation::Off,
        }
    );
    let backend = api(&configuration);
    assert_eq!(backend.endpoint.url.as_str(), "https://api-abc123-uc.a.run.app/");
    assert_eq!(backend.endpoint.audience, "https://api-abc123-uc.a.run.app");
    assert_eq!(backend.credential, Credential::Default);
    assert_eq!(backend.members(), [Member::AllAuthenticatedUsers]);
    assert_eq!(backend.enforce, Enforce::On);
    assert_eq!(backend.user_token, UserToken::Drop);
    assert_eq!(backend.token_sources, [TokenSource::Authorization]);
    assert_eq!(backend.app_check, AppCheck::Off);
    assert_eq!(backend.identity_headers, IdentityHeaders::Firegate);
    assert_eq!(backend.protocol, Protocol::Auto);
    assert_eq!(backend.plaintext, Plaintext::Refuse);
    assert_eq!(backend.encoded_slash, EncodedSlash::Refuse);
    assert_eq!((backend.body_bytes_max, backend.body_bytes_per_second_min), (32 * 1024 * 1024, 240));
    assert_eq!(backend.streams_until, StreamsUntil::TokenExpiry);
    let seconds = |connect, response_headers, idle| Timeouts {
        connect: Duration::from_secs(connect),
        response_headers: Duration::from_secs(response_headers),
        idle: Duration::from_secs(idle),
        total: None,
    };
    assert_eq!(backend.timeouts, seconds(5, 60, 300));
    assert_eq!(backend.connect_through, None);
    assert_eq!((backend.requests_max, &backend.ca_certificates, &backend.health_check), (2048, &None, &None));
    let Routing::Routes(routes) = &configuration.routing else { panic!("no routes") };
    assert_eq!(routes.len(), 1);
    assert_eq!(routes[0].path, PathPattern::Prefix("/".to_owned()));
    assert_eq!(routes[0].backend.as_str(), "api");
}

#[test]
fn googles_endpoints_are_the_default_and_each_can_be_set() {
    let defaults = accepted(MINIMAL).google;
    let keys: Vec<&str> = defaults.iter().map(|(key, _)| key).collect();
    for (key, default) in defaults.iter() {
        let text = with(&format!("google: {{ {key}: \"http://127.0.0.1:9082/{key}\" }}\n"));
        for (other, url) in accepted(&text).google.iter() {
            let expected = format!("http://127.0.0.1:9082/{key}");
            assert_eq!(url.as_str() == expected, other == key, "{other}");
        }
        assert!(default.host_str().unwrap().contains("google"), "{default}");
    }
    // The keys of the model are exactly those of the file.
    let schema = json_schema();
    let in_file: Vec<&String> = schema["$defs"]["Google"]["properties"].as_object().unwrap().keys().collect();
    assert_eq!(keys, in_file);
}

#[test]
fn every_documented_key_is_read() {
    let found = read(EVERY_KEY).unwrap_err();
    // The fixture shows keys side by side that do not go together.
    let found: Vec<String> = found.iter().map(|found| format!("{} {}", found.code, found.path)).collect();
    assert_eq!(
        found,
        [
            "FG124 backends.api.workload_identity_provider",
            "FG113 backends.api.iam_policy",
            "FG125 backends.api.enforce",
            "FG161 backends.api.health_check",
            "FG113 url_map",
            "FG145 users.revocation.on_failure",
            "FG005 ",
            "FG005 ",
            "FG005 "
        ]
    );
}

/// Whoever copies an example from a paper has a file that starts, without a warning but the one that the paper tells of.
#[test]
fn the_examples_of_the_papers_are_accepted() {
    for (paper, expected) in [
        (include_str!("../../../../../docs/configuration.md"), &[][..]),
        (include_str!("../../../../../docs/tokens.md"), &[code::TOKEN_IN_QUERY]),
    ] {
        let blocks = paper.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let whole: Vec<&str> =
            blocks.filter(|block| block.contains("\nproject: ") || block.starts_with("project: ")).collect();
        assert!(whole.len() >= 5, "only {} whole files", whole.len());
        let mut warnings = Vec::new();
        for example in whole {
            let configuration = accepted(example);
            warnings.extend(configuration.warnings.iter().map(|found| found.code));
        }
        assert_eq!(warnings, expected);
    }
}

/// The fixture shows every key of the schema, so a new key cannot be forgotten there.
#[test]
fn the_fixture_has_every_key_of_the_schema() {
    let schema = json_schema();
    let properties = |definition: &serde_json::Value| -> BTreeSet<String> {
        definition["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let mut keys = properties(&schema);
    for definition in schema["$defs"].as_object().unwrap().values() {
        if definition.get("properties").is_some() {
            keys.extend(properties(definition));
        }
    }
    for key in keys {
        assert!(EVERY_KEY.contains(&format!("{key}:")), "`{key}` is not in the fixture");
    }
}

#[test]
fn everything_that_is_built_can_be_set() {
    let configuration = accepted(EVERY_BUILT_KEY);
    let warnings: Vec<&str> = configuration.warnings.iter().map(|found| found.code).collect();
    // Session cookies and the others cannot be federated; the query is logged.
    let expected = [code::TOKEN_IN_QUERY, code::CREDENTIAL, code::FEDERATION];
    assert_eq!(warnings, expected, "{}", configuration.warnings);
    assert_eq!(configuration.project_number.as_ref().unwrap().as_str(), "123456789012");
    let addresses = ["0.0.0.0:8443", "[::1]:8444"].map(|address| address.parse().unwrap());
    assert_eq!(configuration.listen, addresses);
    let certificate = |name: &str| Certificate {
        cert: format!("{name}.pem").into(),
        key: format!("{name}-key.pem").into(),
    };
    let tls = Tls { certificates: vec![certificate("a"), certificate("b")] };
    assert_eq!(configuration.tls, Some(tls));
    let limits = ConnectionLimits { connections_max: Some(5000), connections_per_address_max: 1024 };
    assert_eq!(configuration.limits, limits);
    assert_eq!(configuration.requests_max, 9000);
    assert_eq!(configuration.health, Some("127.0.0.1:9902".parse().unwrap()));
    assert_eq!(configuration.admin, Some("127.0.0.1:9901".parse().unwrap()));
    assert!(configuration.exchange);
    let tenth = Share::of_million(100_000).unwrap();
    assert_eq!(configuration.access_log, AccessLogSettings { sample: tenth, user_ids: true });
    assert_eq!(
        configuration.behind,
        Some(Behind::Hops {
            count: 2,
            peers: vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.1/32".parse().unwrap()]
        })
    );
    assert_eq!(configuration.data_dir, PathBuf::from("/var/lib/firegate"));
    let named = |name: &str| configuration.backends.iter().find(|(n, _)| n.as_str() == name).unwrap().1;
    let orders = named("orders");
    assert_eq!(orders.endpoint.audience, "orders");
    assert!(matches!(&orders.credential, Credential::Impersonate { service_account }
        if service_account.as_str() == "caller@my-project.iam.gserviceaccount.com"));
    assert_eq!(orders.user_token, UserToken::Forward);
    assert_eq!(orders.identity_headers, IdentityHeaders::ApiGateway);
    assert_eq!(orders.protocol, Protocol::Http1);
    assert_eq!(orders.encoded_slash, EncodedSlash::Forward);
    assert_eq!((orders.body_bytes_max, orders.body_bytes_per_second_min), (1_000_000, 0));
    assert_eq!(orders.streams_until, StreamsUntil::Revocation);
    let sources =
        [TokenSource::Authorization, TokenSource::Cookie, TokenSource::WebsocketProtocol, TokenSource::Query];
    assert_eq!(orders.token_sources, sources);
    let consumed = AppCheck::Required {
        project_number: "123456789012".parse().unwrap(),
        apps: Some(vec!["1:123456789012:web:0123456789abcdef".to_owned()]),
        consume: true,
    };
    assert_eq!(orders.app_check, consumed, "the backend's own word replaces that of `users`");
    assert_eq!(orders.timeouts.connect, Duration::from_millis(300));
    assert_eq!(orders.timeouts.response_headers, Duration::from_secs(60));
    assert_eq!(orders.members(), [Member::AllAuthenticatedUsers], "the top-level `allow` is inherited");
    let files = named("files");
    assert!(matches!(&files.credential, Credential::FederateUser { provider, .. }
        if provider.pool().name == "firebase"));
    assert_eq!(files.members().len(), 3);
    let inherited =
        AppCheck::Required { project_number: "123456789012".parse().unwrap(), apps: None, consume: false };
    assert_eq!(files.app_check, inherited, "what the backend does not say, `users` says");
    let open = named("open");
    assert_eq!(open.credential, Credential::None);
    assert_eq!(open.plaintext, Plaintext::Allow);
    assert_eq!(open.members(), [Member::AllUsers]);
    assert_eq!(open.app_check, AppCheck::Off);
    assert_eq!(open.streams_until, StreamsUntil::Never);
    let tenants = ["tenant-a", "tenant-b"].map(|tenant| tenant.parse().unwrap()).to_vec();
    assert_eq!(configuration.users.tenants, Tenants::Listed(tenants));
    assert_eq!(configuration.users.anonymous, Anonymous::Allow);
    assert_eq!(configuration.users.clock_skew, Duration::ZERO);
    let accept = [
        AcceptedToken::IdToken,
        AcceptedToken::SessionCookie,
        AcceptedToken::GoogleIdToken,
        AcceptedToken::ExchangedToken,
    ];
    assert_eq!(configuration.users.accept, accept);
    assert_eq!(configuration.users.google_audiences, ["https://api.example.com", "partners"]);
    assert_eq!(
        configuration.users.revocation,
        Revocation::Required { max_staleness: Duration::from_secs(30), allow_on_failure: false }
    );
    assert_eq!(
        configuration.assertion,
        AssertionSettings {
            issuer: Some("https://api.example.com".to_owned()),
            key: Some("assertion.pem".into()),
            previous_keys: vec!["old.pem".into()],
        }
    );
    let cors = configuration.cors.as_ref().unwrap();
    assert_eq!(cors.headers, ["x-request-id"]);
    assert!(cors.credentials);
    assert_eq!(configuration.google.metadata.as_str(), "http://169.254.169.254/");
}

#[test]
fn proxies_on_this_machine_need_no_addresses() {
    let configuration = accepted(&with("listen: \"[::1]:8080\"\nbehind: { hops: 1 }\n"));
    let Some(Behind::Hops { peers, .. }) = configuration.behind else { panic!("no hops") };
    let shown: Vec<String> = peers.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["127.0.0.0/8", "::1/128"]);
}

#[test]
fn session_cookies_are_accepted_beside_id_tokens() {
    let configuration = accepted(&with("users: { accept: [id_token, session_cookie], tenants: any }\n"));
    assert_eq!(configuration.users.accept, [AcceptedToken::IdToken, AcceptedToken::SessionCookie]);
    assert_eq!(configuration.users.tenants, Tenants::Any);
}

#[test]
fn the_default_credential_follows_the_url() {
    let check = |url: &str, expected: Credential| {
        assert_eq!(api(&accepted(&backend(&format!("url: {url}")))).credential, expected, "{url}");
    };
    check("https://api-abc123-uc.a.run.app", Credential::Default);
    check("https://localhost:8443", Credential::Default);
    check("http://127.0.0.1:9000", Credential::None);
    check("http://localhost:9000/", Credential::None);
    check("http://[::1]:9000", Credential::None);
    let explicit = backend("url: http://127.0.0.1:9081\ncredential: metadata");
    assert_eq!(api(&accepted(&explicit)).credential, Credential::Metadata);
}

#[test]
fn one_endpoint_is_a_url() {
    let configuration = accepted(&backend("endpoints: [ { url: https://a.run.app, audience: a } ]"));
    assert_eq!(api(&configuration).endpoint.audience, "a");
    let configuration = accepted(&backend("audience: all\nendpoints: [ { url: https://a.run.app } ]"));
    assert_eq!(api(&configuration).endpoint.audience, "all");
}

#[test]
fn the_file_may_be_json() {
    accepted(r#"{"project": "my-project", "backends": {"api": "https://a.run.app"}, "allow": ["allUsers"]}"#);
}

#[test]
fn flags_make_the_configuration_that_the_file_would() {
    let members = ["allAuthenticatedUsers".to_owned()];
    let flags = Configuration::minimal("my-project", "https://api-abc123-uc.a.run.app", &members).unwrap();
    let file = accepted(&MINIMAL.replace("api:", "backend:"));
    assert_eq!(format!("{flags:?}"), format!("{file:?}"));
}

#[test]
fn flags_are_refused_by_their_names() {
    let check = |project: &str, url: &str, members: &[&str], expected: &[&str]| {
        let members: Vec<String> = members.iter().map(|member| (*member).to_owned()).collect();
        let found = Configuration::minimal(project, url, &members).unwrap_err();
        let found: Vec<String> = found.iter().map(|found| format!("{} {}", found.code, found.path)).collect();
        assert_eq!(found, expected);
    };
    let url = "https://a.run.app";
    check("123456789012", url, &["allUsers"], &["FG101 --project"]);
    check("my-project", "a.run.app", &["allUsers"], &["FG121 --backend"]);
    check("my-project", "http://10.0.0.1", &["allUsers"], &["FG122 --backend"]);
    check("my-project", url, &[], &["FG110 --allow"]);
    check("my-project", url, &["user:x", "allUser"], &["FG111 --allow", "FG111 --allow"]);
}

#[test]
fn only_local_parts_make_an_emulator_trusted() {
    let local = "\
project: demo-firegate
backends: { api: \"http://localhost:3000\", far: https://api-abc123-uc.a.run.app }
routes: [ { path: /*, backend: api }, { path: /far/*, backend: far } ]
allow: [allUsers]
users: { revocation: { check: required } }
google:
  id_token_keys: http://127.0.0.1:9099/keys
  session_cookie_keys: http://127.0.0.1:9099/cookies
  app_check_keys: http://127.0.0.1:9099/app
  app_check: http://127.0.0.1:9099
  google_id_token_keys: http://127.0.0.1:9082/certs
  identity_toolkit: http://127.0.0.1:9099
  sts: http://127.0.0.1:9082
  iam_credentials: http://127.0.0.1:9082
  oauth2_token: http://127.0.0.1:9082/token
";
    let mut configuration = accepted(local);
    let error = configuration.trust_emulator().unwrap_err();
    assert!(matches!(error, EmulatorTrustError::GoogleEndpoint { key: "metadata", .. }), "{error}");
    configuration.google.metadata = Url::parse("http://127.0.0.1:9082").unwrap();
    configuration.google.app_check = Url::parse("https://firebaseappcheck.googleapis.com").unwrap();
    let error = configuration.trust_emulator().unwrap_err();
    assert!(matches!(error, EmulatorTrustError::GoogleEndpoint { key: "app_check", .. }), "{error}");
    configuration.google.app_check = Url::parse("http://127.0.0.1:9099").unwrap();
    let error = configuration.trust_emulator().unwrap_err();
    assert!(matches!(&error, EmulatorTrustError::Backend { name, .. } if name.as_str() == "far"), "{error}");
    assert_eq!(configuration.trust(), Trust::Google, "a refusal changes nothing");
    configuration.connect_through("far", Url::parse("http://localhost:4000").unwrap()).unwrap();
    configuration.trust_emulator().unwrap();
    assert_eq!(configuration.trust(), Trust::Emulator);
    assert_ne!(configuration.users.revocation, Revocation::Off, "an emulator's users can be revoked too");
    let far = configuration.backends.values().last().unwrap();
    assert_eq!(far.endpoint.audience, "https://api-abc123-uc.a.run.app", "the audience stays the backend's");
}

#[test]
fn a_backend_is_mapped_to_this_machine_only() {
    let mut configuration = accepted(MINIMAL);
    let mut check = |name: &str, url: &str| configuration.connect_through(name, Url::parse(url).unwrap());
    assert!(check("api", "http://localhost:3000").is_ok());
    assert!(matches!(check("ap", "http://localhost:3000"), Err(ConnectThroughError::UnknownBackend { .. })));
    for url in ["http://10.0.0.1", "http://localhost:3000/path", "ftp://localhost", "http://u:p@localhost"] {
        assert!(matches!(check("api", url), Err(ConnectThroughError::NotLocal { .. })), "{url}");
    }
}

proptest::proptest! {
    /// Whatever is done to a file, it is read or refused for a reason, and what is said about it can be printed.
    #[test]
    fn no_file_makes_it_panic(
        start in 0..EVERY_KEY.len(),
        length in 0..200_usize,
        instead in "[\\[\\]{}:,*&a-z0-9 \n\"/.@ä-]{0,12}",
    ) {
        let text: String = EVERY_KEY
            .char_indices()
            .filter_map(|(at, c)| (at < start || at >= start + length).then_some(c))
            .collect();
        let at = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= start).last().unwrap_or(0);
        let text = format!("{}{instead}{}", &text[..at], &text[at..]);
        if let Err(found) = parse("firegate.yaml", &text) {
            proptest::prop_assert!(found.has_errors());
            proptest::prop_assert!(!found.render(crate::diagnostic::Style::Coloured).is_empty());
        }
    }
}
