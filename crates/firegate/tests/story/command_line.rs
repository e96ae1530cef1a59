//! The binary itself: what it prints and how it ends.

use std::process::{Command, Output};

fn firegate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    command.args(arguments).env_clear();
    command.output().expect("the binary runs")
}

pub(crate) fn check(arguments: &[&str], code: i32, expected: &[&str]) {
    let stdout = check_tells(arguments, code, expected);
    assert!(stdout.is_empty(), "{stdout:?}");
}

/// What a command tells on stderr, and with which code it ends; what it writes besides is returned.
fn check_tells(arguments: &[&str], code: i32, expected: &[&str]) -> String {
    let output = firegate(arguments);
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for part in expected {
        assert!(stderr.contains(part), "{part:?} is not in:\n{stderr}");
    }
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn serve_refuses_to_start_without_an_allow_and_says_what_to_add() {
    check(
        &["serve", "--project", "demo-project", "--backend", "https://api-abc123-uc.a.run.app"],
        2,
        &["allAuthenticatedUsers", "--allow"],
    );
    check(&["serve"], 2, &["there is no configuration", "firegate dev"]);
    check(&["serve", "-c", "does-not-exist.yaml"], 2, &["does-not-exist.yaml cannot be read"]);
}

/// Scenario: the token is given where no argument is taken, and the terminal's log is kept.
#[test]
fn a_token_in_the_wrong_place_is_not_shown_and_the_right_one_is_told() {
    let token = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJldmUifQ.c2lnbmF0dXJl";
    for (arguments, expected) in [
        (&["explain", token][..], "give it with --token"),
        (&["explain", "Bearer", token], "give it with --token"),
        (&["explain", "ya29.a0AfH6SMB-eyJ-c2lnbmF0dXJl"], "give it with --token"),
        (&["explain", "--tokn", token], "--token"),
        (&["explain", "--url", token], "[concealed]"),
        (&["explain", "-c", token, "--token", "a.b.c"], "[concealed]"),
        (&[token], "[concealed]"),
        (&["serve", token], "hint: firegate serve -c FILE"),
        (&["serve", "firegate.yaml"], "hint: firegate serve -c FILE"),
        (&["dev", token], "hint: firegate dev -c FILE"),
        (&["check", token], "[concealed]"),
        (&["test", token], "[concealed]"),
        (&["export", token], "[concealed]"),
    ] {
        let output = firegate(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(expected) && !told.contains("c2lnbmF0dXJl"), "{arguments:?}: {told}");
    }
}

/// `check` and `serve` are not the only ones that are given a file of another encoding.
#[test]
fn a_file_that_is_not_utf_8_is_told_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    std::fs::write(&file, b"project: demo-project\n# Zo\xeb\n").expect("a file");
    let file = file.display().to_string();
    let place = format!("{file}:2:5");
    let request = ["--url", "https://api.example.com/"];
    for arguments in [
        &[
            "dev",
            "--port",
            "0",
            "--service-port",
            "0",
            "--google-port",
            "0",
            "--identity-port",
            "0",
            "-c",
            &file,
        ][..],
        &[&["explain", "-c", &file][..], &request].concat(),
        &["explain", "-c", &file, "--token", "a.b.c"],
        &["test", "-c", &file, "--expr", &file],
    ] {
        check_tells(arguments, 2, &["the byte 0xeb is not UTF-8", &place, "save the file as UTF-8"]);
    }
}

#[test]
fn dev_names_all_backends_that_nothing_stands_for_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let backends = "{ api: 'https://api-abc123-uc.a.run.app', web: 'https://web-abc123-uc.a.run.app' }";
    let routes = "[{ path: /web/*, backend: web }, { path: /*, backend: api }]";
    let text = format!(
        "project: demo-project\nallow: [allAuthenticatedUsers]\nbackends: {backends}\nroutes: {routes}\n"
    );
    std::fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    let ports = ["--port", "0", "--service-port", "0", "--google-port", "0", "--identity-port", "0"];
    let expected =
        ["`api` at", "`web` at", "--map api=http://localhost:3000 --map web=http://localhost:3000"];
    check(&[&["dev", "-c", &file][..], &ports].concat(), 2, &expected);
}

#[test]
fn a_flag_of_dev_that_would_have_no_effect_is_refused_beside_the_other_one() {
    let configuration = ["-c", "firegate.yaml"];
    let identity = ["--identity", "http://127.0.0.1:9099"];
    for (flag, other, value) in [
        (configuration, "--project", "demo-project"),
        (configuration, "--service", "http://127.0.0.1:3000"),
        (identity, "--token-signing", "rs256"),
        (identity, "--token-signing", "none"),
        (identity, "--identity-port", "0"),
    ] {
        let name = if flag[0] == "-c" { "--config" } else { flag[0] };
        check(&[&["dev", other, value], &flag[..]].concat(), 2, &["cannot be used with", name, other]);
    }
    let api = |port: u16| format!("api=http://127.0.0.1:{port}");
    let twice = ["--map", &api(3000), "--map", "web=http://127.0.0.1:3002", "--map", &api(3001)];
    check(
        &[&["dev"], &configuration[..], &twice].concat(),
        2,
        &["--map api=http://127.0.0.1:3000 and --map api=http://127.0.0.1:3001", "hint: leave out one"],
    );
}

#[test]
fn a_taken_port_names_its_flag() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    // The usual ports of the others may be taken, too.
    let others = ["--port", "0", "--google-port", "0", "--identity-port", "0"];
    check(&[&["dev", "--service-port", &port], &others[..]].concat(), 2, &["--service-port", &port]);
}

#[test]
fn a_taken_address_is_named_and_nothing_is_served_on_the_others() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    let service = ["--project", "demo-project", "--backend", "http://127.0.0.1:9", "--allow", "allUsers"];
    let listen = ["serve", "--listen", "127.0.0.1:0", "--listen", &taken];
    check(
        &[&listen[..], &service[..]].concat(),
        2,
        &[&taken, "cannot be listened on", "hint: stop what listens there"],
    );
    // Of no machine (RFC 5737).
    let elsewhere = ["serve", "--listen", "192.0.2.1:8080"];
    check(
        &[&elsewhere[..], &service[..]].concat(),
        2,
        &["192.0.2.1:8080", "hint: no interface of this machine has"],
    );
}

#[test]
fn an_address_to_listen_on_is_put_right_as_it_is_in_a_file() {
    check(&["serve", "--listen", "8080"], 2, &["did you mean `0.0.0.0:8080`"]);
    check(&["serve", "--listen", "localhost:8080"], 2, &["did you mean `127.0.0.1:8080`?"]);
    check(&["serve", "--listen", "::1"], 2, &["for example `[::1]:8080`"]);
}

/// A log of JSON has nothing else in it, when the first deployment fails above all.
#[test]
fn what_keeps_serve_from_starting_is_told_in_the_logs_own_form() {
    let lines = |configuration: &str, listen: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
        command.args(["serve", "--listen", listen]).env_clear().env("K_SERVICE", "door");
        let output = command.env("FIREGATE_CONFIG", configuration).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8(output.stderr).expect("text");
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {stderr}"));
        stderr.lines().map(parse).collect::<Vec<serde_json::Value>>()
    };
    let wrong = lines("project: demo-project\nalow: [allUsers]\n", "127.0.0.1:0");
    let unknown = wrong.iter().find(|line| line["code"] == "FG004").expect("the finding");
    assert_eq!(unknown["severity"], "ERROR");
    assert_eq!(unknown["message"], "unknown key `alow`");
    assert_eq!(
        (&unknown["place"]["file"], &unknown["place"]["line"]),
        (&"FIREGATE_CONFIG".into(), &2.into())
    );
    assert!(unknown["hint"].as_str().is_some_and(|hint| hint.contains("`allow`")), "{unknown}");
    assert!(wrong.iter().all(|line| line["time"].is_string() && line["message"].is_string()), "{wrong:?}");

    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    let text = "project: demo-project\nbackends: { api: 'https://api.example.com' }\nallow: [allUsers]\n";
    let lines = lines(text, &taken);
    assert!(lines.iter().any(|line| line["severity"] == "WARNING" && line["code"] == "FG123"), "{lines:?}");
    let last = lines.last().expect("a line");
    let message = last["message"].as_str().expect("text");
    assert!(message.contains(&taken) && message.matches("Address already in use").count() == 1, "{last}");
    assert_eq!(last["hint"], "stop what listens there, or choose another address");
    assert_eq!(last["severity"], "ERROR");
}

#[test]
fn a_directory_that_takes_no_keys_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("firegate-data"), "no directory").expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    command.args([
        "serve",
        "--project",
        "demo-project",
        "--backend",
        "http://127.0.0.1:9",
        "--allow",
        "allUsers",
    ]);
    command.args(["--listen", "127.0.0.1:0"]).env_clear().current_dir(folder.path());
    let output = command.output().expect("the binary runs");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for part in
        ["firegate-data/assertion-keys.json cannot be read or written", "set `data_dir`", "`assertion: {"]
    {
        assert!(stderr.contains(part), "{part:?} is not in:\n{stderr}");
    }
}

#[test]
fn no_environment_variable_switches_emulator_trust_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let text = "project: demo-project\nbackends: { api: 'https://api.example.com' }\nallow: [allAuthenticatedUsers]\ntrust: emulator\n";
    std::fs::write(&file, text).expect("a file");
    check(&["serve", "-c", file.to_str().expect("text")], 2, &["trust", "firegate dev"]);
}

#[test]
fn on_cloud_run_tokens_are_exchanged_with_a_mounted_key_alone() {
    let text = "project: demo-project\nbackends: { api: 'https://api.example.com' }\nallow: [allAuthenticatedUsers]\n\
                exchange: { enabled: true }\nassertion: { issuer: 'https://door.example.com' }\n";
    let output = Command::new(env!("CARGO_BIN_EXE_firegate"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env_clear()
        .env("K_SERVICE", "door")
        .env("FIREGATE_CONFIG", text)
        .output()
        .expect("the binary runs");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert!(!output.status.success(), "{stderr}");
    assert!(stderr.contains("`exchange.enabled` needs `assertion.key`"), "{stderr}");
}

/// Starts `firegate serve` before a service that never ends its answer, with so many requests under way, each by a connection
/// of its own, and says how long it takes to end after so many interrupts, and what it logs meanwhile.
#[cfg(unix)]
fn interrupted(
    times: usize,
    requests: usize,
) -> (std::process::ExitStatus, std::time::Duration, Vec<String>) {
    use std::io::{BufRead, BufReader, Read, Write};

    let service = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let backend = format!("http://{}", service.local_addr().expect("an address"));
    let arguments = [
        "--project",
        "demo-project",
        "--backend",
        &backend,
        "--allow",
        "allUsers",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut door = Command::new(env!("CARGO_BIN_EXE_firegate"))
        .arg("serve")
        .args(arguments)
        .env_clear()
        .current_dir(tempfile::tempdir().expect("a folder").keep())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(door.stderr.take().expect("its log")).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("the front door listens")).expect("it listens");
    let address = line.rsplit("address=").next().expect("an address").trim().to_owned();

    let mut under_way = Vec::new();
    for _ in 0..requests {
        let mut client = std::net::TcpStream::connect(&address).expect("a connection");
        client.write_all(b"GET / HTTP/1.1\r\nHost: door\r\n\r\n").expect("it is sent");
        let (mut stream, _) = service.accept().expect("the service is called");
        assert_ne!(stream.read(&mut [0; 4096]).expect("a request"), 0);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
            .expect("it is sent");
        let mut status_line = [0; 12];
        client.read_exact(&mut status_line).expect("the answer began");
        assert_eq!(&status_line, b"HTTP/1.1 200");
        under_way.push((client, stream));
    }

    let interrupt = || {
        let pid = door.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    };
    #[expect(clippy::disallowed_methods, reason = "how long a process takes is what is measured")]
    let start = std::time::Instant::now();
    interrupt();
    lines.find(|line| line.contains("stopping")).expect("it says so");
    for _ in 1..times {
        interrupt();
    }
    let status = door.wait().expect("it ends");
    let elapsed = start.elapsed();
    (status, elapsed, lines.collect())
}

/// What the log says of requests that a stop did not wait for.
#[cfg(unix)]
const UNFINISHED: &str = "WARN requests were still under way when the time to drain was over requests=";

#[cfg(unix)]
#[test]
fn a_second_interrupt_ends_at_once_what_the_first_one_waits_for() {
    let half = firegate_proxy::limits::DRAIN_TIMEOUT / 2;
    let told = |log: &[String]| {
        let counts = log.iter().filter_map(|line| line.split_once(UNFINISHED));
        counts.map(|(_, count)| count.to_owned()).collect::<Vec<_>>()
    };
    // Every worker has one of them, and counts those of all.
    let requests = 2 * std::thread::available_parallelism().expect("a number").get();
    let (once, waited, log) = interrupted(1, requests);
    assert!(once.success() && waited > half, "{once} after {waited:?}");
    assert_eq!(told(&log), [requests.to_string()], "{log:?}");
    let (twice, waited, log) = interrupted(2, 1);
    assert!(twice.code() == Some(130) && waited < half, "{twice} after {waited:?}");
    assert_eq!(told(&log), [""; 0], "{log:?}");
}

/// What `check` tells of a sound file on stderr, by the environment.
fn told_by(environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "project: demo-project\nbackends: { api: 'https://api-abc123-uc.a.run.app' }\nallow: [allAuthenticatedUsers]\n";
    std::fs::write(folder.path().join("firegate.yaml"), text).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    command.args(["check", "-c", "firegate.yaml"]).args(arguments).current_dir(folder.path());
    let output = command.env_clear().envs(environment.iter().copied()).output().expect("the binary runs");
    assert!(output.status.success());
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn a_filter_of_the_log_that_is_not_understood_is_told_in_the_logs_own_form() {
    for filter in ["warning", "verbose", "foo=bar=baz", "firegate=loud", "info,verbose"] {
        let json = told_by(&[("FIREGATE_LOG", filter)], &["--log-format", "json"]);
        let line: serde_json::Value =
            serde_json::from_str(&json).unwrap_or_else(|_| panic!("{filter}: {json:?}"));
        let member = |name: &str| line[name].as_str().expect("a text").to_owned();
        assert!(member("message").contains("FIREGATE_LOG") && !member("message").contains("hint"), "{line}");
        assert!(member("hint").starts_with("write a level"), "{line}");
        assert_eq!((&line["severity"], &line["filter"]), (&"ERROR".into(), &filter.into()));
        let text = told_by(&[("FIREGATE_LOG", filter)], &[]);
        assert!(
            text.lines().count() == 1 && text.contains("ERROR") && text.contains("FIREGATE_LOG"),
            "{text}"
        );
    }
    for filter in
        ["warn", "WARN", "info,firegate_proxy::access_log=off", "firegate_proxy", "off", "h2=debug,3"]
    {
        assert_eq!(told_by(&[("FIREGATE_LOG", filter)], &[]), "", "{filter}");
    }
}

/// By <https://no-color.org>, and for terminals that obey no escapes.
#[cfg(target_os = "linux")]
#[test]
fn lines_of_the_log_are_coloured_on_a_terminal_that_wants_colours() {
    let check = |environment: &[(&str, &str)], is_coloured: bool| {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "project: demo-project\nbackends: { api: 'https://api.example.com' }\nallow: [allUsers]\n";
        std::fs::write(folder.path().join("firegate.yaml"), text).expect("a file");
        let firegate = format!("{} check -c firegate.yaml", env!("CARGO_BIN_EXE_firegate"));
        let mut command = Command::new("script");
        command.args(["-qec", &firegate, "/dev/null"]).current_dir(folder.path()).env_clear();
        // A line of the log, and findings.
        command.env("FIREGATE_LOG", "verbose").envs(environment.iter().copied());
        let output = command.stdin(std::process::Stdio::null()).output().expect("a terminal");
        let shown = String::from_utf8(output.stdout).expect("text");
        assert!(shown.contains("FIREGATE_LOG") && shown.contains("FG123"), "{shown}");
        assert_eq!(shown.contains('\u{1b}'), is_coloured, "{environment:?}: {shown:?}");
    };
    let path = ("PATH", "/usr/bin:/bin");
    check(&[path, ("TERM", "xterm")], true);
    check(&[path, ("TERM", "xterm"), ("NO_COLOR", "")], true);
    check(&[path, ("TERM", "xterm"), ("NO_COLOR", "1")], false);
    check(&[path, ("TERM", "dumb")], false);
}
