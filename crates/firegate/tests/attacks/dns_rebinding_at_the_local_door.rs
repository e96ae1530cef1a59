//! DNS rebinding: a page of the Internet points its own name at this machine, and is of the same origin as what it finds
//! there.

use firegate::dev::{DevArguments, HostName, Mapping};

use crate::stack::{Call, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn the_local_door_answers_only_to_this_machines_names() {
    let stack = Stack::with(DevArguments::default()).await;
    let token = stack.id_token().await;
    for (host, status) in [
        ("evil.example:9080", 400),
        ("localhost.evil.example", 400),
        ("localhost:9080", 200),
        ("10.0.2.2:9080", 200),
        ("host.docker.internal:9080", 200),
    ] {
        check(&stack, &token, host, status).await;
    }
    stack.stop().await;
}

async fn check(stack: &Stack, token: &str, host: &str, status: u16) {
    let answer = Call::get(&stack.door("/")).header("host", host).bearer(token).send().await;
    assert_eq!(answer.status.as_u16(), status, "{host}");
    if status == 400 {
        answer.expect_refusal(400, "HOST_NOT_LOCAL", "NONE");
    }
}

const MAP: &str = "name: m\ndefaultService: global/backendServices/api\nhostRules:\n\
                   - { hosts: [api.example.com, '*.duckdns.org', '*-web.app'], pathMatcher: all }\n\
                   - { hosts: ['*'], pathMatcher: all }\n\
                   pathMatchers: [{ name: all, defaultService: global/backendServices/api }]\n";

/// Whoever has a name below one that strangers get names below points it where they like. The map's author owns what it names
/// in full.
#[tokio::test(flavor = "multi_thread")]
async fn a_url_map_lets_the_hosts_in_that_it_names_in_full_and_no_pattern_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let map = folder.path().join("map.yaml");
    let text = format!(
        "project: demo-firegate\nallow: [allAuthenticatedUsers]\nurl_map: '{}'\n\
         backends: {{ api: 'https://api-abc123-uc.a.run.app' }}\n",
        map.display()
    );
    std::fs::write(&file, text).expect("a file");
    std::fs::write(map, MAP).expect("a file");
    let service = Stack::start().await;
    let map = Mapping { backend: "api".to_owned(), url: service.dev.places.identity.clone() };
    let host = vec!["Asked-For.example".parse().expect("a name")];
    let arguments = DevArguments { config: Some(file), map: vec![map], host, ..DevArguments::default() };
    let stack = Stack::with(arguments).await;
    let token = stack.id_token().await;
    for (host, status) in [
        ("api.example.com", 200),
        ("API.example.com:9080", 200),
        ("asked-for.example:9080", 200),
        ("localhost:9080", 200),
        ("evil.api.example.com", 400),
        ("evil.duckdns.org", 400),
        ("evil-web.app", 400),
        ("evil.example:9080", 400),
        ("api.example.com.", 400),
    ] {
        check(&stack, &token, host, status).await;
    }
    stack.stop().await;
    service.stop().await;
}

#[test]
fn a_host_is_added_by_its_whole_name() {
    for name in ["*.example.com", "api.example.com:9080", "http://api.example.com", "", ".", "a..b", "[::1]"]
    {
        let error = name.parse::<HostName>().expect_err(name);
        assert!(error.contains("write it in full"), "{error}");
    }
}
