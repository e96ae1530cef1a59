//! What `firegate dev` prints is what happens: the lines are run as they stand, in a shell.

use std::process::Command;

use firegate::dev::{DevArguments, Mapping, welcome};

use crate::stack::Stack;

/// The lines that a newcomer pastes, without their remarks.
fn lines(text: &str) -> Vec<String> {
    let pasted = text.lines().filter(|line| line.starts_with("TOKEN=") || line.starts_with("curl "));
    pasted.map(|line| line.split("  #").next().unwrap_or_default().to_owned()).collect()
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

async fn check(arguments: DevArguments) {
    let stack = Stack::with(arguments).await;
    let text = plain(&welcome(&stack.dev.places));
    let lines = lines(&text);
    let [token, direct, through, without] = &lines[..] else { panic!("{text}") };
    for (line, status, remark) in
        [(direct, "401", "# 401"), (through, "200", "# 200"), (without, "403", "# 403")]
    {
        assert!(text.contains(remark), "{text}");
        let script =
            format!("{token}\n{}", line.replace("curl -i", "curl -s -o /dev/null -w '%{http_code}'"));
        let run = move || Command::new("sh").arg("-c").arg(script).output().expect("a shell");
        let output = tokio::task::spawn_blocking(run).await.expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), status, "{line}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_lines_show_401_200_and_403() {
    check(DevArguments::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_so_they_do_before_a_real_configuration() {
    let service = Stack::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let text = "project: demo-firegate\nallow: [allAuthenticatedUsers]\nbackends:\n  web: { url: 'http://127.0.0.1:9', credential: none }\n  \
                api: https://api-abc123-uc.a.run.app\nroutes:\n  - { path: /web/*, backend: web }\n  - { path: /api/*, backend: api }\n";
    std::fs::write(&file, text).expect("a file");
    let identity = service.dev.places.identity.clone();
    let map = vec![Mapping { backend: "api".to_owned(), url: identity }];
    check_mapped(DevArguments { config: Some(file), map, ..DevArguments::default() }).await;
    service.stop().await;
}

/// The mapped server is another than the sample, so its own answer to an unknown path counts as having been reached.
async fn check_mapped(arguments: DevArguments) {
    let stack = Stack::with(arguments).await;
    let text = plain(&welcome(&stack.dev.places));
    let lines = lines(&text);
    assert!(
        lines[1].contains("-H 'Host: api-abc123-uc.a.run.app'") && lines[1].ends_with("/api/hello"),
        "{text}"
    );
    for (line, status) in [(&lines[1], "401"), (&lines[3], "403")] {
        let script =
            format!("{}\n{}", lines[0], line.replace("curl -i", "curl -s -o /dev/null -w '%{http_code}'"));
        let run = move || Command::new("sh").arg("-c").arg(script).output().expect("a shell");
        let output = tokio::task::spawn_blocking(run).await.expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), status, "{line}");
    }
    stack.stop().await;
}

/// What is said of each of the three lines, and the statuses that they come to.
async fn remarks(arguments: DevArguments) -> Vec<(String, String)> {
    let stack = Stack::with(arguments).await;
    let text = plain(&welcome(&stack.dev.places));
    let pasted = lines(&text);
    let remarks = text.lines().filter(|line| line.starts_with("curl "));
    let remarks =
        remarks.map(|line| line.split("  # ").nth(1).expect("a remark").to_owned()).collect::<Vec<_>>();
    let mut told = Vec::new();
    for (line, remark) in pasted[1..].iter().zip(remarks) {
        let script =
            format!("{}\n{}", pasted[0], line.replace("curl -i", "curl -s -o /dev/null -w '%{http_code}'"));
        let run = move || Command::new("sh").arg("-c").arg(script).output().expect("a shell");
        let output = tokio::task::spawn_blocking(run).await.expect("it ends");
        told.push((remark, String::from_utf8(output.stdout).expect("text")));
    }
    stack.stop().await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_the_lines_holds_whatever_cloud_run_is_like() {
    for settings in [
        &["allUsers"][..],
        &["ingress=internal"],
        &["foreign-issuer=403"],
        &["allUsers", "public-token=refuse"],
    ] {
        let cloud_run = settings.iter().map(|setting| setting.parse().expect("a setting")).collect();
        for (remark, status) in remarks(DevArguments { cloud_run, ..DevArguments::default() }).await {
            assert!(remark.starts_with(&format!("{status}: ")), "{settings:?}: {status} and not {remark:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_the_lines_holds_before_a_real_configuration() {
    let service = Stack::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let check = async |text: &str, expected: &str| {
        std::fs::write(&file, format!("project: demo-firegate\n{text}\n")).expect("a file");
        let mapping =
            |name: &str| Mapping { backend: name.to_owned(), url: service.dev.places.identity.clone() };
        let map =
            ["admin", "api"].into_iter().filter(|name| text.contains(&format!(" {name}:"))).map(mapping);
        let arguments =
            DevArguments { config: Some(file.clone()), map: map.collect(), ..DevArguments::default() };
        let told = remarks(arguments).await;
        let [(direct, _), (through, status), (without, _)] = &told[..] else { panic!("{told:?}") };
        assert!(direct.starts_with("401: ") && without.starts_with("403: "), "{told:?}");
        assert_eq!(through, expected, "{text}");
        // What the service answers to a path that it does not know is its own affair.
        assert!(status == "404" || through.starts_with(status), "{told:?}");
    };
    let admin = "backends:\n  api: https://api-abc123-uc.a.run.app\n  admin: { url: 'https://admin-abc123-uc.a.run.app', allow: ['user:boss@example.com'] }\n\
                 routes:\n  - { path: /admin/*, backend: admin }\n  - { path: /*, backend: api }\nallow: [allAuthenticatedUsers]";
    check(admin, "what your service answers, through Firegate").await;
    let boss = "backends: { api: https://api-abc123-uc.a.run.app }\nallow: ['user:boss@example.com']";
    check(boss, "403: Firegate's, NO_INVOKER_BINDING").await;
    let app = "project_number: '123456789012'\nbackends: { api: { url: https://api-abc123-uc.a.run.app, app_check: required } }\nallow: [allAuthenticatedUsers]";
    check(app, "401: Firegate's, APP_CHECK_TOKEN_MISSING").await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_url_map_each_host_is_tried_and_its_routes_can_be_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, map) = (folder.path().join("firegate.yaml"), folder.path().join("map.yaml"));
    let service =
        "project: demo-firegate\nallow: [allAuthenticatedUsers]\nbackends: { web: 'http://127.0.0.1:9' }\n";
    std::fs::write(&file, format!("{service}url_map: '{}'\n", map.display())).expect("a file");
    let text = "name: m\ndefaultService: web\nhostRules:\n- hosts: [api.example.com, www.example.com]\n  pathMatcher: all\n\
                pathMatchers:\n- name: all\n  defaultService: web\n";
    std::fs::write(&map, text).expect("a file");
    let stack = Stack::with(DevArguments { config: Some(file.clone()), ..DevArguments::default() }).await;
    let text = plain(&welcome(&stack.dev.places));
    let [_token, api, www] = &lines(&text)[..] else { panic!("{text}") };
    assert!(
        api.contains("-H 'Host: api.example.com'") && www.contains("-H 'Host: www.example.com'"),
        "{text}"
    );
    let ask = format!("firegate explain -c {} --url http://HOST/PATH  # ", file.display());
    assert!(text.contains("a request for each of the URL map's hosts") && text.contains(&ask), "{text}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ready_file_is_there_while_the_stack_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ready.json");
    std::fs::write(&file, "{\"door\":\"STALE\"}").expect("a file");
    let stack = Stack::with(DevArguments { ready_file: Some(file.clone()), ..DevArguments::default() }).await;
    let document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("a file")).expect("JSON");
    assert_eq!(document["door"].as_str(), Some(stack.dev.places.door.as_str().trim_end_matches('/')));
    assert_eq!(document["user"]["email"].as_str(), Some("ada@example.com"));
    stack.stop().await;
    assert!(!file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emulator_that_is_not_there_is_an_error() {
    let identity = Some("http://127.0.0.1:9".parse().expect("a URL"));
    let arguments = DevArguments { identity, ..DevArguments::default() };
    let context = crate::stack::context(&crate::stack::clock(), false);
    let error = firegate::dev::Dev::start(arguments, context).await.expect_err("nothing is there");
    assert!(format!("{error:#}").contains("--identity http://127.0.0.1:9"), "{error:#}");
}
