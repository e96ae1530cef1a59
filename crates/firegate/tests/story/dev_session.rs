//! `firegate dev` as somebody has it in a terminal: the real binary, what it prints, and how it ends.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::stack::{Call, text};

/// A running `firegate dev`, which ends with the test.
struct Session {
    process: Child,
    /// What `--ready-file` says.
    ready: Value,
    /// What it has printed on stdout before it was ready.
    welcome: String,
    log: Option<JoinHandle<String>>,
    _folder: TempDir,
}

/// What is left of a session that has ended.
struct Ended {
    log: String,
    after: Duration,
}

const FREE_PORTS: [&str; 8] =
    ["--port", "0", "--service-port", "0", "--google-port", "0", "--identity-port", "0"];

impl Session {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ready_file = folder.path().join("ready.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
        command.arg("dev").args(FREE_PORTS).arg("--ready-file").arg(&ready_file).args(arguments);
        command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the binary runs");
        let mut errors = process.stderr.take().expect("its log");
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            errors.read_to_string(&mut log).expect("text");
            log
        });
        let mut output = BufReader::new(process.stdout.take().expect("its output"));
        let mut welcome = String::new();
        while !welcome.contains("Ctrl-C ends everything") {
            if output.read_line(&mut welcome).expect("text") == 0 {
                panic!("it ended:\n{welcome}\n{}", log.join().expect("its log"));
            }
        }
        let ready = std::fs::read(&ready_file).expect("it is there before the welcome");
        let ready = serde_json::from_slice(&ready).expect("JSON");
        Self { process, ready, welcome, log: Some(log), _folder: folder }
    }

    fn url(&self, part: &str, path: &str) -> Url {
        Url::parse(&text(&self.ready[part])).expect("a URL").join(path).expect("a path")
    }

    /// An ID token of the user that is there from the start.
    async fn id_token(&self) -> String {
        let user = &self.ready["user"];
        let body = json!({"email": user["email"], "password": user["password"], "returnSecureToken": true});
        let path = "identitytoolkit.googleapis.com/v1/accounts:signInWithPassword?key=local";
        let call = Call::new(Method::POST, &self.url("identity", path)).body(body.to_string());
        text(&call.header("content-type", "application/json").send().await.ok()["idToken"])
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(mut self) -> Ended {
        let number = self.process.id().to_string();
        #[expect(clippy::disallowed_methods, reason = "how long a process takes is what is measured")]
        let start = std::time::Instant::now();
        assert!(Command::new("kill").args(["-INT", &number]).status().expect("kill runs").success());
        assert!(self.process.wait().expect("it ends").success());
        let after = start.elapsed();
        Ended { log: self.log.take().expect("it is read").join().expect("its log"), after }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A session with one request by a connection that stays open, ended.
async fn ordinary_session() -> Ended {
    let session = Session::start(&[]);
    let token = session.id_token().await;
    let door = session.url("door", "/hello");
    let mut client =
        TcpStream::connect(door.socket_addrs(|| None).expect("an address")[0]).await.expect("a door");
    let head = format!("GET /hello HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    client.write_all(head.as_bytes()).await.expect("it is sent");
    let mut status_line = [0; 12];
    client.read_exact(&mut status_line).await.expect("an answer");
    assert_eq!(&status_line, b"HTTP/1.1 200");
    // The sample service keeps its connection to the door, and this client its own.
    let ended = tokio::task::spawn_blocking(move || session.interrupt()).await.expect("it ends");
    drop(client);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_session_ends_at_once_and_without_a_warning() {
    // A busy machine is slow at times. Connections that are waited for take a second every time.
    for attempt in 1.. {
        let Ended { log, after } = ordinary_session().await;
        assert!(!log.contains("WARN") && !log.contains("still under way"), "{log}");
        if after < Duration::from_millis(900) {
            break;
        }
        assert!(attempt < 3, "it took {after:?}:\n{log}");
    }
}

/// A running session and its folder of kept data.
fn session_with(data: &Path) -> Session {
    Session::start(&["--data", data.to_str().expect("text")])
}

/// Runs what a newcomer pastes, up to the second request, and returns what that came to.
fn pasted(welcome: &str, password: Option<&str>) -> String {
    let lines = welcome.lines().filter(|line| line.starts_with("TOKEN=") || line.starts_with("curl "));
    let lines = lines.map(|line| line.split("  #").next().unwrap_or_default()).collect::<Vec<_>>();
    let password = password.map(|password| format!("PASSWORD='{password}'\n")).unwrap_or_default();
    let through = lines[2].replace("curl -i", "curl -s -o /dev/null -w '%{http_code}'");
    let script = format!("{password}{}\n{through}", lines[0]);
    let output = Command::new("sh").arg("-c").arg(script).output().expect("a shell");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_is_not_printed_as_if_it_were_good() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = session_with(folder.path());
    assert!(session.welcome.contains("ada@example.com / correct-horse-battery"), "{}", session.welcome);
    assert!(session.welcome.contains("users and keys are kept in "), "{}", session.welcome);
    let path = "identitytoolkit.googleapis.com/v1/accounts:update?key=local";
    let body = json!({"idToken": session.id_token().await, "password": "another-horse"});
    let call = Call::new(Method::POST, &session.url("identity", path)).body(body.to_string());
    call.header("content-type", "application/json").send().await.ok();
    session.interrupt();

    let session = session_with(folder.path());
    assert!(!session.welcome.contains("ada@example.com / "), "{}", session.welcome);
    assert!(
        session.welcome.contains("does not sign in with correct-horse-battery any more"),
        "{}",
        session.welcome
    );
    assert!(session.ready["user"].is_null(), "{}", session.ready);
    assert_eq!(pasted(&session.welcome, Some("another-horse")), "200", "{}", session.welcome);

    // Nor does it sign anybody in who is disabled.
    let path = "identitytoolkit.googleapis.com/v1/projects/demo-firegate/accounts:lookup";
    let call = Call::new(Method::POST, &session.url("identity", path)).bearer("owner");
    let call = call.header("content-type", "application/json");
    let found = call.body(json!({"email": ["ada@example.com"]}).to_string()).send().await.ok();
    let change = json!({
        "localId": found["users"][0]["localId"], "password": "correct-horse-battery", "disableUser": true,
    });
    let path = "identitytoolkit.googleapis.com/v1/projects/demo-firegate/accounts:update";
    let call = Call::new(Method::POST, &session.url("identity", path)).bearer("owner");
    call.header("content-type", "application/json").body(change.to_string()).send().await.ok();
    session.interrupt();
    let session = session_with(folder.path());
    assert!(!session.welcome.contains("ada@example.com / "), "{}", session.welcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_keys_are_said_to_end_with_the_session() {
    let session = Session::start(&[]);
    let last = session.welcome.lines().last().expect("a line");
    assert!(last.contains("the next start makes new ones, unless --data DIRECTORY"), "{last}");
    // What the sample answers is for a person to read.
    let call = Call::get(&session.url("door", "/hello")).bearer(&session.id_token().await);
    let answer = String::from_utf8(call.send().await.body.to_vec()).expect("text");
    assert!(answer.contains("\n  \"path\": \"/hello\",\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_check_warns_of_dev_warns_of_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let text = "project: demo-firegate\nbackends: { api: 'http://127.0.0.1:9' }\n\
                allow: [allAuthenticatedUsers, 'serviceAccount:job@demo-firegate.iam.gserviceaccount.com']\n";
    std::fs::write(&file, text).expect("a file");
    let file = file.to_str().expect("text");
    let check = Command::new(env!("CARGO_BIN_EXE_firegate")).args(["check", "-c", file]).output();
    let check = check.expect("the binary runs");
    let told = String::from_utf8([check.stdout, check.stderr].concat()).expect("text");
    assert!(told.contains("warning[FG112]"), "{told}");
    let log = Session::start(&["-c", file]).interrupt().log;
    assert!(log.contains("warning[FG112]"), "{log}");
}

/// As in the reference emulator every project has accounts of its own; whoever made users for another one would look for them.
#[tokio::test(flavor = "multi_thread")]
async fn users_that_are_made_for_another_project_are_told_of_once() {
    let session = Session::start(&[]);
    let make = async |project: &str, email: &str| {
        let path = format!("identitytoolkit.googleapis.com/v1/projects/{project}/accounts");
        let call = Call::new(Method::POST, &session.url("identity", &path)).bearer("owner");
        let call = call.header("content-type", "application/json");
        call.body(json!({"email": email, "password": "correct-horse"}).to_string()).send().await.ok();
    };
    make("demo-firegate", "own@example.com").await;
    make("other-project", "one@example.com").await;
    make("other-project", "two@example.com").await;
    let log = session.interrupt().log;
    let told = log.lines().filter(|line| line.contains("WARN")).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("\"other-project\"") && told[0].contains("\"demo-firegate\""), "{log}");
    assert!(log.contains("hint: give the Admin SDK `projectId: \"demo-firegate\"`"), "{log}");
}

#[test]
fn all_taken_ports_are_told_at_once() {
    let taken = [0; 3].map(|port| TcpListener::bind(("127.0.0.1", port)).expect("a port"));
    let [door, google, identity] =
        taken.each_ref().map(|taken| taken.local_addr().expect("an address").port().to_string());
    let ports =
        ["--port", &door, "--google-port", &google, "--identity-port", &identity, "--service-port", "0"];
    let output = Command::new(env!("CARGO_BIN_EXE_firegate")).arg("dev").args(ports).env_clear().output();
    let output = output.expect("the binary runs");
    let told = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{told}");
    for port in [&door, &google, &identity] {
        assert!(told.contains(&format!("port {port} cannot be listened on")), "{told}");
    }
    let hint = "with --port PORT, --google-port PORT, --identity-port PORT; 0 takes a free one";
    assert!(
        told.contains(hint) && told.contains(&format!("--identity http://127.0.0.1:{identity}")),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_json_has_nothing_else_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let text = "project: demo-project\nbackends: { api: 'https://api.example.com' }\nallow: [allUsers]\n";
    std::fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    let session = Session::start(&["--log-format", "json", "-c", &file, "--map", "api=http://127.0.0.1:9"]);
    Call::get(&session.url("door", "/hello")).send().await;
    let Ended { log, .. } = tokio::task::spawn_blocking(move || session.interrupt()).await.expect("it ends");
    let parse =
        |line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("no JSON: {line:?} in\n{log}"));
    let lines = log.lines().map(parse).collect::<Vec<_>>();
    for (member, expected) in
        [("code", "FG123"), ("message", "stopping; Ctrl-C again ends everything at once")]
    {
        assert!(lines.iter().any(|line| line[member] == expected), "{expected} is not in:\n{log}");
    }
}
