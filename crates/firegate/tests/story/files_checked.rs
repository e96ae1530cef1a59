//! `firegate check` and `firegate test --expr`: what they print and how they end.

mod secrets;

use std::path::Path;
use std::process::Command;

fn firegate(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    let output = command.args(arguments).env_clear().current_dir(folder).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Writes the files, runs the command, and looks for the parts in what it prints.
fn check(files: &[(&str, &str)], arguments: &[&str], code: i32, expected: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let (ended, stdout, stderr) = firegate(folder.path(), arguments);
    let printed = format!("{stdout}{stderr}");
    assert_eq!(ended, Some(code), "{printed}");
    for part in expected {
        assert!(printed.contains(part), "{part:?} is not in:\n{printed}");
    }
    stdout
}

const SOUND: &str = "project: demo-project\nbackends: { api: 'https://api-abc123-uc.a.run.app' }\nallow: [allAuthenticatedUsers]\n";

#[test]
fn check_says_that_a_configuration_is_sound() {
    check(&[("firegate.yaml", SOUND)], &["check"], 0, &["the configuration is sound"]);
    check(&[("other.yaml", SOUND)], &["check", "-c", "other.yaml"], 0, &["the configuration is sound"]);
    assert_eq!(check(&[("firegate.yaml", SOUND)], &["check", "--output", "json"], 0, &[]).trim(), "[]");
}

#[test]
fn check_reports_everything_at_once_with_its_place() {
    let text = "project: demo-project\nbackends: { api: { url: 'https://api.example.com/x', enforce: of } }\nalow: [allUsers]\n";
    check(
        &[("firegate.yaml", text)],
        &["check"],
        1,
        &["firegate.yaml:2", "firegate.yaml:3", "did you mean `allow`?", "error(s)"],
    );
    let json = check(&[("firegate.yaml", text)], &["check", "--output", "json"], 1, &[]);
    let findings: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let findings = findings.as_array().expect("a list");
    assert!(
        findings.iter().any(|found| found["place"]["line"] == 3 && found["severity"] == "error"),
        "{json}"
    );
    check(&[], &["check"], 2, &["firegate.yaml cannot be read"]);
}

#[test]
fn check_runs_the_tests_of_a_url_map_whatever_else_is_wrong() {
    let map = "name: m\ndefaultService: web\nhostRules: [{ hosts: [a.example.com], pathMatcher: pm }]\npathMatchers:\n\
               - name: pm\n  defaultService: web\n  pathRules: [{ paths: [/video/*], service: vid }]\n\
               tests: [{ host: a.example.com, path: /video/x, service: web }]\n";
    let backends = "{ web: 'https://web-abc123-uc.a.run.app', vid: 'https://vid-abc123-uc.a.run.app' }";
    let fails = ["FG320", "map.yaml:8", "expected the service `web`, and it goes to vid"];
    for url_map in ["map.yaml", "{ file: map.yaml, dialect: firegate }"] {
        let text = format!("project: demo-project\nbackends: {backends}\nurl_map: {url_map}\n");
        let sound = format!("{text}allow: [allUsers]\n");
        let files = [("map.yaml", map), ("firegate.yaml", &sound)];
        let printed = check(&files, &["check"], 1, &fails);
        assert!(!printed.contains("FG110"), "{printed}");
        let printed = check(&[files[0], ("firegate.yaml", &text)], &["check"], 1, &fails);
        assert!(printed.contains("FG110") && printed.contains("2 error(s)"), "{printed}");
        // Of a map that is wrong itself nothing follows.
        let wrong = map.replace("pathMatcher: pm", "pathMatcher: none");
        let printed = check(&[("map.yaml", &wrong), ("firegate.yaml", &text)], &["check"], 1, &["FG110"]);
        assert!(!printed.contains("FG320"), "{printed}");
    }
}

#[test]
fn check_tells_what_a_front_door_would_say_of_its_keys() {
    let text = format!("{SOUND}assertion: {{ key: missing.pem }}\n");
    check(&[("firegate.yaml", &text)], &["check"], 1, &["missing.pem", "firegate.yaml:4", "FG151"]);
    let text = format!("{SOUND}assertion: {{ key: bad.pem }}\n");
    check(&[("firegate.yaml", &text), ("bad.pem", "no key")], &["check"], 1, &["bad.pem", "FG151"]);
    check(
        &[("firegate.yaml", SOUND)],
        &["check", "--on-cloud-run"],
        0,
        &["no assertion about the user is sent", "1 warning(s)"],
    );
    check(&[("firegate.yaml", SOUND)], &["check", "--on-cloud-run", "--strict"], 1, &["openssl genpkey"]);
    let text = format!(
        "{SOUND}exchange: {{ enabled: true }}\nassertion: {{ issuer: 'https://door.example.com' }}\n"
    );
    let expected = ["`exchange.enabled` needs `assertion.key`", "firegate.yaml:4"];
    check(&[("firegate.yaml", &text)], &["check", "--on-cloud-run"], 1, &expected);
}

/// Only there is its front the one way in.
#[test]
fn check_warns_of_cloud_runs_front_where_there_is_none() {
    let text = format!("{SOUND}behind: cloud-run\n");
    let expected = ["firegate.yaml:4", "counts on Cloud Run alone", "hint: ", "1 warning(s)"];
    check(&[("firegate.yaml", &text)], &["check"], 0, &expected);
    check(&[("firegate.yaml", &text)], &["check", "--strict"], 1, &expected);
    let there = check(&[("firegate.yaml", &text)], &["check", "--on-cloud-run"], 0, &[]);
    assert!(!there.contains("behind"), "{there}");
    check(&[("firegate.yaml", SOUND)], &["check", "--strict"], 0, &["the configuration is sound"]);
}

/// What `serve` says of a file says `check` too, at the place where the file is named.
#[test]
fn check_opens_every_file_that_a_front_door_opens() {
    let check_and_serve = |text: &str, line: usize, file: &str| {
        let place = format!("firegate.yaml:{line}");
        check(&[("firegate.yaml", text)], &["check"], 1, &[&place, file]);
        let serve = ["serve", "-c", "firegate.yaml", "--listen", "127.0.0.1:0"];
        check(&[("firegate.yaml", text)], &serve, 2, &[file, "hint: "]);
    };
    check_and_serve(&format!("{SOUND}geo: {{ mmdb: none.mmdb }}\n"), 4, "none.mmdb");
    let store = "limits_store: { url: 'rediss://127.0.0.1:1', password_file: none.txt }\n";
    check_and_serve(&format!("{SOUND}{store}"), 4, "`password_file` of `limits_store`");
    let store = "limits_store: { url: 'rediss://127.0.0.1:1', ca_certificates: none.pem }\n";
    check_and_serve(&format!("{SOUND}{store}"), 4, "none.pem");
    check_and_serve(&format!("{SOUND}data_dir: firegate.yaml\n"), 4, "firegate.yaml/assertion-keys.json");
    check_and_serve(&format!("{SOUND}assertion: {{ previous_keys: [none.pem] }}\n"), 4, "none.pem");
    let roots = "{ api: { url: 'https://api-abc123-uc.a.run.app', ca_certificates: none.pem } }";
    check_and_serve(&SOUND.replace("{ api: 'https://api-abc123-uc.a.run.app' }", roots), 2, "none.pem");
    // On Cloud Run no key is made, and none is kept.
    let text = format!("{SOUND}data_dir: firegate.yaml\n");
    check(&[("firegate.yaml", &text)], &["check", "--on-cloud-run"], 0, &["the configuration is sound"]);
}

#[test]
fn check_tells_of_all_files_in_one_round() {
    let text = "project: demo-project
backends: { api: 'https://api-abc123-uc.a.run.app' }
allow: [allAuthenticatedUsers]
groups: none.yaml
assertion: { key: none.pem }
tls:
  certificates:
    - { cert: one.pem, key: one.key }
    - cert: two.pem
      key: two.key
";
    let json = check(&[("firegate.yaml", text)], &["check", "--output", "json"], 1, &[]);
    let findings: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let told = |finding: &serde_json::Value| {
        (
            finding["place"]["line"].as_u64().expect("a line"),
            finding["path"].as_str().expect("a path").to_owned(),
        )
    };
    let told = findings.as_array().expect("a list").iter().map(told).collect::<Vec<_>>();
    let expected = [
        (4, "groups"),
        (5, "assertion.key"),
        (8, "tls.certificates[0].cert"),
        (8, "tls.certificates[0].key"),
        (9, "tls.certificates[1].cert"),
        (10, "tls.certificates[1].key"),
    ];
    assert_eq!(told, expected.map(|(line, path)| (line, path.to_owned())), "{json}");
}

#[test]
fn check_warns_of_credentials_with_which_a_front_door_would_not_start_here() {
    let (folder, home) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("firegate.yaml"), SOUND).expect("a file");
    let run = |name: &str, value: &Path, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
        command.args(arguments).env_clear().env(name, value).current_dir(folder.path());
        let output = command.output().expect("the binary runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let named = "GOOGLE_APPLICATION_CREDENTIALS";
    let (code, printed) = run(named, &home.path().join("none.json"), &["check"]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("none.json") && printed.contains("firegate.yaml:2"), "{printed}");
    let gcloud = home.path().join(".config/gcloud");
    std::fs::create_dir_all(&gcloud).expect("a folder");
    let user = r#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}"#;
    std::fs::write(gcloud.join("application_default_credentials.json"), user).expect("a file");
    let (code, printed) = run("HOME", home.path(), &["check", "--strict"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("impersonate a service account"), "{printed}");
    let workload = r#"{"type":"external_account","audience":"//iam.googleapis.com/p","subject_token_type":"t",
        "credential_source":{"file":"token"}}"#;
    std::fs::write(home.path().join("google.json"), workload).expect("a file");
    let (code, printed) = run(named, &home.path().join("google.json"), &["check", "--strict"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("create-cred-config PROVIDER --service-account=SERVICE_ACCOUNT"), "{printed}");
    let (code, _) = run("GCE_METADATA_HOST", Path::new("no host"), &["check"]);
    assert_eq!(code, Some(2));
    // Those of this machine say nothing of Cloud Run's.
    let (_, printed) = run("HOME", home.path(), &["check", "--on-cloud-run"]);
    assert!(!printed.contains("impersonate"), "{printed}");
}

/// A secret is mounted on Cloud Run alone; whoever checks the configuration before has no copy of it.
#[test]
fn what_is_mounted_on_cloud_run_may_be_missing_where_it_is_checked() {
    let text =
        format!("{SOUND}assertion: {{ issuer: 'https://api.example.com', key: /secrets/assertion.pem }}\n");
    let expected = ["note[FG151]", "firegate.yaml:4", "--set-secrets=/secrets/assertion.pem="];
    let arguments = ["check", "--on-cloud-run", "--strict"];
    check(&[("firegate.yaml", &text)], &arguments, 0, &expected);
    check(&[("firegate.yaml", &text)], &["check"], 1, &["error[FG151]", "hint: "]);
    // What is there and no key is wrong there too.
    let text = text.replace("/secrets/assertion.pem", "firegate.yaml");
    check(&[("firegate.yaml", &text)], &arguments, 1, &["error[FG151]"]);
}

/// The file that `gcloud run deploy --env-vars-file` takes, as docs/deploy-cloud-run.md has it.
#[test]
fn check_reads_the_configuration_in_a_file_of_variables() {
    let env = |last: &str| {
        let sound = SOUND.lines().map(|line| format!("  {line}\n")).collect::<String>();
        format!("OTHER: x\nFIREGATE_CONFIG: |\n{sound}  {last}\n")
    };
    let sound = env("access_log: all");
    check(&[("env.yaml", &sound)], &["check", "env.yaml"], 0, &["env.yaml: the configuration is sound"]);
    let expected = ["env.yaml:6:3", "did you mean `access_log`?"];
    check(&[("env.yaml", &env("acces_log: all"))], &["check", "env.yaml"], 1, &expected);
    let expected = ["env.yaml:6:21", "none.pem"];
    check(&[("env.yaml", &env("assertion: { key: none.pem }"))], &["check", "env.yaml"], 1, &expected);
    // Nothing else takes it for a configuration, and says how to go on.
    let expected = ["env.yaml:2", "FG018", "`firegate check env.yaml --on-cloud-run`"];
    check(&[("env.yaml", &sound)], &["serve", "-c", "env.yaml"], 2, &expected);
}

#[test]
fn check_says_which_configuration_it_means() {
    check(
        &[("firegate.yaml", SOUND)],
        &["check", "firegate.yaml"],
        0,
        &["firegate.yaml: the configuration is sound"],
    );
    check(&[("firegate.yaml", "a: b\n")], &["check"], 1, &["\nfiregate.yaml: "]);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("firegate.yaml"), "a: b\n").expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    command.arg("check").env_clear().env("FIREGATE_CONFIG", SOUND).current_dir(folder.path());
    let printed = String::from_utf8(command.output().expect("the binary runs").stdout).expect("text");
    assert_eq!(printed, "FIREGATE_CONFIG: the configuration is sound\n");
    check(&[], &["check", "-c", "a.yaml", "b.yaml"], 2, &["cannot be used with"]);
    check(&[], &["check"], 2, &["hint: firegate check FILE", "firegate dev"]);
    for command in ["check", "serve", "test", "explain"] {
        check(&[], &[command, "--help"], 0, &["Exit codes: 0"]);
    }
}

#[test]
fn what_the_system_said_is_told_once() {
    for arguments in
        [&["check"][..], &["check", "none"], &["serve", "-c", "none"], &["test", "none"], &["export", "none"]]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let (code, _, stderr) = firegate(folder.path(), arguments);
        assert_eq!(code, Some(2), "{stderr}");
        assert_eq!(stderr.matches("No such file").count(), 1, "{stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(!stderr.contains("hint: ") || last.starts_with("hint: "), "{stderr}");
    }
}

/// Whoever reads what was asked for may have seen enough, and a disk may be full.
#[cfg(target_os = "linux")]
#[test]
fn an_output_that_takes_nothing_is_no_mistake_of_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("firegate.yaml"), SOUND).expect("a file");
    std::fs::write(folder.path().join("map.yaml"), "name: m\ndefaultService: api\n").expect("a file");
    std::fs::write(folder.path().join("t.yaml"), SUITE).expect("a file");
    let run = |arguments: &[&str], stdout: std::process::Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
        command.args(arguments).env_clear().current_dir(folder.path()).stdout(stdout);
        let output = command.output().expect("the binary runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    for arguments in [&["check"][..], &["export", "map.yaml"], &["test", "--expr", "t.yaml"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(run(arguments, writer.into()), (Some(0), String::new()), "{arguments:?}");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
        let (code, stderr) = run(arguments, full.into());
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains("standard output cannot be written: No space left"), "{stderr}");
    }
}

#[test]
fn a_file_that_is_no_utf_8_is_told_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let latin = [SOUND.as_bytes(), b"# caf\xe9\n"].concat();
    std::fs::write(folder.path().join("firegate.yaml"), &latin).expect("a file");
    let (code, stdout, _) = firegate(folder.path(), &["check", "--output", "json"]);
    let findings: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, &findings[0]["place"]["line"]), (Some(1), &serde_json::json!(4)), "{stdout}");
    let (code, _, stderr) = firegate(folder.path(), &["serve", "-c", "firegate.yaml"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("firegate.yaml:4:6") && stderr.contains("save the file as UTF-8"), "{stderr}");
    // So is one that it names, at the place where it is named.
    std::fs::write(folder.path().join("groups.yaml"), &latin).expect("a file");
    std::fs::write(folder.path().join("firegate.yaml"), format!("{SOUND}groups: groups.yaml\n"))
        .expect("a file");
    let (_, stdout, _) = firegate(folder.path(), &["check"]);
    let expected = ["firegate.yaml:4", "line 4 is not UTF-8", "hint: save it as UTF-8"];
    assert!(expected.iter().all(|part| stdout.contains(part)), "{stdout}");
}

#[test]
fn check_runs_the_tests_of_the_url_map() {
    let text = format!("{SOUND}url_map: map.yaml\n");
    let map = |service: &str| {
        format!(
            "name: m\ndefaultService: api\ntests:\n- {{ host: api.example.com, path: /a, service: {service} }}\n"
        )
    };
    let files = |map: &str| {
        check(&[("firegate.yaml", &text), ("map.yaml", map)], &["check"], 0, &["the configuration is sound"])
    };
    files(&map("api"));
    let other = "project: demo-project\nallow: [allAuthenticatedUsers]\nurl_map: map.yaml\nbackends:\n  api: https://a.run.app\n  web: https://b.run.app\n";
    let expected = ["1 of the URL map's 1 tests fail", "map.yaml:4", "change the rule"];
    check(&[("firegate.yaml", other), ("map.yaml", &map("web"))], &["check"], 1, &expected);
}

const SUITE: &str = "name: admin\nexpr: >\n  request.path.startsWith('/admin/') &&\n  !inIpRange(origin.ip, '10.0.0.0/8')\n\
    tests:\n  - name: from outside\n    expect: true\n    when:\n      request: { path: /admin/users }\n      origin: { ip: 203.0.113.9 }\n\
    \x20 - name: from inside\n    expect: false\n    when:\n      request: { path: /admin/users }\n      origin: { ip: 10.1.2.3 }\n\
    \x20 - name: without an address\n    error: invalid IP address\n    when: { request: { path: /admin/users } }\n";

#[test]
fn tests_of_an_expression_run_as_in_googles_tool() {
    check(&[("t.yaml", SUITE)], &["test", "--expr", "t.yaml"], 0, &["3 passed, 0 failed"]);
    let failing = SUITE.replace("expect: false", "expect: true");
    let expected = [
        "failed: t.yaml:",
        "admin/from inside",
        "expected true, got false",
        "origin.ip = '10.1.2.3'",
        "2 passed, 1 failed",
    ];
    check(&[("t.yaml", &failing)], &["test", "--expr", "t.yaml"], 1, &expected);
    let broken = SUITE.replace("startsWith", "startswith");
    check(
        &[("t.yaml", &broken)],
        &["test", "--expr", "t.yaml"],
        2,
        &["t.yaml:3", "did you mean `startsWith`?"],
    );
    check(&[], &["test"], 2, &["<FILE>"]);
    let expected = ["t.yaml holds tests of an expression, and no cases", "hint: firegate test --expr t.yaml"];
    check(&[("t.yaml", SUITE)], &["test", "t.yaml"], 2, &expected);
    let broken = check(&[("t.yaml", &broken)], &["test", "t.yaml"], 2, &["t.yaml:1", "FG004"]);
    assert!(!broken.contains("--expr"), "{broken}");
    // A file of the one in the place of the other.
    let expected =
        ["FG016", "this is a configuration and holds no cases", "firegate test -c firegate.yaml cases.yaml"];
    check(&[("firegate.yaml", SOUND)], &["test", "firegate.yaml"], 2, &expected);
    let cases =
        "cases: [{ name: a, request: GET https://a.example.com/, expect: { refused: TOKEN_MISSING } }]\n";
    let expected = ["FG016", "these are decision cases and no configuration", "firegate test FILE"];
    check(&[("firegate.yaml", cases)], &["check"], 1, &expected);
}

#[test]
fn of_what_cannot_be_read_it_is_told_what_helps() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in [&["check", "."][..], &["serve", "-c", "."]] {
        let (code, _, stderr) = firegate(folder.path(), command);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(
            stderr.contains("Is a directory") && stderr.ends_with("hint: name a file in it\n"),
            "{stderr}"
        );
    }
    let relative = "a relative name counts from the directory that firegate is started in";
    check(&[], &["check", "none"], 2, &["none cannot be read", relative]);
    for (arguments, hint) in [
        (&["check", "none", "--output", "json"][..], relative),
        (&["check", ".", "--output", "json"], "name a file in it"),
        (&["check", "--output", "json"], "firegate check FILE"),
    ] {
        let found: serde_json::Value = serde_json::from_str(&check(&[], arguments, 2, &[])).expect("JSON");
        assert_eq!((&found[0]["code"], &found[0]["severity"]), (&"FG012".into(), &"error".into()), "{found}");
        assert!(found[0]["hint"].as_str().is_some_and(|told| told.contains(hint)), "{found}");
    }
}

const CASES: &str = "configuration: firegate.yaml\ncases:\n- name: nobody passes without a token\n  request: GET https://api.example.com/\n  \
                     expect: { refused: TOKEN_MISSING }\n";

/// Whoever reads JSON finds in it too why there is nothing else.
#[test]
fn tests_that_cannot_be_run_are_told_in_json_and_keep_no_other_file_from_being_run() {
    let files = [
        ("firegate.yaml", SOUND),
        ("cases.yaml", CASES),
        ("bad.yaml", "cases: 5\n"),
        ("lone.yaml", &CASES[29..]),
    ];
    let names = ["none.yaml", "bad.yaml", "lone.yaml", "cases.yaml"];
    let printed = check(&files, &[&["test", "--output", "json"][..], &names].concat(), 2, &[]);
    let summary: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!((&summary["passed"], &summary["failed"]), (&1.into(), &0.into()), "{printed}");
    let told = summary["problems"].as_array().expect("a list").iter();
    let told = told.map(|found| (found["code"].as_str().unwrap(), found["message"].as_str().unwrap()));
    let told = told.collect::<Vec<_>>();
    assert!(
        told.iter().any(|(code, why)| *code == "FG012" && why.contains("none.yaml cannot be read")),
        "{told:?}"
    );
    assert!(told.iter().any(|(code, _)| *code == "FG005"), "{told:?}");
    assert!(
        told.iter().any(|(code, why)| *code == "FG008" && why.contains("lone.yaml names no configuration")),
        "{told:?}"
    );
    let printed =
        check(&files, &[&["test"][..], &names].concat(), 2, &["none.yaml cannot be read", "lone.yaml"]);
    assert!(printed.contains("1 passed, 0 failed"), "{printed}");
    let printed = check(&files, &["test", "--output", "json", "cases.yaml"], 0, &[]);
    let summary: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(summary["problems"], serde_json::json!([]), "{printed}");
    let printed = check(&files, &["test", "--output", "json", "--expr", "none.yaml"], 2, &[]);
    assert!(printed.contains("none.yaml cannot be read"), "{printed}");
}

#[test]
fn a_dash_is_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("firegate.yaml"), SOUND).expect("a file");
    let run = |arguments: &[&str], text: &str| {
        let input = folder.path().join("input");
        std::fs::write(&input, text).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
        command.args(arguments).env_clear().current_dir(folder.path());
        let output = command
            .stdin(std::fs::File::open(input).expect("it is there"))
            .output()
            .expect("the binary runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout) + &text(output.stderr))
    };
    for arguments in [["check", "-"].as_slice(), &["check", "-c", "-"]] {
        assert_eq!(
            run(arguments, SOUND),
            (Some(0), "standard input: the configuration is sound\n".to_owned())
        );
    }
    let (code, printed) = run(&["check", "-"], &SOUND.replace("allow", "alow"));
    assert!(code == Some(1) && printed.contains(" --> standard input:3:1"), "{printed}");
    let (code, printed) = run(&["test", "-"], CASES);
    assert!(code == Some(0) && printed.contains("1 passed, 0 failed"), "{printed}");
    let (code, printed) =
        run(&["test", "-c", "firegate.yaml", "-"], &CASES[29..].replace("MISSING", "EXPIRED"));
    assert!(code == Some(1) && printed.contains("failed: standard input:2: nobody"), "{printed}");
}

/// Terraform has other names for what Google's files have, and each is one finding however deep it stands.
#[test]
fn names_as_terraform_writes_them_are_told_once_each() {
    let service = "https://www.googleapis.com/compute/v1/projects/p/global/backendServices/api";
    let map = format!(
        "name: m\ndefault_service: {service}\nhost_rule: [{{ hosts: ['*'], path_matcher: all }}]\npath_matcher:\n- name: all\n  \
         default_service: {service}\n  path_rule: [{{ paths: [/x], service: {service} }}]\n"
    );
    let armor = "name: a\nrule:\n- action: allow\n  priority: 2147483647\n  match:\n    versioned_expr: SRC_IPS_V1\n    \
                 config: { src_ip_ranges: ['*'] }\n";
    let text = "project: my-project\nurl_map: map.yaml\nallow: [allAuthenticatedUsers]\nbackends: { api: { url: 'https://api-abc123-uc.a.run.app', \
                security_policy: armor.yaml } }\n";
    let files = [("map.yaml", &*map), ("armor.yaml", armor), ("firegate.yaml", text)];
    let meant = [
        "defaultService",
        "hostRules",
        "pathMatcher",
        "pathMatchers",
        "defaultService",
        "pathRules",
        "rules",
        "versionedExpr",
        "srcIpRanges",
    ];
    let printed = check(&files, &["check"], 1, &["9 error(s), 0 warning(s)"]);
    for name in meant {
        assert!(printed.contains(&format!("did you mean `{name}`?")), "{name}:\n{printed}");
    }
}
